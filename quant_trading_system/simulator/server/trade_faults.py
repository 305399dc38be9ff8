"""Decides what faults make of order events on trade_updates: lost, late, repeated, in a heap, with strange contents."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from quant_trading_system.simulator.events import OrderEvent
from quant_trading_system.simulator.orders import FINAL_STATUSES
from quant_trading_system.simulator.server.event_log import Json, WriteEvent
from quant_trading_system.simulator.server.fault_bodies import spoil_object
from quant_trading_system.simulator.server.fault_kinds import FRAME_KINDS, JSON_KINDS, TRADE_FRAME_KINDS
from quant_trading_system.simulator.server.faults import TRADE_UPDATES, FaultPlan, FaultRule, Firing, Kind
from quant_trading_system.simulator.server.socket_faults import FrameFaults

ORDERS_REMEMBERED_MAX = 1_000  # whose frames a replay may want; the oldest are forgotten
FRAMES_REMEMBERED_MAX = 100  # of one order
UNKNOWN_EVENT = "order_reviewed"
UNKNOWN_KEYS = {"venue_note": "unannounced", "revision": 7}
REPEATED_EVENTS = frozenset({"new", "fill", "partial_fill"})
_CONTENT_KINDS = frozenset({Kind.UNKNOWN_KEYS, Kind.NULL_EXECUTION_ID, Kind.NO_TIMESTAMP})
_TRADE_KINDS = TRADE_FRAME_KINDS - FRAME_KINDS - _CONTENT_KINDS


class TradeFrame:
    """One order event on its way out; written when the first client gets it, then kept for the others."""

    __slots__ = ("_data", "_encoded", "_name", "_rules", "_write", "event", "published_ns")

    def __init__(self, event: OrderEvent, published_ns: int, write: WriteEvent) -> None:
        self.event = event
        self.published_ns = published_ns
        self._write = write
        self._rules: tuple[FaultRule, ...] = ()
        self._name: str | None = None
        self._data: Json | None = None
        self._encoded: dict[Callable[[object], str | bytes], str | bytes | None] = {}

    def encoded(self, write: Callable[[object], str | bytes]) -> str | bytes | None:
        """The frame in a client's encoding, None where the profile knows no such event."""
        if write not in self._encoded:
            data = self.data()
            self._encoded[write] = None if data is None else write({"stream": "trade_updates", "data": data})
        return self._encoded[write]

    def data(self) -> Json | None:
        data = self._write(self.event, self.published_ns)
        if data is None:
            return None
        if self._name is not None:
            data["event"] = self._name
        return spoilt(data, self._rules)

    def altered(self, *, rules: tuple[FaultRule, ...] = (), name: str | None = None) -> TradeFrame:
        """A copy with other contents."""
        frame = TradeFrame(self.event, self.published_ns, self._write)
        frame._rules, frame._name = rules, name
        return frame


def spoilt(data: Json, rules: tuple[FaultRule, ...]) -> Json:
    """The data of a frame after faults of its contents."""
    body_rules = [rule for rule in rules if rule.kind in JSON_KINDS]
    for rule in rules:
        if rule.kind is Kind.UNKNOWN_KEYS:
            order = data["order"]
            assert isinstance(order, Mapping), f"expected an order, found {order!r}"
            data = {**data, "order": {**order, **UNKNOWN_KEYS}, **UNKNOWN_KEYS}
        elif rule.kind is Kind.NULL_EXECUTION_ID:
            data = {**data, "execution_id": None}
        elif rule.kind is Kind.NO_TIMESTAMP:
            data = {name: value for name, value in data.items() if name != "timestamp"}
    return spoil_object(data, body_rules) if body_rules else data


class TradeFaults:
    """Applies the plan to the frames of trade_updates."""

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._frames: FrameFaults[TradeFrame] = FrameFaults(plan, TRADE_UPDATES)
        self._told: OrderedDict[str, list[TradeFrame]] = OrderedDict()
        self._burst: list[TradeFrame] = []
        self._burst_due_s = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether every frame simply leaves."""
        return self._frames.is_idle and not self._burst

    def frames_for(self, frame: TradeFrame) -> list[TradeFrame]:
        """What leaves now for this frame, in order: usually just the frame."""
        if self.is_idle:
            self._told.clear()
            return [frame]
        name = frame.event.event
        fired = self._plan.fire_all(TRADE_UPDATES, _TRADE_KINDS, event=name)
        if Kind.MUTE_LEGS in fired and frame.event.order.parent_id is not None:
            return []
        contents = self._plan.fire_each(TRADE_UPDATES, JSON_KINDS | _CONTENT_KINDS, event=name)
        if contents:
            frame = frame.altered(rules=tuple(firing.rule for firing in contents))
        leaving = list(self._frames.frames_for(frame, event=name))
        if Kind.UNKNOWN_EVENT in fired:
            leaving.append(frame.altered(name=UNKNOWN_EVENT))
        leaving += self._repeated(frame, fired.get(Kind.REPLAY_FILLS))
        return self._held_back(leaving, fired.get(Kind.BURST))

    def due(self) -> tuple[list[TradeFrame], bool]:
        """Frames whose time has come, and whether they leave together."""
        if self._burst and time.monotonic() >= self._burst_due_s:
            burst, self._burst = self._burst, []
            return burst, True
        return self._frames.due(), False

    def _repeated(self, frame: TradeFrame, firing: Firing | None) -> list[TradeFrame]:
        """Behind the last event of an order, its acknowledgement and fills once more, as often as the rule says."""
        if not self._plan.has(Kind.REPLAY_FILLS):
            return []
        order = frame.event.order
        told = self._told.setdefault(order.id, [])
        if frame.event.event in REPEATED_EVENTS and len(told) < FRAMES_REMEMBERED_MAX:
            told.append(frame)
        if len(self._told) > ORDERS_REMEMBERED_MAX:
            self._told.popitem(last=False)
        if order.status not in FINAL_STATUSES:
            return []
        del self._told[order.id]
        return told * firing.rule.times if firing else []

    def _held_back(self, leaving: list[TradeFrame], firing: Firing | None) -> list[TradeFrame]:
        if not self._burst and firing is None:
            return leaving
        if not self._burst and firing is not None:
            self._burst_due_s = time.monotonic() + firing.rule.latency_ms / 1_000
        self._burst += leaving
        return []
