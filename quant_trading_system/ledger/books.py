"""The ledger: positions by strategy and cash, from executions and journaled adjustments alone.

An execution counts once, whoever reports it and in whatever order (I13). Position = sum of executions + adjustments,
exactly (I12).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.broker import Execution
from quant_trading_system.core.events import RestoredBook
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.types import BrokerOrderId, StrategyId, Symbol
from quant_trading_system.core.values import Allocation
from quant_trading_system.ledger.book import Book
from quant_trading_system.ledger.split import split_fill
from quant_trading_system.ledger.tape import SymbolTape

EXTERNAL = StrategyId("external")
"""Whose book holds what no strategy of ours ordered."""

ExecutionKey = tuple[BrokerOrderId, Decimal]


class FillResult(Struct, frozen=True, kw_only=True):
    """What booking one execution did. `realised_usd` is the change of all realised profit of the symbol."""

    is_new: bool
    realised_usd: Decimal
    allocations: tuple[Allocation, ...]


NOTHING_NEW = FillResult(is_new=False, realised_usd=ZERO, allocations=())


class Ledger:
    """Books of all symbols, and cash in USD (None until the broker said what there is)."""

    def __init__(self) -> None:
        self._tapes: dict[Symbol, SymbolTape] = {}
        self._cumulatives: dict[BrokerOrderId, set[Decimal]] = {}
        self._anchors: dict[Symbol, Decimal] = {}
        self._executed: dict[Symbol, Decimal] = {}
        self._adjusted: dict[Symbol, Decimal] = {}
        self.cash_usd: Decimal | None = None

    # what happened

    def apply(self, execution: Execution, allocations: Sequence[Allocation], order_quantity: Decimal) -> FillResult:
        """Book one execution to the strategies it belongs to, in proportion; without any, to the external book.

        Args:
            allocations: signed shares each strategy wants of the whole order.
            order_quantity: shares of the whole order.
        """
        key = (execution.broker_order_id, execution.cumulative_quantity)
        if self.is_booked(key):
            return NOTHING_NEW
        assert ZERO < execution.quantity < Decimal("Infinity"), f"a fill moves shares: {execution}"
        assert ZERO <= execution.price < Decimal("Infinity"), f"a fill has a price: {execution}"
        sign = execution.side.sign
        parts = _parts(execution, allocations, order_quantity)
        self._cumulatives.setdefault(execution.broker_order_id, set()).add(execution.cumulative_quantity)
        tape = self._tape(execution.symbol)
        before = tape.realised_usd
        tape.book((execution.venue_ns, *key), execution.price, parts)
        _add(self._executed, execution.symbol, execution.quantity * sign)
        if self.cash_usd is not None:
            self.cash_usd -= execution.quantity * execution.price * sign
        return FillResult(is_new=True, realised_usd=tape.realised_usd - before, allocations=parts)

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

    def set_cash(self, cash_usd: Decimal) -> None:
        assert cash_usd.is_finite(), f"cash is a number, was {cash_usd}"
        self.cash_usd = cash_usd

    def restore(
        self,
        books: Iterable[RestoredBook],
        known_executions: Iterable[ExecutionKey],
        cash_usd: Decimal | None,
    ) -> None:
        """Take over what the database knew: the anchor from which positions are summed."""
        assert not self._tapes, "only an empty ledger is restored"
        for each in books:
            self._tape(each.symbol).set_book(each.strategy, Book(each.quantity, each.cost_usd, each.realised_usd))
            _add(self._anchors, each.symbol, each.quantity)
        for broker_order_id, cumulative in known_executions:
            self._cumulatives.setdefault(broker_order_id, set()).add(cumulative)
        self.cash_usd = cash_usd

    # what there is

    def is_booked(self, key: ExecutionKey) -> bool:
        """Whether the execution (broker order, cumulative quantity) counted already."""
        return key[1] in self._cumulatives.get(key[0], ())

    def cumulative(self, broker_order_id: BrokerOrderId) -> Decimal:
        """Largest cumulative quantity booked of one order, in shares."""
        return max(self._cumulatives.get(broker_order_id, ()), default=ZERO)

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

    # inside

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


def _add(sums: dict[Symbol, Decimal], symbol: Symbol, quantity: Decimal) -> None:
    sums[symbol] = sums.get(symbol, ZERO) + quantity
