"""The ledger: positions by strategy and cash, from executions and journaled adjustments alone.

An execution counts once, whoever reports it and in whatever order (I13). Position = sum of executions + adjustments,
exactly (I12); cash and cost add up to where the money came from, exactly (I18).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct, structs

from quant_trading_system.core.activities import MoneyClass
from quant_trading_system.core.broker import Execution
from quant_trading_system.core.events import RestoredBook
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.types import BrokerOrderId, StrategyId, Symbol
from quant_trading_system.core.values import Allocation
from quant_trading_system.ledger.book import Book
from quant_trading_system.ledger.cash import Cash
from quant_trading_system.ledger.corporate import reshaped
from quant_trading_system.ledger.fills import BookedFill, ExecutionKey, Fills
from quant_trading_system.ledger.split import split_fill
from quant_trading_system.ledger.tape import SymbolTape

EXTERNAL = StrategyId("external")
"""Whose book holds what no strategy of ours ordered."""


class FillResult(Struct, frozen=True, kw_only=True):
    """What booking one execution did. `realised_usd` is the change of all realised profit of the symbol.

    `replaced` is the inferred execution that stood for its shares, `left` what of it still does.
    """

    is_new: bool
    realised_usd: Decimal
    allocations: tuple[Allocation, ...]
    replaced: BookedFill | None = None
    left: tuple[BookedFill, ...] = ()


NOTHING_NEW = FillResult(is_new=False, realised_usd=ZERO, allocations=())


class Ledger:
    """Books of all symbols, and cash in USD."""

    def __init__(self) -> None:
        self._tapes: dict[Symbol, SymbolTape] = {}
        self._anchors: dict[Symbol, Decimal] = {}
        self._executed: dict[Symbol, Decimal] = {}
        self._adjusted: dict[Symbol, Decimal] = {}
        self.fills = Fills()
        self.cash = Cash()

    @property
    def cash_usd(self) -> Decimal | None:
        """None until the broker said what there is."""
        return self.cash.usd

    # what happened

    def apply(
        self,
        execution: Execution,
        allocations: Sequence[Allocation],
        order_quantity: Decimal,
        *,
        is_inferred: bool = False,
    ) -> FillResult:
        """Book one execution to the strategies it belongs to, in proportion; without any, to the external book.

        Args:
            allocations: signed shares each strategy wants of the whole order.
            order_quantity: shares of the whole order.
            is_inferred: it is the order's status that says so; the execution itself takes its place when it is told.
        """
        inferred = None if is_inferred else self.fills.inferred_over(execution)
        if inferred is None and self.is_booked((execution.broker_order_id, execution.cumulative_quantity)):
            return NOTHING_NEW
        assert ZERO < execution.quantity < Decimal("Infinity"), f"a fill moves shares: {execution}"
        assert ZERO <= execution.price < Decimal("Infinity"), f"a fill has a price: {execution}"
        before = self._tape(execution.symbol).realised_usd
        left: tuple[BookedFill, ...] = ()
        if inferred is not None:
            self.void(inferred.key)
            rests = _rests(inferred.execution, execution)
            left = tuple(self._book(rest, allocations, order_quantity, is_inferred=True) for rest in rests)
        booked = self._book(execution, allocations, order_quantity, is_inferred=is_inferred)
        return FillResult(
            is_new=True,
            realised_usd=self._tape(execution.symbol).realised_usd - before,
            allocations=booked.parts,
            replaced=inferred,
            left=left,
        )

    def void(self, key: ExecutionKey) -> BookedFill:
        """Take one execution out of the books, as if it had never been. Its numbers must be known (`fills.get`)."""
        fill = self.fills.remove(key)
        execution = fill.execution
        tape = self._tape(execution.symbol)
        tape.unbook((execution.venue_ns, *key), execution.price, fill.parts)
        _add(self._executed, execution.symbol, -execution.quantity * execution.side.sign)
        self.cash.move(-fill.cash_usd)
        return fill

    def transfer(
        self,
        from_strategy: StrategyId,
        to_strategy: StrategyId,
        symbol: Symbol,
        quantity: Decimal,
        price: Decimal,
    ) -> None:
        """Move signed shares from one book to another at a price: an internal cross, without order and without cash."""
        assert from_strategy != to_strategy, "a transfer needs two books"
        tape = self._tape(symbol)
        tape.move(from_strategy, -quantity, price)
        tape.move(to_strategy, quantity, price)

    def adjust(self, symbol: Symbol, strategy: StrategyId, quantity: Decimal, price: Decimal, reason: str) -> None:
        """Add signed shares to one book without an execution: adoption, correction. Cash is set by `set_cash`."""
        assert reason, "an adjustment is journaled with its reason"
        self._tape(symbol).move(strategy, quantity, price)
        _add(self._adjusted, symbol, quantity)
        self.cash.in_kind_usd += quantity * price

    def adjust_to(self, symbol: Symbol, quantity: Decimal, price: Decimal, reason: str) -> tuple[StrategyId, ...]:
        """Make the position what the broker shows. Returns the strategies whose books changed.

        Without a price (0: the broker holds nothing to price) the average cost is taken: nothing is realised then.
        What the broker has more becomes external. What it has less is taken from the external book first, then from the
        strategies in proportion. Where the sign differs, all books are closed and what there is becomes external.
        """
        held = self.position(symbol)
        price = price or self.average_price(symbol)
        if held and quantity and (held > ZERO) != (quantity > ZERO):
            changed = self.adjust_to(symbol, ZERO, price, reason)
            self.adjust(symbol, EXTERNAL, quantity, price, reason)
            return changed
        missing = held - quantity
        if missing and (missing > ZERO) == (held > ZERO) and held:
            return self._take_away(symbol, missing, price, reason)
        if missing:
            self.adjust(symbol, EXTERNAL, -missing, price, reason)
        return ()

    def reshape(self, symbol: Symbol, total: Decimal, *, cash_usd: Decimal, price: Decimal) -> None:
        """A corporate action made the shares of a symbol `total`, signed, and paid for the fraction in cash.

        Every book keeps its part; nothing is earned but what the fraction brought. `price` is USD a share afterwards.
        """
        tape = self._tape(symbol)
        before = tape.quantity
        if not before:
            self.cash.enter(cash_usd, MoneyClass.INCOME)
            self.adjust(symbol, EXTERNAL, total, price, "a corporate action gave shares")
            return
        tape.reshape(reshaped(tape.books, total=total, cash_usd=cash_usd, price=price))
        _add(self._adjusted, symbol, total - before)
        self.cash.move(cash_usd)

    def rename(self, old: Symbol, new: Symbol) -> None:
        """The shares go on under another symbol, at what they cost; what was realised stays where it was."""
        source, target = self._tape(old), self._tape(new)
        moved_books = {strategy: book for strategy, book in source.books.items() if book.quantity}
        held = source.quantity
        source.reshape({strategy: Book(ZERO, ZERO, book.realised_usd) for strategy, book in source.books.items()})
        there = dict(target.books)
        for strategy, book in moved_books.items():
            known = there.get(strategy, Book())
            quantity, cost = known.quantity + book.quantity, known.cost_usd + book.cost_usd
            there[strategy] = (
                Book(quantity, cost, known.realised_usd) if quantity else Book(ZERO, ZERO, known.realised_usd - cost)
            )
        target.reshape(there)
        _add(self._adjusted, old, -held)
        _add(self._adjusted, new, held)

    def set_cash(self, cash_usd: Decimal) -> None:
        """Take the broker's figure as it is."""
        assert cash_usd.is_finite(), f"cash is a number, was {cash_usd}"
        self.cash.set(cash_usd, paid_usd=self._paid_usd())

    def restore(
        self,
        books: Iterable[RestoredBook],
        known_executions: Iterable[ExecutionKey],
        cash_usd: Decimal | None,
        fills: Iterable[BookedFill] = (),
    ) -> None:
        """Take over what the database knew: the anchor from which positions are summed.

        `fills` are the newest of the known executions, with their numbers.
        """
        assert not self._tapes, "only an empty ledger is restored"
        for each in books:
            self._tape(each.symbol).set_book(each.strategy, Book(each.quantity, each.cost_usd, each.realised_usd))
            _add(self._anchors, each.symbol, each.quantity)
        for key in known_executions:
            self.fills.know(key)
        for fill in fills:
            self.fills.add(fill)
        if cash_usd is not None:
            self.set_cash(cash_usd)

    # what there is

    def is_booked(self, key: ExecutionKey) -> bool:
        """Whether the execution (broker order, cumulative quantity) counted already."""
        return self.fills.is_booked(key)

    def cumulative(self, broker_order_id: BrokerOrderId) -> Decimal:
        """Largest cumulative quantity booked of one order, in shares."""
        return self.fills.cumulative(broker_order_id)

    def symbols(self) -> tuple[Symbol, ...]:
        """Every symbol that has a book, flat ones included."""
        return tuple(sorted(self._tapes))

    def positions(self) -> dict[Symbol, Decimal]:
        """Net signed shares of every symbol that is not flat."""
        return {symbol: held for symbol, tape in self._tapes.items() if (held := tape.quantity)}

    def position(self, symbol: Symbol) -> Decimal:
        tape = self._tapes.get(symbol)
        return ZERO if tape is None else tape.quantity

    def average_price(self, symbol: Symbol) -> Decimal:
        """Cost of the net position, USD a share; 0 where it is flat."""
        held = self.position(symbol)
        if not held:
            return ZERO
        return sum((book.cost_usd for book in self.books(symbol).values()), ZERO) / held

    def books(self, symbol: Symbol) -> Mapping[StrategyId, Book]:
        tape = self._tapes.get(symbol)
        return {} if tape is None else dict(tape.books)

    def book_quantity(self, strategy: StrategyId, symbol: Symbol) -> Decimal:
        tape = self._tapes.get(symbol)
        book = None if tape is None else tape.books.get(strategy)
        return ZERO if book is None else book.quantity

    def realised(self, strategy: StrategyId | None = None) -> Decimal:
        """Realised profit in USD, of one strategy or of all."""
        return sum(
            (
                book.realised_usd
                for tape in self._tapes.values()
                for owner, book in tape.books.items()
                if strategy is None or owner == strategy
            ),
            ZERO,
        )

    def unrealised(self, strategy: StrategyId, marks: Mapping[Symbol, Decimal]) -> Decimal:
        """Profit in USD of one strategy's open shares at the marks.

        Raises:
            KeyError: a symbol that is held has no mark.
        """
        total = ZERO
        for symbol, tape in self._tapes.items():
            book = tape.books.get(strategy)
            if book is not None and book.quantity:
                total += book.quantity * marks[symbol] - book.cost_usd
        return total

    def equity(self, marks: Mapping[Symbol, Decimal]) -> Decimal:
        """Cash plus positions at the marks, in USD. Cash must be known.

        Raises:
            KeyError: a symbol that is held has no mark.
        """
        assert self.cash_usd is not None, "equity needs to know the cash"
        return self.cash_usd + sum((held * marks[symbol] for symbol, held in self.positions().items()), ZERO)

    def assert_conserved(self) -> None:
        """Position = anchor + executions + adjustments, for every symbol (I12)."""
        for symbol, tape in self._tapes.items():
            entered = sum((book.get(symbol, ZERO) for book in (self._anchors, self._executed, self._adjusted)), ZERO)
            assert tape.quantity == entered, f"{symbol}: books hold {tape.quantity} shares, {entered} were entered"
        if self.cash.usd is not None:
            found, expected = self.cash.usd + self._paid_usd(), self.cash.expected_usd()
            assert found == expected, f"cash and cost are {found} USD, start, flows and income {expected} USD (I18)"

    # inside

    def _book(
        self, execution: Execution, allocations: Sequence[Allocation], order_quantity: Decimal, *, is_inferred: bool
    ) -> BookedFill:
        fill = BookedFill(
            execution=execution, parts=_parts(execution, allocations, order_quantity), is_inferred=is_inferred
        )
        self.fills.add(fill)
        self._tape(execution.symbol).book((execution.venue_ns, *fill.key), execution.price, fill.parts)
        _add(self._executed, execution.symbol, execution.quantity * execution.side.sign)
        self.cash.move(fill.cash_usd)
        return fill

    def _paid_usd(self) -> Decimal:
        return sum((tape.paid_usd for tape in self._tapes.values()), ZERO)

    def _tape(self, symbol: Symbol) -> SymbolTape:
        return self._tapes.setdefault(symbol, SymbolTape())

    def _take_away(self, symbol: Symbol, missing: Decimal, price: Decimal, reason: str) -> tuple[StrategyId, ...]:
        sign = 1 if missing > ZERO else -1
        external = self.book_quantity(EXTERNAL, symbol)
        first = sign * max(ZERO, min(external * sign, missing * sign))
        if first:
            self.adjust(symbol, EXTERNAL, -first, price, reason)
        left = missing - first
        if not left:
            return ()
        holders = [
            Allocation(strategy, book.quantity)
            for strategy, book in sorted(self.books(symbol).items())
            if strategy != EXTERNAL and book.quantity * sign > ZERO
        ]
        held = sum((holder.quantity for holder in holders), ZERO)
        parts = split_fill(holders, cumulative=abs(left), quantity=abs(left), order_quantity=abs(held), sign=-sign)
        for part in parts:
            self.adjust(symbol, part.strategy, part.quantity, price, reason)
        return tuple(part.strategy for part in parts)


