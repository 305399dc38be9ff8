"""Whether who leads knows for how long: the lease's deadline against the committed rows (I25, faults H2, K2)."""

from __future__ import annotations

from collections.abc import Sequence

from quant_trading_system.core.effects import Effect
from quant_trading_system.core.events import AnyEvent, LeaseSeen
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import SECOND_NS

TERM_NS = 10 * SECOND_NS
"""Control P2."""
UNNOTICED_NS = int(5.2 * SECOND_NS)
"""A renewal every three seconds, and two for its answer."""


class Leading(Judge):
    """Looks at what the engine is told of the lease, and every second at what the database says of it."""

    invariants = ("I25",)
    watches = (LeaseSeen,)

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        assert isinstance(event, LeaseSeen), "the only event watched"
        if not event.held:
            return
        beats = [row["beat_at"] for row in self.world.committed("lease_beat").values()]
        newest_ns = max((self.world.mono_ns_of(beat_s) for beat_s in beats), default=event.mono_ns)
        for since, since_ns in (("it was told", event.mono_ns), ("its last sign of life", newest_ns)):
            if event.deadline_mono_ns - since_ns > TERM_NS + 1_000:
                left_s = (event.deadline_mono_ns - since_ns) / SECOND_NS
                text = f"the lease is said to last {left_s:.6f} s from when {since}"
                self.notes.fail("I25", f"term {self.world.incarnation}", text)

    def on_second(self) -> None:
        notes, now_ns = self.notes, self.world.mono_ns
        lease, own = notes.hearing.lease, f"host-{self.world.incarnation}"
        if lease is None or not lease.held or lease.deadline_mono_ns - now_ns < 2 * SECOND_NS:
            return
        newer = [
            epoch for epoch, (seen_ns, holder) in notes.lease_epochs.items()
            if epoch > lease.epoch and holder != own and now_ns - seen_ns > UNNOTICED_NS
        ]  # fmt: skip
        if newer:
            text = f"epoch {max(newer)} was taken, and the holder of {lease.epoch} still believes that it leads"
            notes.fail("I25", f"leads {self.world.incarnation}", text)
