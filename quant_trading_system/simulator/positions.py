"""What is held of one symbol. Decides average cost, and which shares a sale takes first."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from quant_trading_system.simulator.numbers import ZERO

AVERAGE_STEP = Decimal("0.0000000000000001")  # sixteen decimals (reference 3.2)


@dataclass(slots=True)
class Position:
    """Shares of one symbol, signed. `cost` is what they were bought for in USD, at average cost."""

    symbol: str
    qty: Decimal = ZERO
    cost: Decimal = ZERO
    overnight_qty: Decimal = ZERO  # held since before today's session; valued from the last close for today's P&L
    intraday_cost: Decimal = ZERO  # what the rest was bought for

    @property
    def avg_entry_price(self) -> Decimal:
        """USD a share, at most sixteen decimals."""
        average = self.cost / self.qty
        return average if _decimals(average) <= 16 else average.quantize(AVERAGE_STEP)

    @property
    def intraday_qty(self) -> Decimal:
        """Signed shares opened today."""
        return self.qty - self.overnight_qty

    def trade(self, signed_qty: Decimal, price: Decimal) -> None:
        """Buy (more than 0) or sell at a price in USD."""
        if self.qty * signed_qty >= ZERO:
            self.cost += signed_qty * price
            self.intraday_cost += signed_qty * price
        else:
            self._reduce(signed_qty, price)
        self.qty += signed_qty

    def grant(self, signed_qty: Decimal, cost: Decimal) -> None:
        """Take in what a corporate action gives or takes away; it counts as held over night."""
        self.qty += signed_qty
        self.cost += cost
        self.overnight_qty += signed_qty

    def start_day(self) -> None:
        """What is held now was held over night."""
        self.overnight_qty = self.qty
        self.intraday_cost = ZERO

    def _reduce(self, signed_qty: Decimal, price: Decimal) -> None:
        """Take shares away at average cost: those held over night first. What goes past zero opens the other side."""
        before, after = self.qty, self.qty + signed_qty
        if before * after < ZERO:
            self.cost = self.intraday_cost = after * price
            self.overnight_qty = ZERO
            return
        if after == ZERO:
            self.cost = self.intraday_cost = self.overnight_qty = ZERO
            return
        intraday_before = self.intraday_qty
        from_overnight = min(abs(signed_qty), abs(self.overnight_qty)) * (1 if before > ZERO else -1)
        self.cost = self.cost / before * after
        self.overnight_qty -= from_overnight
        intraday_after = after - self.overnight_qty
        self.intraday_cost = self.intraday_cost / intraday_before * intraday_after if intraday_before else ZERO


def _decimals(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int), f"expected a finite number, found {amount}"
    return -exponent
