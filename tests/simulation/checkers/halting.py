"""What stopping everything does: a touched file engages, all that was open ends, stops stay, a reset is no pause.

Judges I9 and P34 (controls E9, E10) by the exchange's orders and the files of the daemon's machine.
"""

from __future__ import annotations

from collections.abc import Sequence

from quant_trading_system.core.effects import CancelEverything, ClearLatch, Effect, EngageLatch
from quant_trading_system.core.events import AnyEvent
from quant_trading_system.core.types import BrokerOrderId
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import SECOND_NS, Notes
from tests.simulation.checkers.seam import Tap

KILL_FILE, LATCH_FILE, ENGAGED = "/state/KILL", "/state/kill.latch", b'"latch":"ENGAGED"'
CANNOT_WRITE = ("disk_full", "latch_torn")
KILLS = ("kill", "kill_then_crash", "latch_torn")
STOP_TYPES = ("stop", "stop_limit")
BENDING = ("read_stale", "read_empty", "read_partial")
TOUCHED_S = 15.0
"""A touched file is looked for every five seconds here, but not while copies are read."""
CANCELLED_S = 30.0
"""Rounds of cancelling are eight seconds apart at most."""
STANDING_S = 6.0
"""So long before a cancel's bytes leave a stop must be known to stand: a cancel may wait for its turn."""


class Halting(Judge):
    """Looks at what a halt left at the broker."""

    invariants = ("I9",)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._touched_ns: int | None = None
        self._reset_ns: int | None = None
        self._to_cancel: set[str] = set()
        """What was open when everything was to be cancelled last; stops stay."""
        self._asked_ns: int | None = None
        self._has_one_kill = sum(fault.kind in KILLS for fault in notes.world.plan.faults) == 1

    def on_start(self) -> None:
        """Who halts anew asks anew; a cancel-all of a person ends with its process."""
        self._touched_ns = self._reset_ns = self._asked_ns = None
        self._to_cancel.clear()

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if type(effect) is CancelEverything:
                self._asked_ns = self.world.mono_ns
                if not self._is_list_bent:
                    self._to_cancel |= {each.id for each in self.truth.open_orders() if each.type not in STOP_TYPES}
            elif type(effect) is ClearLatch:
                self._reset_ns = self.world.mono_ns
            elif type(effect) is EngageLatch and self._is_reset_over:
                text = "reset by a person, and engaged again by nobody"
                self.notes.fail("I9", f"again {self.world.incarnation}", text)

    @property
    def _is_list_bent(self) -> bool:
        """Whether the broker may list too little while it is asked what is open, round by round: what it does not list
        nobody cancels beside stops that stay, and the reconciler tells of it later."""
        now_s = self.world.elapsed_s
        faults = [fault for fault in self.world.plan.faults if fault.kind in BENDING]
        return any(fault.at_s < now_s + CANCELLED_S and fault.ends_s > now_s for fault in faults)

    @property
    def _is_reset_over(self) -> bool:
        """Whether the one kill that the plan holds was reset in this life, and not in this moment."""
        reset_ns = self._reset_ns
        return reset_ns is not None and self._has_one_kill and self.world.mono_ns - reset_ns > SECOND_NS

    def on_second(self) -> None:
        engine, now_ns = self.world.engine, self.world.mono_ns
        is_engaged = ENGAGED in (self.world.file(LATCH_FILE) or b"")
        is_touched = self.world.file(KILL_FILE) is not None and not is_engaged
        if engine is None or not engine._desk.is_trading or not is_touched:
            self._touched_ns = None
            return
        self._touched_ns = self._touched_ns or now_ns
        if now_ns - self._touched_ns > TOUCHED_S * SECOND_NS and not self.notes.has_planned(*CANNOT_WRITE):
            self.notes.fail("I9", f"touched {self.world.incarnation}", "the file KILL was touched, and nothing engages")

    def on_request(self, tap: Tap) -> None:
        """It ends what adds risk, not what limits it: the cancel of all at once is no way while a stop stands."""
        engine = self.world.engine
        if tap.method != "DELETE" or tap.path != "/v2/orders" or tap.incarnation != self.world.incarnation:
            return
        if engine is None:
            return
        known_ns = tap.sent_mono_ns - int(STANDING_S * SECOND_NS)
        for order in self.truth.open_orders():
            known = engine._desk.orders.by_broker_id(BrokerOrderId(order.id))
            if known is None or not known.is_protection or order.status == "held" or known.is_dormant:
                continue
            if known.status.name == "WORKING" and known.status_mono_ns < known_ns:
                text = f"with all other orders the stop {order.client_order_id} is cancelled"
                self.notes.fail("P34", f"all {order.client_order_id}", text)

    def at_end(self) -> None:
        """What was open is cancelled, however often the broker failed meanwhile."""
        engine = self.world.engine
        if self._asked_ns is None or engine is None or not engine._desk.is_trading:
            return
        if self.notes.waits_for_a_person:  # who does not lead cancels nothing, and it is said
            return
        if self.world.mono_ns - self._asked_ns < CANCELLED_S * SECOND_NS:
            return
        left = [each.client_order_id for each in self.truth.open_orders() if each.id in self._to_cancel]
        if left:
            self.notes.fail("I9", "left open", f"all was to be cancelled, and at the end {', '.join(left)} are open")
