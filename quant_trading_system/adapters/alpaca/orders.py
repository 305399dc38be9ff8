"""Sends orders: the only client that can. Decides what an answer to a POST proves.

A definite no needs a status and a code that are known to be one. Everything else that is not the order itself leaves
the order in doubt: 5xx, 429, a proxy's page, a code nobody knows, an echo that differs from what was sent.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from quant_trading_system.adapters.alpaca.answers import parse_order, parse_refusal
from quant_trading_system.adapters.alpaca.failures import Unreadable
from quant_trading_system.adapters.alpaca.http import AlpacaHttp, Reply
from quant_trading_system.adapters.alpaca.limits import Lane
from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.errors import InDoubt, Refused
from quant_trading_system.core.money import plain
from quant_trading_system.core.types import OrderClass
from quant_trading_system.core.values import OrderIntent

DEFINITE_REFUSALS = frozenset(
    {
        (400, 40010000),
        (400, 40010001),
        (401, 40110000),
        (403, 40310000),
        (403, 40310010),  # asset halted
        (403, 40310100),  # day-trade protection, until 2026-07
        (404, 40410000),  # no such asset
        (422, 40010000),
        (422, 40010001),
        (422, 42210000),
    }
)
"""(HTTP status, code) that say the order does not exist and will not."""
CODELESS_REFUSALS = frozenset({(401, "unauthorized."), (403, "forbidden.")})
"""(HTTP status, message) of refusals that come without a code."""
DUPLICATE_MESSAGE = "client_order_id must be unique"


class OrderClient:
    """POST /v2/orders, used by the order gateway alone."""

    def __init__(self, http: AlpacaHttp) -> None:
        self._http = http

    async def submit(
        self, intent: OrderIntent, *, before_write: Callable[[], None] | None, lane: Lane = Lane.ORDER
    ) -> BrokerOrder:
        """Send an order once. `before_write` runs in the loop step of the first byte; what it raises is raised here.

        Raises:
            Refused: a definite no. `is_duplicate` tells the one that may mean yes.
            InDoubt: only the broker knows.
            Unavailable: no byte left.
        """
        reply = await self._http.request(
            "POST", "/v2/orders", lane=lane, body=payload(intent), before_write=before_write
        )
        if reply.status not in (200, 201):
            raise judge_refusal(reply)
        try:
            order = parse_order(reply.body)
        except Unreadable as error:
            raise InDoubt(f"answer {reply.status}: {error}") from error
        difference = echo_difference(order, intent)
        if difference is not None:
            raise InDoubt(f"the broker's echo differs: {difference}")
        return order


def payload(intent: OrderIntent) -> bytes:
    """The body of the POST: a function of the intent alone, so that every retry is byte-identical.

    Decimals travel as text (Alpaca accepts both; a JSON number would be a binary fraction to most parsers).
    """
    fields: dict[str, object] = {
        "symbol": intent.symbol,
        "qty": plain(intent.quantity),
        "side": intent.side.value,
        "type": intent.order_type.value,
        "time_in_force": intent.time_in_force.value,
    }
    if intent.limit_price is not None:
        fields["limit_price"] = plain(intent.limit_price)
    if intent.stop_price is not None:
        fields["stop_price"] = plain(intent.stop_price)
    if intent.order_class is not OrderClass.SIMPLE:
        fields["order_class"] = intent.order_class.value
    if intent.take_profit_price is not None:
        fields["take_profit"] = {"limit_price": plain(intent.take_profit_price)}
    if intent.stop_loss_price is not None:
        fields["stop_loss"] = {"stop_price": plain(intent.stop_loss_price)}
    fields["client_order_id"] = intent.client_order_id
    return msgspec.json.encode(fields)


def judge_refusal(reply: Reply) -> Refused | InDoubt:
    """What an answer without an order proves."""
    refusal = parse_refusal(reply.body)
    known = (reply.status, refusal.code) in DEFINITE_REFUSALS
    codeless = refusal.code is None and (reply.status, refusal.message) in CODELESS_REFUSALS
    if known or codeless:
        return Refused(http_status=reply.status, code=refusal.code, message=refusal.message, extra=refusal.extra)
    return InDoubt(f"answer {reply.status}, code {refusal.code}: {refusal.message}")


def is_duplicate(refused: Refused) -> bool:
    """Whether a refusal says that the client order id is taken: by our own earlier try, if the order found is equal."""
    return refused.http_status == 422 and refused.message == DUPLICATE_MESSAGE


def echo_difference(order: BrokerOrder, intent: OrderIntent) -> str | None:
    """The first field in which an order of the broker's is not the one that was asked for, None if there is none.

    Legs are part of it: the answer to a POST shows them nested.
    """
    pairs = (
        ("client_order_id", order.client_order_id, intent.client_order_id),
        ("symbol", order.symbol, intent.symbol),
        ("side", order.side, intent.side),
        ("qty", order.quantity, intent.quantity),
        ("limit_price", order.limit_price, intent.limit_price),
        ("stop_price", order.stop_price, intent.stop_price),
        ("order_class", "" if order.order_class == "simple" else order.order_class, intent.order_class.value),
        ("legs", *_legs(order, intent)),
    )
    for name, found, asked in pairs:
        if found != asked:
            return f"{name} {found}, asked {asked}"
    return None


def _legs(order: BrokerOrder, intent: OrderIntent) -> tuple[str, str]:
    """The legs that are there and those that were asked for, as text that is equal where they are."""
    found = [
        f"{leg.side} {_plain(leg.quantity)} at {_plain(leg.limit_price if leg.stop_price is None else leg.stop_price)}"
        for leg in order.legs
    ]
    prices = (intent.take_profit_price, intent.stop_loss_price)
    asked = [f"{intent.side.opposite} {plain(intent.quantity)} at {plain(price)}" for price in prices if price]
    return ", ".join(sorted(found)), ", ".join(sorted(asked))


def _plain(amount: Decimal | None) -> str:
    return "nothing" if amount is None else plain(amount)
