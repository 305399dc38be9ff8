"""What a split, a stock dividend or a new name does to the strategies' books. Decides who gets the odd share.

The broker says how many shares there are afterwards and what it paid in cash for the fraction. The books are brought
there so that they sum to it exactly: everyone in proportion, whole shares by the largest remainder.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from quant_trading_system.core.money import ONE, QUANTITY_STEP, ZERO
from quant_trading_system.core.types import StrategyId
from quant_trading_system.ledger.book import COST_STEP, Book


def reshaped(
    books: Mapping[StrategyId, Book], *, total: Decimal, cash_usd: Decimal, price: Decimal
) -> dict[StrategyId, Book]:
    """The books after the shares of a symbol became `total`, signed, and a fraction was paid in cash.

    Cost less realised profit falls by exactly `cash_usd`: nothing is earned by a split, and the fraction is a sale. Its
    part of the cost is its part of the value, by `price`, USD a share afterwards. A flat position stays as it is.
    """
    held = sum((book.quantity for book in books.values()), ZERO)
    if not held:
        return dict(books)
    shares = share_out({strategy: book.quantity for strategy, book in books.items()}, total)
    value = abs(total) * price
    sold = abs(cash_usd) / (abs(cash_usd) + value) if cash_usd and cash_usd + value else ZERO
    cost = sum((book.cost_usd for book in books.values()), ZERO) * (ONE - sold)
    average = cost / total if total else ZERO
    after = {
        strategy: _reshaped(
            book,
            shares[strategy],
            exact=book.quantity * total / held,
            average=average,
            kept=(ONE - sold) if total else ZERO,
            cash=cash_usd * book.quantity / held,
        )
        for strategy, book in books.items()
    }
    return _balanced(books, after, cash_usd)


def share_out(held: Mapping[StrategyId, Decimal], total: Decimal) -> dict[StrategyId, Decimal]:
    """Divide `total` in proportion to what is held, which is not zero in sum, in whole units; the parts sum to it."""
    before = sum(held.values(), ZERO)
    is_whole = all(each == each.to_integral_value() for each in (*held.values(), total))
    unit = ONE if is_whole else QUANTITY_STEP
    exact = {strategy: quantity * total / before for strategy, quantity in sorted(held.items())}
    given = {strategy: (part / unit).to_integral_value(ROUND_FLOOR) * unit for strategy, part in exact.items()}
    left = total - sum(given.values(), ZERO)
    for strategy in sorted(exact, key=lambda each: (given[each] - exact[each], each)):
        if left < unit:
            break
        given[strategy] += unit
        left -= unit
    if left:  # less than the smallest unit there is: nobody's share is exact to it
        largest = max(given, key=lambda each: (abs(given[each]), each))
        given[largest] += left
    return given


def _reshaped(book: Book, quantity: Decimal, *, exact: Decimal, average: Decimal, kept: Decimal, cash: Decimal) -> Book:
    cost = book.cost_usd * kept
    realised = book.realised_usd + cash - (book.cost_usd - cost)
    cost += (quantity - exact) * average  # the odd share changes its owner at the average cost
    if not quantity:
        return Book(ZERO, ZERO, (realised - cost).quantize(COST_STEP, ROUND_HALF_EVEN))
    return Book(quantity, cost.quantize(COST_STEP, ROUND_HALF_EVEN), realised.quantize(COST_STEP, ROUND_HALF_EVEN))


def _balanced(
    before: Mapping[StrategyId, Book], after: dict[StrategyId, Book], cash_usd: Decimal
) -> dict[StrategyId, Book]:
    """Let what rounding moved go to realised profit of the largest book, so that the sum is exact."""
    paid_before = sum((book.cost_usd - book.realised_usd for book in before.values()), ZERO)
    paid_after = sum((book.cost_usd - book.realised_usd for book in after.values()), ZERO)
    error = paid_after - (paid_before - cash_usd)
    largest = max(after, key=lambda each: (abs(after[each].quantity), each))
    book = after[largest]
    after[largest] = Book(book.quantity, book.cost_usd, book.realised_usd + error)
    return after
