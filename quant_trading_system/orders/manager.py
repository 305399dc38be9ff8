"""The order manager: every event about an order goes through here. It keeps orders, asks about doubts, never sends.

Finality only by evidence (I4): a final word of the broker, a definite refusal, or a proven absence. Silence and
timeouts never finalise. Orders count as exposure from the moment they are opened.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence, Set
from decimal import Decimal

from quant_trading_system.core.broker import BrokerOrder, Execution
from quant_trading_system.core.effects import CancelOrder, Effect
from quant_trading_system.core.events import (
    CancelAnswered,
    CancelInDoubt,
    Event,
    LookupAnswered,
    LookupFailed,
    OrderAnswered,
    OrderDropped,
    OrderInDoubt,
    OrderRefused,
    OrderSending,
    OrderUpdated,
    RestoredOrder,
)
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.types import (
    NANOS_PER_MINUTE,
    NANOS_PER_SECOND,
    BrokerOrderId,
    ClientOrderId,
    MonoNanos,
    Nanos,
    Severity,
    Side,
    StrategyId,
    Symbol,
)
from quant_trading_system.core.values import Approved
from quant_trading_system.core.views import RecentOrder
from quant_trading_system.orders import ids
from quant_trading_system.orders.evidence import (
    ask,
    begin_quarantine,
    doubt,
    step,
    take_execution,
    take_picture,
)
from quant_trading_system.orders.order import Order, approved_order, external_order, restored_order
from quant_trading_system.orders.outcome import Outcome, Work
from quant_trading_system.orders.refusals import is_definite
from quant_trading_system.orders.settings import OrderSettings
from quant_trading_system.orders.status import CORRECTIONS, TERMINAL, Status, Trigger
from quant_trading_system.orders.watch import prove_absence, watch

__all__ = ["OrderManager", "OrderSettings", "Outcome"]

DAY_NS = 24 * 60 * NANOS_PER_MINUTE


class OrderManager:
    """Keeps every live order and the last final ones."""

    def __init__(
        self, *, account: str, instance: str, next_sequence: int = 1, settings: OrderSettings | None = None
    ) -> None:
        self._account = account
        self._instance = instance
        self._sequence = next_sequence
        self._settings = settings if settings is not None else OrderSettings()
        self._orders: dict[ClientOrderId, Order] = {}
        self._live: dict[ClientOrderId, Order] = {}
        self._by_broker_id: dict[BrokerOrderId, Order] = {}
        self._finals: deque[ClientOrderId] = deque()
        self._recent: deque[Order] = deque(maxlen=self._settings.recent_orders_max)
        self._restored_recent: deque[RecentOrder] = deque()
        self._appliers: dict[type, Callable[[Work, Event], None]] = {
            OrderSending: self._on_sending,
            OrderAnswered: self._on_answered,
            OrderRefused: self._on_refused,
            OrderInDoubt: self._on_doubt,
            OrderDropped: self._on_dropped,
            CancelAnswered: self._on_cancel_answered,
            CancelInDoubt: self._on_cancel_doubt,
            LookupAnswered: self._on_lookup_answered,
            LookupFailed: self._on_lookup_failed,
        }

    # what is asked of it

    def new_client_order_id(self, strategy: StrategyId) -> ClientOrderId:
        """The next id; no sequence number is used twice, whatever becomes of the intent."""
        sequence, self._sequence = self._sequence, self._sequence + 1
        return ids.client_order_id(account=self._account, instance=self._instance, strategy=strategy, sequence=sequence)

    @property
    def next_sequence(self) -> int:
        return self._sequence

    def open(self, approved: Approved, *, venue_ns: Nanos, mono_ns: MonoNanos) -> Order:
        """Keep an approved order: READY, and exposure from now on."""
        client_order_id = approved.intent.client_order_id
        assert client_order_id not in self._orders, f"{client_order_id} was opened before (I2)"
        order = approved_order(approved, venue_ns=venue_ns, mono_ns=mono_ns)
        self._keep(order)
        self._recent.append(order)
        return order

    def adopt(self, shown: BrokerOrder, *, venue_ns: Nanos, mono_ns: MonoNanos) -> Order:
        """Keep an order at the broker that we did not send."""
        known = self._find(shown)
        if known is not None:
            return known
        return self._adopt(shown, venue_ns=venue_ns, mono_ns=mono_ns).order

    def restore(
        self, orders: Sequence[RestoredOrder], *, mono_ns: MonoNanos, recent: Sequence[RecentOrder] = ()
    ) -> list[Effect]:
        """Take over the orders of an earlier life; ask about each whose fate it did not know.

        `recent` are its final orders of the last day, which still count in rates, turnover and cooldowns.
        """
        self._restored_recent = deque(sorted(recent, key=lambda order: order.sent_ns))
        effects: list[Effect] = []
        for saved in orders:
            order = restored_order(saved, mono_ns=mono_ns)
            self._keep(order)
            self._recent.append(order)
            if order.is_unknown:
                work = Work(order, venue_ns=saved.created_ns, mono_ns=mono_ns)
                ask(work, "its fate was not known when the last process ended", delays_s=self._delays_s)
                effects.extend(work.outcome().effects)
        return effects

    def request_cancel(
        self, client_order_id: ClientOrderId, *, reason: str, venue_ns: Nanos, mono_ns: MonoNanos
    ) -> Effect | None:
        """Want an order cancelled. None where nothing is to be done now: it is over, asked lately, or not named yet.

        An order that the broker has not named is cancelled as soon as it is.
        """
        order = self._live.get(client_order_id)
        if order is None or order.is_final:
            return None
        order.cancel_reason = reason
        work = Work(order, venue_ns=venue_ns, mono_ns=mono_ns)
        self._cancel_if_wanted(work)
        outcome = self._finish(work)
        return next((effect for effect in outcome.effects if isinstance(effect, CancelOrder)), None)

    # what happened

    def apply(self, event: Event) -> Outcome:
        """Take in one order event of `core.events`."""
        if isinstance(event, OrderUpdated):
            return self._on_updated(event)
        client_order_id: ClientOrderId = event.client_order_id  # type: ignore[attr-defined]
        order = self._orders.get(client_order_id)
        if order is None:
            text = f"{type(event).__name__} for {client_order_id}, which is not known"
            return Outcome(
                alerts=((Severity.CRITICAL, "unknown_order_event", text),), reconcile=f"event for unknown order: {text}"
            )
        work = Work(order, venue_ns=event.venue_ns, mono_ns=event.mono_ns)
        self._appliers[type(event)](work, event)
        self._cancel_if_wanted(work)
        return self._finish(work)

    def observe(self, shown: BrokerOrder, *, venue_ns: Nanos, mono_ns: MonoNanos, source: str) -> Outcome:
        """Take the broker's picture of one order from a reconciliation pass."""
        del source
        order = self._find(shown)
        if order is None:
            return self._adopt(shown, venue_ns=venue_ns, mono_ns=mono_ns).outcome(is_new=True)
        work = Work(order, venue_ns=venue_ns, mono_ns=mono_ns)
        take_picture(work, shown, is_pass=True)
        self._cancel_if_wanted(work)
        return self._finish(work)

    def note_execution(self, execution: Execution, *, venue_ns: Nanos, mono_ns: MonoNanos) -> Outcome:
        """Learn of an execution that the engine books itself. Nothing is left to book."""
        order = self.by_broker_id(execution.broker_order_id)
        if order is None:
            return Outcome()
        work = Work(order, venue_ns=venue_ns, mono_ns=mono_ns)
        take_execution(work, execution)
        outcome = self._finish(work)
        return Outcome(
            order=outcome.order,
            changed=outcome.changed,
            effects=outcome.effects,
            alerts=outcome.alerts,
            lock_symbol=outcome.lock_symbol,
        )

    def on_time(self, *, venue_ns: Nanos, mono_ns: MonoNanos) -> list[Outcome]:
        """Let doubts be asked about, and lateness be said."""
        outcomes = []
        for order in list(self._live.values()):
            work = Work(order, venue_ns=venue_ns, mono_ns=mono_ns)
            watch(work, self._settings)
            self._cancel_if_wanted(work)
            outcomes.append(self._finish(work))
        return [outcome for outcome in outcomes if not outcome.is_empty]

    def on_clean_pass(
        self, *, started_mono_ns: int, mono_ns: MonoNanos, seen_client_ids: Set[ClientOrderId]
    ) -> list[Outcome]:
        """A complete pass was read; what it did not show is one step nearer to being believed absent."""
        outcomes = []
        for order in list(self._live.values()):
            work = Work(order, venue_ns=order.updated_ns, mono_ns=mono_ns)  # silence is no news of the order
            is_seen = order.client_order_id in seen_client_ids
            prove_absence(work, self._settings, started_mono_ns=started_mono_ns, is_seen=is_seen)
            outcomes.append(self._finish(work))
        return [outcome for outcome in outcomes if not outcome.is_empty]

    # what there is

    def get(self, client_order_id: ClientOrderId) -> Order | None:
        return self._orders.get(client_order_id)

    def by_broker_id(self, broker_order_id: BrokerOrderId) -> Order | None:
        return self._by_broker_id.get(broker_order_id)

    def live(self, symbol: Symbol | None = None) -> Iterator[Order]:
        """Orders that may still move shares, the oldest first."""
        return (order for order in self._live.values() if symbol is None or order.symbol == symbol)

    def all_recent(self, limit: int | None = None) -> list[Order]:
        """Orders that are kept, the oldest first; with a limit, the newest ones."""
        orders = list(self._orders.values())
        return orders if limit is None else orders[-limit:]

    def open_quantities(self, symbol: Symbol) -> tuple[Decimal, Decimal, bool]:
        """Worst-case open purchases and sales in shares, and whether the fate of an order is unknown."""
        buys = sells = ZERO
        has_unknown = False
        for order in self.live(symbol):
            if order.side is Side.BUY:
                buys += order.open_quantity
            else:
                sells += order.open_quantity
            has_unknown = has_unknown or order.is_unknown
        return buys, sells, has_unknown

    def recent(self, venue_ns: Nanos) -> tuple[RecentOrder, ...]:
        """Orders of ours made in the last 24 hours of venue time."""
        while self._recent and self._recent[0].created_ns <= venue_ns - DAY_NS:
            self._recent.popleft()
        while self._restored_recent and self._restored_recent[0].sent_ns <= venue_ns - DAY_NS:
            self._restored_recent.popleft()
        return (*self._restored_recent, *(order.to_recent() for order in self._recent))

    # events

    def _on_updated(self, event: OrderUpdated) -> Outcome:
        shown = event.order
        order = self._find(shown)
        is_new = order is None
        if order is None:
            work = self._adopt(shown, venue_ns=event.venue_ns, mono_ns=event.mono_ns, is_pictured=False)
        else:
            work = Work(order, venue_ns=event.venue_ns, mono_ns=event.mono_ns)
        if work.order.broker_order_id is None:
            self._name(work.order, shown.broker_order_id)
            work.order.acknowledged_ns = event.venue_ns
        if event.execution is not None and event.word not in CORRECTIONS:
            take_execution(work, event.execution)
        take_picture(work, shown, event_word=event.word)
        self._cancel_if_wanted(work)
        return self._finish(work, is_new=is_new)

    def _on_sending(self, work: Work, event: Event) -> None:
        if step(work, Trigger.SEND):
            work.order.sent_ns = event.venue_ns
            if work.order.is_unknown:
                begin_quarantine(work)

    def _on_answered(self, work: Work, event: Event) -> None:
        assert isinstance(event, OrderAnswered)
        take_picture(work, event.order)

    def _on_refused(self, work: Work, event: Event) -> None:
        assert isinstance(event, OrderRefused)
        said = f"{event.http_status} {event.code if event.code is not None else '-'}: {event.message}"
        if work.order.broker_order_id is not None:
            work.alert(Severity.WARNING, "refused_but_known", f"the broker has it, yet answered {said}")
            ask(work, said, delays_s=self._delays_s)
        elif is_definite(event):
            if step(work, Trigger.REJECT):
                work.order.reason = said
        else:
            work.alert(Severity.WARNING, "refusal_not_understood", said)
            doubt(work, said)

    def _on_doubt(self, work: Work, event: Event) -> None:
        assert isinstance(event, OrderInDoubt)
        if work.order.broker_order_id is None:  # else the stream has told already (fault A5)
            doubt(work, event.reason)

    def _on_dropped(self, work: Work, event: Event) -> None:
        assert isinstance(event, OrderDropped)
        if work.order.is_unknown and work.order.sent_ns is not None:
            work.alert(Severity.WARNING, "dropped_after_sending", event.reason)
        elif step(work, Trigger.DROP):
            work.order.reason = event.reason

    def _on_cancel_answered(self, work: Work, event: Event) -> None:
        """A refused cancel says nothing about the order: it may be filled, final, or pending already (fault B1)."""
        assert isinstance(event, CancelAnswered)
        if not event.accepted and not work.order.is_final:
            ask(work, f"cancel refused: {event.http_status} {event.message}", delays_s=self._delays_s)

    def _on_cancel_doubt(self, work: Work, event: Event) -> None:
        assert isinstance(event, CancelInDoubt)
        if not work.order.is_final:
            ask(work, f"cancel in doubt: {event.reason}", delays_s=self._delays_s)

    def _on_lookup_answered(self, work: Work, event: Event) -> None:
        assert isinstance(event, LookupAnswered)
        if event.order is not None:
            take_picture(work, event.order)
        elif work.order.broker_order_id is not None and not work.order.is_final:
            work.alert_once(Severity.CRITICAL, "order_not_shown", "the broker named it, and now says it has none")
        else:
            work.order.empty_answer_mono_ns = work.mono_ns

    def _on_lookup_failed(self, work: Work, event: Event) -> None:
        """No answer is no evidence; the schedule asks again."""

    # inside

    @property
    def _delays_s(self) -> tuple[float, ...]:
        return self._settings.ask_delays_seconds

    def _find(self, shown: BrokerOrder) -> Order | None:
        return self._orders.get(shown.client_order_id) or self._by_broker_id.get(shown.broker_order_id)

    def _adopt(self, shown: BrokerOrder, *, venue_ns: Nanos, mono_ns: MonoNanos, is_pictured: bool = True) -> Work:
        replaced = None if shown.replaces is None else self._by_broker_id.get(shown.replaces)
        order = external_order(shown, replaced=replaced, venue_ns=venue_ns, mono_ns=mono_ns)
        work = Work(order, venue_ns=venue_ns, mono_ns=mono_ns)
        self._keep(order)
        self._name(order, shown.broker_order_id)
        order.acknowledged_ns = venue_ns
        if ids.is_ours(order.client_order_id, self._instance):
            work.alert(Severity.CRITICAL, "forgotten_order", "carries an id of ours that is not in our books")
        elif ids.is_foreign(order.client_order_id, self._instance):
            work.alert(Severity.CRITICAL, "foreign_instance", "was sent by this program with another database")
        else:
            work.alert(Severity.WARNING, "external_order", f"{order.quantity} shares, not sent by us")
        if is_pictured:
            take_picture(work, shown, is_pass=True)
            self._refile(order)
        return work

    def _cancel_if_wanted(self, work: Work) -> None:
        """Send a wanted cancel once the broker has named the order, and again while it shows no effect."""
        order = work.order
        if not order.cancel_reason or order.broker_order_id is None or order.status in TERMINAL:
            return
        again_ns = self._settings.cancel_again_seconds * NANOS_PER_SECOND
        asked_ns = order.cancel_asked_mono_ns
        if asked_ns is not None and (work.mono_ns - asked_ns < again_ns or order.broker_status == "pending_cancel"):
            return
        if order.status in (Status.READY, Status.SENDING) or not step(work, Trigger.CANCEL_ASKED):
            return
        order.cancel_asked_mono_ns = work.mono_ns
        work.cancel(order.cancel_reason)

    def _finish(self, work: Work, *, is_new: bool = False) -> Outcome:
        self._refile(work.order)
        return work.outcome(is_new=is_new)

    def _keep(self, order: Order) -> None:
        self._orders[order.client_order_id] = order
        self._live[order.client_order_id] = order
        if order.broker_order_id is not None:
            self._by_broker_id[order.broker_order_id] = order

    def _name(self, order: Order, broker_order_id: BrokerOrderId) -> None:
        order.broker_order_id = broker_order_id
        self._by_broker_id[broker_order_id] = order

    def _refile(self, order: Order) -> None:
        """Keep the indexes true after an order changed."""
        client_order_id = order.client_order_id
        if order.broker_order_id is not None:
            self._by_broker_id.setdefault(order.broker_order_id, order)
        if not order.is_final:
            self._live[client_order_id] = order
            return
        if self._live.pop(client_order_id, None) is None:
            return
        self._finals.append(client_order_id)
        while len(self._finals) > self._settings.kept_final_orders:
            self._forget(self._finals.popleft())

    def _forget(self, client_order_id: ClientOrderId) -> None:
        if client_order_id in self._live:
            return  # it came back
        order = self._orders.pop(client_order_id, None)
        if order is not None and order.broker_order_id is not None:
            self._by_broker_id.pop(order.broker_order_id, None)
