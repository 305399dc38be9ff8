"""Whether the daemon mends itself as often as it may, no oftener, and a stream that owes news is made anew in time.

Judges the limits of self-healing (each kind of action counted over all lives; then HALTED, and a person) and that an
order's progress which REST showed and `trade_updates` did not tell cycles that socket (faults C1, C2, D1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal

from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.effects import AllowHealing, CycleStream, Effect, Remember
from quant_trading_system.core.events import (
    AnyEvent,
    BrokerSnapshot,
    LookupAnswered,
    OrderAnswered,
    OrderUpdated,
    Restored,
    StreamDown,
    StreamUp,
)
from quant_trading_system.core.records import AlertRecord, AuditRecord
from quant_trading_system.core.types import Stream
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import SECOND_NS, Notes
from tests.simulation.checkers.seam import PREFIX
from tests.simulation.limits import HEALING

DAY_NS = 86_400 * SECOND_NS
SOCKET, STORE, TASK = "socket_cycle", "store_reopening", "task_restart"
LIMITS = {SOCKET: "socket_cycles", STORE: "store_reopenings", TASK: "task_restarts"}
EXHAUSTED = "healing_exhausted"


class Healing(Judge):
    """Counts what was allowed: in the rows of the audit, and in this life."""

    watches = (Restored,)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._limits = HEALING[bool(notes.world.plan.switches.get("tight"))]
        self._used: Counter[str] = Counter()
        self._allowed: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()

    def on_start(self) -> None:
        """A budget outlives its process; what is under way does not."""
        self._allowed.clear()
        self._ended.clear()

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        if not effects:
            self._read_used(event)

    def _read_used(self, event: AnyEvent) -> None:
        """Only what was written down survives a process; a renewal is the mark behind which nothing counts."""
        self._used.clear()
        for row in self.world.committed("audit").values():
            if row["actor"] != "healing":
                continue
            if row["action"] == "budget":
                self._used.clear()
            elif row["outcome"] in ("done", "failed") and row["seen_ns"] > event.seen_ns - DAY_NS:
                self._used[row["action"]] += 1

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        if type(event) is Restored:  # its effects allow what was asked for before
            self._read_used(event)
        for effect in effects:
            if type(effect) is CycleStream:
                self._use(SOCKET)
            elif type(effect) is AllowHealing and effect.is_allowed:
                self._use(effect.action.value)
            elif type(effect) is AllowHealing:
                self._judge_refusal(effect)
            elif type(effect) is Remember and type(effect.record) is AuditRecord and effect.record.actor == "healing":
                self._note(effect.record)

    def _note(self, record: AuditRecord) -> None:
        """A renewal; or what came of an action, which must have been allowed before."""
        if record.action == "budget":
            self._used.clear()
        elif record.outcome in ("done", "failed"):
            self._ended[record.action] += 1
            if self._ended[record.action] > self._allowed[record.action]:
                text = f"{record.action} of {record.details.get('target')} {record.outcome}, and nobody allowed it"
                self.notes.fail("healing", f"{record.action} {self.world.incarnation} unasked", text)

    def _use(self, action: str) -> None:
        self._used[action] += 1
        self._allowed[action] += 1
        limit = self._limits[LIMITS[action]]
        if self._used[action] > limit:
            text = f"{self._used[action]} actions of kind {action} in a day, limit {limit}"
            self.notes.fail("healing", f"{action} {self.world.incarnation}", text)

    def _judge_refusal(self, refused: AllowHealing) -> None:
        engine = self.world.engine
        if engine is not None and not any(cause.cause == EXHAUSTED for cause in engine._desk.guards.causes()):
            text = f"{refused.action} is refused, and nothing waits for a person"
            self.notes.fail("healing", f"state {self.world.incarnation}", text)


OWED_S = 8.0
"""Five seconds to report, and what a step of the timer costs."""
AGAIN_S = 70.0
"""A stream that goes on losing frames is made anew once a minute."""
FINAL = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})

_Progress = tuple[Decimal, bool]


class Telling(Judge):
    """Keeps what REST showed of our orders and the stream has not told since."""

    watches = (OrderUpdated, OrderAnswered, LookupAnswered, BrokerSnapshot, StreamUp, StreamDown)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._told: dict[str, _Progress] = {}
        self._owed: dict[str, tuple[_Progress, int, str]] = {}
        self._up_ns: int | None = None
        self._is_baselined = False
        self._acted_ns: int | None = None

    def on_start(self) -> None:
        self._told.clear()
        self._begin(None)
        self._acted_ns = None

    def _begin(self, up_ns: int | None) -> None:
        """What REST showed before a connection is never told again by it."""
        for order_id, (shown, _, _) in self._owed.items():
            self._take_as_told(order_id, *shown)
        self._owed.clear()
        self._up_ns, self._is_baselined = up_ns, False

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        match event:
            case StreamUp() | StreamDown() if event.stream is Stream.TRADE_UPDATES:
                self._begin(event.mono_ns if isinstance(event, StreamUp) else None)
            case OrderUpdated():
                self._hear(event.order, event.word)
            case OrderAnswered() | LookupAnswered() if event.order is not None:
                if self._is_baselined:
                    self._see([event.order])
                else:
                    self._take_as_told(
                        event.order.broker_order_id, event.order.filled_quantity, event.order.status in FINAL
                    )
            case BrokerSnapshot():
                orders = (*event.open_orders, *event.closed_orders)
                is_of_now = self._up_ns is not None and event.started_mono_ns >= self._up_ns
                if is_of_now and self._is_baselined:
                    self._see(orders)
                    return
                self._is_baselined = self._is_baselined or is_of_now
                for order in orders:  # what the gap swallowed is never told again
                    self._take_as_told(order.broker_order_id, order.filled_quantity, order.status in FINAL)

    def _take_as_told(self, broker_order_id: str, shown: Decimal, is_over: bool) -> _Progress:
        filled, is_final = self._told.get(broker_order_id, (Decimal(0), False))
        told = self._told[broker_order_id] = (max(filled, shown), is_final or is_over)
        return told

    def _hear(self, order: BrokerOrder, word: str) -> None:
        is_over = order.status in FINAL or word in FINAL
        told = self._take_as_told(order.broker_order_id, order.filled_quantity, is_over)
        owed = self._owed.get(order.broker_order_id)
        if owed is not None and _covers(told, owed[0]):
            del self._owed[order.broker_order_id]

    def _see(self, orders: Iterable[BrokerOrder]) -> None:
        if not self._is_baselined:
            return
        for order in orders:
            if not order.client_order_id.startswith(PREFIX) or not self._is_ours(order):
                continue
            shown = (order.filled_quantity, order.status in FINAL)
            told = self._told.get(order.broker_order_id)
            if told is None or not _covers(told, shown):
                self._owed.setdefault(order.broker_order_id, (shown, self.world.mono_ns, order.client_order_id))

    def _is_ours(self, order: BrokerOrder) -> bool:
        engine = self.world.engine
        known = None if engine is None else engine._desk.orders.get(order.client_order_id)
        return known is not None and not known.is_external and order.status != "held"

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        is_said = any(
            type(effect) is Remember and type(effect.record) is AlertRecord and effect.record.code == "stream_starved"
            for effect in effects
        )
        if is_said or any(type(effect) is CycleStream for effect in effects):
            self._acted_ns = self.world.mono_ns
            if not any(type(effect) is CycleStream for effect in effects) and not self._may_be_refused():
                self.notes.fail("stream", f"cycle {self.world.incarnation}", "a starved stream is told of, not cycled")

    def _may_be_refused(self) -> bool:
        """The budget is gone, or the stream is being made anew already."""
        engine = self.world.engine
        assert engine is not None, "its step is judged"
        is_exhausted = any(cause.cause == EXHAUSTED for cause in engine._desk.guards.causes())
        return is_exhausted or Stream.TRADE_UPDATES in engine._healing._cycling

    def on_second(self) -> None:
        now_ns = self.world.mono_ns
        if self._up_ns is None or (self._acted_ns is not None and now_ns - self._acted_ns < AGAIN_S * SECOND_NS):
            return
        for shown, since_ns, client_order_id in self._owed.values():
            if now_ns - since_ns > OWED_S * SECOND_NS:
                text = (
                    f"REST shows {client_order_id} with {shown[0]} filled for {OWED_S:.0f} s, the stream does not tell"
                )
                self.notes.fail("stream", f"{client_order_id} {self.world.incarnation}", text)


def _covers(told: _Progress, shown: _Progress) -> bool:
    return told[0] >= shown[0] and (told[1] or not shown[1])
