"""Equities and crypto as one market. Decides nothing but who is asked: a symbol with a slash is a pair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.assets import is_pair
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.events import MarketEvent, SimBar, SimOrderbook, SimQuote, SimTrade
from quant_trading_system.simulator.market.crypto import CryptoMarket
from quant_trading_system.simulator.market.source import BarSpan, DayAuctions, MarketSource, Reading


class BothMarkets:
    """A market of equities, recorded or generated, with generated crypto beside it."""

    def __init__(self, equities: MarketSource, crypto: CryptoMarket) -> None:
        self._equities = equities
        self._crypto = crypto
        self._pairs = frozenset(crypto.symbols)
        self.symbols: Sequence[str] = tuple(sorted({*equities.symbols, *crypto.symbols}))

    @property
    def is_synthetic(self) -> bool:
        return self._equities.is_synthetic

    @property
    def start_ns(self) -> Nanos:
        return self._equities.start_ns

    @property
    def end_ns(self) -> Nanos | None:
        return self._equities.end_ns

    def begin(self, now_ns: Nanos) -> None:
        self._equities.begin(now_ns)
        self._crypto.pass_to(now_ns)

    def events_until(self, now_ns: Nanos) -> Iterator[MarketEvent]:
        crypto = self._crypto
        while (due_ns := crypto.next_ns(now_ns)) is not None:
            for event in self._equities.events_until(Nanos(due_ns)):
                crypto.pass_to(event.ts_ns)  # whoever asks for the price of a pair meanwhile gets that of this moment
                yield event
            yield crypto.take()
        for event in self._equities.events_until(now_ns):
            crypto.pass_to(event.ts_ns)
            yield event
        crypto.pass_to(now_ns)

    def set_crypto_audience(self, is_watched: bool, *, is_streamed: bool = True) -> None:
        self._crypto.set_audience(is_watched, is_streamed=is_streamed)

    def set_extended_audience(self, is_watched: bool) -> None:
        self._equities.set_extended_audience(is_watched)

    def session_closing_after(self, stamp_ns: int) -> Session | None:
        return self._equities.session_closing_after(stamp_ns)

    def bars(self, symbol: str, span: BarSpan, start_ns: int, end_ns: int) -> Sequence[SimBar]:
        return self._of(symbol).bars(symbol, span, start_ns, end_ns)

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimTrade]:
        return self._of(symbol).trades(symbol, start_ns, end_ns)

    def quotes(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimQuote]:
        return self._of(symbol).quotes(symbol, start_ns, end_ns)

    def prepare(self, reading: Reading, symbol: str, start_ns: int, end_ns: int) -> Iterator[None]:
        return iter(()) if symbol in self._pairs else self._equities.prepare(reading, symbol, start_ns, end_ns)

    def latest_trade(self, symbol: str) -> SimTrade | None:
        return self._of(symbol).latest_trade(symbol)

    def latest_quote(self, symbol: str) -> SimQuote | None:
        return self._of(symbol).latest_quote(symbol)

    def latest_bar(self, symbol: str) -> SimBar | None:
        return self._of(symbol).latest_bar(symbol)

    def last_close(self, symbol: str, before: date) -> float | None:
        return self._of(symbol).last_close(symbol, before)

    def auctions(self, symbol: str, first: date, last: date) -> Sequence[DayAuctions]:
        return [] if symbol in self._pairs else self._equities.auctions(symbol, first, last)

    def orderbook(self, symbol: str) -> SimOrderbook | None:
        return self._crypto.orderbook(symbol) if symbol in self._pairs else None

    def corporate_actions(
        self, symbols: Sequence[str] | None, first_day: date, last_day: date
    ) -> Sequence[CorporateAction]:
        wanted = None if symbols is None else [symbol for symbol in symbols if not is_pair(symbol)]
        return self._equities.corporate_actions(wanted, first_day, last_day)

    def _of(self, symbol: str) -> MarketSource | CryptoMarket:
        return self._crypto if symbol in self._pairs else self._equities
