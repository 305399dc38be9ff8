"""Price bands of the limit-up-limit-down plan. Decides them by its appendix A; halts nothing.

The reference price is the mean of the last five minutes' prices and moves when they have left it by a hundredth; the
bands lie a share of it away, by tier and by the close of the day before. Near the close they are twice as wide: for
tier 1 and for prices up to 3 USD, and until Amendment 18 (in force from 2020-02-24) for all and after the open too.
Source: luldplan.com, the plan as amended, read 2026-11.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import date
from typing import Final

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator.assets import PROFILES
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.chance import asset_id
from quant_trading_system.simulator.events import SimLuld

REFERENCE_MINUTES: Final = 5
REFERENCE_MOVE: Final = 0.01
DOUBLED_BEFORE_CLOSE_NS = 25 * NANOS_PER_MINUTE
DOUBLED_AFTER_OPEN_NS = 15 * NANOS_PER_MINUTE
BEGINNING = date(2013, 4, 8)  # before it there were no bands
AMENDMENT_18 = date(2020, 2, 24)
OPENING_UPDATE, INTRADAY_UPDATE = "A", "B"  # indicators of the price band message

_TIER_SHARES = {1: 0.05, 2: 0.10}  # above 3 USD
_MIDDLE_SHARE = 0.20  # from 0.75 to 3 USD
_LOW_SHARE, _LOW_USD = 0.75, 0.15  # below 0.75 USD, whichever is less
_MIDDLE_USD, _LOWEST_USD = 3.0, 0.75
_TIER_1_OF_HEX_DIGITS = 9  # of 16: so many of the companies that nobody knows


def tier_of(symbol: str) -> int:
    """1 for the S&P 500, the Russell 1000 and large funds; of unknown symbols somewhat more than half."""
    return 1 if symbol in PROFILES or int(asset_id(symbol)[0], 16) < _TIER_1_OF_HEX_DIGITS else 2


def is_doubled(stamp_ns: int, session: Session, *, tier: int, previous_close: float) -> bool:
    """Whether the bands are twice as wide at an instant of a session."""
    before_amendment = session.day < AMENDMENT_18
    if before_amendment and stamp_ns < session.open_ns + DOUBLED_AFTER_OPEN_NS:
        return True
    near_close = stamp_ns >= session.close_ns - DOUBLED_BEFORE_CLOSE_NS
    return near_close and (before_amendment or tier == 1 or previous_close <= _MIDDLE_USD)


def bands(reference: float, *, tier: int, previous_close: float, doubled: bool) -> tuple[float, float]:
    """The upper and the lower band, USD."""
    if previous_close > _MIDDLE_USD:
        away = reference * _TIER_SHARES[tier]
    elif previous_close >= _LOWEST_USD:
        away = reference * _MIDDLE_SHARE
    else:
        away = min(reference * _LOW_SHARE, _LOW_USD)
    away *= 2 if doubled else 1
    return round(reference + away, 2), max(0.01, round(reference - away, 2))


class BandKeeper:
    """The bands of one symbol through one session."""

    def __init__(self, symbol: str, session: Session, *, previous_close: float) -> None:
        self._symbol = symbol
        self._session = session
        self._previous_close = previous_close
        self._tier = tier_of(symbol)
        self._reference: float | None = None
        self._doubled = False
        self._recent: deque[float] = deque(maxlen=REFERENCE_MINUTES)

    def open(self, price: float, stamp_ns: int) -> SimLuld | None:
        """The first bands of the session, around the opening price; None before the plan began."""
        if self._session.day < BEGINNING:
            return None
        self._reference = price
        return self._say(stamp_ns, OPENING_UPDATE)

    def minute(self, price: float, end_ns: int) -> SimLuld | None:
        """A minute has ended whose trades averaged to a price; the new bands where they moved."""
        if self._reference is None or end_ns >= self._session.close_ns:
            return None
        self._recent.append(price)
        mean = sum(self._recent) / len(self._recent)
        moved = abs(mean - self._reference) >= REFERENCE_MOVE * self._reference
        if moved:
            self._reference = mean
        doubled = is_doubled(end_ns, self._session, tier=self._tier, previous_close=self._previous_close)
        return self._say(end_ns, INTRADAY_UPDATE) if moved or doubled != self._doubled else None

    def _say(self, stamp_ns: int, indicator: str) -> SimLuld:
        assert self._reference is not None, f"{self._symbol}: expected a reference price"
        self._doubled = is_doubled(stamp_ns, self._session, tier=self._tier, previous_close=self._previous_close)
        up, down = bands(self._reference, tier=self._tier, previous_close=self._previous_close, doubled=self._doubled)
        return SimLuld(self._symbol, up, down, indicator, stamp_ns)


def bands_of_session(
    symbol: str, session: Session, prices: Sequence[float], *, opening: float, previous_close: float
) -> list[SimLuld]:
    """All band messages of a session of which every minute's mean price is known: what a keeper would say.

    A mean moves by less than its prices do: where none of them strays from the first, the reference stays.
    """
    keeper = BandKeeper(symbol, session, previous_close=previous_close)
    first = keeper.open(opening, session.open_ns)
    if first is None:
        return []
    said = [first]
    strays = max(max(prices) - opening, opening - min(prices)) >= REFERENCE_MOVE * opening
    doubles = (session.close_ns - DOUBLED_BEFORE_CLOSE_NS - session.open_ns) // NANOS_PER_MINUTE
    early = DOUBLED_AFTER_OPEN_NS // NANOS_PER_MINUTE if session.day < AMENDMENT_18 else doubles
    minutes = range(1, len(prices) + 1) if strays else sorted({early, doubles})
    for minute in minutes:
        message = keeper.minute(prices[minute - 1], session.open_ns + minute * NANOS_PER_MINUTE)
        if message is not None:
            said.append(message)
    return said
