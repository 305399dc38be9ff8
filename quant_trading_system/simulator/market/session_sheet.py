"""One session of some symbols, minute by minute from 04:00 to the end of the late session, as whole numbers.

Decides what is known of a minute before its trades are drawn: in regular hours the day's bars, before and after them
a thin market with wide spreads that leads from one day's close to the next one's open.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.assets import profile_of
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.market.draws import Floats, Ints, Keys, exponential, key_of, keys_at, normal
from quant_trading_system.simulator.market.generated_days import PRICE_USD_MIN, TRADES_PER_MINUTE, Day, DayModel
from quant_trading_system.simulator.market.minute_draw import TRADE_IDS_PER_MINUTE, Bools, Minutes, fit_few_points

EXTENDED_ACTIVITY = 0.025  # of the regular hours' trades a minute, on average
EXTENDED_SPREAD = 5.0  # times the regular hours' typical one
EXTENDED_DEVIATION = 0.0004  # of a minute's log return
POST_SHARE = 0.3  # of the overnight move happens in the late session
ODD_SHARE = 0.25  # of trades that may be odd lots
ROUND_LOT = 100
QUOTES_PER_TRADE = 2  # between trades, beside the quote that each trade prints against
CENTS = 100.0

_WALK, _COUNT, _VOLUME, _HIGH, _LOW = range(300, 320, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One symbol's session: arrays with one entry a minute. Prices in cents, volume in shares."""

    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    trades: Ints
    spread_ticks: Floats


class SessionSheet:
    """The minutes of a session, for symbols in the order in which they are given."""

    def __init__(self, model: DayModel, seed: int, symbols: Sequence[str], session: Session) -> None:
        self.session = session
        self.symbols = tuple(symbols)
        self.begin_ns = session.pre_market_ns
        self.open_minute = (session.open_ns - self.begin_ns) // NANOS_PER_MINUTE
        self.close_minute = (session.close_ns - self.begin_ns) // NANOS_PER_MINUTE
        self.minutes = (session.post_market_end_ns - self.begin_ns) // NANOS_PER_MINUTE
        self.days = [model.day(symbol, session) for symbol in symbols]
        rows = [self._row(model, seed, symbol, day) for symbol, day in zip(symbols, self.days, strict=True)]
        self.open = np.stack([row.open for row in rows])
        self.high = np.stack([row.high for row in rows])
        self.low = np.stack([row.low for row in rows])
        self.close = np.stack([row.close for row in rows])
        self.volume = np.stack([row.volume for row in rows])
        self.trades = np.stack([row.trades for row in rows])
        self._spread = np.stack([row.spread_ticks for row in rows])
        self._depth = np.array([_depth_lots(symbol) for symbol in symbols])
        self._keys: Keys = np.array([key_of(seed, "events", symbol, session.day) for symbol in symbols], np.uint64)

    def minute_of(self, stamp_ns: int) -> int:
        return (stamp_ns - self.begin_ns) // NANOS_PER_MINUTE

    def begin_of(self, minute: int) -> int:
        return self.begin_ns + minute * NANOS_PER_MINUTE

    def is_regular(self, minute: int) -> bool:
        return self.open_minute <= minute < self.close_minute

    def drawable(self, first: int, end: int) -> Minutes:
        """What is needed to draw the trades and quotes of a range of minutes, of all symbols."""
        count = end - first
        places = slice(first, end)
        at = np.tile(np.arange(first, end), len(self.symbols))
        owner = np.repeat(np.arange(len(self.symbols)), count)
        # The closing auction is told apart: its minute has nothing else.
        trades = np.where(at == self.close_minute, 0, self.trades[:, places].ravel())
        opening = np.array([day.opening_volume for day in self.days], dtype=np.int64)[owner]
        return Minutes(
            owner=owner,
            keys=keys_at(self._keys[owner], at),
            begin_ns=self.begin_ns + at * NANOS_PER_MINUTE,
            first_id=at * TRADE_IDS_PER_MINUTE + 1,
            open=self.open[:, places].ravel(),
            high=self.high[:, places].ravel(),
            low=self.low[:, places].ravel(),
            close=self.close[:, places].ravel(),
            volume=self.volume[:, places].ravel(),
            points=np.maximum(trades, 1),
            is_silent=trades == 0,
            extra_quotes=QUOTES_PER_TRADE * trades,
            spread_ticks=self._spread[:, places].ravel(),
            depth=self._depth[owner],
            lot=ROUND_LOT,
            odd_share=ODD_SHARE,
            opening=np.where(at == self.open_minute, opening, 0),
        )

    def is_extended(self, minutes: Minutes) -> Bools:
        """Which rows lie outside regular hours."""
        is_inside = (minutes.begin_ns >= self.session.open_ns) & (minutes.begin_ns < self.session.close_ns)
        return np.asarray(~is_inside)

    def _row(self, model: DayModel, seed: int, symbol: str, day: Day) -> Row:
        """The three parts of the day; the minute after the close holds the closing auction."""
        pre = self._pre_market(model, seed, symbol, day)
        post = self._post_market(model, seed, symbol, day)
        close = round(float(day.close[-1]) * CENTS)
        for prices in (post.open, post.high, post.low, post.close):
            prices[0] = close
        post.trades[0], post.volume[0] = 1, day.closing_volume
        regular = Row(
            open=_cents(day.open),
            high=_cents(day.high),
            low=_cents(day.low),
            close=_cents(day.close),
            volume=day.volume.astype(np.int64),
            trades=day.trades,
            spread_ticks=day.spread_ticks,
        )
        parts = (pre, regular, post)
        return Row(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in Row.__slots__})

    def _pre_market(self, model: DayModel, seed: int, symbol: str, day: Day) -> Row:
        close, opened, log_open = model.overnight(symbol, self.session)
        begin = opened + POST_SHARE * (log_open - opened)
        del close
        keys = _off_keys(seed, "pre", symbol, self.session, self.open_minute)
        approach = np.exp(-np.arange(self.open_minute)[::-1] / 60.0)  # the last hour is the liveliest
        return _off_hours(keys, (begin, log_open), model.activity * (0.5 + 2.5 * approach), day)

    def _post_market(self, model: DayModel, seed: int, symbol: str, day: Day) -> Row:
        count = self.minutes - self.close_minute
        close = math.log(float(day.close[-1]))
        following = calendar.session_opening_after(self.session.open_ns)
        end = close
        if following is not None:
            before, opened, log_open = model.overnight(symbol, following)
            end = before + POST_SHARE * (log_open - opened)
        keys = _off_keys(seed, "post", symbol, self.session, count)
        decay = np.exp(-np.arange(count) / 40.0)
        return _off_hours(keys, (close, end), model.activity * (0.4 + 2.5 * decay), day)


