"""Decides what answers of an earlier date lacked, said otherwise or had besides: the manners of a profile.

The exchange writes today's form; for an older profile its answers and events are rewritten here, in one place. Objects
are known by their keys, so lists, legs and the bodies inside a 207 are found wherever they stand.

Evidence: reference 0.1 and appendix D (day-trade fields, 2026-07-06), 1.2 (401), 2.3 and 2.4 (orders),
5.2 (calendar), 7.2 and 7.4 (events); for the key sets of 2021 Alpaca's public documentation of that year (entities
account, account configurations, order, position, asset; read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import msgspec
from aiohttp import web

from quant_trading_system.simulator.rulebook import Rulebook
from quant_trading_system.simulator.server.stamps import eastern_text, parse_instant

Json = dict[str, object]


class Profile(StrEnum):
    """Whose answers are given: today's, those before day-trade fields were removed on 2026-07-06, or those of 2021."""

    CURRENT = "current"
    BEFORE_2026_07 = "before-2026-07"
    LEGACY_2021 = "legacy-2021"

    @property
    def has_day_trade_fields(self) -> bool:
        return self is not Profile.CURRENT

    @property
    def rulebook(self) -> Rulebook:
        """What was another rule then, not only another word."""
        return Rulebook(
            cuts_sub_penny=self is Profile.LEGACY_2021,
            protects_pattern_day_traders=self.has_day_trade_fields,
        )


@dataclass(frozen=True, slots=True)
class Entity:
    """One sort of object: the keys that it alone has, and those that came after 2021."""

    marks: frozenset[str]
    newer: frozenset[str]


_ENTITIES = (
    Entity(
        frozenset({"client_order_id", "order_type"}),
        frozenset({"position_intent", "expires_at", "subtag", "source", "ratio_qty", "commission"}),
    ),
    Entity(frozenset({"avg_entry_price", "cost_basis"}), frozenset({"asset_marginable", "qty_available"})),
    Entity(
        frozenset({"account_number", "buying_power"}),
        frozenset(
            {
                "admin_configurations", "user_configurations", "crypto_status", "crypto_tier", "accrued_fees",
                "options_approved_level", "options_trading_level", "options_buying_power", "effective_buying_power",
                "non_marginable_buying_power", "position_market_value", "balance_asof", "intraday_adjustments",
                "pending_reg_taf_fees", "pending_transfer_in", "pending_transfer_out", "bod_dtbp",
            }
        ),
    ),
    Entity(
        frozenset({"trade_confirm_email"}),
        frozenset({"disable_overnight_trading", "max_options_trading_level", "ptp_no_exception_entry"}),
    ),
    Entity(
        frozenset({"tradable", "shortable"}),
        frozenset(
            {
                "borrow_status", "attributes", "maintenance_margin_requirement", "margin_requirement_long",
                "margin_requirement_short", "cusip", "fractionable",
            }
        ),
    ),
    Entity(frozenset({"profit_loss_pct"}), frozenset({"base_value_asof", "cashflow"})),
    Entity(frozenset({"session_open"}), frozenset({"settlement_date"})),
)  # fmt: skip

_SESSION_OF_2020 = {"session_open": {"0400": "0700"}, "session_close": {"2000": "1900"}}  # reference 5.2
_FILLS = ("fill", "partial_fill")
_EASTERN_STAMPS = ("created_at", "updated_at", "submitted_at")  # of the orders in events (reference 1.3)


class Manners:
    """Today's: nothing is rewritten."""

    is_current = True

    def answer(self, _method: str, answer: web.Response) -> web.Response:
        return answer

    def event(self, data: Json) -> Json | None:
        """The data of a trade_updates frame; None where the date knew no such event."""
        return data


class Manners2021(Manners):
    """Those of the recordings of 2019 to 2021."""

    is_current = False

    def answer(self, method: str, answer: web.Response) -> web.Response:
        if not isinstance(answer.body, bytes) or not answer.body:
            return answer
        # An order that replaces another one was answered as new, any other one as accepted (reference 2.4, 2.8).
        status = "new" if method == "PATCH" else "accepted"
        tree = msgspec.json.decode(answer.body)
        answer.body = msgspec.json.encode(_aged(tree, status))
        return answer

    def event(self, data: Json) -> Json | None:
        if data["event"] == "pending_new":
            return None  # first seen in 2025 (reference 7.3)
        newer = {"at", "event_id", "swap_rate", "settle_date"}
        if data["event"] not in _FILLS:
            newer |= {"execution_id"}
        if data["event"] == "new":
            newer |= {"timestamp"}  # reference 7.4, number 10
        aged = _aged({name: value for name, value in data.items() if name not in newer}, "accepted")
        assert isinstance(aged, dict), "an object stays one"
        order = aged["order"]
        assert isinstance(order, dict), "expected the order of the event"
        order.pop("cancel_requested_at", None)
        for name in _EASTERN_STAMPS:
            order[name] = _in_eastern(str(order[name]))
        return aged


def manners_of(profile: Profile) -> Manners:
    return Manners2021() if profile is Profile.LEGACY_2021 else Manners()


def _aged(tree: object, pending_new: str) -> object:
    """The tree as it would have been written then."""
    if isinstance(tree, list):
        return [_aged(row, pending_new) for row in tree]
    if not isinstance(tree, dict):
        return tree
    entity = next((known for known in _ENTITIES if known.marks <= tree.keys()), None)
    newer: Iterable[str] = entity.newer if entity else ()
    aged = {name: _aged(value, pending_new) for name, value in tree.items() if name not in newer}
    if aged.get("status") == "pending_new" and "client_order_id" in aged:
        aged["status"] = pending_new
    for name, words in _SESSION_OF_2020.items():
        if name in aged:
            aged[name] = words.get(str(aged[name]), aged[name])
    return aged


def _in_eastern(stamp: str) -> str:
    """A stamp in Z with New York's offset instead, trailing zeros cut as elsewhere."""
    text = eastern_text(parse_instant(stamp))
    whole, _, rest = text.partition(".")
    fraction = rest[:9].rstrip("0")
    return f"{whole}.{fraction}{rest[9:]}" if fraction else whole + rest[9:]
