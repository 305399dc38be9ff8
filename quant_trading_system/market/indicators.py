"""Decides what every indicator name means: one definition for live trading, backtest and research.

A name is a family and a period in bars, such as `sma_10`. Values are those of TA-Lib's O(1) stream handles, which equal
its batch functions; where it has no handle of the definition we want, a few lines here keep a window of their own.
Handles cannot be pickled: after a restart they are opened anew on stored bars.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np

from quant_trading_system.core.values import Bar
from quant_trading_system.market.talib_loader import load_streams

PERIOD_MIN = 2
PERIOD_MAX = 1_000
SESSION_SECONDS = 390 * 60
SESSIONS_PER_YEAR = 252
FLAT_RATIO = 1e-9
"""A deviation below this part of the price is the rounding of floats, not movement: there is no z-score then."""

_NAME = re.compile(r"([a-z]+(?:_[a-z]+)*)_(\d{1,4})")


class Indicator(Protocol):
    """One running value. `start` once with at least `bars_needed` closed bars, then `update` with each that follows."""

    bars_needed: int

    def start(self, bars: Sequence[Bar]) -> float | None: ...

    def update(self, bar: Bar) -> float | None: ...


class OfCloses:
    """A TA-Lib handle over closes."""

    def __init__(self, function: str, period: int, *, bars_needed: int, **options: float) -> None:
        self.bars_needed = bars_needed
        self._function = function
        self._options = {"timeperiod": period, **options}
        self._update: Callable[[float], float]

    def start(self, bars: Sequence[Bar]) -> float | None:
        return self.start_on([bar.close for bar in bars])

    def start_on(self, values: Sequence[float]) -> float:
        handle = getattr(load_streams(), self._function)(np.array(values, dtype=float), **self._options)
        self._update = handle.update
        return float(handle.value)

    def update(self, bar: Bar) -> float | None:
        return self._update(bar.close)

    def update_with(self, value: float) -> float:
        return self._update(value)


class TrueRange:
    """Average true range, Wilder's mean, over the period."""

    def __init__(self, period: int) -> None:
        self.bars_needed = period + 1
        self._period = period
        self._update: Callable[[float, float, float], float]

    def start(self, bars: Sequence[Bar]) -> float | None:
        columns = (np.array([getattr(bar, name) for bar in bars], dtype=float) for name in ("high", "low", "close"))
        handle = load_streams().ATR(*columns, timeperiod=self._period)
        self._update = handle.update
        return float(handle.value)

    def update(self, bar: Bar) -> float | None:
        return self._update(bar.high, bar.low, bar.close)


class WilderStrength:
    """RSI on Wilder's means; 50 until anything moved, where TA-Lib says 0.

    The means remember their seed: below three periods the value says more of the start than of the market.
    """

    def __init__(self, period: int) -> None:
        self.bars_needed = 3 * period + 1
        self._strength = OfCloses("RSI", period, bars_needed=self.bars_needed)
        self._still_at: float | None = None  # the close that never changed; None once it did

    def start(self, bars: Sequence[Bar]) -> float | None:
        closes = [bar.close for bar in bars]
        self._still_at = closes[0] if len(set(closes)) == 1 else None
        return self._value(closes[-1], self._strength.start_on(closes))

    def update(self, bar: Bar) -> float | None:
        return self._value(bar.close, self._strength.update_with(bar.close))

    def _value(self, close: float, strength: float) -> float:
        if self._still_at is None:
            return strength
        if close == self._still_at:
            return 50.0
        self._still_at = None
        return strength


class CutlerStrength:
    """RSI on plain means of the last `period` gains and losses (Cutler); 50 where nothing moved.

    TA-Lib smooths as Wilder did, so the window is kept here and summed anew each bar: a rolling sum would keep a
    residue, and turn a flat market into RSI 0 or 100.
    """

    def __init__(self, period: int) -> None:
        self.bars_needed = period + 1
        self._changes: deque[float] = deque(maxlen=period)
        self._close = math.nan

    def start(self, bars: Sequence[Bar]) -> float | None:
        self._close = bars[0].close
        value = None
        for bar in bars[1:]:
            value = self.update(bar)
        return value

    def update(self, bar: Bar) -> float | None:
        self._changes.append(bar.close - self._close)
        self._close = bar.close
        up = sum([change for change in self._changes if change > 0.0])
        moved = sum(map(abs, self._changes))
        return 100.0 * up / moved if moved > 0.0 else 50.0


class ZScore:
    """Distance of the close from the window's mean in population deviations; absent while the window is flat."""

    def __init__(self, period: int) -> None:
        self.bars_needed = period
        self._mean = OfCloses("SMA", period, bars_needed=period)
        self._deviation = OfCloses("STDDEV", period, bars_needed=period, nbdev=1.0)

    def start(self, bars: Sequence[Bar]) -> float | None:
        closes = [bar.close for bar in bars]
        return _z_score(closes[-1], self._mean.start_on(closes), self._deviation.start_on(closes))

    def update(self, bar: Bar) -> float | None:
        close = bar.close
        return _z_score(close, self._mean.update_with(close), self._deviation.update_with(close))