def _off_keys(seed: int, part: str, symbol: str, session: Session, count: int) -> Keys:
    keys = np.full(count, key_of(seed, part, symbol, session.day), dtype=np.uint64)
    return keys_at(keys, np.arange(count))


def _off_hours(keys: Keys, ends: tuple[float, float], rate: Floats, day: Day) -> Row:
    """Minutes of a thin market between two prices (logarithms)."""
    count = len(keys)
    walk = np.concatenate(([0.0], np.cumsum(normal(keys, _WALK)))) * EXTENDED_DEVIATION
    along = np.arange(count + 1) / max(count, 1)
    path = np.exp(ends[0] + (ends[1] - ends[0]) * along + walk - walk[-1] * along)
    price = _cents(np.maximum(path, PRICE_USD_MIN))
    mean = TRADES_PER_MINUTE * EXTENDED_ACTIVITY * rate
    trades = np.floor(exponential(keys, _COUNT) / np.log1p(1.0 / mean)).astype(np.int64)  # geometric
    before, after = price[:-1], price[1:]
    reach = path[:-1] * CENTS * EXTENDED_DEVIATION * 0.5
    high = np.maximum(before, after) + np.floor(reach * exponential(keys, _HIGH)).astype(np.int64)
    low = np.maximum(np.minimum(before, after) - np.floor(reach * exponential(keys, _LOW)).astype(np.int64), 1)
    open_, high, low, close = fit_few_points(np.maximum(trades, 1), (before, high, low, after))
    shares = trades * ROUND_LOT + np.floor(trades * ROUND_LOT * exponential(keys, _VOLUME)).astype(np.int64)
    return Row(
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=shares,
        trades=trades,
        spread_ticks=np.full(count, EXTENDED_SPREAD * float(day.spread_ticks.mean())),
    )


def _cents(prices: Floats) -> Ints:
    return np.rint(prices * CENTS).astype(np.int64)


def _depth_lots(symbol: str) -> float:
    """Mean size of a side of the book in round lots."""
    return min(30.0, max(2.0, profile_of(symbol).volume_day / 5e6))
