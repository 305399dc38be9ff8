"""What the control interface and a fault plan can ask to happen to the account and its market. Decides how it is read.

A wish is an object; each field that is wrong is named with the rule that it breaks. Whether the wish is granted is the
exchange's business.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.halts import KINDS as STATUSES
from quant_trading_system.simulator.numbers import parse_number
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.refusals import Refusal, unprocessable
from quant_trading_system.simulator.requests import OrderRequest

Wish = Mapping[str, object]

_NEEDED_BY_KIND: Mapping[str, tuple[str, ...]] = {
    "cash_dividend": ("cash",),
    "forward_split": ("old_rate", "new_rate"),
    "reverse_split": ("old_rate", "new_rate"),
    "stock_dividend": ("rate",),
    "name_change": ("new_symbol",),
    "spin_off": ("new_symbol", "old_rate", "new_rate"),
}


def wrong(field: str, rule: str) -> Refusal:
    """A wish that makes no sense: the field, and what it should have been."""
    return unprocessable(rule if rule.startswith(f"{field}:") else f"{field}: {rule}")


def order_outside(exchange: Exchange, wish: Wish) -> SimOrder:
    """Somebody gives an order in the broker's app: the body of `POST /v2/orders`."""
    return exchange.external_order(OrderRequest.from_body(wish))


def set_status(exchange: Exchange, wish: Wish) -> None:
    """`{"symbol": "AAPL", "status": "halt"}`: halt, pause or resume a symbol; a breaker halts every equity."""
    _check_names(wish, required=("symbol", "status"))
    if wish["status"] not in STATUSES:
        raise wrong("status", f"expected one of {', '.join(STATUSES)}, found {wish['status']!r}")
    exchange.set_status(_text(wish, "symbol"), str(wish["status"]))


def bust(exchange: Exchange, wish: Wish) -> None:
    """`{"execution_id": …}`: take an execution back; with `price` or `qty`, put other numbers in its place."""
    _check_names(wish, required=("execution_id",), optional=("price", "qty"))
    execution_id, price, qty = _text(wish, "execution_id"), _amount(wish, "price"), _amount(wish, "qty")
    if price is None and qty is None:
        exchange.bust(execution_id)
    else:
        exchange.correct(execution_id, price=price, qty=qty)


def transfer(exchange: Exchange, wish: Wish) -> None:
    """`{"amount_usd": "500"}`: a deposit, or with less than 0 a withdrawal."""
    _check_names(wish, required=("amount_usd",))
    amount = _amount(wish, "amount_usd")
    if not amount:
        raise wrong("amount_usd", "expected an amount other than 0")
    exchange.transfer(amount)


def announce(exchange: Exchange, wish: Wish) -> CorporateAction:
    """A corporate action: `kind`, `symbol`, `ex_date` and what its kind has; the other dates follow from it."""
    _check_names(
        wish,
        required=("kind", "symbol", "ex_date"),
        optional=[name for name in CorporateAction.__struct_fields__ if name not in ("kind", "symbol", "ex_date")],
    )
    payable = wish.get("payable_date") if wish["kind"] in ("cash_dividend", "stock_dividend") else None
    completed = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, msgspec.json.encode(dict(wish), order="sorted").decode())),
        "process_date": payable or wish["ex_date"],
        **wish,
    }
    try:
        action = msgspec.convert(completed, CorporateAction, strict=False)
    except msgspec.ValidationError as error:
        rule, _, place = str(error).partition(" - at `$.")
        field = place.rstrip("`") or "kind"
        raise wrong(field if field in wish else "ex_date", rule) from None  # the process date follows from it
    _check_action(action)
    exchange.announce(action)
    return action


def _check_action(action: CorporateAction) -> None:
    for name in _NEEDED_BY_KIND[action.kind]:
        value = getattr(action, name)
        if value is None or (isinstance(value, Decimal) and value <= 0):
            raise wrong(
                name, f"{action.kind} needs one above 0" if name != "new_symbol" else f"{action.kind} needs one"
            )
    if action.process_date < action.ex_date:
        raise wrong("process_date", f"expected {action.ex_date} or later, found {action.process_date}")


def _check_names(wish: Wish, *, required: Sequence[str], optional: Sequence[str] = ()) -> None:
    for name in wish:
        if name not in required and name not in optional:
            raise wrong(name, f"unknown field; known are {', '.join([*required, *optional])}")
    for name in required:
        if name not in wish:
            raise wrong(name, "missing")


def _text(wish: Wish, name: str) -> str:
    value = wish[name]
    if not isinstance(value, str) or not value:
        raise wrong(name, f"expected a text, found {value!r}")
    return value


def _amount(wish: Wish, name: str) -> Decimal | None:
    if name not in wish:
        return None
    try:
        amount = parse_number(wish[name])
    except ValueError as error:
        raise wrong(name, str(error)) from None
    if amount is None:
        raise wrong(name, "expected a number, found nothing")
    return amount


def set_account(exchange: Exchange, wish: Wish) -> None:
    """`{"trading_blocked": true}`: the broker's flags; those that are not named stay."""
    try:
        exchange.account_flags = exchange.account_flags.changed(wish)
    except ValueError as error:
        raise unprocessable(str(error)) from None
