"""Reconciliation inside the engine: which picture of the broker counts, and what is compared with it.

A picture that proves nothing, or is older than what we know, is discarded; what it may contradict, and for how long, is
bounded. The policy decides about differences, `repairing` carries it out. No order is sent.
"""

from __future__ import annotations

from quant_trading_system.core.activities import unexplained_flow
from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.effects import AskOrder, RequestReconciliation
from quant_trading_system.core.events import BrokerSnapshot, LookupAnswered, OrderUpdated, Restored, SnapshotFailed
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.records import ReconciliationRecord
from quant_trading_system.core.types import (
    NANOS_PER_SECOND,
    ClientOrderId,
    MonoNanos,
    Nanos,
    Severity,
    StrategyId,
    Stream,
    Symbol,
)
from quant_trading_system.engine.desk import Desk
from quant_trading_system.engine.order_flow import OrderFlow
from quant_trading_system.engine.repairing import DRIFT, Repairing
from quant_trading_system.ledger.fills import BookedFill
from quant_trading_system.orders.ids import is_foreign
from quant_trading_system.orders.order import Order
from quant_trading_system.orders.reconcile import Difference, DifferenceKind, OurBooks, RaiseAlert, Wait, diff
from quant_trading_system.orders.status import CORRECTIONS

EXTERNAL = StrategyId("external")
DEEP_NS = 24 * 3_600 * NANOS_PER_SECOND
"""How far back a pass reads that looks for the reason of a difference: a venue takes executions back within the day."""
DEEP_SECONDS = 120.0
"""So long after its reason came up every pass reads that far back."""
DEEP_WAIT_SECONDS = 5.0
"""So long a difference without reason waits for a pass that reads further back; then it is judged without."""
OVERLAP_NS = NANOS_PER_SECOND
OLDER_PASSES_MAX = 4
OLDER_SECONDS_MAX = 60.0
"""A picture with less filled than we know is older truth; after so many passes over so long it is the broker's word."""
ASK_AGAIN_SECONDS = 10.0
CLAIM_PASSES_MAX = 1
CLAIM_SECONDS_MAX = 15.0
"""The same where no execution but a status alone said more: two sightings."""
FRESH_NS = NANOS_PER_SECOND
"""News of orders younger than this, in venue time, may be on their way on the stream."""
FRESH_AGAIN_SECONDS = 5.0
UNEXPLAINED_KINDS = frozenset(
    {
        DifferenceKind.PHANTOM_POSITION,
        DifferenceKind.LOST_POSITION,
        DifferenceKind.QUANTITY_GAP,
        DifferenceKind.SIGN_FLIP,
        DifferenceKind.CASH_GAP,
    }
)
DRIFT_LOCK = "drift: "
"""How the reason of a lock begins that the policy of reconciliation set."""


