"""What trading costs. Decides the crypto fee: paid in what is received, coins of a buy, dollars of a sale (2.15).

Equities cost nothing: Alpaca's paper account charges no regulatory fees (reference 2.14).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.numbers import QTY_STEP, ZERO, shares_down

_BPS = Decimal(10_000)
_USD_STEP = Decimal("0.000000001")


@dataclass(frozen=True, slots=True)
class Fee:
    """What one execution costs: USD off the proceeds, or coins kept back."""

    usd: Decimal = ZERO
    qty: Decimal = ZERO


FREE = Fee()


def fee_of(
    *, asset_class: str, side: str, qty: Decimal, price: Decimal, rate_bps: Decimal, filled_before: Decimal = ZERO
) -> Fee:
    """The fee of an execution. Coins are rounded over the whole order: small fills cost no more than a large one."""
    if asset_class != "crypto" or not rate_bps:
        return FREE
    if side == "buy":
        return Fee(qty=_coins(filled_before + qty, rate_bps) - _coins(filled_before, rate_bps))
    return Fee(usd=(qty * price * rate_bps / _BPS).quantize(_USD_STEP, ROUND_HALF_UP))


def _coins(qty: Decimal, rate_bps: Decimal) -> Decimal:
    return shares_down((qty * rate_bps / _BPS).quantize(QTY_STEP, ROUND_HALF_UP))


@dataclass(frozen=True, slots=True)
class DayFee:
    """The fees of one pair, side and day together, as they are posted at the day's end."""

    day: date
    symbol: str
    usd: Decimal
    qty: Decimal
    price: Decimal  # USD a coin, mean over what was bought


def fees_by_day(executions: Sequence[Execution]) -> list[DayFee]:
    """What is to be posted for some executions: by day, symbol and side."""
    sums: dict[tuple[date, str, str], list[Decimal]] = {}
    for execution in executions:
        if not (execution.fee or execution.fee_qty):
            continue
        key = (new_york_date(execution.timestamp_ns), execution.symbol, execution.side)
        found = sums.setdefault(key, [ZERO, ZERO, ZERO])
        found[0] += execution.fee
        found[1] += execution.fee_qty
        found[2] += execution.fee_qty * execution.price
    return [
        DayFee(day, symbol, usd, qty, (value / qty).quantize(QTY_STEP) if qty else ZERO)
        for (day, symbol, _), (usd, qty, value) in sorted(sums.items())
        if usd or qty
    ]