class ReturnDeviation:
    """Sample deviation of the last `period` simple returns, times `scale`."""

    def __init__(self, period: int, *, scale: float = 1.0) -> None:
        self.bars_needed = period + 1
        self._deviation = OfCloses("STDDEV", period, bars_needed=period, nbdev=1.0)
        self._scale = scale * math.sqrt(period / (period - 1))  # TA-Lib divides by the period, a sample by one less
        self._close = math.nan

    def start(self, bars: Sequence[Bar]) -> float | None:
        closes = [bar.close for bar in bars]
        returns = [after / before - 1.0 for before, after in pairwise(closes)]
        self._close = closes[-1]
        return self._deviation.start_on(returns) * self._scale

    def update(self, bar: Bar) -> float | None:
        change = bar.close / self._close - 1.0
        self._close = bar.close
        return self._deviation.update_with(change) * self._scale


def _z_score(close: float, mean: float, deviation: float) -> float | None:
    return (close - mean) / deviation if deviation > FLAT_RATIO * close else None


def bars_per_year(bar_seconds: int) -> float:
    """Bars of this length in a year of regular sessions; a bar of a session or longer counts by its days."""
    return SESSIONS_PER_YEAR * SESSION_SECONDS / min(bar_seconds, SESSION_SECONDS)


_FAMILIES: Mapping[str, Callable[[int, int], Indicator]] = {
    "sma": lambda period, _: OfCloses("SMA", period, bars_needed=period),
    "ema": lambda period, _: OfCloses("EMA", period, bars_needed=period),
    "rsi": lambda period, _: WilderStrength(period),
    "rsi_cutler": lambda period, _: CutlerStrength(period),
    "bb_mean": lambda period, _: OfCloses("SMA", period, bars_needed=period),
    "bb_std": lambda period, _: OfCloses("STDDEV", period, bars_needed=period, nbdev=1.0),
    "zscore": lambda period, _: ZScore(period),
    "atr": lambda period, _: TrueRange(period),
    "stdev_return": lambda period, _: ReturnDeviation(period),
    "vol_annual": lambda period, seconds: ReturnDeviation(period, scale=math.sqrt(bars_per_year(seconds))),
}
FAMILIES = tuple(_FAMILIES)


def make_indicator(name: str, *, bar_seconds: int) -> Indicator:
    """The indicator a name stands for.

    Raises:
        ValueError: no such family, or a period outside 2 to 1,000 bars.
    """
    match = _NAME.fullmatch(name)
    family = _FAMILIES.get(match[1]) if match else None
    if match is None or family is None:
        raise ValueError(f"expected an indicator such as sma_10, of {', '.join(FAMILIES)}; found {name!r}")
    period = int(match[2])
    if not PERIOD_MIN <= period <= PERIOD_MAX:
        raise ValueError(f"expected a period of {PERIOD_MIN} to {PERIOD_MAX} bars, found {name!r}")
    return family(period, bar_seconds)


class IndicatorSet:
    """The indicators of one symbol. `values` holds a name only once it has enough bars."""

    def __init__(self, names: Iterable[str], *, bar_seconds: int) -> None:
        self.values: dict[str, float] = {}
        self._names = tuple(names)
        self._bar_seconds = bar_seconds
        self._running: list[tuple[str, Indicator]] = []
        self._waiting: list[tuple[str, Indicator]] = []
        self.reset()

    def reset(self) -> None:
        """Forget every bar."""
        self.values.clear()
        self._running.clear()
        self._waiting = [(name, make_indicator(name, bar_seconds=self._bar_seconds)) for name in self._names]

    @property
    def bars_needed(self) -> int:
        return max((each.bars_needed for _, each in (*self._running, *self._waiting)), default=0)

    @property
    def is_warm(self) -> bool:
        return not self._waiting

    def update(self, bar: Bar, bars: Sequence[Bar]) -> None:
        """Take in one closed bar; `bars` are the closed ones up to and including it."""
        values = self.values
        for name, indicator in self._running:
            _put(values, name, indicator.update(bar))
        if self._waiting:
            self._start_what_can(bars)

    def _start_what_can(self, bars: Sequence[Bar]) -> None:
        history = list(bars)
        for name, indicator in self._waiting:
            if len(history) >= indicator.bars_needed:
                _put(self.values, name, indicator.start(history))
                self._running.append((name, indicator))
        self._waiting = [(name, each) for name, each in self._waiting if len(history) < each.bars_needed]


def _put(values: dict[str, float], name: str, value: float | None) -> None:
    if value is None:
        values.pop(name, None)
    else:
        values[name] = value
