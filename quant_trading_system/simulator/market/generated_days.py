"""The shape of generated days: returns, minute bars, volumes. Decides them as functions of seed, date and symbol alone.

A day is drawn coarse first, as its minute bars; the trades and quotes inside a minute are drawn to fit its bar. So
history of any day costs a tenth of a millisecond, and equals what was or would be streamed.

Symbols move with the market, with their sector and on their own. Volatility and volume are higher after the open and
before the close, and some days are wilder than others. On an ex-date a price opens lower by the dividend, or divided
by the split's ratio; nothing is adjusted afterwards.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.assets import Profile, profile_of
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.market.generated_actions import ActionSchedule

Floats = NDArray[np.float64]

PRICE_USD_MIN = 1.0  # below a dollar ticks are finer; the generated market stays above
MARKET_DEVIATION = 0.008  # of a day's log return
SECTOR_DEVIATION = 0.005
OVERNIGHT_SHARE = 0.4  # of a day's deviation
DAY_RETURN_MAX = 0.15  # log return; a generated day has no halts that would stop more
WILDNESS_DEVIATION = 0.3  # of the logarithm of a day's volatility
TRADES_PER_MINUTE = 16  # at activity 1, on average over the day
TRADES_MIN = 4  # first, last, highest and lowest
SHARES_PER_TRADE_MIN = 100  # a round lot; odd lots come out of the others' shares
OPENING_SHARE = 0.012  # of a day's volume in its opening auction
CLOSING_SHARE = 0.08
DIVIDEND_LOSS_MAX = 0.5  # of a price: one that has fallen below its dividend stays above zero
DRAWS_CACHED_MAX = 16_384  # of a symbol's day, 200 bytes each
DAYS_CACHED_MIN = 256  # symbol-days, 25 kB each; twice as many as symbols where there are more

_Factors = tuple[float, float, float]  # overnight, intraday (deviations), wildness (a factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One symbol's session as minute bars: arrays with one entry a minute, prices in USD on whole cents."""

    session: Session
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    trades: NDArray[np.int64]
    spread_ticks: Floats  # typical, not yet a whole number
    opening_volume: int  # shares of the opening auction, part of the first minute's volume
    closing_volume: int  # shares of the closing auction, which follows the last minute

    @property
    def minutes(self) -> int:
        return len(self.open)


def generator(seed: int, *purpose: object, block: int = 0) -> np.random.Generator:
    """A generator that is a function of what it is for; blocks of one purpose are independent."""
    text = ":".join(str(part) for part in (seed, *purpose))
    key = int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "big")
    return np.random.Generator(np.random.Philox(key=key, counter=block << 64))


