"""Whether the kill switch, once engaged, stays so until a person resets it: on the platter, over deaths, by any way.

Judges I9 by the durable copies themselves, whatever the engine was told of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from quant_trading_system.core.effects import ClearLatch, Effect, EngageLatch
from quant_trading_system.core.events import AnyEvent, BrokerSnapshot
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import SECOND_NS, Notes

LATCH_FILE = "/state/kill.latch"
ENGAGED, CLEAR = b'"latch":"ENGAGED"', b'"latch":"CLEAR"'
WRITTEN_NS = SECOND_NS // 20
"""The file is written in the step that hears of the wish; a process that dies sooner may not have got there."""
CANNOT_WRITE = ("disk_full", "latch_torn")
FRESH_S = 45.0


class Killing(Judge):
    """Looks at the latch file at every second and start."""

    invariants = ("I9",)
    watches = (BrokerSnapshot,)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._asked_ns: int | None = None
        self._was_engaged = False
        self._is_reset = False
        self._is_coming = False
        """An engagement was asked for, and the file has not been seen to say so yet."""
        self._seen_ns = 0
        self._open_gaps = ""
        """Of the last pass that was taken: shares that it showed and our books did not say afterwards."""

    def on_start(self) -> None:
        """What was asked of the last life holds in this one."""
        self._look()
        self._is_coming = False
        self._open_gaps = ""
        if self._asked_ns is not None and not self._is_engaged() and not self.notes.has_planned(*CANNOT_WRITE):
            self.notes.fail("I9", f"start {self.world.incarnation}", "killed, and the next life finds no copy of it")

    def on_crash(self) -> None:
        """Who dies in the step in which he is asked may not have written it."""
        if self._asked_ns is not None and self._seen_ns - self._asked_ns <= WRITTEN_NS:
            self._asked_ns = None

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        assert isinstance(event, BrokerSnapshot), "the only event watched"
        engine = self.world.engine
        if engine is None or self.notes.hearing.good_pass_ns != event.started_mono_ns:
            return
        ours = dict(engine._desk.ledger.positions())
        shown = {position.symbol: position.quantity for position in event.positions}
        self._open_gaps = ", ".join(sorted(each for each in {*ours, *shown} if ours.get(each, 0) != shown.get(each, 0)))

    def on_second(self) -> None:
        self._seen_ns = self.world.mono_ns
        self._look()

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        self._seen_ns = self.world.mono_ns
        for effect in effects:
            if type(effect) is EngageLatch:
                self._look()  # a reset that was carried out since the last look is none of this engagement
                self._asked_ns, self._is_reset = self._asked_ns or self.world.mono_ns, False
                self._is_coming = True
            elif type(effect) is ClearLatch:
                self._asked_ns, self._is_reset = None, True
                self._judge_reset(event.mono_ns)

    def _judge_reset(self, asked_ns: int) -> None:
        """A person may reset only who has compared the books lately, and knows the fate of every order."""
        pass_ns = self.notes.hearing.good_pass_ns
        doubtful = [story.client_order_id for story in self.notes.stories.values() if story.status == "UNKNOWN"]
        if pass_ns is None or asked_ns - pass_ns > FRESH_S * SECOND_NS or doubtful or self._open_gaps:
            open_ = ", ".join((*doubtful, self._open_gaps))
            text = f"reset with a good pass at {pass_ns}, in doubt: {open_ or 'nothing'}"
            self.notes.fail("I9", f"reset {self.world.incarnation}", text)

    def _look(self) -> None:
        """The file says CLEAR again only after a reset."""
        raw = self.world.file(LATCH_FILE) or b""
        if self._was_engaged and CLEAR in raw and not self._is_reset:
            self.notes.fail("I9", f"file {self.world.incarnation}", "the latch file became CLEAR, and nobody reset it")
        if ENGAGED in raw:
            # A reset is carried out copy by copy, and may be asked for before the engagement reached the file.
            self._is_reset = self._is_reset and (self._was_engaged or self._is_coming)
            self._was_engaged, self._is_coming = True, False
        elif CLEAR in raw:
            self._was_engaged = False

    def _is_engaged(self) -> bool:
        rows = self.world.committed("kill").values()
        return ENGAGED in (self.world.file(LATCH_FILE) or b"") or any(row["latch"] == "ENGAGED" for row in rows)
