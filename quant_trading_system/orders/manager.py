"""The order manager: every event about an order goes through here. It keeps orders, asks about doubts, never sends.

Finality only by evidence (I4): a final word of the broker, a definite refusal, or a proven absence. Silence and
timeouts never finalise. Orders count as exposure from the moment they are opened.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence, Set
from decimal import Decimal
from types import MappingProxyType

from msgspec import structs

from quant_trading_system.core.broker import BrokerOrder, Execution
from quant_trading_system.core.effects import CancelOrder, Effect
from quant_trading_system.core.events import Event, OrderAnswered, OrderUpdated, RestoredFill, RestoredOrder
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
from quant_trading_system.orders.applying import APPLIERS
from quant_trading_system.orders.evidence import ask, step, take_execution, take_picture
from quant_trading_system.orders.making import (
    approved_order,
    external_order,
    leg_order,
    parent_of,
    restored_order,
    role_of,
    succeed,
)
from quant_trading_system.orders.order import STOP_LOSS, TAKE_PROFIT, Order
from quant_trading_system.orders.outcome import Outcome, Work
from quant_trading_system.orders.settings import OrderSettings
from quant_trading_system.orders.status import CORRECTIONS, TERMINAL, Status, Trigger
from quant_trading_system.orders.watch import RESTING, prove_absence, suspect, watch

__all__ = ["OrderManager", "OrderSettings", "Outcome"]

SEQUENCES_LOST_MAX = 1_000_000  # intents of many years
STRANGERS_MAX = 1_000  # orders of somebody else's that filled before they were seen
DAY_NS = 24 * 60 * NANOS_PER_MINUTE


class OrderManager:
    """Keeps every live order and the last final ones."""

    def __init__(
        self, *, account: str, instance: str, next_sequence: int = 1, settings: OrderSettings | None = None
    ) -> None:
        self._account = account
        self._instance = instance
        self._sequence = next_sequence
        self.settings = settings if settings is not None else OrderSettings()
        self._orders: dict[ClientOrderId, Order] = {}
        self._live: dict[ClientOrderId, Order] = {}
        self._by_broker_id: dict[BrokerOrderId, Order] = {}
        self._finals: deque[ClientOrderId] = deque()
        self._recent: deque[tuple[Nanos, Order]] = deque(maxlen=self.settings.recent_orders_max)
        """Orders made, and old stops that executed, each with the moment from which it counts."""
        self._restored_recent: deque[RecentOrder] = deque()
        self._waiting: dict[BrokerOrderId, list[Order]] = {}
        """Orders that took the place of one that nobody here has seen yet, by its id."""
        self._strangers: dict[BrokerOrderId, list[Execution]] = {}
        self._shown_strangers: set[BrokerOrderId] = set()
        """Of the last picture: orders that bear no id of ours."""
        """Fills of orders that nobody here knew when they were booked."""

    # what is asked of it

    def new_client_order_id(self, strategy: StrategyId) -> ClientOrderId:
        """The next id; no sequence number is used twice, whatever becomes of the intent."""
        sequence, self._sequence = self._sequence, self._sequence + 1
        return ids.client_order_id(account=self._account, instance=self._instance, strategy=strategy, sequence=sequence)

    @property
    def next_sequence(self) -> int:
        return self._sequence

    def pass_over(self, client_order_id: ClientOrderId) -> bool:
        """Never give out a number that the broker shows as used and nobody here knows. Returns whether it is such.

        A number far ahead is somebody's invention, and never met.
        """
        parsed = None if client_order_id in self._orders else ids.parse(client_order_id)
        if parsed is None or not ids.is_ours(client_order_id, self._instance):
            return False
        is_ahead = self._sequence <= parsed.sequence < self._sequence + SEQUENCES_LOST_MAX
        if is_ahead:
            self._sequence = parsed.sequence + 1
        return is_ahead

    def open(self, approved: Approved, *, venue_ns: Nanos, mono_ns: MonoNanos) -> Order:
        """Keep an approved order: READY, and exposure from now on."""
        client_order_id = approved.intent.client_order_id
        assert client_order_id not in self._orders, f"{client_order_id} was opened before (I2)"
        order = approved_order(approved, venue_ns=venue_ns, mono_ns=mono_ns)
        self._keep(order)
        self._recent.append((order.created_ns, order))
        return order

    def adopt(self, shown: BrokerOrder, *, venue_ns: Nanos, mono_ns: MonoNanos) -> Order:
        """Keep an order at the broker that we did not send."""
        known = self._find(shown)
        if known is not None:
            return known
        return self._adopt(shown, venue_ns=venue_ns, mono_ns=mono_ns).order

    def restore(
        self,
        orders: Sequence[RestoredOrder],
        *,
        mono_ns: MonoNanos,
        recent: Sequence[RecentOrder] = (),
        fills: Sequence[RestoredFill] = (),
        known_executions: Sequence[tuple[BrokerOrderId, Decimal]] = (),
    ) -> list[Effect]:
        """Take over the orders of an earlier life; ask about each whose fate it did not know.

        Args:
            recent: its final orders of the last day, which still count in rates, turnover and cooldowns.
            fills: its newest executions that are booked, with their numbers.
            known_executions: all of them that count as booked, by order and cumulative quantity.
        """
        of_order: dict[BrokerOrderId, list[RestoredFill]] = {}
        for each in fills:
            of_order.setdefault(each.execution.broker_order_id, []).append(each)
        cumulatives: dict[BrokerOrderId, list[Decimal]] = {}
        for order_id, cumulative in known_executions:
            cumulatives.setdefault(order_id, []).append(cumulative)
        self._restored_recent = deque(sorted(recent, key=_counts_from_ns))
        effects: list[Effect] = []
        for saved in orders:
            order = restored_order(
                saved,
                mono_ns=mono_ns,
                fills=() if saved.broker_order_id is None else of_order.get(saved.broker_order_id, ()),
                cumulatives=() if saved.broker_order_id is None else cumulatives.get(saved.broker_order_id, ()),
            )
            self._keep(order)
            if not order.is_external or ids.is_ours(order.client_order_id, self._instance):
                self._recent.append((order.created_ns, order))
        for order in list(self._orders.values()):
            self._join_relatives(order)
        for order in list(self._live.values()):
            if order.is_unknown:
                work = Work(order, venue_ns=order.created_ns, mono_ns=mono_ns)
                delays_s = self.settings.ask_delays_seconds
                ask(work, "its fate was not known when the last process ended", delays_s=delays_s)
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
        APPLIERS[type(event)](work, event, self.settings)
        if isinstance(event, OrderAnswered):
            self._meet_legs(work, event.order)
        self._cancel_if_wanted(work)
        return self._finish(work)

    def meet(self, shown: Sequence[BrokerOrder], *, venue_ns: Nanos, mono_ns: MonoNanos) -> list[Outcome]:
        """Take over, open or closed, what belongs to orders of ours: their legs, and what took their place."""
        outcomes = []
        self._shown_strangers = {each.broker_order_id for each in shown if self._find(each) is None}
        for picture in sorted(shown, key=lambda each: each.submitted_ns):
            if self._find(picture) is None and self._relative(picture) is not None:
                work = self._adopt(picture, venue_ns=venue_ns, mono_ns=mono_ns)
                outcomes.append(self._finish(work, is_new=True))
        return outcomes

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
            return self._note_stranger(execution, venue_ns=venue_ns, mono_ns=mono_ns)
        work = Work(order, venue_ns=venue_ns, mono_ns=mono_ns)
        take_execution(work, execution, is_settled=True)
        return structs.replace(self._finish(work), executions=(), reconcile=None)

    def restate(
        self, broker_order_id: BrokerOrderId, executions: Sequence[Execution], *, venue_ns: Nanos, mono_ns: MonoNanos
    ) -> Outcome:
        """The broker took executions of an order back, or changed them: these are all that it has now."""
        order = self.by_broker_id(broker_order_id)
        if order is None:
            return Outcome()
        work = Work(order, venue_ns=venue_ns, mono_ns=mono_ns)
        order.restate(executions)
        return self._finish(work)

    def retract(self, shown: BrokerOrder, *, venue_ns: Nanos, mono_ns: MonoNanos) -> Outcome:
        """A status said that more was filled than any execution or later picture shows: it is not believed any more."""
        order = self._find(shown)
        if order is None:
            return Outcome()
        work = Work(order, venue_ns=venue_ns, mono_ns=mono_ns)
        order.shown_filled = max(order.executed_quantity, shown.filled_quantity)
        order.broker_updated_ns = min(order.broker_updated_ns, shown.updated_ns)
        order.broker_status = ""
        work.alert(Severity.WARNING, "fill_retracted", f"{shown.filled_quantity} shares filled, as passes show")
        return self._finish(work)

    def note_inferred(self, execution: Execution, *, venue_ns: Nanos, mono_ns: MonoNanos) -> Outcome:
        """Learn of shares that only the order's status tells; their execution takes their place when it comes."""
        outcome = self.note_execution(execution, venue_ns=venue_ns, mono_ns=mono_ns)
        if outcome.order is not None:
            outcome.order.inferred.add(execution.cumulative_quantity)
        return outcome

    def _note_stranger(self, execution: Execution, *, venue_ns: Nanos, mono_ns: MonoNanos) -> Outcome:
        """A fill of an order that nobody here knows; it may be one of unknown fate, which learns of it with its id.

        An order that is shown with another's id is none of ours: its fills say nothing of those.
        """
        if len(self._strangers) < STRANGERS_MAX:
            self._strangers.setdefault(execution.broker_order_id, []).append(execution)
        outcomes = []
        is_anothers = execution.broker_order_id in self._shown_strangers
        for order in () if is_anothers else self.live(execution.symbol):
            work = Work(order, venue_ns=venue_ns, mono_ns=mono_ns)
            suspect(work, execution.quantity * execution.side.sign)
            outcomes.append(self._finish(work))
        return Outcome(more=tuple(outcome for outcome in outcomes if not outcome.is_empty))

    def on_time(self, *, venue_ns: Nanos, mono_ns: MonoNanos) -> list[Outcome]:
        """Let doubts be asked about, and lateness be said."""
        outcomes = []
        for order in list(self._live.values()):
            if order.status in RESTING and not order.cancel_reason:
                continue
            work = Work(order, venue_ns=venue_ns, mono_ns=mono_ns)
            watch(work, self.settings)
            self._cancel_if_wanted(work)
            outcomes.append(self._finish(work))
        return [outcome for outcome in outcomes if not outcome.is_empty]

    def on_clean_pass(
        self,
        *,
        started_mono_ns: int,
        mono_ns: MonoNanos,
        seen_client_ids: Set[ClientOrderId],
        gaps: Mapping[Symbol, Decimal] = MappingProxyType({}),
    ) -> list[Outcome]:
        """A complete pass was read; what it did not show is one step nearer to being believed absent.

        Args:
            gaps: signed shares that the broker holds of a symbol and nobody can explain.
        """
        outcomes = []
        for order in list(self._live.values()):
            work = Work(order, venue_ns=order.updated_ns, mono_ns=mono_ns)  # silence is no news of the order
            is_seen = order.client_order_id in seen_client_ids
            suspect(work, gaps.get(order.symbol, ZERO))
            prove_absence(work, self.settings, started_mono_ns=started_mono_ns, is_seen=is_seen)
            outcomes.append(self._finish(work))
        return [outcome for outcome in outcomes if not outcome.is_empty]

    def allow_absence(self, symbol: Symbol) -> int:
        """A person knows that the broker has none of the orders that it seemed to have: absence may be proven."""
        seeming = [order for order in self.live(symbol) if order.is_unknown and order.exists_at_broker]
        for order in seeming:
            order.exists_at_broker = False
        return len(seeming)

    # what there is

    def get(self, client_order_id: ClientOrderId) -> Order | None:
        return self._orders.get(client_order_id)

    def by_broker_id(self, broker_order_id: BrokerOrderId) -> Order | None:
        return self._by_broker_id.get(broker_order_id)

    def live(self, symbol: Symbol | None = None) -> Iterator[Order]:
        """Orders that may still move shares, the oldest first."""
        return (order for order in self._live.values() if symbol is None or order.symbol == symbol)

    def live_trades(self, symbol: Symbol) -> Iterator[Order]:
        """The same without protective stops, which rest for as long as there is something to protect."""
        return (order for order in self.live(symbol) if not order.is_protection)

    def all_recent(self, limit: int | None = None) -> list[Order]:
        """Orders that are kept, the oldest first; with a limit, the newest ones."""
        orders = list(self._orders.values())
        return orders if limit is None else orders[-limit:]

    def open_quantities(self, symbol: Symbol) -> tuple[Decimal, Decimal, bool]:
        """Worst-case open purchases and sales in shares, and whether the fate of an order is unknown."""
        buys = sells = ZERO
        has_unknown = False
        for order in self.live():
            has_unknown = has_unknown or (order.is_unknown and order.symbol == symbol)
            for claimed, side, quantity in order.claims():
                buys += quantity if claimed == symbol and side is Side.BUY else ZERO
                sells += quantity if claimed == symbol and side is Side.SELL else ZERO
        return buys, sells, has_unknown

    def recent(self, venue_ns: Nanos) -> tuple[RecentOrder, ...]:
        """Orders of ours made, or stops executed, in the last 24 hours of venue time."""
        while self._recent and self._recent[0][0] <= venue_ns - DAY_NS:
            self._recent.popleft()
        while self._restored_recent and _counts_from_ns(self._restored_recent[0]) <= venue_ns - DAY_NS:
            self._restored_recent.popleft()
        return (*self._restored_recent, *(order.to_recent() for _, order in self._recent))

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
            self._name(work, shown.broker_order_id)
            work.order.acknowledged_ns = event.venue_ns
        if event.execution is not None and event.word not in CORRECTIONS:
            if work.order.is_protection and shown.quantity is not None:  # a split enlarges what rests
                work.order.echoed_quantity = max(work.order.echoed_quantity, shown.quantity)
            take_execution(work, event.execution)
        take_picture(work, shown, event_word=event.word)
        self._cancel_if_wanted(work)
        return self._finish(work, is_new=is_new)

    # inside

    def _find(self, shown: BrokerOrder) -> Order | None:
        return self._orders.get(shown.client_order_id) or self._by_broker_id.get(shown.broker_order_id)

    def _adopt(self, shown: BrokerOrder, *, venue_ns: Nanos, mono_ns: MonoNanos, is_pictured: bool = True) -> Work:
        relative = self._relative(shown)
        if relative is not None and shown.replaces is None:
            order = leg_order(shown, relative, role_of(shown), venue_ns=venue_ns, mono_ns=mono_ns)
        else:
            order = external_order(shown, replaced=relative, venue_ns=venue_ns, mono_ns=mono_ns)
        work = Work(order, venue_ns=venue_ns, mono_ns=mono_ns)
        self.pass_over(order.client_order_id)
        self._keep(order)
        order.acknowledged_ns = venue_ns
        self._announce(work, shown, relative)
        self._name(work, shown.broker_order_id)
        if order.parent is not None:
            order.parent.exists_at_broker = True  # a leg has no life without its entry
        if is_pictured:
            take_picture(work, shown, is_pass=True)
            self._refile(order)
        return work

    def _announce(self, work: Work, shown: BrokerOrder, relative: Order | None) -> None:
        """Say whose order was found that we did not send."""
        order = work.order
        if relative is not None and shown.replaces is not None:
            work.also(self._end_of(relative, work))
            text = f"took the place of {relative.client_order_id} at the broker, by another hand than ours"
            work.alert(Severity.WARNING, "order_replaced_outside", text)
        elif relative is not None:
            return  # a leg that we asked for
        elif shown.replaces is not None:
            self._waiting.setdefault(shown.replaces, []).append(order)
            work.alert(Severity.WARNING, "external_order", "took the place of an order that is not known here")
            work.reconcile(f"what {shown.broker_order_id} replaced is not known")
        elif ids.is_ours(order.client_order_id, self._instance):
            work.alert(Severity.CRITICAL, "forgotten_order", "carries an id of ours that is not in our books")
        elif ids.is_foreign(order.client_order_id, self._instance):
            work.alert(Severity.CRITICAL, "foreign_instance", "was sent by this program with another database")
        else:
            work.alert(Severity.WARNING, "external_order", f"{order.quantity} shares, not sent by us")

    def _relative(self, shown: BrokerOrder) -> Order | None:
        """The order of ours that an unknown one continues: what it replaced, or of a leg its parent."""
        if shown.replaces is not None:
            return self._by_broker_id.get(shown.replaces)
        return parent_of(shown, reversed(self._orders.values()))

    def _meet_legs(self, work: Work, shown: BrokerOrder) -> None:
        """Keep the legs that the answer to a POST shows."""
        for leg in shown.legs:
            known = self._find(leg)
            if known is None and role_of(leg) not in work.order.legs:
                order = leg_order(leg, work.order, role_of(leg), venue_ns=work.venue_ns, mono_ns=work.mono_ns)
                self._keep(order)
                own = Work(order, venue_ns=work.venue_ns, mono_ns=work.mono_ns)
                self._name(own, leg.broker_order_id)
                take_picture(own, leg)
                work.also(self._finish(own, is_new=True))

    def _join_relatives(self, order: Order) -> None:
        """After a restart: find a leg's parent, and who took whose place, among the orders that came back."""
        parent = None if order.parent_client_order_id is None else self._orders.get(order.parent_client_order_id)
        if parent is not None and order.replaces is None:
            order.parent = parent
            parent.legs[STOP_LOSS if order.stop_price is not None else TAKE_PROFIT] = order
        if order.replaces is None:
            return
        old = self._by_broker_id.get(order.replaces)
        if old is not None:
            old.successor = order
        else:
            self._waiting.setdefault(order.replaces, []).append(order)  # of one whose id the broker did not tell yet

    def _cancel_if_wanted(self, work: Work) -> None:
        """Send a wanted cancel once the broker has named the order, and again while it shows no effect."""
        order = work.order
        if not order.cancel_reason or order.broker_order_id is None or order.status in TERMINAL:
            return
        again_ns = self.settings.cancel_again_seconds * NANOS_PER_SECOND
        asked_ns = order.cancel_asked_mono_ns
        if asked_ns is not None and (work.mono_ns - asked_ns < again_ns or order.broker_status == "pending_cancel"):
            return
        if order.status in (Status.READY, Status.SENDING) or not step(work, Trigger.CANCEL_ASKED):
            return
        order.cancel_asked_mono_ns = work.mono_ns
        work.cancel(order.cancel_reason)

    def _finish(self, work: Work, *, is_new: bool = False) -> Outcome:
        order = work.order
        if order.broker_order_id is not None and order.broker_order_id not in self._by_broker_id:
            self._name(work, order.broker_order_id)
        if order.status in TERMINAL and order.status is not Status.FILLED:
            self._ask_about_legs(work)
        self._count_late_execution(order)
        self._refile(order)
        return work.outcome(is_new=is_new)

    def _ask_about_legs(self, work: Work) -> None:
        """An entry ended unfilled: its legs end with it, and no event tells of those that were held."""
        for leg in work.order.legs.values():
            if not leg.is_final and leg.asks == 0:
                own = Work(leg, venue_ns=work.venue_ns, mono_ns=work.mono_ns)
                ask(own, "its entry ended", delays_s=self.settings.ask_delays_seconds)
                work.also(own.outcome())

    def _count_late_execution(self, order: Order) -> None:
        """A stop counts among the recent orders from its execution on: it may be older than they are, or a leg."""
        if not (order.is_protection and order.executions) or "counted" in order.alerts_raised:
            return
        order.alerts_raised.add("counted")
        if all(each is not order for _, each in self._recent):
            self._recent.append((Nanos(order.last_execution_ns), order))

    def _keep(self, order: Order) -> None:
        self._orders[order.client_order_id] = order
        self._live[order.client_order_id] = order
        if order.broker_order_id is not None:
            self._by_broker_id[order.broker_order_id] = order

    def _name(self, work: Work, broker_order_id: BrokerOrderId) -> None:
        """The broker told its id of an order; orders that waited for it learn whose they are."""
        order = work.order
        order.broker_order_id = broker_order_id
        self._by_broker_id[broker_order_id] = order
        if any([order.note(execution) for execution in self._strangers.pop(broker_order_id, ())]) and order.allocations:
            work.rehome()
        for successor in self._waiting.pop(broker_order_id, ()):
            own = Work(successor, venue_ns=work.venue_ns, mono_ns=work.mono_ns)
            self._bring_home(own, order)
            work.also(self._finish(own))

    def _end_of(self, old: Order, work: Work) -> Outcome:
        """An order whose successor became known may be final by that: its row says so."""
        return self._finish(Work(old, venue_ns=work.venue_ns, mono_ns=work.mono_ns), is_new=True)

    def _bring_home(self, work: Work, old: Order) -> None:
        """An order that was taken for somebody else's continues one of ours, and so do those that followed it."""
        order = work.order
        succeed(old, order)
        work.also(self._end_of(old, work))
        if not order.allocations:
            return
        text = f"continues {old.client_order_id}, which was replaced by another hand than ours"
        work.alert(Severity.WARNING, "order_replaced_outside", text)
        if order.executed_quantity:
            work.rehome()
        if order.successor is not None:
            own = Work(order.successor, venue_ns=work.venue_ns, mono_ns=work.mono_ns)
            self._bring_home(own, order)
            work.also(self._finish(own))

    def _refile(self, order: Order) -> None:
        """Keep the indexes true after an order changed."""
        client_order_id = order.client_order_id
        if not order.is_final:
            self._live[client_order_id] = order
            return
        if self._live.pop(client_order_id, None) is None:
            return
        self._finals.append(client_order_id)
        while len(self._finals) > self.settings.kept_final_orders:
            self._forget(self._finals.popleft())

    def _forget(self, client_order_id: ClientOrderId) -> None:
        if client_order_id in self._live:
            return  # it came back
        order = self._orders.pop(client_order_id, None)
        if order is not None and order.broker_order_id is not None:
            self._by_broker_id.pop(order.broker_order_id, None)


def _counts_from_ns(order: RecentOrder) -> int:
    return max(order.sent_ns, order.executed_ns or 0)
