"""The changes of one symbol in the order in which they happened, and the books that follow from them.

Average cost depends on the order of fills, and fills may be learnt late. So the newest are kept: a late one is put
where it belongs and the books are worked out anew. The result does not depend on the order of arrival (I13).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.money import ZERO
from quant_trading_system.core.types import StrategyId
from quant_trading_system.core.values import Allocation
from quant_trading_system.ledger.book import Book, moved

KEPT_MAX = 512
"""Changes of a symbol kept for reordering, some days of them; a fill that is older than all is put before them."""

TapeKey = tuple[int, str, Decimal]
"""(venue time, broker order, cumulative quantity) of a fill."""


class _Entry(Struct, frozen=True):
    key: TapeKey
    price: Decimal
    parts: tuple[Allocation, ...]


class SymbolTape:
    """Books of one symbol by strategy."""

    def __init__(self) -> None:
        self._base: dict[StrategyId, Book] = {}
        self._entries: list[_Entry] = []
        self._books: dict[StrategyId, Book] = {}
        self._quantity: Decimal | None = ZERO  # of all books, until they change

    @property
    def books(self) -> Mapping[StrategyId, Book]:
        return self._books

    @property
    def quantity(self) -> Decimal:
        if self._quantity is None:
            self._quantity = sum((book.quantity for book in self._books.values()), ZERO)
        return self._quantity

    @property
    def realised_usd(self) -> Decimal:
        return sum((book.realised_usd for book in self._books.values()), ZERO)

    @property
    def paid_usd(self) -> Decimal:
        """Cost less realised profit of all books: the cash, and the worth in kind, that went into them."""
        return sum((book.cost_usd - book.realised_usd for book in self._books.values()), ZERO)

    def book(self, key: TapeKey, price: Decimal, parts: Sequence[Allocation]) -> None:
        """Put a fill in its place."""
        entry = _Entry(key, price, tuple(parts))
        self._quantity = None
        if not self._entries or key > self._entries[-1].key:
            self._entries.append(entry)
            _apply(self._books, entry)
        else:
            insort(self._entries, entry, key=_key)
            self._work_out()
        if len(self._entries) > KEPT_MAX:
            self._fold(KEPT_MAX // 2)

    def unbook(self, key: TapeKey, price: Decimal, parts: Sequence[Allocation]) -> None:
        """Take a fill out, as if it had never been; one that is not kept any more is moved back at its price."""
        place = next((index for index, entry in enumerate(self._entries) if entry.key == key), None)
        if place is None:
            for part in parts:
                self.move(part.strategy, -part.quantity, price)
            return
        del self._entries[place]
        self._work_out()

    def move(self, strategy: StrategyId, change: Decimal, price: Decimal) -> None:
        """Change one book outside any fill. Nothing is put before it any more: it was decided on what is known now."""
        self._books[strategy] = moved(self._books.get(strategy, Book()), change, price)
        self._settle()

    def reshape(self, books: Mapping[StrategyId, Book]) -> None:
        """Take other books, as a corporate action leaves them. Nothing is put before it any more."""
        self._books = dict(books)
        self._settle()

    def set_book(self, strategy: StrategyId, book: Book) -> None:
        self._quantity = None
        self._books[strategy] = book
        self._base[strategy] = book

    def _settle(self) -> None:
        self._quantity = None
        self._base = dict(self._books)
        self._entries.clear()

    def _work_out(self) -> None:
        self._quantity = None
        self._books = dict(self._base)
        for each in self._entries:
            _apply(self._books, each)

    def _fold(self, count: int) -> None:
        for entry in self._entries[:count]:
            _apply(self._base, entry)
        del self._entries[:count]


def _apply(books: dict[StrategyId, Book], entry: _Entry) -> None:
    for part in entry.parts:
        books[part.strategy] = moved(books.get(part.strategy, Book()), part.quantity, entry.price)


def _key(entry: _Entry) -> TapeKey:
    return entry.key