def _parts(execution: Execution, allocations: Sequence[Allocation], order_quantity: Decimal) -> tuple[Allocation, ...]:
    sign = execution.side.sign
    wanted = [allocation for allocation in allocations if allocation.quantity]
    if not wanted:
        return (Allocation(EXTERNAL, execution.quantity * sign),)
    assert all(allocation.quantity * sign > ZERO for allocation in wanted), "allocations have the sign of their order"
    return split_fill(
        wanted,
        cumulative=execution.cumulative_quantity,
        quantity=execution.quantity,
        order_quantity=order_quantity,
        sign=sign,
    )


def _rests(inferred: Execution, told: Execution) -> list[Execution]:
    """What an inferred execution still stands for once a part of its shares is told: before it, and after it."""
    rests = []
    start, told_start = inferred.cumulative_quantity - inferred.quantity, told.cumulative_quantity - told.quantity
    for first, last in ((start, told_start), (told.cumulative_quantity, inferred.cumulative_quantity)):
        if last > first:
            rests.append(structs.replace(inferred, quantity=last - first, cumulative_quantity=last))
    return rests


def _add(sums: dict[Symbol, Decimal], symbol: Symbol, quantity: Decimal) -> None:
    sums[symbol] = sums.get(symbol, ZERO) + quantity
