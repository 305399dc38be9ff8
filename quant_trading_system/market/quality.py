"""Decides which market data to believe: sizes of jumps, conditions of prints, codes of halts."""

from __future__ import annotations

PRICELESS_CONDITIONS = frozenset(["4", "7", "9", "C", "H", "I", "M", "N", "P", "Q", "R", "V", "W", "Z"])
"""Sale conditions of the tapes that say nothing of the price now: odd lots, averages, prior references, official
prices, derived prices, prints out of sequence. Their shares count as volume."""
VOLUMELESS_CONDITIONS = frozenset(["9", "M", "Q"])
"""Official opening and closing prices repeat shares that were printed before."""

HALT_CODES = frozenset(["2", "H", "P"])
"""CTA halt; UTP halt and volatility pause (Alpaca, real-time stock data, statuses)."""
RESUME_CODES = frozenset(["3", "T"])
"""CTA resume; UTP trading resumption. UTP's quotation resumption, Q, still trades nothing."""


PRICE_MIN = 0.000_001
"""What is smaller becomes zero when it is turned into money, which has six decimals."""
AMOUNT_MAX = 1e12
"""No price in USD or number of shares comes near; what is larger would overflow the sums made of it."""


def is_price(value: float) -> bool:
    """Whether a number can be a price. NaN is none."""
    return PRICE_MIN <= value < AMOUNT_MAX


def is_size(value: float) -> bool:
    """Whether a number can be the size of a print or the volume of a bar. NaN is none."""
    return 0.0 < value < AMOUNT_MAX


def is_quote_side(value: float) -> bool:
    """Whether a number is one a quote may carry: a price, or zero where that side has no quote."""
    return value == 0.0 or is_price(value)


class JumpLimit:
    """How far a price may be from one believed before, as a part of it, without a second message to confirm it."""

    __slots__ = ("high", "low")

    def __init__(self, outlier_fraction: float) -> None:
        if not 0.0 < outlier_fraction < 1.0:
            raise ValueError(f"expected an outlier fraction between 0 and 1, found {outlier_fraction}")
        self.low = 1.0 - outlier_fraction
        self.high = 1.0 + outlier_fraction

    def allows(self, price: float, reference: float) -> bool:
        """False too where `reference` is NaN, which stands for "none yet"."""
        return self.low < price / reference < self.high
