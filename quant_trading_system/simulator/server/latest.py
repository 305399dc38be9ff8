"""The latest values of stocks, now or as a delayed feed sees them. Decides what of a snapshot there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.events import SimBar, SimQuote, SimTrade
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.market.source import DAY, MINUTE, Reading
from quant_trading_system.simulator.server.data_plan import DELAYED_SIP, EMPTY_FEEDS
from quant_trading_system.simulator.server.data_query import RECENT_NS
from quant_trading_system.simulator.server.data_rows import BarRow, QuoteRow, TradeRow, bar_row, quote_row, trade_row
from quant_trading_system.simulator.server.pacing import Pacer
from quant_trading_system.simulator.server.ranges import backward_ticks
from quant_trading_system.simulator.server.timeframes import join_bars
from quant_trading_system.simulator.server.venue import Venue

BACK_NS = 10 * 24 * 60 * NANOS_PER_MINUTE  # a week with its holidays: enough to find the session before

Tick = TypeVar("Tick", SimTrade, SimQuote)


class LatestStocks:
    """What the newest trade, quote and bars of a feed are."""

    def __init__(self, venue: Venue, pacer: Pacer) -> None:
        self._venue = venue
        self._market = venue.market
        self._pacer = pacer
        self._now_ns: int = venue.exchange.now_ns

    async def row(self, kind: str, symbol: str) -> TradeRow | QuoteRow | BarRow | None:
        """The newest of a kind, None where there is none."""
        if not self._has(symbol):
            return None
        await self._pacer.breathe()
        if kind == "trades":
            trade = await self._trade(symbol)
            return trade_row(trade, self._venue.wire) if trade is not None else None
        if kind == "quotes":
            quote = await self._quote(symbol)
            return quote_row(quote, self._venue.wire) if quote is not None else None
        bar = self._minute_bar(symbol)
        return bar_row(bar) if bar is not None else None

    async def snapshot(self, symbol: str) -> dict[str, object]:
        """What there is of a snapshot's five parts; the specification knows no null in them."""
        if not self._has(symbol):
            return {}
        latest_trade, latest_quote, minute_bar = [await self.row(kind, symbol) for kind in ("trades", "quotes", "bars")]
        day, before = self._days(symbol)
        parts = {
            "latestTrade": latest_trade,
            "latestQuote": latest_quote,
            "minuteBar": minute_bar,
            "dailyBar": bar_row(day) if day is not None else None,
            "prevDailyBar": bar_row(before) if before is not None else None,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def _has(self, symbol: str) -> bool:
        return symbol in self._market.symbols and "/" not in symbol

    async def _trade(self, symbol: str) -> SimTrade | None:
        return self._market.latest_trade(symbol)

    async def _quote(self, symbol: str) -> SimQuote | None:
        return self._market.latest_quote(symbol)

    def _minute_bar(self, symbol: str) -> SimBar | None:
        """The last complete one."""
        return self._market.latest_bar(symbol)

    def _days(self, symbol: str) -> tuple[SimBar | None, SimBar | None]:
        """The newest daily bar and the one before; on a Sunday Friday's and Thursday's."""
        days = self._market.bars(symbol, DAY, self._now_ns - BACK_NS, self._now_ns)
        return days[-1] if days else None, days[-2] if len(days) > 1 else None


class DelayedStocks(LatestStocks):
    """What they were a quarter of an hour ago."""

    def __init__(self, venue: Venue, pacer: Pacer) -> None:
        super().__init__(venue, pacer)
        self._now_ns -= RECENT_NS

    async def _trade(self, symbol: str) -> SimTrade | None:
        return await self._newest("trades", self._market.trades, symbol)

    async def _quote(self, symbol: str) -> SimQuote | None:
        return await self._newest("quotes", self._market.quotes, symbol)

    async def _newest(
        self, reading: Reading, read: Callable[[str, int, int], Iterable[Tick]], symbol: str
    ) -> Tick | None:
        def read_piece(first_ns: int, last_ns: int) -> Iterator[Tick | None]:
            yield from self._market.prepare(reading, symbol, first_ns, last_ns)
            yield from read(symbol, first_ns, last_ns)

        for tick in backward_ticks(read_piece, self._now_ns - BACK_NS, self._now_ns):
            if tick is not None:
                return tick
            await self._pacer.breathe()
        return None

    def _minute_bar(self, symbol: str) -> SimBar | None:
        ended_ns = self._now_ns - NANOS_PER_MINUTE

        def read(first_ns: int, last_ns: int) -> Iterable[SimBar]:
            return self._market.bars(symbol, MINUTE, first_ns, last_ns)

        return next((bar for bar in backward_ticks(read, ended_ns - BACK_NS, ended_ns) if bar is not None), None)

    def _days(self, symbol: str) -> tuple[SimBar | None, SimBar | None]:
        """As far as the running day's minutes had ended."""
        today = calendar.session_on(new_york_date(self._now_ns))
        days = list(self._market.bars(symbol, DAY, self._now_ns - BACK_NS, self._now_ns))
        if today is not None and days and days[-1].ts_ns == new_york_ns(today.day):
            last_ns = min(self._now_ns - NANOS_PER_MINUTE, today.close_ns - 1)
            ended = list(self._market.bars(symbol, MINUTE, today.open_ns, last_ns))
            days[-1:] = [join_bars(ended, days[-1].ts_ns)] if ended else []
        return days[-1] if days else None, days[-2] if len(days) > 1 else None


class NoStocks(LatestStocks):
    """The latest of a feed on which nothing is traded."""

    def _has(self, symbol: str) -> bool:
        return False


def latest_of(venue: Venue, feed: str) -> LatestStocks:
    """The latest values as a feed sees them."""
    if feed in EMPTY_FEEDS:
        return NoStocks(venue, Pacer())
    return (DelayedStocks if feed == DELAYED_SIP else LatestStocks)(venue, Pacer())
