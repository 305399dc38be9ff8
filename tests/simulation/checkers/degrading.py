"""Whether the trading state says what is missing: news of the broker, of the market, the database, a pass in time.

Judges I10, I17 and I22 by the state itself, whatever a control besides it would refuse (faults C2, D1, F5, G1).
"""

from __future__ import annotations

from collections.abc import Sequence

from quant_trading_system.core.effects import Effect
from quant_trading_system.core.events import AnyEvent, StreamUp
from quant_trading_system.core.types import Stream, TradingState
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import SECOND_NS, Notes

PASS_S = 45.0 + 2.5
"""The limit (I17), the second of the timer, and what a slow step costs."""
FEED_S = 15.0 + 5.0 + 5.0
"""The limit of silence, the five seconds in which it is found out (I22), and a step of the timer that comes late."""
STOOD_STILL_NS = 3 * SECOND_NS
DATABASE_S = 14.0
"""A probe every ten seconds here, and a step of the timer that comes late."""


class Degrading(Judge):
    """Looks every second while the state says that exposure may grow."""

    invariants = ("I10", "I17", "I22")
    watches = (StreamUp,)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._down_ns: int | None = None
        self._feed_since_ns = self._seen_ns = 0

    def on_start(self) -> None:
        self._down_ns = None
        self._feed_since_ns = self.world.mono_ns

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        assert isinstance(event, StreamUp), "the only event watched"
        if event.stream is Stream.MARKET_DATA:
            self._feed_since_ns = event.mono_ns

    def on_second(self) -> None:
        engine, now_ns = self.world.engine, self.world.mono_ns
        if now_ns - self._seen_ns > STOOD_STILL_NS:  # a process that stood still heard nothing, and found nothing out
            self._feed_since_ns, self._down_ns = now_ns, None
        self._seen_ns = now_ns
        if self.world.is_database_up:
            self._down_ns = None
        elif self._down_ns is None:
            self._down_ns = now_ns
        if engine is None or not engine._desk.is_trading or engine._desk.guards.state is not TradingState.ACTIVE:
            return
        hearing = self.notes.hearing
        pass_ns, feed_s = hearing.good_pass_ns, (now_ns - max(hearing.feed_ns, self._feed_since_ns)) / SECOND_NS
        if pass_ns is None or (now_ns - pass_ns) / SECOND_NS > PASS_S:
            self._fail("I17", f"and the last good pass began at {pass_ns}, now is {now_ns}")
        if feed_s > FEED_S:
            self._fail("I22", f"and the feed is silent for {feed_s:.1f} s")
        if not hearing.streams[Stream.TRADE_UPDATES]:
            self._fail("I10", "and trade_updates is down")
        if self._down_ns is not None and (now_ns - self._down_ns) / SECOND_NS > DATABASE_S:
            self._fail("I10", f"and the database is down for {(now_ns - self._down_ns) / SECOND_NS:.0f} s")

    def _fail(self, invariant: str, text: str) -> None:
        self.notes.fail(invariant, f"{text[:20]} {self.world.incarnation}", f"the state is ACTIVE, {text}")