class Reconciling:
    """Takes snapshots in, keeps the age of the last good one, has the policy's actions carried out."""

    def __init__(self, desk: Desk, flow: OrderFlow) -> None:
        self._desk = desk
        self._flow = flow
        self._repairing = Repairing(desk, flow)
        self._last_activity_mono_ns = 0
        self._good_pass_ns: Nanos | None = None
        self._deep_since_mono_ns: int | None = None
        self._older: dict[ClientOrderId, tuple[int, int]] = {}
        self._asked: dict[ClientOrderId, int] = {}
        self._claims: list[BrokerOrder] = []
        self._look_again_mono_ns: MonoNanos | None = None
        self._fresh_mono_ns = -NANOS_PER_SECOND * 60
        self._last_equity_usd = ZERO
        self._asked_again_mono_ns = 0

    # what the edge asks

    @property
    def reaches_back_ns(self) -> Nanos | None:
        """Since when, in venue time, the next pass must list orders and executions; None: as far as the start says."""
        if self._good_pass_ns is None:
            return None
        return Nanos(self._desk.venue_ns - DEEP_NS) if self._is_deep_wanted else self._good_pass_ns

    @property
    def _is_deep_wanted(self) -> bool:
        since_ns = self._deep_since_mono_ns
        return since_ns is not None and self._desk.age_s(since_ns) <= DEEP_SECONDS

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
            if entry.kind == "flow":
                desk.flows.append((entry.venue_ns, entry.cash_usd))
            elif entry.kind == "cash_gap":
                unexplained += entry.cash_usd
                came = unexplained_flow(desk.unexplained_flow_usd, entry.cash_usd)
                desk.unexplained_flow_usd += came
                desk.flows.append((entry.venue_ns, came))
        desk.ledger.cash.carry_unexplained(unexplained)
        desk.guards.restore(event.guards, session_date=desk.session_date)
        desk.symbol_locks.update(dict(event.locks))
        for symbol, reason in event.locks:
            if reason.startswith(DRIFT_LOCK):  # it ends as it would have: by passes that agree for the quiet period
                desk.drift_locks[symbol] = desk.mono_ns
        desk.strategy_locks.update(dict(event.disabled_strategies))
        desk.portfolio.restore_targets(
            {(book.strategy, book.symbol): book.quantity for book in event.books if book.strategy != EXTERNAL}
        )
        for effect in desk.orders.restore(event.orders, mono_ns=desk.mono_ns, recent=event.recent):
            desk.emit(effect)

    def on_activity(self, event: object = None) -> None:
        """An order event arrived: snapshots that began earlier are older truth."""
        self._last_activity_mono_ns = self._desk.mono_ns
        if isinstance(event, OrderUpdated) and event.word in CORRECTIONS:
            self._look_back()

    def on_lookup(self, event: LookupAnswered) -> None:
        """The order as another question shows it: as filled as we know, so the pictures with less are older."""
        order = self._desk.orders.get(event.client_order_id)
        if order is not None and event.order is not None and event.order.filled_quantity >= order.filled_quantity:
            self._older.pop(event.client_order_id, None)

    def on_failed(self, event: SnapshotFailed) -> None:
        self._record("discarded" if event.discarded else "failed", duration_s=0.0, drifts=0, reason=event.reason)
        if not event.discarded:
            self._desk.alert(Severity.WARNING, "reconciliation_failed", event.reason)

    def on_second(self) -> None:
        """Ask for the pass that decides about what waits, as soon as it may."""
        desk = self._desk
        again_ns = self._look_again_mono_ns
        if again_ns is not None and desk.mono_ns >= again_ns:
            self._look_again_mono_ns = None
            desk.emit(RequestReconciliation(reason="news that the stream did not tell"))
        if desk.policy.wants_another_look(desk.mono_ns) and desk.age_s(self._asked_again_mono_ns) >= 1.0:
            self._asked_again_mono_ns = desk.mono_ns
            desk.emit(RequestReconciliation(reason="a difference is due for its second sighting"))

    def on_snapshot(self, event: BrokerSnapshot) -> None:
        """One complete pass. Older than our last order event: discarded, and asked for again."""
        duration_s = (event.mono_ns - event.started_mono_ns) / NANOS_PER_SECOND
        reason = self._refusal(event)
        if reason:
            self._record("discarded", duration_s=duration_s, drifts=0, reason=reason)
            return
        is_first = self._desk.account is None
        if not is_first and self._is_too_fresh(event):
            reason = "it shows what happened in its last second, which the stream is about to tell"
            self._record("discarded", duration_s=duration_s, drifts=0, reason=reason)
            return
        self._take_over(event)
        differences = self._differences(event, is_first=is_first)
        is_agreed, drifts = self._act(event, differences, is_first=is_first)
        self._end_link_causes(event)
        self._record("clean" if is_agreed else "differences", duration_s=duration_s, drifts=drifts, reason="")

    # which picture counts

    def _refusal(self, event: BrokerSnapshot) -> str:
        """Why a picture proves nothing; "" for one that counts."""
        if event.started_mono_ns < self._last_activity_mono_ns:
            return "order events arrived during the pass"
        older = self._order_known_better(event)
        return f"the picture is older than what is known of {older}" if older else ""

    def _order_known_better(self, event: BrokerSnapshot) -> str:
        """An order of which we know more shares filled than the picture shows; "" where there is none (fault C8).

        A picture with a newer stamp than all we know is no older one: the venue took something back (fault C12). Nor is
        one that has said the same for long enough, while the order itself, asked for, did not say otherwise.
        """
        shown = {order.broker_order_id: order for order in (*event.closed_orders, *event.open_orders)}
        found = ""
        self._claims.clear()
        for order in self._desk.orders.all_recent():
            if order.broker_order_id is None or not order.filled_quantity:
                continue
            picture = shown.get(order.broker_order_id)
            if picture is None:
                is_awaited = event.since_ns is not None and order.created_ns > event.since_ns and not order.is_external
                is_older = is_awaited and not self._has_lasted(order, None)
            elif picture.filled_quantity < order.filled_quantity:
                is_older = not _is_newer(picture, order) and not self._has_lasted(order, picture)
            else:
                self._older.pop(order.client_order_id, None)
                is_older = False
            if is_older and not found:
                found = order.client_order_id
        return found

    def _has_lasted(self, order: Order, picture: BrokerOrder | None) -> bool:
        """Whether a lesser picture came so often and so long that it is the word of the broker. Asks meanwhile."""
        desk = self._desk
        is_claim = picture is not None and order.executed_quantity <= picture.filled_quantity
        passes, since_ns = self._older.get(order.client_order_id, (0, desk.mono_ns))
        self._older[order.client_order_id] = (passes + 1, since_ns)
        passes_max, seconds_max = (
            (CLAIM_PASSES_MAX, CLAIM_SECONDS_MAX) if is_claim else (OLDER_PASSES_MAX, OLDER_SECONDS_MAX)
        )
        if passes >= passes_max and desk.age_s(since_ns) >= seconds_max:
            self._look_back()
            if is_claim and picture is not None:
                self._claims.append(picture)
            return True
        asked_ns = self._asked.get(order.client_order_id)
        if passes and (asked_ns is None or desk.age_s(asked_ns) >= ASK_AGAIN_SECONDS):
            self._asked[order.client_order_id] = desk.mono_ns
            desk.emit(AskOrder(client_order_id=order.client_order_id, reason="a pass shows less filled than is known"))
        return False

    # what is compared

    def _take_over(self, event: BrokerSnapshot) -> None:
        """Keep what the picture says of account and positions."""
        desk = self._desk
        if event.account.last_equity_usd != self._last_equity_usd:
            self._last_equity_usd = event.account.last_equity_usd
            desk.base_ns = desk.last_close_ns
        for picture in self._claims:
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
            for activity in event.activities:
                if activity.activity_id not in desk.entered:
                    self._repairing.anchor(activity)

    def _differences(self, event: BrokerSnapshot, *, is_first: bool) -> tuple[Difference, ...]:
        """What differs. Where the reason may lie further back than the pass read, that is left to one that reads on."""
        desk = self._desk
        found = diff(self._our_books(event), event)
        is_shallow = event.since_ns is not None and event.since_ns > desk.venue_ns - DEEP_NS + OVERLAP_NS
        if is_first or not is_shallow or not any(each.kind in UNEXPLAINED_KINDS for each in found):
            return found
        if not self._is_deep_wanted:
            self._look_back()
        elif self._deep_age_s > DEEP_WAIT_SECONDS:
            return found
        desk.emit(RequestReconciliation(reason="a difference without reason: read further back"))
        return tuple(each for each in found if each.kind not in UNEXPLAINED_KINDS)

    def _is_too_fresh(self, event: BrokerSnapshot) -> bool:
        """Whether something happened so lately that the stream is about to tell it: another pass looks in a second.

        The pass after that judges, whatever is fresh then.
        """
        desk = self._desk
        if not desk.streams_up[Stream.TRADE_UPDATES] or self._desk.age_s(self._fresh_mono_ns) < FRESH_AGAIN_SECONDS:
            return False
        limit_ns = event.venue_ns - FRESH_NS
        stamps = (
            *(order.updated_ns for order in (*event.open_orders, *event.closed_orders)),
            *(fill.venue_ns for fill in event.executions),
        )
        if max(stamps, default=0) <= limit_ns:
            return False
        if all(_happened_ns(each) <= limit_ns for each in diff(self._our_books(event), event)):
            return False
        self._fresh_mono_ns = desk.mono_ns
        self._look_again_mono_ns = MonoNanos(desk.mono_ns + FRESH_NS)
        return True

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
        actions = desk.policy.decide(differences, mono_ns=desk.mono_ns, is_first_pass=is_first)
        repeat = False
        drifts = 0
        for action in actions:
            repeat = self._repairing.carry_out(action) or repeat
            drifts += action.difference is not None and not isinstance(action, Wait | RaiseAlert)
        for outcome in desk.orders.on_clean_pass(
            started_mono_ns=event.started_mono_ns,
            mono_ns=desk.mono_ns,
            seen_client_ids={order.client_order_id for order in (*event.open_orders, *event.closed_orders)},
            gaps={each.symbol: each.gap for each in differences if each.symbol is not None and each.gap},
        ):
            self._flow.settle(outcome, source="reconciliation")
        if desk.ledger.cash_usd is None:  # after the fills of this very picture, which its cash already holds
            desk.ledger.set_cash(event.account.cash_usd)
        self._note_foreign(event)
        self._end_locks(event, {difference.symbol for difference in differences})
        desk.good_pass_mono_ns = event.started_mono_ns
        self._good_pass_ns = event.venue_ns if event.started_venue_ns is None else event.started_venue_ns
        desk.reconciliations += 1
        desk.drifts += drifts
        if repeat:
            desk.emit(RequestReconciliation(reason="a repair was booked"))
        return not actions, drifts

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
        desk = self._desk
        for order in (*event.open_orders, *event.closed_orders):
            is_new = order.client_order_id not in desk.foreign_orders
            if is_new and is_foreign(order.client_order_id, desk.config.instance, desk.config.former_instances):
                desk.foreign_orders.append(order.client_order_id)
                if desk.is_trading:
                    desk.alert(
                        Severity.CRITICAL,
                        "foreign_instance",
                        f"order {order.client_order_id} was made by another database of this program on this account",
                    )

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


def _is_newer(picture: BrokerOrder, order: Order) -> bool:
    """Whether the broker changed the order after the last execution that we know, and no later word says otherwise."""
    return picture.updated_ns >= order.broker_updated_ns and picture.updated_ns > order.last_execution_ns


def _happened_ns(difference: Difference) -> int:
    """When the broker did what differs, venue time; 0 where nobody says."""
    if difference.kind is DifferenceKind.MISSING_FILL and difference.execution is not None:
        return difference.execution.venue_ns
    is_order = difference.kind in (DifferenceKind.STATUS_GAP, DifferenceKind.ORPHAN_ORDER)
    return difference.order.updated_ns if is_order and difference.order is not None else 0
