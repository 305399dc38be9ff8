"""A market that trends and turns: prices are a function of symbol and venue time, so that history and stream agree."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from decimal import Decimal

from tests.support.hostile_broker.times import EASTERN, EPOCH, NANOS, as_utc, stamp

MINUTE_NS = 60 * NANOS
BASES = {"AAPL": 190.0, "MSFT": 410.0, "GOOGL": 150.0, "SPY": 560.0}
SWING_FRACTION = 0.015
SWING_MINUTES = {"AAPL": 13.0, "MSFT": 17.0, "GOOGL": 15.0, "SPY": 60.0}
DAILY_VOLUME = 30_000_000
OPENS, CLOSES = clock_time(9, 30), clock_time(16, 0)


class Market:
    """Prices in cents, spreads of one cent, sizes of a few hundred."""

    symbols = tuple(BASES)

    def price(self, symbol: str, ns: int) -> float:
        """The last price at a moment."""
        minutes = ns / MINUTE_NS
        phase = sum(map(ord, symbol))
        swing = math.sin(2 * math.pi * minutes / SWING_MINUTES[symbol] + phase)
        ripple = 0.15 * math.sin(2 * math.pi * minutes / 3.7 + phase)
        return round(BASES[symbol] * (1 + SWING_FRACTION * (swing + ripple)), 2)

    def quote(self, symbol: str, ns: int) -> tuple[Decimal, Decimal]:
        """Bid and ask."""
        last = Decimal(f"{self.price(symbol, ns):.2f}")
        return last - Decimal("0.01"), last + Decimal("0.01")

    def bar(self, symbol: str, start_ns: int) -> dict[str, object]:
        """The one-minute bar that begins at `start_ns`."""
        prices = [self.price(symbol, start_ns + step * MINUTE_NS // 6) for step in range(6)]
        return {
            "t": stamp(start_ns),
            "o": prices[0],
            "h": max(prices),
            "l": min(prices),
            "c": prices[-1],
            "v": DAILY_VOLUME // 390,
            "n": 900,
            "vw": round(sum(prices) / len(prices), 4),
        }

    def minute_bars(self, symbol: str, start_ns: int, end_ns: int) -> list[dict[str, object]]:
        """Bars of the regular sessions between two moments, both included."""
        found = []
        day = as_utc(start_ns).astimezone(EASTERN).date()
        while day <= as_utc(end_ns).astimezone(EASTERN).date():
            if is_session_day(day):
                opens, closes = session_ns(day)
                first = max(opens, -(-start_ns // MINUTE_NS) * MINUTE_NS)
                found += [self.bar(symbol, at) for at in range(first, min(closes, end_ns + 1), MINUTE_NS)]
            day += timedelta(days=1)
        return found

    def daily_bars(self, symbol: str, start_ns: int, end_ns: int) -> list[dict[str, object]]:
        found = []
        day = as_utc(start_ns).astimezone(EASTERN).date()
        while day <= as_utc(end_ns).astimezone(EASTERN).date():
            if is_session_day(day):
                opens, _ = session_ns(day)
                midnight = to_ns(datetime.combine(day, clock_time(0), EASTERN))
                found.append({**self.bar(symbol, opens), "t": stamp(midnight), "v": DAILY_VOLUME, "n": 400_000})
            day += timedelta(days=1)
        return found


def is_session_day(day: date) -> bool:
    """Weekdays; the days that are played have no holiday among them but Thanksgiving."""
    return day.weekday() < 5 and (day.month, day.day) not in ((11, 26), (12, 25), (1, 1))


def session_ns(day: date) -> tuple[int, int]:
    return to_ns(datetime.combine(day, OPENS, EASTERN)), to_ns(datetime.combine(day, CLOSES, EASTERN))


def to_ns(moment: datetime) -> int:
    return int((moment - EPOCH) / timedelta(microseconds=1)) * 1_000
