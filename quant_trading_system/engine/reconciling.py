"""Reconciliation inside the engine: the broker's snapshot against our books, and what the policy makes of it.

It books, adopts, locks and says so. It never sends an order.
"""

from __future__ import annotations

from typing import assert_never

from quant_trading_system.core.effects import RequestReconciliation
from quant_trading_system.core.events import BrokerSnapshot, Restored, SnapshotFailed
from quant_trading_system.core.records import DriftRecord, ReconciliationRecord
from quant_trading_system.core.types import NANOS_PER_SECOND, Severity, StrategyId, Stream, Symbol
from quant_trading_system.engine.desk import Desk
from quant_trading_system.engine.order_flow import OrderFlow
from quant_trading_system.orders.ids import is_foreign
from quant_trading_system.orders.reconcile import (
    Action,
    AdjustPosition,
    AdoptOrder,
    AdoptPosition,
    BookExecution,
    LockSymbol,
    ObserveOrder,
    OurBooks,
    RaiseAlert,
    SetCash,
    Wait,
    diff,
)

EXTERNAL = StrategyId("external")


class Reconciling:
    """Takes snapshots in, keeps the age of the last good one, carries out the policy's actions."""

    def __init__(self, desk: Desk, flow: OrderFlow) -> None:
        self._desk = desk
        self._flow = flow
        self._last_activity_mono_ns = 0

    def on_restored(self, event: Restored) -> None:
        """Take over what the database knew. The broker's snapshot that follows decides what is true."""
        desk = self._desk
        desk.ledger.restore(event.books, event.known_executions, event.cash_usd)
        desk.guards.restore(event.guards, session_date=desk.session_date)
        desk.symbol_locks.update(dict(event.locks))
        desk.strategy_locks.update(dict(event.disabled_strategies))
        desk.portfolio.restore_targets(
            {(book.strategy, book.symbol): book.quantity for book in event.books if book.strategy != EXTERNAL}
        )
        for effect in desk.orders.restore(event.orders, mono_ns=desk.mono_ns, recent=event.recent):
            desk.emit(effect)

    def on_activity(self) -> None:
        """An order event arrived: snapshots that began earlier are older truth."""
        self._last_activity_mono_ns = self._desk.mono_ns

    def on_failed(self, event: SnapshotFailed) -> None:
        self._record("discarded" if event.discarded else "failed", duration_s=0.0, drifts=0, reason=event.reason)
        if not event.discarded:
            self._desk.alert(Severity.WARNING, "reconciliation_failed", event.reason)

    def on_snapshot(self, event: BrokerSnapshot) -> None:
        """One complete pass. Older than our last order event: discarded, and asked for again."""
        desk = self._desk
        duration_s = (event.mono_ns - event.started_mono_ns) / NANOS_PER_SECOND
        if event.started_mono_ns < self._last_activity_mono_ns:
            self._record("discarded", duration_s=duration_s, drifts=0, reason="order events arrived during the pass")
            return
        older = self._order_known_better(event)
        if older:
            reason = f"the picture is older than what is known of {older}"
            self._record("discarded", duration_s=duration_s, drifts=0, reason=reason)
            return
        is_first = desk.account is None
        desk.account = event.account
        desk.account_mono_ns = event.started_mono_ns
        desk.moved_symbols.clear()
        desk.broker_positions = {position.symbol: position.quantity for position in event.positions}
        shown = (*event.open_orders, *event.closed_orders)
        for outcome in desk.orders.meet(shown, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns):
            self._flow.settle(outcome, source="reconciliation")
        actions = desk.policy.decide(diff(self._our_books(), event), mono_ns=desk.mono_ns, is_first_pass=is_first)
        repeat = False
        drifts = 0
        for action in actions:
            repeat = self._carry_out(action) or repeat
            drifts += not isinstance(action, Wait | RaiseAlert)
        for outcome in desk.orders.on_clean_pass(
            started_mono_ns=event.started_mono_ns,
            mono_ns=desk.mono_ns,
            seen_client_ids={order.client_order_id for order in (*event.open_orders, *event.closed_orders)},
        ):
            self._flow.settle(outcome, source="reconciliation")
        if desk.ledger.cash_usd is None:  # after the fills of this very picture, which its cash already holds
            desk.ledger.set_cash(event.account.cash_usd)
        self._note_foreign(event)
        self._end_drift_locks({action.difference.symbol for action in actions if action.difference is not None})
        desk.good_pass_mono_ns = event.started_mono_ns
        desk.reconciliations += 1
        desk.drifts += drifts
        self._end_link_causes(event)
        self._record("clean" if not actions else "differences", duration_s=duration_s, drifts=drifts, reason="")
        if repeat:
            desk.emit(RequestReconciliation(reason="a repair was booked"))

    def _order_known_better(self, event: BrokerSnapshot) -> str:
        """An order of which we know more shares filled than the picture shows; "" where there is none (fault C8)."""
        shown = {order.broker_order_id: order for order in (*event.closed_orders, *event.open_orders)}
        for order in self._desk.orders.all_recent():
            if order.broker_order_id is None or not order.filled_quantity:
                continue
            picture = shown.get(order.broker_order_id)
            if picture is not None:
                is_older = picture.filled_quantity < order.filled_quantity
            else:
                is_older = event.since_ns is not None and order.created_ns > event.since_ns
            if is_older:
                return order.client_order_id
        return ""

    def _end_link_causes(self, event: BrokerSnapshot) -> None:
        """A good pass proves that the broker answers; what was missed meanwhile it shows if it began afterwards."""
        desk = self._desk
        over = ["reconciliation_age", "broker_unreachable"]
        if desk.streams_up[Stream.TRADE_UPDATES] and event.started_mono_ns >= desk.link_back_mono_ns:
            over.append("trade_updates_down")
        for cause in over:
            desk.guards.clear_cause(cause, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns)

    def _note_foreign(self, event: BrokerSnapshot) -> None:
        desk = self._desk
        for order in (*event.open_orders, *event.closed_orders):
            is_new = order.client_order_id not in desk.foreign_orders
            if is_new and is_foreign(order.client_order_id, desk.config.instance):
                desk.foreign_orders.append(order.client_order_id)
                if desk.is_trading:
                    desk.alert(
                        Severity.CRITICAL,
                        "foreign_instance",
                        f"order {order.client_order_id} was made by another database of this program on this account",
                    )

    def _end_drift_locks(self, differing: set[Symbol | None]) -> None:
        """A lock for drift ends when passes have agreed on its symbol for the quiet period (controls.md)."""
        desk = self._desk
        for symbol, seen_mono_ns in list(desk.drift_locks.items()):
            if symbol in differing:
                desk.drift_locks[symbol] = desk.mono_ns
            elif desk.age_s(seen_mono_ns) >= desk.config.limits.quiet_seconds:
                del desk.drift_locks[symbol]
                desk.unlock_symbol(symbol, "agreed with the broker for the quiet period")

    @property
    def is_clean(self) -> bool:
        """Whether the last pass is recent, agreed, and no order is UNKNOWN."""
        desk = self._desk
        if desk.good_pass_mono_ns is None:
            return False
        return (
            desk.age_s(desk.good_pass_mono_ns) <= desk.config.limits.reconciliation_age_seconds_max
            and not desk.policy.has_open_differences
            and not any(order.is_unknown for order in desk.orders.live())
        )

    def _our_books(self) -> OurBooks:
        desk = self._desk
        return OurBooks(
            positions=desk.ledger.positions(),
            orders=tuple(desk.orders.all_recent()),
            cash_usd=desk.ledger.cash_usd,
            is_booked=desk.ledger.is_booked,
            cumulative=desk.ledger.cumulative,
        )

    def _carry_out(self, action: Action) -> bool:
        """Do one action. Returns whether a further pass should follow at once."""
        if isinstance(action, BookExecution | ObserveOrder | AdoptOrder):
            self._repair_order(action)
        else:
            self._repair_books(action)
        if action.difference is not None:
            self._remember_drift(action)
        return isinstance(action, BookExecution | AdjustPosition | AdoptPosition | ObserveOrder)

    def _repair_order(self, action: BookExecution | ObserveOrder | AdoptOrder) -> None:
        desk = self._desk
        match action:
            case BookExecution(execution=execution):
                order = desk.orders.by_broker_id(execution.broker_order_id)
                self._flow.book(execution, order, source="activity")
                if order is not None:
                    self._flow.settle(
                        desk.orders.note_execution(execution, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns),
                        source="activity",
                    )
            case ObserveOrder(order=broker_order):
                outcome = desk.orders.observe(
                    broker_order, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns, source="reconciliation"
                )
                self._flow.settle(outcome, source="reconciliation")
            case AdoptOrder(order=broker_order):
                adopted = desk.orders.adopt(broker_order, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns)
                desk.remember(adopted.to_record(venue_ns=desk.venue_ns, seen_ns=desk.seen_ns))
            case _:
                assert_never(action)

    def _repair_books(self, action: AdoptPosition | AdjustPosition | SetCash | LockSymbol | RaiseAlert | Wait) -> None:
        desk = self._desk
        match action:
            case AdoptPosition(symbol=symbol, quantity=quantity, price=price):
                desk.ledger.adjust(symbol, EXTERNAL, quantity, price, "adopted from the broker")
                desk.remember_books(symbol)
            case AdjustPosition(symbol=symbol, quantity=quantity, price=price):
                for strategy in desk.ledger.adjust_to(symbol, quantity, price, "broker shows otherwise, seen twice"):
                    desk.portfolio.set_target(strategy, symbol, desk.ledger.book_quantity(strategy, symbol))
                desk.remember_books(symbol)
            case SetCash(cash_usd=cash_usd):
                desk.ledger.set_cash(cash_usd)
            case LockSymbol(symbol=symbol, reason=reason):
                desk.lock_symbol(symbol, reason)
                desk.drift_locks[symbol] = desk.mono_ns
            case RaiseAlert(severity=severity, code=code, text=text):
                desk.alert(severity, code, text)
            case Wait():
                pass
            case _:
                assert_never(action)

    def _remember_drift(self, action: Action) -> None:
        desk = self._desk
        difference = action.difference
        assert difference is not None, "only differences are drifts"
        if not desk.is_trading:
            desk.recovered.append(
                f"{difference.kind.replace('_', ' ')} {difference.symbol or ''}: ours {difference.ours}, "
                f"broker's {difference.brokers} → {type(action).__name__}"
            )
        desk.remember(
            DriftRecord(
                venue_ns=desk.venue_ns,
                seen_ns=desk.seen_ns,
                kind=difference.kind,
                symbol=difference.symbol,
                ours=difference.ours,
                brokers=difference.brokers,
                action=type(action).__name__,
            )
        )

    def _record(self, result: str, *, duration_s: float, drifts: int, reason: str) -> None:
        desk = self._desk
        desk.remember(
            ReconciliationRecord(
                venue_ns=desk.venue_ns,
                seen_ns=desk.seen_ns,
                result=result,
                duration_s=duration_s,
                drifts=drifts,
                reason=reason,
            )
        )
