"""The latest values of stocks, now or as a delayed feed sees them. Decides what of a snapshot there is."""

from __future__ import annotations

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator.events import SimBar, SimQuote, SimTrade
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.market.source import DAY, MINUTE
from quant_trading_system.simulator.server.data_plan import DELAYED_SIP, EMPTY_FEEDS
from quant_trading_system.simulator.server.data_query import RECENT_NS
from quant_trading_system.simulator.server.data_rows import BarRow, QuoteRow, TradeRow, bar_row, quote_row, trade_row
from quant_trading_system.simulator.server.ranges import backward
from quant_trading_system.simulator.server.timeframes import join_bars
from quant_trading_system.simulator.server.venue import Venue

BACK_NS = 10 * 24 * 60 * NANOS_PER_MINUTE  # a week with its holidays: enough to find the session before


class LatestStocks:
    """What the newest trade, quote and bars of a feed are."""

    def __init__(self, venue: Venue, feed: str) -> None:
        self._venue = venue
        self._market = venue.market
        self._is_empty = feed in EMPTY_FEEDS
        self._is_delayed = feed == DELAYED_SIP
        self._now_ns = venue.exchange.now_ns - (RECENT_NS if self._is_delayed else 0)

    def row(self, kind: str, symbol: str) -> TradeRow | QuoteRow | BarRow | None:
        """The newest of a kind, None where there is none."""
        if self._is_empty or symbol not in self._market.symbols or "/" in symbol:
            return None
        if kind == "trades":
            trade = self._trade(symbol)
            return trade_row(trade, self._venue.wire) if trade is not None else None
        if kind == "quotes":
            quote = self._quote(symbol)
            return quote_row(quote, self._venue.wire) if quote is not None else None
        bar = self._minute_bar(symbol)
        return bar_row(bar) if bar is not None else None

    def snapshot(self, symbol: str) -> dict[str, object]:
        """What there is of a snapshot's five parts; the specification knows no null in them."""
        if self._is_empty or symbol not in self._market.symbols or "/" in symbol:
            return {}
        day, before = self._days(symbol)
        parts = {
            "latestTrade": self.row("trades", symbol),
            "latestQuote": self.row("quotes", symbol),
            "minuteBar": self.row("bars", symbol),
            "dailyBar": bar_row(day) if day is not None else None,
            "prevDailyBar": bar_row(before) if before is not None else None,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def _trade(self, symbol: str) -> SimTrade | None:
        if not self._is_delayed:
            return self._market.latest_trade(symbol)
        read = self._market.trades
        found = backward(lambda first, last: read(symbol, first, last), self._now_ns - BACK_NS, self._now_ns)
        return next(found, None)

    def _quote(self, symbol: str) -> SimQuote | None:
        if not self._is_delayed:
            return self._market.latest_quote(symbol)
        read = self._market.quotes
        found = backward(lambda first, last: read(symbol, first, last), self._now_ns - BACK_NS, self._now_ns)
        return next(found, None)

    def _minute_bar(self, symbol: str) -> SimBar | None:
        """The last complete one."""
        if not self._is_delayed:
            return self._market.latest_bar(symbol)
        ended_ns = self._now_ns - NANOS_PER_MINUTE
        read = self._market.bars
        found = backward(lambda first, last: read(symbol, MINUTE, first, last), ended_ns - BACK_NS, ended_ns)
        return next(found, None)

    def _days(self, symbol: str) -> tuple[SimBar | None, SimBar | None]:
        """The newest daily bar and the one before; on a Sunday Friday's and Thursday's."""
        today_ns = new_york_ns(new_york_date(self._now_ns))
        days = list(self._market.bars(symbol, DAY, today_ns - BACK_NS, self._now_ns))
        if self._is_delayed and days and days[-1].ts_ns == today_ns:
            minutes = list(self._market.bars(symbol, MINUTE, today_ns, self._now_ns - NANOS_PER_MINUTE))
            days[-1:] = [join_bars(minutes, today_ns)] if minutes else []
        return days[-1] if days else None, days[-2] if len(days) > 1 else None