class DayModel:
    """All days of all symbols. Prices are anchored at the close before `anchor`: the world's first day."""

    def __init__(self, *, seed: int, anchor: date, activity: float, symbols: int = 1) -> None:
        self.actions = ActionSchedule(seed=seed, anchor=anchor)
        self.activity = activity
        self._seed = seed
        self._days_max = max(DAYS_CACHED_MIN, 2 * symbols)
        self._anchor = calendar.sessions_before(anchor, 1)[0].day
        self._log_closes: dict[str, dict[date, float]] = {}
        self._day_returns = lru_cache(DRAWS_CACHED_MAX)(self._drawn_returns)
        self._day_factors = lru_cache(DRAWS_CACHED_MAX)(self._drawn_factors)
        self._days: OrderedDict[tuple[str, date], Day] = OrderedDict()

    def day(self, symbol: str, session: Session) -> Day:
        """One symbol's session."""
        key = (symbol, session.day)
        if key in self._days:
            self._days.move_to_end(key)
            return self._days[key]
        day = self._draw(symbol, session)
        self._days[key] = day
        if len(self._days) > self._days_max:
            self._days.popitem(last=False)
        return day

    def overnight(self, symbol: str, session: Session) -> tuple[float, float, float]:
        """Logarithms around the night before a session: the close before it, that close as it is after what happens
        on the session's day (a dividend, a split), and the open."""
        close = self._log_close_before(symbol, session.day)
        opened = close + self._jump(symbol, session.day, close)
        return close, opened, opened + self._day_returns(symbol, session.day)[0]

    def _draw(self, symbol: str, session: Session) -> Day:
        profile = profile_of(symbol)
        minutes = (session.close_ns - session.open_ns) // NANOS_PER_MINUTE
        intraday = self._day_returns(symbol, session.day)[1]
        log_open = self.overnight(symbol, session)[2]
        shape = _volatility_shape(minutes)
        rng = generator(self._seed, "minutes", symbol, session.day)
        own = rng.standard_normal(minutes)
        steps = shape * (
            profile.beta * MARKET_DEVIATION * self._wildness(session.day) * self._path("market", session.day, minutes)
            + _sector_weight(profile) * SECTOR_DEVIATION * self._path(profile.sector, session.day, minutes)
            + profile.own_deviation * own
        )
        steps += (intraday - steps.sum()) * shape**2  # ends where the day's return says; shape² sums to one
        closes = np.exp(log_open + np.cumsum(steps))
        opens = np.concatenate(([math.exp(log_open)], closes[:-1]))
        reach = np.abs(rng.normal(0.0, 0.6, (2, minutes))) * np.abs(steps).mean()
        highs = np.maximum(opens, closes) * (1.0 + reach[0])
        lows = np.minimum(opens, closes) * (1.0 - reach[1])
        activity = _volume_shape(minutes) * np.exp(rng.normal(0.0, 0.35, minutes))
        activity /= activity.mean()
        trades = np.clip(np.rint(TRADES_PER_MINUTE * self.activity * activity), TRADES_MIN, None).astype(np.int64)
        day_volume = profile.volume_day * self._wildness(session.day) * math.exp(rng.normal(0.0, 0.2))
        day_volume *= self.actions.shares_per_share(symbol, session.day)
        volume = np.maximum(np.rint(day_volume / 390.0 * activity), SHARES_PER_TRADE_MIN * trades)
        opening = _round_lots(day_volume * OPENING_SHARE)
        volume[0] += opening
        return Day(
            session=session,
            open=_cents(opens),
            high=_cents(highs),
            low=_cents(lows),
            close=_cents(closes),
            volume=volume.astype(np.float64),
            trades=trades,
            spread_ticks=_spread_ticks(profile, opens, highs - lows, minutes),
            opening_volume=opening,
            closing_volume=_round_lots(day_volume * CLOSING_SHARE),
        )

    def _log_close_before(self, symbol: str, day: date) -> float:
        """Walk from the anchor to the session before a day; every step is kept."""
        closes = self._log_closes.setdefault(symbol, {self._anchor: math.log(profile_of(symbol).price_usd)})
        previous = calendar.sessions_before(day, 1)[0].day
        if previous in closes:
            return closes[previous]
        if previous > self._anchor:
            known = max(closes)
            for session in calendar.sessions_between(known, previous)[1:]:
                day, close = session.day, closes[known]
                closes[day] = close + self._jump(symbol, day, close) + sum(self._day_returns(symbol, day))
                known = day
        else:
            known = min(closes)
            for session in reversed(calendar.sessions_between(previous, known)[:-1]):
                after = closes[known] - sum(self._day_returns(symbol, known))
                closes[session.day] = self._before_jump(symbol, known, after)
                known = session.day
        return closes[previous]

    def _jump(self, symbol: str, day: date, close: float) -> float:
        """What an ex-date does to the logarithm of the close before it."""
        jump = 0.0
        for action in self.actions.on(symbol, day):
            if action.cash is not None:
                jump += math.log1p(-min(DIVIDEND_LOSS_MAX, float(action.cash) / math.exp(close + jump)))
            jump -= math.log(action.share_ratio)
        return jump

    def _before_jump(self, symbol: str, day: date, after: float) -> float:
        """The close that an ex-date made into another."""
        for action in reversed(self.actions.on(symbol, day)):
            after += math.log(action.share_ratio)
            if action.cash is not None:
                after = math.log(math.exp(after) + float(action.cash))
        return after

    def _drawn_returns(self, symbol: str, day: date) -> tuple[float, float]:
        """Log returns over night and over the session."""
        profile = profile_of(symbol)
        market, sector, own = (self._day_factors(name, day) for name in ("market", profile.sector, symbol))
        weights = (
            profile.beta * MARKET_DEVIATION,
            _sector_weight(profile) * SECTOR_DEVIATION,
            profile.own_deviation,
        )
        total = [
            market[2]
            * sum(weight * factor[part] for weight, factor in zip(weights, (market, sector, own), strict=True))
            for part in (0, 1)
        ]
        overnight, intraday = (max(-DAY_RETURN_MAX, min(DAY_RETURN_MAX, part)) for part in total)
        return overnight * OVERNIGHT_SHARE, intraday

    def _drawn_factors(self, name: str, day: date) -> _Factors:
        draws = generator(self._seed, "day", name, day).standard_normal(3)
        return float(draws[0]), float(draws[1]), math.exp(WILDNESS_DEVIATION * float(draws[2]))

    def _wildness(self, day: date) -> float:
        return self._day_factors("market", day)[2]

    def _path(self, name: str, day: date, minutes: int) -> Floats:
        return generator(self._seed, "path", name, day).standard_normal(minutes)


def _sector_weight(profile: Profile) -> float:
    return 0.0 if profile.sector == "broad" else 1.0


def _from_ends(minutes: int) -> tuple[Floats, Floats]:
    since_open = np.arange(minutes, dtype=np.float64)
    return since_open, since_open[::-1]


def _volatility_shape(minutes: int) -> Floats:
    """U-shaped weights whose squares sum to one."""
    since_open, until_close = _from_ends(minutes)
    shape = 1.0 + 1.6 * np.exp(-since_open / 20.0) + 0.6 * np.exp(-until_close / 15.0)
    return np.asarray(shape / np.sqrt((shape**2).sum()))


def _volume_shape(minutes: int) -> Floats:
    since_open, until_close = _from_ends(minutes)
    return np.asarray(1.0 + 2.5 * np.exp(-since_open / 25.0) + 2.0 * np.exp(-until_close / 12.0))


def _spread_ticks(profile: Profile, prices: Floats, ranges: Floats, minutes: int) -> Floats:
    """Wider at the open, a little at the close, and where a minute moves more than the day's typical one."""
    since_open, until_close = _from_ends(minutes)
    by_time = 1.0 + 2.5 * np.exp(-since_open / 6.0) + 0.8 * np.exp(-until_close / 4.0)
    by_volatility = 0.6 + 0.4 * np.clip(ranges / ranges.mean(), 0.5, 4.0)
    return np.asarray(np.clip(prices * profile.spread_bps / 1e4 * 100.0 * by_time * by_volatility, 1.0, 200.0))


def _round_lots(shares: float) -> int:
    return max(1, round(shares / SHARES_PER_TRADE_MIN)) * SHARES_PER_TRADE_MIN


def _cents(prices: Floats) -> Floats:
    return np.asarray(np.round(np.maximum(prices, PRICE_USD_MIN), 2))
