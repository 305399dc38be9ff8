"""How the exchange says no: status, code and text as Alpaca answers them (reference 2.7, 2.9, 2.12; exact texts)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from quant_trading_system.simulator.numbers import plain


class Refusal(Exception):
    """A request that the exchange does not carry out.

    Args:
        http_status: of the answer.
        code: Alpaca's error code, None where its answer has none.
        message: the text, part of the protocol.
        extra: more keys of the body, beside `code`.
    """

    def __init__(
        self, http_status: int, code: int | None, message: str, extra: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(f"{http_status} {code}: {message}")
        self.http_status = http_status
        self.code = code
        self.message = message
        self.extra: dict[str, object] = dict(extra or {})

    def body(self) -> dict[str, object]:
        """The error object; keys in alphabetical order where there are extras (reference, appendix C)."""
        body: dict[str, object] = {"message": self.message, **self.extra}
        if self.code is not None:
            body = {"code": self.code, **body}
        return dict(sorted(body.items())) if self.extra else body


def malformed(message: str = "request body format is invalid") -> Refusal:
    return Refusal(400, 40010000, message)


def invalid(message: str) -> Refusal:
    """A parameter that is wrong in itself."""
    return Refusal(422, 40010001, message)


def unprocessable(message: str, **extra: object) -> Refusal:
    """A request that is understood and cannot be done."""
    return Refusal(422, 42210000, message, extra)


def forbidden(message: str, **extra: object) -> Refusal:
    """A business rule says no."""
    return Refusal(403, 40310000, message, extra)


def not_found(message: str) -> Refusal:
    return Refusal(404, 40410000, message)


def order_not_found(order_id: str) -> Refusal:
    return not_found(f"order not found for {order_id}")


def position_not_found() -> Refusal:
    return not_found("position does not exist")


def asset_not_found(symbol_or_id: str) -> Refusal:
    return not_found(f"asset not found for {symbol_or_id}")


def insufficient_buying_power(*, buying_power: Decimal, cost_basis: Decimal) -> Refusal:
    return forbidden("insufficient buying power", buying_power=plain(buying_power), cost_basis=plain(cost_basis))


def insufficient_qty(
    *, symbol: str, requested: Decimal, available: Decimal, existing: Decimal, held: Decimal, related: Sequence[str]
) -> Refusal:
    extra: dict[str, object] = {
        "available": plain(available),
        "existing_qty": plain(existing),
        "held_for_orders": plain(held),
        "related_orders": list(related),  # a key also where nothing holds them (recorded 2021-01-26)
        "symbol": symbol,
    }
    message = f"insufficient qty available for order (requested: {plain(requested)}, available: {plain(available)})"
    return forbidden(message, **extra)


def insufficient_balance(*, currency: str, requested: Decimal, available: Decimal, balance: Decimal) -> Refusal:
    """Of coins, or of dollars for coins; its symbol is always the currency of the pair (reported so)."""
    return forbidden(
        f"insufficient balance for {currency} (requested: {plain(requested)}, available: {plain(available)})",
        available=plain(available),
        balance=plain(balance),
        symbol="USD",
    )


def wash_trade(*, existing_order_id: str, reason: str, **prices: str) -> Refusal:
    return forbidden(
        "potential wash trade detected. use complex orders",
        existing_order_id=existing_order_id,
        reject_reason=reason,
        **prices,
    )
