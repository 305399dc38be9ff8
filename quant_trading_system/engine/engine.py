"""The engine: one synchronous method, `handle(event) → effects`. No clock, no chance, no I/O, no log, no await.

feed ⇒ market → strategy → portfolio → risk → orders ⇒ broker ⇒ fills → ledger
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quant_trading_system.core.effects import Effect
from quant_trading_system.core.events import (
    AnyEvent,
    BarSeen,
    BrokerSnapshot,
    CancelAnswered,
    CancelInDoubt,
    ClockSeen,
    Event,
    HealingAsked,
    HealingEnded,
    HealthSeen,
    HistorySeen,
    InstrumentsSeen,
    LatchSeen,
    LeaseSeen,
    LookupAnswered,
    LookupFailed,
    MarketEvent,
    OperatorAsked,
    OrderAnswered,
    OrderDropped,
    OrderInDoubt,
    OrderRefused,
    OrderSending,
    OrderUpdated,
    QuoteSeen,
    Restored,
    SnapshotFailed,
    Started,
    StatusSeen,
    Stopping,
    StoreSeen,
    StreamDown,
    StreamUp,
    TimerFired,
    TradeSeen,
)
from quant_trading_system.core.types import NANOS_PER_SECOND, BrokerOrderId, ClientOrderId, Nanos, Stream, Symbol
from quant_trading_system.core.values import Approved
from quant_trading_system.core.views import EngineView
from quant_trading_system.engine.desk import Desk
from quant_trading_system.engine.guarding import Guarding
from quant_trading_system.engine.healing import Healing
from quant_trading_system.engine.operator import Operators
from quant_trading_system.engine.order_flow import OrderFlow
from quant_trading_system.engine.protection import STANDING, Protection
from quant_trading_system.engine.reconciling import Reconciling
from quant_trading_system.engine.self_test import controls_that_pass
from quant_trading_system.engine.snapshot import build_view, state_hash
from quant_trading_system.engine.stream_alarm import StreamAlarm
from quant_trading_system.engine.timers import Timers
from quant_trading_system.engine.trading import Trading

NOTHING: Sequence[Effect] = ()
Handler = Callable[..., None]


class Engine:
    """Everything the daemon decides. Told events one at a time; returns what is to be done at the edge."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._flow = OrderFlow(desk)
        self._trading = Trading(desk)
        self._reconciling = Reconciling(desk, self._flow)
        self._guarding = Guarding(desk, self._flow)
        self._healing = Healing(desk)
        self._alarm = StreamAlarm(desk, self._healing)
        self._protection = Protection(desk, flow=self._flow, trading=self._trading)
        self._trading.make_way = self._protection.make_way
        self._timers = Timers(
            desk,
            flow=self._flow,
            trading=self._trading,
            guarding=self._guarding,
            healing=self._healing,
            alarm=self._alarm,
            protection=self._protection,
            reconciling=self._reconciling,
        )
        self._operators = Operators(
            desk, flow=self._flow, guarding=self._guarding, reconciling=self._reconciling, healing=self._healing
        )
        self._handlers = _HandlerTable(self._build_handlers())

    def handle(self, event: AnyEvent) -> Sequence[Effect]:
        """Take in one fact and return what follows from it, in order."""
        desk = self._desk
        desk.events_handled += 1
        self._handlers[type(event)](event)
        return desk.take_effects() if desk.has_effects else NOTHING

    def view(self) -> EngineView:
        """A picture of the engine for status, dashboard and metrics."""
        return build_view(self._desk)

    def state_hash(self) -> str:
        """Hash of everything that decides what comes next; equal for equal event histories."""
        return state_hash(self._desk)

    def refusal_before_write(self, approved: Approved, *, mono_ns: int) -> str | None:
        """The re-check in the loop step of the socket write: kill latch, state, lease, limit version. None: go."""
        desk = self._desk
        if desk.kill.blocks and not approved.reduces_exposure:
            return "kill latch is not clear in every store"
        if desk.is_stopping and not approved.reduces_exposure:
            return "the daemon is stopping"
        if not desk.guards.allows(reduces_exposure=approved.reduces_exposure):
            return f"trading state is {desk.guards.state}"
        margin_ns = int(desk.config.limits.lease_margin_seconds * NANOS_PER_SECOND)
        if not desk.lease_held or desk.lease_deadline_mono_ns - mono_ns < margin_ns:
            return "the single-writer lease is not held long enough"
        if approved.limits_version != desk.gate.limits_version:
            return f"limits changed from {approved.limits_version} to {desk.gate.limits_version}"
        return None

    def refusal_before_retry(self, approved: Approved) -> str | None:
        """All controls again, for an order of which no byte left. None: it may be tried again."""
        return self._trading.still_approved(approved.intent.client_order_id, approved.intent)

    @property
    def is_clean(self) -> bool:
        """The last reconciliation is recent and agreed, and no order is UNKNOWN."""
        return self._reconciling.is_clean

    def self_test(self) -> tuple[int, list[str]]:
        """One violating order per control through the gate: how many were tried, and the controls that let one pass."""
        return controls_that_pass(self._desk.gate, self._desk.config.limits)

    # what the shell asks while it starts, stops and answers

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """What strategies may trade."""
        return self._desk.config.symbols

    @property
    def streamed_symbols(self) -> tuple[Symbol, ...]:
        """What the feed must carry: the symbols and the reference symbol."""
        return self._desk.market.symbols

    @property
    def is_feed_up(self) -> bool:
        return self._desk.streams_up[Stream.MARKET_DATA]

    @property
    def is_trade_stream_up(self) -> bool:
        return self._desk.streams_up[Stream.TRADE_UPDATES]

    @property
    def is_session_open(self) -> bool:
        """By both sources; unknown counts as closed."""
        session = self._desk.session()
        return session.is_open_by_calendar and session.is_open_by_broker is True

    def is_in_session(self, venue_ns: int) -> bool:
        """Whether a moment lies in a regular session, by the calendar."""
        return self._desk.is_in_session(venue_ns)

    @property
    def feed_age_s(self) -> float | None:
        return self._desk.market.feed_age_s(self._desk.mono_ns)

    @property
    def are_stores_up(self) -> bool:
        return all(self._desk.stores_up.values())

    @property
    def is_reconciled(self) -> bool:
        """A first complete pass was taken in, and no order's fate is unknown to a lookup under way."""
        return self._desk.good_pass_mono_ns is not None

    @property
    def reconciliation_state(self) -> str:
        """Why the engine is not ready to trade, for a person."""
        desk = self._desk
        passes = "no complete pass yet" if desk.good_pass_mono_ns is None else f"{desk.reconciliations} passes"
        streams = ", ".join(f"{stream} {'up' if is_up else 'down'}" for stream, is_up in desk.streams_up.items())
        return f"{passes}; {streams}; {self.unknown_orders} orders of unknown fate"

    @property
    def oldest_live_ns(self) -> Nanos | None:
        """When the oldest order that is not final was made, venue time.

        Protective stops that stand rest for weeks: one that ends meanwhile is missed by a pass, and then asked about.
        """
        live = (order for order in self._desk.orders.live() if not (order.is_protection and order.status in STANDING))
        return min((order.created_ns for order in live), default=None)

    @property
    def reaches_back_ns(self) -> Nanos | None:
        """Since when, in venue time, a pass must list orders and executions; None before the first good one."""
        return self._reconciling.reaches_back_ns

    @property
    def foreign_orders(self) -> list[ClientOrderId]:
        """Orders on this account that another database of this program made."""
        return list(self._desk.foreign_orders)

    @property
    def forgotten_orders(self) -> list[ClientOrderId]:
        """Orders on this account that this database made and does not know any more."""
        return list(self._desk.forgotten_orders)

    def recovery_report(self) -> list[str]:
        """What the first reconciliation found that happened while the daemon was down, a line each."""
        return list(self._desk.recovered)

    @property
    def live_orders(self) -> int:
        """Orders that an ordered stop waits for: protective stops that stand are meant to outlive the daemon."""
        live = self._desk.orders.live()
        return sum(1 for order in live if not (order.is_protection and order.status in STANDING))

    @property
    def are_stops_in_place(self) -> bool:
        """Every position whose strategies declare a stop has it at the broker."""
        return self._protection.is_in_place

    def standing_stops(self) -> frozenset[BrokerOrderId]:
        """Protective stops at the broker, which a cancel of everything else leaves there."""
        return self._desk.standing_stops()

    @property
    def unknown_orders(self) -> int:
        return sum(1 for order in self._desk.orders.live() if order.is_unknown)

    # market data

    def _on_trade(self, event: TradeSeen) -> None:
        self._desk.mono_ns = max(self._desk.mono_ns, event.mono_ns)
        bar = self._desk.market.on_trade(event)
        if bar is not None:
            self._desk.seen_ns = event.seen_ns
            self._trading.on_bar(bar)

    def _on_quote(self, event: QuoteSeen) -> None:
        self._desk.mono_ns = max(self._desk.mono_ns, event.mono_ns)
        self._desk.market.on_quote(event)

    def _on_bar(self, event: BarSeen) -> None:
        self._desk.mono_ns = max(self._desk.mono_ns, event.mono_ns)
        bar = self._desk.market.on_bar(event)
        if bar is not None:
            self._desk.seen_ns = event.seen_ns
            self._trading.on_bar(bar)

    def _on_status(self, event: StatusSeen) -> None:
        self._desk.market.on_status(event)

    # everything else

    def _on_history(self, event: HistorySeen) -> None:
        self._desk.stamp(event)
        self._desk.market.on_history(event)

    def _on_order_event(self, event: Event) -> None:
        self._desk.stamp(event)
        if isinstance(event, OrderUpdated | OrderAnswered):
            self._reconciling.on_activity(event)
        elif isinstance(event, LookupAnswered):
            self._reconciling.on_lookup(event)
        outcome = self._desk.orders.apply(event)
        self._flow.settle(outcome, source="stream")
        self._compare_channels(event)
        if outcome.order is not None:
            self._protection.look(outcome.order.symbol)

    def _compare_channels(self, event: Event) -> None:
        if isinstance(event, OrderUpdated):
            self._alarm.on_update(event.order, event.word)
        elif isinstance(event, OrderAnswered | LookupAnswered) and event.order is not None:
            self._alarm.on_shown(event.order)

    def _on_snapshot(self, event: BrokerSnapshot) -> None:
        self._reconciling.on_snapshot(event)
        self._guarding.on_account(event.account)
        self._alarm.on_snapshot(event)

    def _on_snapshot_failed(self, event: SnapshotFailed) -> None:
        self._reconciling.on_failed(event)
        self._guarding.on_snapshot_failed(event)

    def _on_restored(self, event: Restored) -> None:
        self._reconciling.on_restored(event)
        self._healing.on_restored(event)

    def _on_stream_up(self, event: StreamUp) -> None:
        self._guarding.on_stream_up(event)
        self._healing.on_stream_up(event.stream)
        if event.stream is Stream.TRADE_UPDATES:
            self._alarm.on_stream_up()

    def _on_clock(self, event: ClockSeen) -> None:
        self._desk.stamp(event)
        self._desk.reading = event.reading
        self._desk.reading_mono_ns = event.mono_ns

    def _on_instruments(self, event: InstrumentsSeen) -> None:
        self._desk.stamp(event)
        self._desk.instruments.update({instrument.symbol: instrument for instrument in event.instruments})

    def _on_started(self, event: Started) -> None:
        self._desk.stamp(event)
        self._desk.is_trading = True

    def _on_stopping(self, event: Stopping) -> None:
        self._desk.stamp(event)
        self._desk.is_stopping = True
        self._flow.cancel_entries(f"stopping: {event.reason}")
        self._guarding.record_equity()

    def _stamped(self, handler: Handler) -> Handler:
        def run(event: Event) -> None:
            self._desk.stamp(event)
            handler(event)
            self._guarding.apply_changes()

        return run

    def _build_handlers(self) -> dict[type, Handler]:
        order_events = (
            OrderSending,
            OrderAnswered,
            OrderRefused,
            OrderInDoubt,
            OrderDropped,
            CancelAnswered,
            CancelInDoubt,
            LookupAnswered,
            LookupFailed,
            OrderUpdated,
        )
        return {
            TradeSeen: self._on_trade,
            QuoteSeen: self._on_quote,
            BarSeen: self._on_bar,
            StatusSeen: self._on_status,
            HistorySeen: self._on_history,
            **dict.fromkeys(order_events, self._on_order_event),
            ClockSeen: self._on_clock,
            InstrumentsSeen: self._on_instruments,
            Started: self._on_started,
            Stopping: self._on_stopping,
            Restored: self._stamped(self._on_restored),
            BrokerSnapshot: self._stamped(self._on_snapshot),
            SnapshotFailed: self._stamped(self._on_snapshot_failed),
            StreamUp: self._stamped(self._on_stream_up),
            StreamDown: self._stamped(self._guarding.on_stream_down),
            LatchSeen: self._stamped(self._guarding.on_latch),
            LeaseSeen: self._stamped(self._guarding.on_lease),
            StoreSeen: self._stamped(self._guarding.on_store),
            HealthSeen: self._stamped(self._guarding.on_health),
            HealingAsked: self._stamped(self._healing.on_asked),
            HealingEnded: self._stamped(self._healing.on_ended),
            TimerFired: self._stamped(self._timers.on_fired),
            OperatorAsked: self._stamped(self._operators.on_asked),
        }


class _HandlerTable(dict[type, Handler]):
    """Event class to handler. A wire class that extends an event of ours finds its base's handler, once."""

    def __missing__(self, kind: type) -> Handler:
        for base in kind.__mro__[1:]:
            if base in self and issubclass(base, MarketEvent | Event):
                self[kind] = self[base]
                return self[base]
        raise TypeError(f"the engine knows no event {kind.__name__}")
