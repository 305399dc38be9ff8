"""Notes what a seed has visited: states, races, drifts, refusals, words. Judges nothing; `reach` asks for the sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from quant_trading_system.core.effects import Effect, Remember
from quant_trading_system.core.events import (
    AnyEvent,
    BrokerSnapshot,
    LookupAnswered,
    OrderAnswered,
    OrderDropped,
    OrderRefused,
    OrderUpdated,
    Restored,
)
from quant_trading_system.core.records import (
    AlertRecord,
    DriftRecord,
    FillRecord,
    OrderRecord,
    ReconciliationRecord,
)
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import Notes

GUARD_CAUSES = ("daily_loss", "drawdown", "intraday", "equity_floor", "kill", "incidents")


class Sights(Judge):
    """Looks at everything, and calls `world.reach`."""

    watches = (OrderAnswered, OrderDropped, OrderRefused, OrderUpdated, LookupAnswered, BrokerSnapshot, Restored)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._status: dict[str, str] = {}
        self._cancel_asked: set[str] = set()
        self._stopped: set[str] = set()  # symbols that had a stop before
        self._inferred: set[tuple[str, str]] = set()
        self._deaths_in_a_row = 0
        self._records: Mapping[type, Callable[[Any], None]] = MappingProxyType(
            {
                OrderRecord: self._on_order,
                FillRecord: self._on_fill,
                DriftRecord: self._on_drift,
                ReconciliationRecord: self._on_pass,
                AlertRecord: self._on_alert,
            }
        )
        self._told: Mapping[type, Callable[[Any], None]] = MappingProxyType(
            {
                OrderAnswered: lambda event: self.world.reach(f"status.{event.order.status}"),
                OrderUpdated: self._on_update,
                OrderRefused: lambda event: self.world.reach(f"refusal.{event.http_status}.{event.code}"),
                OrderDropped: self._on_drop,
                LookupAnswered: self._on_lookup,
                BrokerSnapshot: self._on_snapshot,
                Restored: self._on_restored,
            }
        )

    def on_start(self) -> None:
        self._status.clear()
        self._cancel_asked.clear()

    def on_crash(self) -> None:
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= 5:
            self.world.reach("crash.five_deep")

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if type(effect) is Remember:
                handler = self._records.get(type(effect.record))
                if handler is not None:
                    handler(effect.record)

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        self._told[type(event)](event)

    # records

    def _on_order(self, record: OrderRecord) -> None:
        before, after = self._status.get(record.client_order_id, ""), record.status
        if before == after:
            return
        self._status[record.client_order_id] = after
        if before:
            self.world.reach(f"transition.{before}.{after}")
        if after == "UNKNOWN":
            self.world.reach("unknown.entered")
        elif before == "UNKNOWN":
            self.world.reach("unknown.resolved_absent" if after == "DROPPED" else "unknown.resolved_live")
        if after == "CANCELING":
            self._cancel_asked.add(record.client_order_id)
        elif record.client_order_id in self._cancel_asked and after in ("FILLED", "CANCELED"):
            self.world.reach("cancel_race.fill_won" if after == "FILLED" else "cancel_race.cancel_won")
        if after == "REPLACED":
            self.world.reach("replace_chain.followed")
        if record.order_type.startswith("stop") and after == "WORKING":
            self.world.reach("stop.replaced" if record.symbol in self._stopped else "stop.placed")
            self._stopped.add(record.symbol)
        elif record.order_type.startswith("stop") and after in ("REJECTED", "CANCELED", "EXPIRED"):
            self.world.reach("stop.died")

    def _on_fill(self, record: FillRecord) -> None:
        if record.source == "activity":
            self._inferred.add((record.broker_order_id, str(record.cumulative_quantity)))

    def _on_drift(self, record: DriftRecord) -> None:
        self.world.reach(f"drift.{record.kind}")
        self.world.reach(f"action.{record.action}")

    def _on_pass(self, record: ReconciliationRecord) -> None:
        self.world.reach(f"pass.{record.result}")
        if record.result == "discarded" and "during the pass" in record.reason:
            self.world.reach("reconcile.overlaps_fill")

    def _on_alert(self, record: AlertRecord) -> None:
        self.world.reach(f"alert.{record.code}")
        if record.code in ("trading_reducing", "trading_halted"):
            self.world.reach(f"cause.{record.text.partition(':')[0]}")

    # events

    def _on_update(self, event: OrderUpdated) -> None:
        self.world.reach(f"status.{event.order.status}")
        story = self.notes.stories.get(event.order.client_order_id)
        if event.execution is None or story is None:
            return
        if not story.answered and not story.words - {event.order.status, event.word}:
            self.world.reach("fill_before_ack")
        if (event.execution.broker_order_id, str(event.execution.cumulative_quantity)) in self._inferred:
            self.world.reach("fill.inferred_then_real")

    def _on_lookup(self, event: LookupAnswered) -> None:
        if event.order is not None:
            self.world.reach(f"status.{event.order.status}")

    def _on_snapshot(self, event: BrokerSnapshot) -> None:
        self._deaths_in_a_row = 0
        for order in event.open_orders:
            self.world.reach(f"status.{order.status}")

    def _on_drop(self, event: OrderDropped) -> None:
        reason = event.reason
        if reason.startswith("kill latch") or "HALTED" in reason:
            self.world.reach("kill.between_check_and_write")
        elif "lease" in reason:
            self.world.reach("lease.lost_mid_submit")

    def _on_restored(self, event: Restored) -> None:
        if event.orders:
            self.world.reach("restored.open_orders")
        causes = () if event.guards is None else tuple(cause for cause, _ in event.guards.causes)
        if any(cause.startswith(GUARD_CAUSES) for cause in causes):
            self.world.reach("guard_trip.across_restart")
