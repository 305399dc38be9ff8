"""What losses are measured from: the day's start, the high-water mark, the session's high, the first equity recorded.

Decides which equity readings count. One absurd reading moves no mark; a second one that agrees with it is believed.
"""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.events import RestoredGuards
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.types import NANOS_PER_SECOND, MonoNanos

JUMP_FRACTION_MAX = Decimal("0.20")
"""A book without leverage, of at most a quarter of the equity a name, does not move this far in a second."""
CONFIRMATION_SECONDS_MIN = 1.0
DOUBTFUL_READINGS_MAX = 5
"""Then the latest is believed: doubt must not blind the guards (I19)."""
STALE_BASE_SECONDS_MAX = 60.0
"""The broker's account is read every 15 s: for so long after the open `last_equity` may still be yesterday's."""
FLOOR_FRACTION = Decimal("0.5")


class Baselines:
    """The marks and the last believed equity, all in USD; ratios are of the mark, 0 where there is no loss."""

    def __init__(self) -> None:
        self.session_date = ""
        self.equity_usd: Decimal | None = None
        self.day_start_equity_usd: Decimal | None = None
        self.high_water_mark_usd: Decimal | None = None
        self.session_high_usd: Decimal | None = None
        self.first_equity_usd: Decimal | None = None
        self._base_usd: Decimal | None = None
        """The broker's last equity that the day is measured from, once it named one."""
        self._stale_base_usd: Decimal | None = None
        self._rolled_mono_ns: int | None = None
        self._roll_equity_usd: Decimal | None = None
        self._doubtful: tuple[Decimal, int] | None = None
        self._doubtful_readings = 0

    def restore(self, saved: RestoredGuards) -> None:
        self.session_date = saved.session_date
        self.day_start_equity_usd = saved.day_start_equity_usd
        self.high_water_mark_usd = saved.high_water_mark_usd
        self.session_high_usd = saved.session_high_usd
        self.first_equity_usd = saved.first_equity_usd

    def begin_session(self, session_date: str, equity_usd: Decimal) -> bool:
        """Start a new day's marks. A date that is not later changes nothing: a restart or a clock cannot reset them."""
        if session_date <= self.session_date:
            return False
        self.session_date = session_date
        self.session_high_usd = equity_usd
        self._stale_base_usd = self.day_start_equity_usd if self._base_usd is None else self._base_usd
        self.day_start_equity_usd = equity_usd
        self._base_usd = None
        self._roll_equity_usd = equity_usd
        self._rolled_mono_ns = None
        return True

    def take(
        self,
        *,
        equity_usd: Decimal,
        last_equity_usd: Decimal,
        flows_usd: Decimal,
        mono_ns: MonoNanos,
        is_day_over: bool = False,
    ) -> bool:
        """Take one reading. Returns whether it is believed. Once the day is over `last_equity_usd` may be of its own
        close: then the day's start stays what it was."""
        if not (equity_usd.is_finite() and last_equity_usd.is_finite() and last_equity_usd > ZERO):
            return False
        if not self._is_believable(equity_usd, self.equity_usd or last_equity_usd, mono_ns):
            return False
        self.equity_usd = equity_usd
        if not is_day_over or self.day_start_equity_usd is None:
            self.day_start_equity_usd = self._day_start(last_equity_usd, flows_usd, mono_ns)
        if self.first_equity_usd is None:
            self.first_equity_usd = equity_usd
        self.high_water_mark_usd = max(self.high_water_mark_usd or equity_usd, equity_usd)
        self.session_high_usd = max(self.session_high_usd or equity_usd, equity_usd)
        return True

    def on_flow(self, amount_usd: Decimal) -> None:
        """A deposit or withdrawal is neither gain nor loss: the marks move with it."""
        self.equity_usd = _moved(self.equity_usd, amount_usd)
        self.day_start_equity_usd = _moved(self.day_start_equity_usd, amount_usd)
        self.high_water_mark_usd = _moved(self.high_water_mark_usd, amount_usd)
        self.session_high_usd = _moved(self.session_high_usd, amount_usd)
        self._roll_equity_usd = _moved(self._roll_equity_usd, amount_usd)

    def move_drawdown_marks(self) -> None:
        """Measure drawdowns from here on: the audited act of a person."""
        self.high_water_mark_usd = self.equity_usd
        self.session_high_usd = self.equity_usd

    @property
    def day_pnl_usd(self) -> Decimal | None:
        if self.equity_usd is None or self.day_start_equity_usd is None:
            return None
        return self.equity_usd - self.day_start_equity_usd

    @property
    def day_loss_ratio(self) -> Decimal | None:
        return self._loss_from(self.day_start_equity_usd)

    @property
    def drawdown_ratio(self) -> Decimal | None:
        return self._loss_from(self.high_water_mark_usd)

    @property
    def intraday_drawdown_ratio(self) -> Decimal | None:
        return self._loss_from(self.session_high_usd)

    @property
    def default_floor_usd(self) -> Decimal | None:
        return None if self.first_equity_usd is None else self.first_equity_usd * FLOOR_FRACTION

    def _loss_from(self, mark_usd: Decimal | None) -> Decimal | None:
        if self.equity_usd is None or mark_usd is None or mark_usd <= ZERO:
            return None
        if self.equity_usd > mark_usd:
            return ZERO
        return (mark_usd - self.equity_usd) / mark_usd

    def _is_believable(self, equity_usd: Decimal, expected_usd: Decimal, mono_ns: int) -> bool:
        if _is_near(equity_usd, expected_usd):
            self._doubtful, self._doubtful_readings = None, 0
            return True
        self._doubtful_readings += 1
        if self._doubtful_readings > DOUBTFUL_READINGS_MAX:
            self._doubtful, self._doubtful_readings = None, 0
            return True
        if self._doubtful is None or not _is_near(equity_usd, self._doubtful[0]):
            self._doubtful = (equity_usd, mono_ns)
            return False
        if mono_ns - self._doubtful[1] < CONFIRMATION_SECONDS_MIN * NANOS_PER_SECOND:
            return False
        self._doubtful, self._doubtful_readings = None, 0
        return True

    def _day_start(self, last_equity_usd: Decimal, flows_usd: Decimal, mono_ns: int) -> Decimal:
        """The broker's equity at the last close, and what flowed since; after a roll ours, until its word is new.

        A base that changes within the day is of a night of which our clock knows nothing yet, as after a sleep.
        """
        if self._roll_equity_usd is not None:
            if self._rolled_mono_ns is None:
                self._rolled_mono_ns = mono_ns
            is_old = mono_ns - self._rolled_mono_ns > STALE_BASE_SECONDS_MAX * NANOS_PER_SECOND
            if last_equity_usd == self._stale_base_usd and not is_old:
                return self._roll_equity_usd
            self._roll_equity_usd = None
        start_usd, usual = self.day_start_equity_usd, (None, self._stale_base_usd, last_equity_usd)
        if start_usd is not None and self._base_usd not in usual:
            return start_usd
        self._base_usd = last_equity_usd
        return last_equity_usd + flows_usd


def _moved(mark_usd: Decimal | None, amount_usd: Decimal) -> Decimal | None:
    return None if mark_usd is None else mark_usd + amount_usd


def _is_near(equity_usd: Decimal, other_usd: Decimal) -> bool:
    return abs(equity_usd - other_usd) <= JUMP_FRACTION_MAX * abs(other_usd)
