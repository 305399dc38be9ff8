"""A market that says what a test tells it to: the embedded exchange plays it like any other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.calendar import Session, session_closing_after
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.events import MarketEvent, SimBar, SimOrderbook, SimQuote, SimTrade
from quant_trading_system.simulator.market.source import BarSpan, DayAuctions, Reading


class ScriptedMarket:
    """Implements `MarketSource` over a list that the test extends while it plays."""

    def __init__(self, symbols: Sequence[str], *, start_ns: Nanos, last_close: float = 100.0) -> None:
        self._symbols = sorted(symbols)
        self._start_ns = start_ns
        self._last_close = last_close
        self._waiting: list[MarketEvent] = []
        self._trades: dict[str, list[SimTrade]] = {symbol: [] for symbol in symbols}
        self._quotes: dict[str, list[SimQuote]] = {symbol: [] for symbol in symbols}
        self._bars: dict[tuple[str, BarSpan], list[SimBar]] = {}
        self._auctions: dict[str, list[DayAuctions]] = {}
        self._actions: list[CorporateAction] = []
        self.crypto_is_watched = self.crypto_is_streamed = False
        self.extended_is_watched = True

    def say(self, *events: MarketEvent) -> None:
        """Add events; they are played when time reaches them."""
        self._waiting.extend(events)
        self._waiting.sort(key=lambda event: event.ts_ns)

    def remember(self, span: BarSpan, *bars: SimBar) -> None:
        """Add bars to history."""
        for bar in sorted(bars, key=lambda bar: bar.ts_ns):
            self._bars.setdefault((bar.symbol, span), []).append(bar)

    def hold_auction(self, symbol: str, auctions: DayAuctions) -> None:
        self._auctions.setdefault(symbol, []).append(auctions)

    def announce(self, *actions: CorporateAction) -> None:
        self._actions.extend(actions)

    @property
    def symbols(self) -> Sequence[str]:
        return self._symbols

    @property
    def is_synthetic(self) -> bool:
        return True

    @property
    def start_ns(self) -> Nanos:
        return self._start_ns

    @property
    def end_ns(self) -> Nanos | None:
        return None

    def begin(self, now_ns: Nanos) -> None:
        del now_ns

    def events_until(self, now_ns: Nanos) -> Iterator[MarketEvent]:
        while self._waiting and self._waiting[0].ts_ns <= now_ns:
            event = self._waiting.pop(0)
            if isinstance(event, SimTrade):
                self._trades[event.symbol].append(event)
            elif isinstance(event, SimQuote):
                self._quotes[event.symbol].append(event)
            yield event

    def session_closing_after(self, stamp_ns: int) -> Session | None:
        return session_closing_after(stamp_ns)

    def bars(self, symbol: str, span: BarSpan, start_ns: int, end_ns: int) -> Sequence[SimBar]:
        return [bar for bar in self._bars.get((symbol, span), ()) if start_ns <= bar.ts_ns <= end_ns]

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimTrade]:
        return [trade for trade in self._trades.get(symbol, ()) if start_ns <= trade.ts_ns <= end_ns]

    def quotes(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimQuote]:
        return [quote for quote in self._quotes.get(symbol, ()) if start_ns <= quote.ts_ns <= end_ns]

    def prepare(self, reading: Reading, symbol: str, start_ns: int, end_ns: int) -> Iterator[None]:
        del reading, symbol, start_ns, end_ns
        return iter(())

    def latest_trade(self, symbol: str) -> SimTrade | None:
        return self._trades[symbol][-1] if self._trades[symbol] else None

    def latest_quote(self, symbol: str) -> SimQuote | None:
        return self._quotes[symbol][-1] if self._quotes[symbol] else None

    def latest_bar(self, symbol: str) -> SimBar | None:
        del symbol
        return None

    def last_close(self, symbol: str, before: date) -> float | None:
        del symbol, before
        return self._last_close

    def auctions(self, symbol: str, first: date, last: date) -> Sequence[DayAuctions]:
        return [held for held in self._auctions.get(symbol, ()) if first <= held.day <= last]

    def orderbook(self, symbol: str) -> SimOrderbook | None:
        """The latest quote is all there is of a pair's book."""
        quote = self.latest_quote(symbol) if "/" in symbol else None
        if quote is None:
            return None
        bids, asks = ((quote.bid_price, quote.bid_size),), ((quote.ask_price, quote.ask_size),)
        return SimOrderbook(symbol, bids, asks, True, quote.ts_ns)

    def corporate_actions(
        self, symbols: Sequence[str] | None, first_day: date, last_day: date
    ) -> Sequence[CorporateAction]:
        return [
            action
            for action in self._actions
            if symbols is None or action.symbol in symbols
            if first_day <= action.ex_date <= last_day or first_day <= action.process_date <= last_day
        ]

    def set_crypto_audience(self, is_watched: bool, *, is_streamed: bool = True) -> None:
        self.crypto_is_watched = is_watched
        self.crypto_is_streamed = is_watched and is_streamed

    def set_extended_audience(self, is_watched: bool) -> None:
        self.extended_is_watched = is_watched
