"""What a client may ask for. Decides how the fields of a JSON body are read, not whether the wish is granted."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from quant_trading_system.simulator.numbers import parse_number
from quant_trading_system.simulator.refusals import malformed


class StopLoss(msgspec.Struct, frozen=True, kw_only=True):
    """The wish for a stop-loss leg; USD."""

    stop_price: Decimal | None = None
    limit_price: Decimal | None = None


class TakeProfit(msgspec.Struct, frozen=True, kw_only=True):
    """The wish for a take-profit leg; USD."""

    limit_price: Decimal | None = None


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /v2/orders` (reference 2.2). Strings are kept as sent; `rules` judges them."""

    symbol: str | None = None
    qty: Decimal | None = None
    notional: Decimal | None = None
    side: str | None = None
    type: str | None = None
    time_in_force: str | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended_hours: bool = False
    client_order_id: str | None = None
    order_class: str = ""
    take_profit: TakeProfit | None = None
    stop_loss: StopLoss | None = None
    position_intent: str | None = None
    has_advanced_instructions: bool = False  # how to route it: the simulated venue has one way
    source: str | None = None  # never of the body: names who sent it where it was not the API's client

    @classmethod
    def from_body(cls, body: Mapping[str, object]) -> OrderRequest:
        """Read a decoded JSON object; unknown keys are ignored, as Alpaca does.

        Raises:
            Refusal: a field has a type that it cannot have.
        """
        return cls(
            symbol=_text(body, "symbol"),
            qty=_number(body, "qty"),
            notional=_number(body, "notional"),
            side=_text(body, "side"),
            type=_text(body, "type"),
            time_in_force=_text(body, "time_in_force"),
            limit_price=_number(body, "limit_price"),
            stop_price=_number(body, "stop_price"),
            trail_price=_number(body, "trail_price"),
            trail_percent=_number(body, "trail_percent"),
            extended_hours=_flag(body, "extended_hours"),
            client_order_id=_text(body, "client_order_id"),
            order_class=_text(body, "order_class") or "",
            take_profit=_take_profit(body),
            stop_loss=_stop_loss(body),
            position_intent=_text(body, "position_intent"),
            has_advanced_instructions=_object(body, "advanced_instructions") is not None,
        )


class OrderChange(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `PATCH /v2/orders/{id}` (reference 2.8); None keeps what the order has."""

    qty: Decimal | None = None
    time_in_force: str | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Decimal | None = None
    client_order_id: str | None = None
    notional: Decimal | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing but another name."""
        return all(getattr(self, name) is None for name in self.__struct_fields__ if name != "client_order_id")

    @classmethod
    def from_body(cls, body: Mapping[str, object]) -> OrderChange:
        """Read a decoded JSON object.

        Raises:
            Refusal: a field has a type that it cannot have.
        """
        return cls(
            qty=_number(body, "qty"),
            time_in_force=_text(body, "time_in_force"),
            limit_price=_number(body, "limit_price"),
            stop_price=_number(body, "stop_price"),
            trail=_number(body, "trail"),
            client_order_id=_text(body, "client_order_id"),
            notional=_number(body, "notional"),
        )


def _text(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise malformed()
    return value


def _number(body: Mapping[str, object], name: str) -> Decimal | None:
    value = body.get(name)
    if value is None:
        return None
    try:
        return parse_number(value)
    except ValueError:
        raise malformed() from None


def _object(body: Mapping[str, object], name: str) -> Mapping[str, object] | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise malformed()
    return value


def _take_profit(body: Mapping[str, object]) -> TakeProfit | None:
    wish = _object(body, "take_profit")
    return None if wish is None else TakeProfit(limit_price=_number(wish, "limit_price"))


def _stop_loss(body: Mapping[str, object]) -> StopLoss | None:
    wish = _object(body, "stop_loss")
    if wish is None:
        return None
    return StopLoss(stop_price=_number(wish, "stop_price"), limit_price=_number(wish, "limit_price"))


def _flag(body: Mapping[str, object], name: str) -> bool:
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise malformed()
    return value
