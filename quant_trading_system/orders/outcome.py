"""What became of an event about an order: what the engine books, stores, asks and says."""

from __future__ import annotations

from msgspec import Struct

from quant_trading_system.core.broker import Execution
from quant_trading_system.core.effects import AskOrder, CancelOrder, Effect
from quant_trading_system.core.types import MonoNanos, Nanos, Severity
from quant_trading_system.orders.order import Order


class Outcome(Struct, frozen=True, kw_only=True):
    """`executions` are to be booked first. `lock_symbol` and `reconcile` are reasons, None where neither is asked.

    `is_rehomed`: what it executed belongs to its strategies, and was booked as external before that was known. `more`
    is what became of relatives of the order: its legs, what took its place.
    """

    order: Order | None = None
    executions: tuple[Execution, ...] = ()
    changed: bool = False
    effects: tuple[Effect, ...] = ()
    alerts: tuple[tuple[Severity, str, str], ...] = ()
    lock_symbol: str | None = None
    reconcile: str | None = None
    is_rehomed: bool = False
    more: tuple[Outcome, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (
            self.changed
            or self.executions
            or self.effects
            or self.alerts
            or self.lock_symbol
            or self.reconcile
            or self.is_rehomed
            or any(not outcome.is_empty for outcome in self.more)
        )


class Work:
    """An outcome in the making, for one order at one moment."""

    def __init__(self, order: Order, *, venue_ns: Nanos, mono_ns: MonoNanos) -> None:
        self.order = order
        self.venue_ns = venue_ns
        self.mono_ns = mono_ns
        self._before = _visible(order)
        self._executions: list[Execution] = []
        self._effects: list[Effect] = []
        self._alerts: list[tuple[Severity, str, str]] = []
        self._lock: str | None = None
        self._reconcile: str | None = None
        self._more: list[Outcome] = []
        self._is_rehomed = False

    def book(self, execution: Execution) -> None:
        self._executions.append(execution)

    def alert(self, severity: Severity, code: str, text: str) -> None:
        order = self.order
        self._alerts.append((severity, code, f"{order.symbol} {order.side} {order.client_order_id}: {text}"))

    def alert_once(self, severity: Severity, code: str, text: str, *, key: str = "") -> None:
        """Say it once in the order's life."""
        key = key or code
        if key not in self.order.alerts_raised:
            self.order.alerts_raised.add(key)
            self.alert(severity, code, text)

    def lock(self, reason: str) -> None:
        self._lock = self._lock or reason

    def reconcile(self, reason: str) -> None:
        self._reconcile = self._reconcile or reason

    def ask(self, reason: str) -> None:
        self._effects.append(AskOrder(client_order_id=self.order.client_order_id, reason=reason))

    def cancel(self, reason: str) -> None:
        broker_order_id = self.order.broker_order_id
        assert broker_order_id is not None, "only an order that the broker has named can be cancelled"
        self._effects.append(
            CancelOrder(client_order_id=self.order.client_order_id, broker_order_id=broker_order_id, reason=reason)
        )

    def rehome(self) -> None:
        self._is_rehomed = True

    def also(self, outcome: Outcome) -> None:
        """Something became of a relative, too."""
        self._more.append(outcome)

    def outcome(self, *, is_new: bool = False) -> Outcome:
        changed = is_new or _visible(self.order) != self._before
        if changed:
            self.order.updated_ns = self.venue_ns
        return Outcome(
            order=self.order,
            executions=tuple(self._executions),
            changed=changed,
            effects=tuple(self._effects),
            alerts=tuple(self._alerts),
            lock_symbol=self._lock,
            reconcile=self._reconcile,
            is_rehomed=self._is_rehomed,
            more=tuple(self._more),
        )


def _visible(order: Order) -> tuple[object, ...]:
    return (
        order.status,
        order.broker_order_id,
        order.broker_status,
        order.filled_quantity,
        order.executed_quantity,
        order.reason,
        order.sent_ns,
        order.strategy,
        order.quantity,
        order.stop_price,
        order.exists_at_broker,
    )
