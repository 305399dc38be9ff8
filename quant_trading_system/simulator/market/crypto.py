"""A generated market of crypto pairs that never closes. Decides what of it is played and what is only answered.

Nothing is kept of what was told: latest values and history are drawn again when somebody asks. So a weekend that
nobody watches costs nothing, and what is answered about it is what would have been streamed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from operator import attrgetter
from zoneinfo import ZoneInfo

import numpy as np

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator.assets import crypto_profile_of
from quant_trading_system.simulator.events import DAILY_BAR, MarketEvent, SimBar, SimOrderbook, SimQuote, SimTrade
from quant_trading_system.simulator.instants import EPOCH, to_ns
from quant_trading_system.simulator.market.crypto_model import MINUTES_PER_CHUNK, CryptoMinutes, CryptoModel
from quant_trading_system.simulator.market.listing import Listing, Script
from quant_trading_system.simulator.market.minute_draw import draw
from quant_trading_system.simulator.market.order_book import book_of, books_of, increment
from quant_trading_system.simulator.market.source import CRYPTO_DAY_ZONE, DAY, BarSpan

HISTORY_DAYS = 500  # before the world's first day
MINUTES_PER_READ = 32  # of trades and quotes that are drawn at once
MINUTES_PER_LOOK = 16  # so many are drawn for a latest value: the next one is asked for soon
LOOKS_CACHED_MAX = 64  # of one pair each
SILENT_LOOKS_MAX = 40  # how far back the last trade is looked for
RESET_NS = 60 * NANOS_PER_MINUTE  # the whole book is told once an hour
DAYS_CACHED_MAX = 4_096

_Told = tuple[list[SimTrade], list[SimQuote]]
_stamp = attrgetter("ts_ns")


class CryptoMarket:
    """Pairs from a moment on, for ever.

    Args:
        start_ns: anchors the prices; history begins HISTORY_DAYS before.
        day_zone: in whose midnight daily bars begin.
    """

    def __init__(self, *, seed: int, start_ns: Nanos, pairs: Sequence[str], day_zone: str = CRYPTO_DAY_ZONE) -> None:
        self.symbols: Sequence[str] = tuple(sorted(set(pairs)))
        self._seed = seed
        self._zone = ZoneInfo(day_zone)
        self._model = CryptoModel(seed=seed, start_ns=start_ns)
        self._listing = Listing.of_pairs(self.symbols)
        self._history_from_ns = start_ns - HISTORY_DAYS * 86_400 * NANOS_PER_SECOND
        self._played_ns: int = start_ns
        self._is_watched = self._tells_books = False
        self._script: Script | None = None
        self._books: dict[str, SimOrderbook] = {}
        self._recent: OrderedDict[tuple[str, int], _Told] = OrderedDict()
        self._days: OrderedDict[tuple[str, date], SimBar] = OrderedDict()

    # --- playing --------------------------------------------------------------------------------------------------

    def pass_to(self, now_ns: int) -> None:
        """Time has come here; what was not played until then is history."""
        self._played_ns = max(self._played_ns, now_ns)

    def set_audience(self, is_watched: bool, *, is_streamed: bool = True) -> None:
        """Who is there; books are told from the next minute on where they were not."""
        if is_watched and not self._is_watched:
            self._script = None
        if not self._tells_books:
            self._books.clear()
        self._is_watched, self._tells_books = is_watched, is_watched and is_streamed

    def next_ns(self, now_ns: int) -> int | None:
        """When the next message is said, None where nothing is up to a moment, or nobody watches."""
        if not self._is_watched:
            return None
        if self._script is None:
            self._script = self._load(self._played_ns // NANOS_PER_MINUTE)
            self._script.drop_until(self._played_ns)
        while (said_ns := self._script.next_ns) is None and self._script.end_ns <= now_ns:
            self._script = self._load(self._script.end_ns // NANOS_PER_MINUTE)
        return said_ns if said_ns is not None and said_ns <= now_ns else None

    def take(self) -> MarketEvent:
        """The message that `next_ns` spoke of."""
        assert self._script is not None, "expected a message to be due"
        said_ns = self._script.next_ns
        assert said_ns is not None, "expected a message to be due"
        self._played_ns = max(self._played_ns, said_ns)
        return self._script.take()

    # --- answers --------------------------------------------------------------------------------------------------

    def bars(self, pair: str, span: BarSpan, start_ns: int, end_ns: int) -> Sequence[SimBar]:
        start_ns, end_ns = max(start_ns, self._history_from_ns), min(end_ns, self._played_ns)
        if end_ns < start_ns:
            return []
        if span == DAY:
            return [bar for bar in self._daily_bars(pair, start_ns, end_ns) if start_ns <= bar.ts_ns <= end_ns]
        running = self._played_ns // NANOS_PER_MINUTE
        last = end_ns // NANOS_PER_MINUTE
        bars = self._minute_bars(pair, -(-start_ns // NANOS_PER_MINUTE), min(last + 1, running))
        if last == running and running * NANOS_PER_MINUTE >= start_ns:
            bars.extend(self._forming(pair))
        return bars

    def trades(self, pair: str, start_ns: int, end_ns: int) -> Iterable[SimTrade]:
        return (event for trades, _ in self._past(pair, start_ns, end_ns) for event in trades)

    def quotes(self, pair: str, start_ns: int, end_ns: int) -> Iterable[SimQuote]:
        return (event for _, quotes in self._past(pair, start_ns, end_ns) for event in quotes)

    def latest_trade(self, pair: str) -> SimTrade | None:
        return next(self._backwards(pair, 0), None)  # type: ignore[return-value]

    def latest_quote(self, pair: str) -> SimQuote | None:
        return next(self._backwards(pair, 1), None)  # type: ignore[return-value]

    def latest_bar(self, pair: str) -> SimBar | None:
        running = self._played_ns // NANOS_PER_MINUTE
        return self._minute_bars(pair, running - 1, running)[0]

    def last_close(self, pair: str, before: date) -> float | None:
        """The price at the midnight with which a date begins."""
        begin_ns = min(self._day_begin_ns(before), self._played_ns // NANOS_PER_MINUTE * NANOS_PER_MINUTE)
        if begin_ns <= self._history_from_ns:
            return None
        minute = begin_ns // NANOS_PER_MINUTE - 1
        return self._minute_bars(pair, minute, minute + 1)[0].close

    def orderbook(self, pair: str) -> SimOrderbook | None:
        quote = self.latest_quote(pair)
        return None if quote is None else book_of(self._seed, quote)

    # --- one minute -----------------------------------------------------------------------------------------------

    def _load(self, minute: int) -> Script:
        """Everything that is said within a minute: first the bars of the one before."""
        begin_ns = minute * NANOS_PER_MINUTE
        bars = [self._minute_bars(pair, minute - 1, minute)[0] for pair in self.symbols]
        days = [self._running_day(pair, begin_ns) for pair in self.symbols]
        trades, quotes = self._drawn([(place, pair, minute) for place, pair in enumerate(self.symbols)])
        quotes.sort(key=_stamp)
        pairs = self.symbols if self._tells_books else ()
        books = [book for pair in pairs for book in self._told_books(pair, quotes)]
        return Script(
            (
                (bars, [begin_ns] * len(bars)),
                (days, [begin_ns] * len(days)),
                (quotes, [quote.ts_ns for quote in quotes]),
                (books, [book.ts_ns for book in books]),
                (trades, [trade.ts_ns for trade in trades]),
            ),
            begin_ns + NANOS_PER_MINUTE,
        )

    def _told_books(self, pair: str, quotes: Sequence[SimQuote]) -> Iterator[SimOrderbook]:
        """What is told of a pair's book with its quotes: changes, and once an hour the whole."""
        for after in books_of(self._seed, [quote for quote in quotes if quote.symbol == pair]):
            before = self._books.get(pair)
            self._books[pair] = after
            is_reset = before is None or before.ts_ns // RESET_NS != after.ts_ns // RESET_NS
            yield after if before is None or is_reset else increment(before, after)

    def _drawn(self, cells: Sequence[tuple[int, str, int]]) -> _Told:
        minutes = self._model.minutes(cells)
        trades, quotes = draw(minutes)
        return self._listing.sided_trades(trades, minutes.owner), self._listing.quotes(quotes, minutes.owner)

    def _backwards(self, pair: str, kind: int) -> Iterator[SimTrade | SimQuote]:
        """The last trade (kind 0) or quote (1) that was made by now."""
        look = self._played_ns // (MINUTES_PER_LOOK * NANOS_PER_MINUTE)
        for number in range(look, look - SILENT_LOOKS_MAX, -1):
            told = self._look(pair, number)[kind]
            place = bisect_right(told, self._played_ns, key=_stamp)
            if place:
                yield told[place - 1]

    def _look(self, pair: str, number: int) -> _Told:
        """Trades and quotes of MINUTES_PER_LOOK minutes, each in order of time."""
        key = (pair, number)
        if key in self._recent:
            self._recent.move_to_end(key)
            return self._recent[key]
        place, first = self.symbols.index(pair), number * MINUTES_PER_LOOK
        trades, quotes = self._drawn([(place, pair, minute) for minute in range(first, first + MINUTES_PER_LOOK)])
        told = self._recent[key] = sorted(trades, key=_stamp), sorted(quotes, key=_stamp)
        if len(self._recent) > LOOKS_CACHED_MAX:
            self._recent.popitem(last=False)
        return told

    def _past(self, pair: str, start_ns: int, end_ns: int) -> Iterator[_Told]:
        """Trades and quotes of a range, some minutes at a time, ascending."""
        start_ns, end_ns = max(start_ns, self._history_from_ns), min(end_ns, self._played_ns)
        place = self.symbols.index(pair)
        first, last = start_ns // NANOS_PER_MINUTE, end_ns // NANOS_PER_MINUTE
        for begin in range(first, last + 1, MINUTES_PER_READ):
            minutes = range(begin, min(begin + MINUTES_PER_READ, last + 1))
            trades, quotes = self._drawn([(place, pair, minute) for minute in minutes])
            quotes.sort(key=_stamp)
            yield (
                [trade for trade in trades if start_ns <= trade.ts_ns <= end_ns],
                [quote for quote in quotes if start_ns <= quote.ts_ns <= end_ns],
            )

    # --- bars -----------------------------------------------------------------------------------------------------

    def _minute_bars(self, pair: str, first: int, end: int) -> list[SimBar]:
        """The bars of consecutive minutes; where nobody traded they are made of the middles of quotes."""
        bars: list[SimBar] = []
        for chunk, places in self._chunks(pair, first, end):
            bars.extend(_bars_of(pair, chunk, places))
        return bars

    def _chunks(self, pair: str, first: int, end: int) -> Iterator[tuple[CryptoMinutes, slice]]:
        for number in range(first // MINUTES_PER_CHUNK, -(-end // MINUTES_PER_CHUNK)):
            chunk = self._model.chunk(pair, number)
            yield chunk, slice(max(0, first - chunk.first), min(MINUTES_PER_CHUNK, end - chunk.first))

    def _forming(self, pair: str) -> list[SimBar]:
        """The bar of the running minute so far: of its trades, else of its quotes."""
        minute = self._played_ns // NANOS_PER_MINUTE
        trades, quotes = self._look(pair, minute // MINUTES_PER_LOOK)
        begin_ns, now_ns = minute * NANOS_PER_MINUTE, self._played_ns
        heard = [trade for trade in trades if begin_ns <= trade.ts_ns <= now_ns]
        prices = [trade.price for trade in heard]
        if not prices:
            prices = [(q.bid_price + q.ask_price) / 2 for q in quotes if begin_ns <= q.ts_ns <= now_ns]
        if not prices:
            return []
        units = crypto_profile_of(pair).units_per_coin
        volume = round(sum(trade.size for trade in heard) * units) / units
        high, low, close = max(prices), min(prices), prices[-1]
        vwap = round((high + low + close) / 3.0, 9)
        return [SimBar(pair, prices[0], high, low, close, volume, minute * NANOS_PER_MINUTE, len(heard), vwap)]

    def _daily_bars(self, pair: str, start_ns: int, end_ns: int) -> Iterator[SimBar]:
        day, last = self._date_of(start_ns), self._date_of(end_ns)
        while day <= last:
            if self._day_begin_ns(day + timedelta(days=1)) <= self._played_ns:
                yield self._whole_day(pair, day)
            else:
                yield from self._forming_day(pair, day)
            day += timedelta(days=1)

    def _whole_day(self, pair: str, day: date) -> SimBar:
        key = (pair, day)
        if key not in self._days:
            begin_ns, end_ns = self._day_begin_ns(day), self._day_begin_ns(day + timedelta(days=1))
            self._days[key] = self._joined(pair, begin_ns, end_ns // NANOS_PER_MINUTE)
            if len(self._days) > DAYS_CACHED_MAX:
                self._days.popitem(last=False)
        return self._days[key]

    def _running_day(self, pair: str, now_ns: int) -> SimBar:
        """The day's bar as it is told at the end of a minute."""
        begin_ns = self._day_begin_ns(self._date_of(now_ns - 1))
        bar = self._joined(pair, begin_ns, now_ns // NANOS_PER_MINUTE)
        return SimBar(*_as_of(bar, begin_ns), DAILY_BAR)

    def _forming_day(self, pair: str, day: date) -> list[SimBar]:
        begin_ns, running = self._day_begin_ns(day), self._played_ns // NANOS_PER_MINUTE
        forming = self._forming(pair)
        if begin_ns // NANOS_PER_MINUTE >= running:
            return [SimBar(*_as_of(forming[0], begin_ns))] if forming else []
        bar = self._joined(pair, begin_ns, running)
        return [_joined_bars((bar, *forming), begin_ns, crypto_profile_of(pair).units_per_coin)]

    def _joined(self, pair: str, begin_ns: int, end: int) -> SimBar:
        """One bar of the minutes from an instant on."""
        chunks = list(self._chunks(pair, begin_ns // NANOS_PER_MINUTE, end))
        profile = crypto_profile_of(pair)
        units = sum(int(chunk.volume[places].sum()) for chunk, places in chunks)
        middle = sum(float((_middle(chunk, places) * chunk.volume[places]).sum()) for chunk, places in chunks)
        first, last = chunks[0], chunks[-1]
        close = int(last[0].close[last[1]][-1])
        return SimBar(
            pair,
            int(first[0].open[first[1]][0]) / profile.ticks_per_usd,
            max(int(chunk.high[places].max()) for chunk, places in chunks) / profile.ticks_per_usd,
            min(int(chunk.low[places].min()) for chunk, places in chunks) / profile.ticks_per_usd,
            close / profile.ticks_per_usd,
            units / profile.units_per_coin,
            begin_ns,
            sum(int(chunk.trades[places].sum()) for chunk, places in chunks),
            round((middle / units if units else close) / profile.ticks_per_usd, 9),
        )

    def _date_of(self, stamp_ns: int) -> date:
        return (EPOCH + timedelta(microseconds=stamp_ns // 1_000)).astimezone(self._zone).date()

    def _day_begin_ns(self, day: date) -> int:
        return to_ns(datetime.combine(day, time(), self._zone))


def _middle(chunk: CryptoMinutes, places: slice) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray((chunk.high[places] + chunk.low[places] + chunk.close[places]) / 3.0)


def _bars_of(pair: str, chunk: CryptoMinutes, places: slice) -> Iterator[SimBar]:
    profile = crypto_profile_of(pair)
    ticks, units = float(profile.ticks_per_usd), float(profile.units_per_coin)
    stamps = (chunk.first + np.arange(places.start, places.stop)) * NANOS_PER_MINUTE
    count = len(stamps)
    return map(
        SimBar,
        [pair] * count,
        (chunk.open[places] / ticks).tolist(),
        (chunk.high[places] / ticks).tolist(),
        (chunk.low[places] / ticks).tolist(),
        (chunk.close[places] / ticks).tolist(),
        (chunk.volume[places] / units).tolist(),
        stamps.tolist(),
        chunk.trades[places].tolist(),
        np.round(_middle(chunk, places) / ticks, 9).tolist(),
    )


def _as_of(bar: SimBar, ts_ns: int) -> tuple[str, float, float, float, float, float, int, int, float]:
    return bar.symbol, bar.open, bar.high, bar.low, bar.close, bar.volume, ts_ns, bar.trade_count, bar.vwap


def _joined_bars(bars: Sequence[SimBar], ts_ns: int, units_per_coin: int) -> SimBar:
    volume = round(sum(bar.volume for bar in bars) * units_per_coin) / units_per_coin
    paid = sum(bar.vwap * bar.volume for bar in bars)
    return SimBar(
        bars[0].symbol,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        volume,
        ts_ns,
        sum(bar.trade_count for bar in bars),
        round(paid / volume, 9) if volume else bars[-1].close,
    )
