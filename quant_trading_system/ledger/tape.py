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


class _Entry(Struct, frozen=True):
    key: tuple[int, str, Decimal]
    price: Decimal
    parts: tuple[Allocation, ...]


class SymbolTape:
    """Books of one symbol by strategy."""

    def __init__(self) -> None:
        self._base: dict[StrategyId, Book] = {}
        self._entries: list[_Entry] = []
        self._books: dict[StrategyId, Book] = {}

    @property
    def books(self) -> Mapping[StrategyId, Book]:
        return self._books

    @property
    def quantity(self) -> Decimal:
        return sum((book.quantity for book in self._books.values()), ZERO)

    @property
    def realised_usd(self) -> Decimal:
        return sum((book.realised_usd for book in self._books.values()), ZERO)

    def book(self, key: tuple[int, str, Decimal], price: Decimal, parts: Sequence[Allocation]) -> None:
        """Put a fill in its place; `key` is (venue time, broker order, cumulative quantity)."""
        entry = _Entry(key, price, tuple(parts))
        if not self._entries or key > self._entries[-1].key:
            self._entries.append(entry)
            _apply(self._books, entry)
        else:
            insort(self._entries, entry, key=_key)
            self._books = dict(self._base)
            for each in self._entries:
                _apply(self._books, each)
        if len(self._entries) > KEPT_MAX:
            self._fold(KEPT_MAX // 2)

    def move(self, strategy: StrategyId, change: Decimal, price: Decimal) -> None:
        """Change one book outside any fill. Nothing is put before it any more: it was decided on what is known now."""
        self._books[strategy] = moved(self._books.get(strategy, Book()), change, price)
        self._base = dict(self._books)
        self._entries.clear()

    def set_book(self, strategy: StrategyId, book: Book) -> None:
        self._books[strategy] = book
        self._base[strategy] = book

    def _fold(self, count: int) -> None:
        for entry in self._entries[:count]:
            _apply(self._base, entry)
        del self._entries[:count]


def _apply(books: dict[StrategyId, Book], entry: _Entry) -> None:
    for part in entry.parts:
        books[part.strategy] = moved(books.get(part.strategy, Book()), part.quantity, entry.price)


def _key(entry: _Entry) -> tuple[int, str, Decimal]:
    return entry.key
