"""Reconciliation inside the engine: which picture of the broker counts, and what is compared with it.

A picture that proves nothing, or is older than what we know, is discarded; what it may contradict, and for how long, is
bounded. The policy decides about differences, `repairing` carries it out. No order is sent.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import structs

from quant_trading_system.core.activities import unexplained_flow
from quant_trading_system.core.effects import RequestReconciliation
from quant_trading_system.core.events import BrokerSnapshot, LookupAnswered, OrderUpdated, Restored, SnapshotFailed
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.records import ReconciliationRecord
from quant_trading_system.core.types import (
    NANOS_PER_SECOND,
    BrokerOrderId,
    Nanos,
    Severity,
    StrategyId,
    Stream,
    Symbol,
)
from quant_trading_system.engine.desk import Desk
from quant_trading_system.engine.order_flow import OrderFlow
from quant_trading_system.engine.pictures import Pictures
from quant_trading_system.engine.repairing import BEGINNING, DRIFT, Repairing
from quant_trading_system.ledger.fills import BookedFill
from quant_trading_system.orders.ids import is_foreign
from quant_trading_system.orders.reconcile import Difference, DifferenceKind, OurBooks, RaiseAlert, Wait, diff
from quant_trading_system.orders.restating import distinct
from quant_trading_system.orders.status import CORRECTIONS, TERMINAL

EXTERNAL = StrategyId("external")
DEEP_NS = 96 * 3_600 * NANOS_PER_SECOND
"""How far back a pass reads that looks for the reason of a difference: over a weekend."""
DEEP_SECONDS = 120.0
"""So long after its reason came up every pass reads that far back."""
DEEP_WAIT_SECONDS_MAX = 15.0
"""So long a difference without reason waits for a pass that reads further back; then it is judged without."""
UNEXPLAINED_SECONDS = 15.0
"""So long fills that a final word told wait for their executions; then passes read back to the order itself."""
OVERLAP_NS = NANOS_PER_SECOND
UNEXPLAINED_KINDS = frozenset(
    {
        DifferenceKind.PHANTOM_POSITION,
        DifferenceKind.LOST_POSITION,
        DifferenceKind.QUANTITY_GAP,
        DifferenceKind.SIGN_FLIP,
        DifferenceKind.CASH_GAP,
    }
)
SHARE_KINDS = UNEXPLAINED_KINDS - {DifferenceKind.CASH_GAP}
DRIFT_LOCK = "drift: "
"""How the reason of a lock begins that the policy of reconciliation set."""


class Reconciling:
    """Takes snapshots in, keeps the age of the last good one, has the policy's actions carried out."""

    def __init__(self, desk: Desk, flow: OrderFlow) -> None:
        self._desk = desk
        self._flow = flow
        self._repairing = Repairing(desk, flow)
        self._pictures = Pictures(desk)
        self._last_activity_mono_ns = 0
        self.good_pass_ns: Nanos | None = None
        """When the last good pass began, venue time."""
        self._deep_since_mono_ns: int | None = None
        self._has_left_out = False
        """Whether the last picture showed what a further one has to explain."""
        self._is_partial = False
        """Whether the picture at hand reaches back too short a way to tell why shares or cash differ."""
        self._last_equity_usd = ZERO
        self._asked_again_mono_ns = 0

    # what the edge asks

    @property
    def reaches_back_ns(self) -> Nanos | None:
        """Since when, in venue time, the next pass must list orders and executions; None: as far as the start says."""
        if self.good_pass_ns is None:
            return None
        is_deep = self._is_deep_wanted or self._has_unexplained_fills
        return Nanos(self._desk.venue_ns - DEEP_NS) if is_deep else self.good_pass_ns

    @property
    def _has_unexplained_fills(self) -> bool:
        """Whether a final word told of fills that no execution has explained since: it may have been taken back."""
        return any(
            order.status in TERMINAL
            and order.filled_quantity > order.executed_quantity
            and self._desk.age_s(order.status_mono_ns) >= UNEXPLAINED_SECONDS
            for order in self._desk.orders.live()
        )

    @property
    def _is_deep_wanted(self) -> bool:
        """For a while after its reason came up, and as long as a difference waits: else it would be seen anew."""
        since_ns = self._deep_since_mono_ns
        is_asked = since_ns is not None and self._desk.age_s(since_ns) <= DEEP_SECONDS
        return is_asked or self._desk.policy.has_open_differences

    # what is told

    def on_restored(self, event: Restored) -> None:
        """Take over what the database knew. The broker's snapshot that follows decides what is true."""
        desk = self._desk
        desk.ledger.restore(
            event.books,
            event.known_executions,
            event.cash_usd,
            [
                BookedFill(execution=each.execution, parts=each.allocations, is_inferred=each.is_inferred)
                for each in event.fills
            ],
        )
        desk.ledger.fills.note_undone(event.undone_executions)
        unexplained = ZERO
        for entry in event.entries:
            if entry.reference:
                desk.entered[entry.reference] = None
            if entry.kind == BEGINNING:
                desk.anchor_ns = min(entry.venue_ns, desk.anchor_ns or entry.venue_ns)
            if entry.kind == "flow":
                desk.flows.append((entry.venue_ns, entry.cash_usd))
            elif entry.kind == "cash_gap":
                unexplained += entry.cash_usd
                came = unexplained_flow(desk.unexplained_flow_usd, entry.cash_usd)
                desk.unexplained_flow_usd += came
                desk.flows.append((entry.venue_ns, came))
        desk.ledger.cash.carry_unexplained(unexplained)
        for book in event.books:
            desk.stored_books.setdefault(book.symbol, {})[book.strategy] = None
        desk.guards.restore(event.guards, session_date=desk.session_date)
        self._restore_locks(event)
        desk.strategy_locks.update(dict(event.disabled_strategies))
        desk.portfolio.restore_targets(
            {(book.strategy, book.symbol): book.quantity for book in event.books if book.strategy != EXTERNAL}
        )
        for effect in desk.orders.restore(
            event.orders,
            mono_ns=desk.mono_ns,
            recent=event.recent,
            fills=event.fills,
            known_executions=event.known_executions,
        ):
            desk.emit(effect)

    def _restore_locks(self, event: Restored) -> None:
        """Locks outlive a restart; those that drift or a corporate action set end as they would have ended."""
        desk = self._desk
        for symbol, reason in event.locks:
            desk.symbol_locks[symbol] = reason
            if reason.startswith(DRIFT_LOCK):
                desk.drift_locks[symbol] = desk.mono_ns
            elif reason.startswith("corporate action: "):
                desk.frozen[symbol] = desk.mono_ns

    def on_activity(self, event: object = None) -> None:
        """An order event arrived: snapshots that began earlier are older truth."""
        self._last_activity_mono_ns = self._desk.mono_ns
        if isinstance(event, OrderUpdated) and event.word in CORRECTIONS:
            self._look_back()

    def on_lookup(self, event: LookupAnswered) -> None:
        """The order as another question shows it: as filled as we know, so the pictures with less are older."""
        self._pictures.on_lookup(event)

    def on_failed(self, event: SnapshotFailed) -> None:
        self._record("discarded" if event.discarded else "failed", duration_s=0.0, drifts=0, reason=event.reason)
        if event.discarded:
            self._pictures.look_again()
        else:
            self._desk.alert(Severity.WARNING, "reconciliation_failed", event.reason)

    def on_second(self) -> None:
        """Ask for the pass that decides about what waits, as soon as it may."""
        desk = self._desk
        if self._pictures.wants_another_look():
            desk.emit(RequestReconciliation(reason="what disturbed the last pass is over"))
        if desk.policy.wants_another_look(desk.mono_ns) and desk.age_s(self._asked_again_mono_ns) >= 1.0:
            self._asked_again_mono_ns = desk.mono_ns
            desk.emit(RequestReconciliation(reason="a difference is due for its second sighting"))

    def on_snapshot(self, event: BrokerSnapshot) -> None:
        """One complete pass. Older than our last order event: discarded, and asked for again."""
        duration_s = (event.mono_ns - event.started_mono_ns) / NANOS_PER_SECOND
        event = self._executions_of_ours(event)
        reason = self._refusal(event)
        if reason:
            self._record("discarded", duration_s=duration_s, drifts=0, reason=reason)
            return
        self._pictures.on_good_pass()
        is_first = self._desk.account is None
        if self._pictures.has_insisted:
            self._look_back()
        self._take_over(event)
        differences = self._differences(event, is_first=is_first)
        is_agreed, drifts = self._act(event, differences, is_first=is_first)
        self._end_link_causes(event)
        self._record("clean" if is_agreed else "differences", duration_s=duration_s, drifts=drifts, reason="")

    # which picture counts

    def _executions_of_ours(self, event: BrokerSnapshot) -> BrokerSnapshot:
        """Leave out executions from before the account was first looked at: what they made was adopted."""
        anchor_ns = self._desk.anchor_ns
        executions = distinct(event.executions)
        if anchor_ns is not None and event.since_ns is not None and event.since_ns < anchor_ns:
            executions = tuple(fill for fill in executions if fill.venue_ns > anchor_ns)
        if executions == event.executions:
            return event
        return structs.replace(event, executions=executions)

    def _refusal(self, event: BrokerSnapshot) -> str:
        """Why a picture proves nothing; "" for one that counts."""
        if event.started_mono_ns < self._last_activity_mono_ns:
            self._pictures.look_again()
            return "order events arrived during the pass"
        older = self._pictures.known_better(event)
        if older:
            if self._pictures.has_insisted:
                self._look_back()
            return f"the picture is older than what is known of {older}"
        if self._desk.account is not None and self._pictures.is_too_fresh(event, self._our_books):
            return "it shows what happened in its last second, which the stream is about to tell"
        return ""

    # what is compared

    def _take_over(self, event: BrokerSnapshot) -> None:
        """Keep what the picture says of account and positions."""
        desk = self._desk
        if event.account.last_equity_usd != self._last_equity_usd:
            self._last_equity_usd = event.account.last_equity_usd
            desk.base_ns = desk.last_close_ns
        listed: dict[BrokerOrderId, Decimal] = {}
        for fill in event.executions:
            listed[fill.broker_order_id] = listed.get(fill.broker_order_id, ZERO) + fill.quantity
        for picture in self._pictures.claims:
            if listed.get(picture.broker_order_id, ZERO) > picture.filled_quantity:
                continue  # the same pass lists what this picture does not show: it is the older part
            outcome = desk.orders.retract(picture, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns)
            self._flow.settle(outcome, source="reconciliation")
        desk.account = event.account
        desk.account_mono_ns = event.started_mono_ns
        desk.moved_symbols.clear()
        desk.broker_positions = {position.symbol: position.quantity for position in event.positions}
        shown = (*event.open_orders, *event.closed_orders)
        for outcome in desk.orders.meet(shown, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns):
            self._flow.settle(outcome, source="reconciliation")
        desk.broker_prices = {
            position.symbol: position.current_price for position in event.positions if position.current_price
        }
        if desk.ledger.cash_usd is None:
            if desk.anchor_ns is None:
                self._repairing.begin(event.since_ns or Nanos(0))
            for activity in event.activities:
                if activity.activity_id not in desk.entered:
                    self._repairing.anchor(activity)

    def _differences(self, event: BrokerSnapshot, *, is_first: bool) -> tuple[Difference, ...]:
        """What differs. Where the reason may lie further back than the pass read, that is left to one that reads on."""
        desk = self._desk
        found = diff(self._our_books(event), event)
        self._has_left_out = False
        self._is_partial = event.since_ns is not None and event.since_ns > desk.venue_ns - DEEP_NS + OVERLAP_NS
        if is_first or not self._is_partial:
            self._is_partial = False
            return found
        if not any(each.kind in UNEXPLAINED_KINDS for each in found):
            return found
        if not self._is_deep_wanted or self._deep_since_mono_ns is None:
            self._look_back()
        elif self._deep_age_s > DEEP_WAIT_SECONDS_MAX:
            return found
        self._has_left_out = True
        desk.emit(RequestReconciliation(reason="a difference without reason: read further back"))
        desk.policy.sight([each for each in found if each.kind in UNEXPLAINED_KINDS], mono_ns=desk.mono_ns)
        return tuple(each for each in found if each.kind not in UNEXPLAINED_KINDS)

    def _look_back(self) -> None:
        self._deep_since_mono_ns = self._desk.mono_ns

    @property
    def _deep_age_s(self) -> float:
        return 0.0 if self._deep_since_mono_ns is None else self._desk.age_s(self._deep_since_mono_ns)

    def _our_books(self, event: BrokerSnapshot) -> OurBooks:
        desk = self._desk
        ledger = desk.ledger
        whole = {} if event.since_ns is None else ledger.fills.whole_orders_since(event.since_ns + OVERLAP_NS)
        return OurBooks(
            positions=ledger.positions(),
            orders=tuple(desk.orders.all_recent()),
            cash_usd=ledger.cash_usd,
            is_booked=ledger.is_booked,
            whole_orders={
                order_id: tuple(fill.execution for fill in fills)
                for order_id, fills in whole.items()
                if not any(fill.is_inferred for fill in fills)
            },
            is_entered=desk.entered.__contains__,
            unexplained_usd=ledger.cash.unexplained_usd,
        )

    # what is done about it

    def _act(self, event: BrokerSnapshot, differences: tuple[Difference, ...], *, is_first: bool) -> tuple[bool, int]:
        """Have the policy's actions carried out, and everything that an accepted pass ends."""
        desk = self._desk
        self._repairing.is_degraded = False
        actions = desk.policy.decide(
            differences, mono_ns=desk.mono_ns, is_first_pass=is_first, is_partial=self._is_partial
        )
        repeat = False
        drifts = 0
        for action in actions:
            repeat = self._repairing.carry_out(action) or repeat
            drifts += action.difference is not None and not isinstance(action, Wait | RaiseAlert)
        for outcome in desk.orders.on_clean_pass(
            started_mono_ns=event.started_mono_ns,
            mono_ns=desk.mono_ns,
            seen_client_ids={order.client_order_id for order in (*event.open_orders, *event.closed_orders)},
            gaps={each.symbol: each.gap for each in differences if each.symbol is not None and _may_be_filled(each)},
        ):
            self._flow.settle(outcome, source="reconciliation")
        if desk.ledger.cash_usd is None:  # after the fills of this very picture, which its cash already holds
            desk.ledger.set_cash(event.account.cash_usd)
        self._note_foreign(event)
        self._end_locks(event, {difference.symbol for difference in differences})
        desk.good_pass_mono_ns = event.started_mono_ns
        self.good_pass_ns = event.venue_ns if event.started_venue_ns is None else event.started_venue_ns
        desk.reconciliations += 1
        desk.drifts += drifts
        if repeat:
            desk.emit(RequestReconciliation(reason="a repair was booked"))
        return not actions and not self._has_left_out, drifts

    def _end_link_causes(self, event: BrokerSnapshot) -> None:
        """A good pass proves that the broker answers; what was missed meanwhile it shows if it began afterwards."""
        desk = self._desk
        over = ["reconciliation_age", "broker_unreachable"]
        if desk.streams_up[Stream.TRADE_UPDATES] and event.started_mono_ns >= desk.link_back_mono_ns:
            over.append("trade_updates_down")
        if not self._repairing.is_degraded:
            over.append(DRIFT)
        for cause in over:
            desk.guards.clear_cause(cause, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns)

    def _note_foreign(self, event: BrokerSnapshot) -> None:
        """Orders of this program that are not of this database, or of what it was before it was taken back."""
        desk = self._desk
        for order in (*event.open_orders, *event.closed_orders):
            name = order.client_order_id
            if desk.orders.pass_over(name):
                desk.forgotten_orders.append(name)
                self._tell_stranger("forgotten_order", f"order {name} is of this database, which does not know it")
            elif name not in desk.foreign_orders and is_foreign(
                name, desk.config.instance, desk.config.former_instances
            ):
                desk.foreign_orders.append(name)
                text = f"order {name} was made by another database of this program on this account"
                self._tell_stranger("foreign_instance", text)

    def _tell_stranger(self, code: str, text: str) -> None:
        if self._desk.is_trading:
            self._desk.alert(Severity.CRITICAL, code, text)

    def _end_locks(self, event: BrokerSnapshot, differing: set[Symbol | None]) -> None:
        """A lock for drift ends when passes have agreed for the quiet period, one of a corporate action with the next.

        (controls.md; fault D9)
        """
        desk = self._desk
        for symbol, seen_mono_ns in list(desk.drift_locks.items()):
            if symbol in differing:
                desk.drift_locks[symbol] = desk.mono_ns
            elif desk.age_s(seen_mono_ns) >= desk.config.limits.quiet_seconds:
                del desk.drift_locks[symbol]
                desk.unlock_symbol(symbol, "agreed with the broker for the quiet period")
        for symbol, frozen_mono_ns in list(desk.frozen.items()):
            if symbol not in differing and event.started_mono_ns > frozen_mono_ns:
                del desk.frozen[symbol]
                if symbol not in desk.drift_locks:
                    desk.unlock_symbol(symbol, "a later pass agrees with the books after the corporate action")

    @property
    def is_clean(self) -> bool:
        """Whether the last pass is recent, agreed, and no order is UNKNOWN."""
        desk = self._desk
        if desk.good_pass_mono_ns is None:
            return False
        return (
            desk.age_s(desk.good_pass_mono_ns) <= desk.config.limits.reconciliation_age_seconds_max
            and not desk.policy.has_open_differences
            and not self._has_left_out
            and not any(order.is_unknown for order in desk.orders.live())
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


def _may_be_filled(difference: Difference) -> bool:
    """Whether the difference is of shares that an order without an answer may have moved."""
    return difference.kind in SHARE_KINDS and not difference.moved_no_cash
