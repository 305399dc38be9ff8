"""Running totals of what is held, at the latest prices. Decides which positions must be valued again.

A position is valued again when somebody asks and it, its price or its day has changed since. In regular hours prices
change with prints, and the exchange says of which symbols; outside them a market may set prices without a word, and
pairs of coins have prices that nobody is told of: those are looked at whenever time has passed.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, localcontext

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.account import NOTHING_HELD, Margins, margins_of
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.ledger import Books

WIDE = Context(prec=60)  # nine decimals times nine of any amount: the totals never round, so they never drift

PriceOf = Callable[[str, Nanos], Decimal]
AssetOf = Callable[[str], SimAsset]


class Marks:
    """Values of the open positions, one by one and together."""

    def __init__(self, books: Books, *, price_of: PriceOf, asset_of: AssetOf) -> None:
        self._books = books
        self._price_of = price_of
        self._asset_of = asset_of
        self._marks: dict[str, Margins] = {}
        self._unmarked: dict[str, None] = {}
        self._coins: dict[str, None] = {}  # held pairs
        self._total = NOTHING_HELD
        self._asked_ns: int | None = None
        self._loud_from_ns = self._loud_until_ns = 0  # regular hours around the last question

    @property
    def has_coins(self) -> bool:
        """Whether pairs are held, as of the last valuation."""
        return bool(self._coins)

    def printed(self, symbol: str) -> None:
        """A trade of the symbol was played."""
        if symbol in self._marks:
            self._unmarked[symbol] = None

    def totals(self, now_ns: Nanos) -> Margins:
        """What everything held is worth now."""
        if now_ns != self._asked_ns:
            self._pass_time(now_ns)
        if self._books.changed:
            self._unmarked.update(self._books.changed)
            self._books.changed.clear()
        if self._unmarked:
            with localcontext(WIDE):
                for symbol in self._unmarked:
                    self._mark(symbol, now_ns)
            self._unmarked.clear()
        return self._total

    def check(self, now_ns: Nanos) -> None:
        """Assert that the totals are what a fresh valuation makes."""
        found = self.totals(now_ns)
        expected = NOTHING_HELD
        with localcontext(WIDE):
            for position in self._books.positions():
                price = self._price_of(position.symbol, now_ns)
                expected = expected.plus(margins_of(position, price, self._asset_of(position.symbol)))
        assert found == expected, f"marked values: expected {expected}, found {found}"

    def _pass_time(self, now_ns: Nanos) -> None:
        was_ns, self._asked_ns = self._asked_ns, now_ns
        if not self._marks:
            return
        if was_ns is None or not self._loud_from_ns <= was_ns <= now_ns < self._loud_until_ns:
            self._unmarked.update(dict.fromkeys(self._marks))
            self._find_loud_hours(now_ns)
        else:
            self._unmarked.update(self._coins)

    def _find_loud_hours(self, now_ns: Nanos) -> None:
        session = calendar.session_at(now_ns)
        self._loud_from_ns, self._loud_until_ns = (session.open_ns, session.close_ns) if session else (0, 0)

    def _mark(self, symbol: str, now_ns: Nanos) -> None:
        before = self._marks.pop(symbol, None)
        if before is not None:
            self._total = self._total.minus(before)
        position = self._books.position(symbol)
        if position is None:
            self._coins.pop(symbol, None)
            return
        asset = self._asset_of(symbol)
        if asset.asset_class == "crypto":
            self._coins[symbol] = None
        mark = margins_of(position, self._price_of(symbol, now_ns), asset)
        self._marks[symbol] = mark
        self._total = self._total.plus(mark)
