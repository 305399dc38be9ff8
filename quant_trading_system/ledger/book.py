"""One strategy's book of one symbol: what a change of its shares costs and earns, at average cost (R122)."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from msgspec import Struct

from quant_trading_system.core.money import ZERO

COST_STEP = Decimal("0.000000000001")
"""Cost is rounded here when a part of a position is closed. What is rounded off moves between cost and realised
profit; their difference, which is the cash that flowed, stays exact."""


class Book(Struct, frozen=True):
    """Signed shares, what they cost in USD (negative for a short), and what was realised so far in USD."""

    quantity: Decimal = ZERO
    cost_usd: Decimal = ZERO
    realised_usd: Decimal = ZERO

    @property
    def average_price(self) -> Decimal:
        """USD a share; 0 for a flat book."""
        return self.cost_usd / self.quantity if self.quantity else ZERO


def moved(book: Book, change: Decimal, price: Decimal) -> Book:
    """Change a book by signed shares at a price.

    Opening adds to the cost. Closing takes the closed part's average cost out and realises the difference:
    long 100 at 10, sell 40 at 12: 80 USD realised, 60 shares at 10 stay; a short mirrors it. Through zero: what is
    held is closed first, the rest opens at `price`.
    """
    if not change:
        return book
    if not book.quantity or (book.quantity > ZERO) == (change > ZERO):
        return Book(book.quantity + change, book.cost_usd + change * price, book.realised_usd)
    if abs(change) > abs(book.quantity):
        flat = moved(book, -book.quantity, price)
        return moved(flat, change + book.quantity, price)
    left = book.quantity + change
    closed_cost = book.cost_usd if not left else _share(book.cost_usd, -change / book.quantity)
    realised = -change * price - closed_cost
    return Book(left, book.cost_usd - closed_cost, book.realised_usd + realised)


def _share(cost_usd: Decimal, part: Decimal) -> Decimal:
    return (cost_usd * part).quantize(COST_STEP, ROUND_HALF_EVEN)
