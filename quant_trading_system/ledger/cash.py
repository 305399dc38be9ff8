"""Cash in USD and where it came from: equity is start + profit − fees + flows, to the last digit (I18)."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.activities import MoneyClass
from quant_trading_system.core.money import ZERO


class Cash:
    """The account's cash (None until the broker said what there is), and the sums by which it came about, in USD.

    `in_kind` is the worth of shares that came or went without an execution; `unexplained` is what the broker's figure
    moved by without saying why.
    """

    def __init__(self) -> None:
        self.usd: Decimal | None = None
        self.opening_usd = ZERO
        self.flows_usd = ZERO
        self.income_usd = ZERO
        self.fees_usd = ZERO
        self.in_kind_usd = ZERO
        self.unexplained_usd = ZERO

    def move(self, amount_usd: Decimal) -> None:
        """Cash against shares."""
        if self.usd is not None:
            self.usd += amount_usd

    def enter(self, amount_usd: Decimal, kind: MoneyClass) -> None:
        """Cash that is no trade."""
        if self.usd is None:
            return
        self.usd += amount_usd
        match kind:
            case MoneyClass.FLOW:
                self.flows_usd += amount_usd
            case MoneyClass.INCOME:
                self.income_usd += amount_usd
            case MoneyClass.FEE:
                self.fees_usd -= amount_usd
            case MoneyClass.IN_LIEU:
                pass  # it is realised in the books

    def set(self, cash_usd: Decimal, *, paid_usd: Decimal) -> None:
        """Take the broker's figure. The first one is where the sums begin; `paid_usd` is what the books took in."""
        if self.usd is None:
            self.opening_usd = cash_usd + paid_usd - self.in_kind_usd
        else:
            self.unexplained_usd += cash_usd - self.usd
        self.usd = cash_usd

    def carry_unexplained(self, amount_usd: Decimal) -> None:
        """Remember what an earlier life could not explain: an activity may still do so."""
        self.unexplained_usd += amount_usd
        self.opening_usd -= amount_usd

    def expected_usd(self) -> Decimal:
        """Cash, with what the books took in: start, flows and income less fees, and what nobody explained."""
        return (
            self.opening_usd
            + self.flows_usd
            + self.income_usd
            - self.fees_usd
            + self.in_kind_usd
            + self.unexplained_usd
        )
