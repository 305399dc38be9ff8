"""The shape of generated crypto minutes: prices, volumes, silence. Decides them as functions of seed, pair and time.

The logarithm of a price is a Brownian path built from its midpoints (Lévy 1940, Ciesielski 1961): the value at any
minute is a sum of some twenty terms, none of which depends on another minute. So any week of any year costs the same,
and nothing has to be walked to from the start of the world. Half of a pair's movement is the whole market's.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator.assets import CryptoProfile, crypto_profile_of
from quant_trading_system.simulator.market.draws import (
    Floats,
    Ints,
    Keys,
    exponential,
    key_of,
    keys_at,
    normal,
    uniform,
)
from quant_trading_system.simulator.market.minute_draw import Bools, Minutes, fit_few_points

LEVELS = 26  # midpoints of spans of two minutes up to 2^26: the path ends in 2097
WILD_LEVEL = 11  # spans of 34 hours and shorter move more on some days than on others
WILDNESS_DEVIATION = 0.3  # of the logarithm
MARKET_SHARE = 0.7  # correlation of a pair with the market of all pairs
MINUTES_PER_YEAR = 365.25 * 1_440
MINUTES_PER_CHUNK = 4_096
CHUNKS_CACHED_MAX = 64  # 240 kB each
REACH = 0.35  # of a minute's deviation: how far its high and low lie beyond its open and close, on average
SILENT_POINTS = 4
QUOTES_PER_TRADE = 2
DEPTH_TRADES = 4.0  # mean size of a side of the book, in mean trades
IDS_PER_MINUTE = 1_000

_SILENCE, _COUNT, _VOLUME, _HIGH, _LOW, _WILD = range(100, 124, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class CryptoMinutes:
    """Consecutive minutes of one pair: arrays with one entry a minute, prices in ticks, volume in units."""

    first: int  # minutes since 1970
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    trades: Ints
    points: Ints
    is_silent: Bools


class CryptoModel:
    """All minutes of all pairs; prices are anchored at their profile's in the world's first minute."""

    def __init__(self, *, seed: int, start_ns: int) -> None:
        self._seed = seed
        self._anchor = start_ns // NANOS_PER_MINUTE
        self._chunks: OrderedDict[tuple[str, int], CryptoMinutes] = OrderedDict()
        self._anchored: dict[str, float] = {}
        self._market: tuple[int, int, Floats] = (0, 0, np.zeros(0))

    def chunk(self, pair: str, number: int) -> CryptoMinutes:
        """The minutes from `number` x MINUTES_PER_CHUNK on."""
        key = (pair, number)
        if key in self._chunks:
            self._chunks.move_to_end(key)
            return self._chunks[key]
        made = self._chunks[key] = self._draw(pair, number * MINUTES_PER_CHUNK, MINUTES_PER_CHUNK)
        if len(self._chunks) > CHUNKS_CACHED_MAX:
            self._chunks.popitem(last=False)
        return made

    def minutes(self, cells: Sequence[tuple[int, str, int]]) -> Minutes:
        """What is known of some minutes, each as (the pair's place in the caller's list, pair, minute)."""
        columns: dict[str, list[int]] = {name: [] for name in ("open", "high", "low", "close", "volume", "points")}
        silent: list[bool] = []
        for _, pair, minute in cells:
            chunk = self.chunk(pair, minute // MINUTES_PER_CHUNK)
            place = minute % MINUTES_PER_CHUNK
            for name, column in columns.items():
                column.append(int(getattr(chunk, name)[place]))
            silent.append(bool(chunk.is_silent[place]))
        whole = {name: np.array(column, dtype=np.int64) for name, column in columns.items()}
        profiles = [crypto_profile_of(pair) for _, pair, _ in cells]
        at = np.array([minute for _, _, minute in cells], dtype=np.int64)
        is_silent = np.array(silent, dtype=np.bool_)
        owner_keys = np.array([key_of(self._seed, "crypto", pair) for _, pair, _ in cells], dtype=np.uint64)
        return Minutes(
            owner=np.array([place for place, _, _ in cells], dtype=np.int64),
            keys=keys_at(owner_keys, at),
            begin_ns=at * NANOS_PER_MINUTE,
            first_id=at * IDS_PER_MINUTE + 1,
            is_silent=is_silent,
            extra_quotes=np.where(is_silent, 0, QUOTES_PER_TRADE * whole["points"]),
            spread_ticks=whole["close"] * np.array([profile.spread_bps / 1e4 for profile in profiles]),
            depth=np.array([DEPTH_TRADES * _mean_units(profile) for profile in profiles]),
            lot=1,
            odd_share=0.0,
            opening=np.zeros(len(at), dtype=np.int64),
            **whole,
        )

    def _draw(self, pair: str, first: int, count: int) -> CryptoMinutes:
        profile = crypto_profile_of(pair)
        at = np.arange(first, first + count)
        price = np.exp(self._log_prices(pair, first, count + 1)) * profile.ticks_per_usd
        ticks = np.maximum(np.rint(price), 1).astype(np.int64)
        keys = keys_at(np.full(count, key_of(self._seed, "crypto", pair), dtype=np.uint64), at)
        is_silent = uniform(keys, _SILENCE) < profile.silent_share
        drawn = 1 + np.floor(exponential(keys, _COUNT) * (profile.trades_per_minute - 0.5)).astype(np.int64)
        trades = np.where(is_silent, 0, np.minimum(drawn, IDS_PER_MINUTE - 1))
        points = np.where(is_silent, SILENT_POINTS, trades)
        reach = REACH * profile.deviation_year / math.sqrt(MINUTES_PER_YEAR)
        before, after = ticks[:-1], ticks[1:]
        high = np.rint(np.maximum(before, after) * (1.0 + reach * exponential(keys, _HIGH))).astype(np.int64)
        low = np.rint(np.minimum(before, after) * (1.0 - reach * exponential(keys, _LOW))).astype(np.int64)
        open_, high, low, close = fit_few_points(points, (before, high, np.maximum(low, 1), after))
        extra = np.floor(trades * _mean_units(profile) * exponential(keys, _VOLUME)).astype(np.int64)
        return CryptoMinutes(
            first=first,
            open=open_,
            high=high,
            low=low,
            close=close,
            volume=trades + extra,
            trades=trades,
            points=points,
            is_silent=is_silent,
        )

    def _log_prices(self, pair: str, first: int, count: int) -> Floats:
        profile = crypto_profile_of(pair)
        if pair not in self._anchored:
            self._anchored[pair] = float(self._path(pair, self._anchor, 1)[0])
        path = self._path(pair, first, count) - self._anchored[pair]
        return np.asarray(math.log(profile.price_usd) + profile.deviation_year / math.sqrt(MINUTES_PER_YEAR) * path)

    def _path(self, pair: str, first: int, count: int) -> Floats:
        """The pair's standard Brownian path at consecutive minutes."""
        own = math.sqrt(1.0 - MARKET_SHARE**2)
        return MARKET_SHARE * self._market_path(first, count) + own * self._brownian(pair, first, count)

    def _market_path(self, first: int, count: int) -> Floats:
        """The path of all pairs together; kept, because the others are asked about the same minutes next."""
        if self._market[:2] != (first, count):
            self._market = (first, count, self._brownian("market", first, count))
        return self._market[2]

    def _brownian(self, name: str, first: int, count: int) -> Floats:
        at = np.arange(first, first + count)
        key: Keys = np.array([key_of(self._seed, "crypto path", name)], dtype=np.uint64)
        path = np.zeros(count)
        wildness = np.exp(WILDNESS_DEVIATION * _of_spans(key, _WILD, at >> WILD_LEVEL))
        for level in range(1, LEVELS + 1):
            span = 1 << level
            tent = 1.0 - np.abs((at & (span - 1)) / (span / 2.0) - 1.0)
            term = 0.5 * math.sqrt(span) * _of_spans(key, 2 * level, at >> level) * tent
            path += term * wildness if level <= WILD_LEVEL else term
        return path


def _of_spans(key: Keys, kind: int, spans: Ints) -> Floats:
    """A normal draw for each entry's span; neighbours that share one share the draw."""
    first = int(spans[0])
    return np.asarray(normal(key, kind, np.arange(first, int(spans[-1]) + 1))[spans - first])


def _mean_units(profile: CryptoProfile) -> float:
    """The mean size of a trade in units."""
    return max(1.0, profile.trade_usd / profile.price_usd * profile.units_per_coin)
