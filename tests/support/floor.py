"""Both sides in one process, on virtual time: the real engine and the embedded exchange's core, joined by wire formats.

The harness performs effects as the shell does, but at once. What it loses, delays or doubles is said by the test; what
the broker answers is Alpaca's JSON made by the exchange and read by the adapters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from quant_trading_system.adapters.alpaca import answers
from quant_trading_system.adapters.alpaca.orders import payload
from quant_trading_system.adapters.alpaca.updates import parse_update
from quant_trading_system.app.stamps import Stamps
from quant_trading_system.core.broker import ClockReading
from quant_trading_system.core.clock import to_nanos
from quant_trading_system.core.effects import (
    AllowHealing,
    Answer,
    AskOrder,
    CancelEverything,
    CancelOrder,
    ClearLatch,
    CycleStream,
    Effect,
    EngageLatch,
    Remember,
    RequestReconciliation,
    SendOrder,
)
from quant_trading_system.core.events import (
    AnyEvent,
    BrokerSnapshot,
    CancelAnswered,
    ClockSeen,
    InstrumentsSeen,
    LatchSeen,
    LeaseSeen,
    LookupAnswered,
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
    StoreSeen,
    StreamUp,
    TimerFired,
)
from quant_trading_system.core.records import Record
from quant_trading_system.core.types import (
    NANOS_PER_MINUTE,
    NANOS_PER_SECOND,
    BrokerOrderId,
    ClientOrderId,
    Direction,
    Latch,
    Mode,
    MonoNanos,
    Nanos,
    Store,
    StrategyId,
    Stream,
    Symbol,
)
from quant_trading_system.core.values import Approved
from quant_trading_system.engine.build import build_engine
from quant_trading_system.engine.config import EngineConfig, StrategyConfig
from quant_trading_system.engine.engine import Engine
from quant_trading_system.risk.limits import RiskLimits
from quant_trading_system.simulator.events import SimQuote, SimTrade
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.order_index import OrderQuery
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.requests import OrderRequest
from quant_trading_system.simulator.server.event_wire import order_event_json
from quant_trading_system.simulator.server.hours_wire import clock_json
from quant_trading_system.simulator.settings import ExchangeSettings
from tests.support.floor_readings import SYMBOL, Readings, failed
from tests.support.floor_wire import broker_order, broker_snapshot, instrument, market_event
from tests.support.restored import restored_from
from tests.support.scripted_market import ScriptedMarket
from tests.support.scripted_strategy import ScriptedStrategy

__all__ = [
    "MOMENTUM",
    "MORNING",
    "OPEN",
    "REVERSION",
    "SYMBOL",
    "TWO_STRATEGIES",
    "Floor",
    "broker_order",
    "failed",
    "scripted_floor",
]

OPEN = to_nanos(datetime(2026, 1, 6, 14, 30, tzinfo=UTC))  # a Tuesday, 09:30 in New York
MORNING = Nanos(OPEN + 10 * NANOS_PER_MINUTE)  # inside the window in which orders are allowed
MOMENTUM = StrategyId("momentum")
REVERSION = StrategyId("mean_reversion")
FINAL_WORDS = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
BAR_SECONDS_MAX = 130  # the first bar after the start misses prints and does not count
TWO_STRATEGIES = (
    StrategyConfig(id=MOMENTUM, kind="momentum", weight=Decimal("0.5"), sizing="volatility_target", parameters={}),
    StrategyConfig(id=REVERSION, kind="mean_reversion", weight=Decimal("0.5"), sizing="fixed_fraction", parameters={}),
)


class Floor(Readings):
    """A trading floor of one engine and one exchange. Time moves by `advance`, in seconds.

    With `is_scripted` the strategies say what `decide` tells them to, instead of what bars suggest.
    """

    def __init__(
        self,
        *,
        symbols: Sequence[str] = (SYMBOL,),
        limits: RiskLimits | None = None,
        strategies: Sequence[StrategyConfig] = TWO_STRATEGIES,
        start_ns: Nanos = OPEN,
        is_dry_run: bool = False,
        exchange: Exchange | None = None,
        market: ScriptedMarket | None = None,
        restored: Restored | None = None,
        capital_usd: Decimal | None = None,
        is_scripted: bool = False,
        protective_stops: Mapping[StrategyId, Decimal] | None = None,
        kill_cancels_stops: bool = False,
    ) -> None:
        self._arguments = {
            "symbols": symbols,
            "limits": limits,
            "strategies": strategies,
            "is_dry_run": is_dry_run,
            "capital_usd": capital_usd,
            "is_scripted": is_scripted,
            "protective_stops": protective_stops,
            "kill_cancels_stops": kill_cancels_stops,
        }
        self.symbols = tuple(Symbol(symbol) for symbol in symbols)
        self.market = market or ScriptedMarket(symbols, start_ns=start_ns)
        self.exchange = exchange or Exchange(
            settings=ExchangeSettings(start_ns=start_ns, partial_fill_probability=0.0), market=self.market, journal=None
        )
        self.now_ns = Nanos(max(start_ns, self.exchange.now_ns))
        self.mono_ns = MonoNanos(10_000 * NANOS_PER_SECOND)
        self.engine: Engine = build_engine(
            EngineConfig(
                mode=Mode.SIM,
                account=self.exchange.settings.account_number,
                instance="floortst",
                symbols=self.symbols,
                reference_symbol=None,
                strategies=_with_stops(strategies, protective_stops or {}),
                kill_cancels_stops=kill_cancels_stops,
                limits=limits or RiskLimits(),
                is_dry_run=is_dry_run,
                capital_usd=capital_usd,
            ),
            next_sequence=1 if restored is None else restored.next_sequence,
        )
        self.scripts = {each.id: ScriptedStrategy(each.id) for each in strategies} if is_scripted else {}
        self.engine._desk.strategies.update(self.scripts)
        self._inbox: deque[AnyEvent] = deque()
        self._gateway: deque[Approved] = deque()
        self._is_draining = False
        self.told: list[AnyEvent] = []
        self.records: list[Record] = []
        self.answers: list[Answer] = []
        self.sent: list[Approved] = []
        self.posted: list[bytes] = []
        self.cancelled: list[str] = []
        self.cancelled_everything: list[str] = []
        self.cycled: list[str] = []
        self.healing_answers: list[AllowHealing] = []
        self.prices = dict.fromkeys(self.symbols, 100.0)
        self._restored = restored
        self._earlier_records: list[Record] = []
        self._earlier_intents: list[Approved] = []
        self._steps = [0]
        self._set_hooks()

    def _set_hooks(self) -> None:
        """What a test may break."""
        self.on_cycle: Callable[[Stream], None] | None = None
        self.on_post: Callable[[Approved, Callable[[], SimOrder]], AnyEvent | None] | None = None
        self.filter_update: Callable[[OrderUpdated], Sequence[OrderUpdated]] = lambda update: [update]
        self.before_write: Callable[[Approved], str | None] = lambda _approved: None
        self.before_cancel: Callable[[], None] = lambda: None
        self.spoil: Callable[[QuoteSeen], QuoteSeen] = lambda quote: quote
        self.filter_snapshot: Callable[[BrokerSnapshot], AnyEvent] = lambda snapshot: snapshot
        self.answers_lookups = True
        self.hides_orders = False
        self.reconciles = True
        self.quotes = True
        self.prints = True
        self.keeps_lease = True
        self.holds_gateway = False
        self.takes_latch = True

    # a day's script

    def start(self) -> None:
        """What the eight steps tell the engine, then READY."""
        self.tell(
            self._restored
            or Restored(
                orders=(),
                books=(),
                known_executions=(),
                cash_usd=None,
                guards=None,
                next_sequence=1,
                locks=(),
                disabled_strategies=(),
                last_stop_ns=None,
                is_first_start=True,
                **self.stamps(),
            )
        )
        for store in Store:
            self.tell(LatchSeen(store=store, latch=Latch.CLEAR, **self.stamps()))
            self.tell(StoreSeen(store=store, is_up=True, **self.stamps()))
        self.tell_clock()
        self.keep_lease()
        self.tell(InstrumentsSeen(instruments=tuple(map(instrument, self.symbols)), **self.stamps()))
        for stream in Stream:
            self.tell(StreamUp(stream=stream, symbols=self.symbols, **self.stamps()))
        self.reconcile()
        self.tell(Started(**self.stamps()))

    def advance(self, seconds: float, *, price: float | None = None, symbol: Symbol = SYMBOL) -> None:
        """Let time pass a second at a time: a quote and a print of every symbol, timers, reconciliation on its grid."""
        if price is not None:
            self.prices[symbol] = price
        for _ in range(int(seconds)):
            self.now_ns = Nanos(self.now_ns + NANOS_PER_SECOND)
            self.mono_ns = MonoNanos(self.mono_ns + NANOS_PER_SECOND)
            self._market_speaks()
            self.exchange.advance(self.now_ns)
            self._deliver()
            self.keep_lease()
            if self.mono_ns // NANOS_PER_SECOND % 10 == 0:
                self.tell_clock()
            self.tell(TimerFired(name="second", **self.stamps()))
            if self.mono_ns // NANOS_PER_SECOND % 15 == 0:
                self.tell(TimerFired(name="reconcile", **self.stamps()))

    def skip_to(self, venue_ns: int) -> None:
        """Let the venue's clock jump, as the embedded exchange skips the night: to us a second passes."""
        self.now_ns = Nanos(max(self.now_ns, venue_ns - NANOS_PER_SECOND))
        self.exchange.advance(self.now_ns)
        self._deliver()
        self.tell_clock()
        self.advance(1)

    def quote(self, bid: float, ask: float, *, symbol: Symbol = SYMBOL, size: float = 500.0) -> None:
        """Quote once, a tenth of a millisecond from now: sooner than anything the exchange has planned."""
        self.market.say(SimQuote(symbol, bid, size, ask, size, Nanos(self.now_ns + 100_000)))

    def pass_ms(self, milliseconds: int) -> None:
        """Let a fraction of a second pass, and tell the engine what happened to orders in it."""
        self.now_ns = Nanos(self.now_ns + milliseconds * 1_000_000)
        self.mono_ns = MonoNanos(self.mono_ns + milliseconds * 1_000_000)
        self.exchange.advance(self.now_ns)
        self._deliver()

    def decide(
        self, direction: Direction, *, strategy: StrategyId = MOMENTUM, symbol: Symbol = SYMBOL, price: float = 100.0
    ) -> None:
        """Let a scripted strategy say it at the next bar of the symbol, and let time pass until then."""
        self.scripts[strategy].wish(symbol, direction)
        self.next_bar(strategy=strategy, symbol=symbol, price=price)

    def buy_resting(self, *, strategy: StrategyId = MOMENTUM) -> Approved:
        """Let a strategy buy AAPL while the market jumps from 100 to 101, so that its order rests at 100.03."""

        def post(approved: Approved, submit: Callable[[], SimOrder]) -> AnyEvent:
            self.quote(100.9, 101.1)
            return self.answer(approved, submit)

        self.on_post = post
        self.decide(Direction.LONG, strategy=strategy)
        self.on_post = None
        self.advance(1, price=101.0)
        assert [order.status for order in self.live] == ["WORKING"]
        return self.sent[-1]

    def next_bar(self, *, strategy: StrategyId = MOMENTUM, symbol: Symbol = SYMBOL, price: float | None = None) -> None:
        """Let time pass until the scripted strategies were asked about the next bar of the symbol."""
        script = self.scripts[strategy]
        seen = len(script.bars)
        for _ in range(BAR_SECONDS_MAX):
            self.advance(1, price=price, symbol=symbol)
            if any(bar.symbol == symbol for bar in script.bars[seen:]):
                return
        raise AssertionError(f"no bar of {symbol} closed within {BAR_SECONDS_MAX} s")

    def bars(self, closes: Sequence[float], *, symbol: Symbol = SYMBOL) -> None:
        """One-minute bars with these closes: each price holds for its minute."""
        for close in closes:
            self.advance(60, price=close, symbol=symbol)

    def ask(self, command: str, *, operator: str = "alice", reason: str = "test", **arguments: str) -> Answer:
        """Command the engine and return its answer."""
        self.tell(
            OperatorAsked(
                command=command,
                operator=operator,
                reason=reason,
                request_id=f"r{len(self.answers)}",
                arguments=arguments,
                **self.stamps(),
            )
        )
        return self.answers[-1]

    def crash(self, *, down_seconds: int = 0, steps_lost: int = 0) -> Floor:
        """The process dies; the exchange goes on for a while without anybody listening; another process starts.

        Rows are stored behind, those of one engine step together: those of the last `steps_lost` that made any never
        reached the database. Intents are stored before the wire.
        """
        kept = [*self._earlier_records, *self.records[: self._steps[-1 - steps_lost]]]
        intents = [*self._earlier_intents, *self.sent]
        self.exchange.advance(Nanos(self.now_ns + down_seconds * NANOS_PER_SECOND))
        self.exchange.take_market_events()
        self.exchange.take_order_events()
        heir = Floor(
            **self._arguments,  # type: ignore[arg-type]
            start_ns=self.exchange.now_ns,
            exchange=self.exchange,
            market=self.market,
            restored=restored_from(kept, intents, self.stamps()),
        )
        heir.prices = dict(self.prices)
        heir._earlier_records, heir._earlier_intents = kept, intents
        heir._restored = restored_from(kept, intents, heir.stamps())
        return heir

    # wiring

    def stamps(self) -> Stamps:
        return {"venue_ns": self.now_ns, "seen_ns": self.now_ns, "mono_ns": self.mono_ns}

    def tell(self, event: AnyEvent) -> None:
        """Hand one event to the engine and perform what it asks; answers wait until all of it is performed."""
        self._inbox.append(event)
        if self._is_draining:
            return
        self._is_draining = True
        try:
            self._drain()
        finally:
            self._is_draining = False

    def _drain(self) -> None:
        while self._inbox or (self._gateway and not self.holds_gateway):
            if not self._inbox:
                self._send(self._gateway.popleft())
                continue
            event = self._inbox.popleft()
            self.told.append(event)
            for effect in self.engine.handle(event):
                self._perform(effect)
            if len(self.records) > self._steps[-1]:
                self._steps.append(len(self.records))

    def exchange_clock(self) -> ClockReading:
        return answers.parse_clock(msgspec.json.encode(clock_json(self.now_ns)))

    def tell_clock(self) -> None:
        self.tell(ClockSeen(reading=self.exchange_clock(), **self.stamps()))

    def keep_lease(self) -> None:
        if not self.keeps_lease:
            return
        deadline = MonoNanos(self.mono_ns + 10 * NANOS_PER_SECOND)
        self.tell(LeaseSeen(held=True, epoch=1, deadline_mono_ns=deadline, **self.stamps()))

    def reconcile(self) -> None:
        """One pass, as the shell reads it."""
        if not self.reconciles:
            self.tell(SnapshotFailed(reason="the broker does not answer", **self.stamps()))
            return
        self.tell(self.filter_snapshot(self.snapshot()))

    def snapshot(self) -> BrokerSnapshot:
        """The broker's picture at this moment."""
        return broker_snapshot(self.exchange, self.stamps())

    def _market_speaks(self) -> None:
        for number, symbol in enumerate(self.symbols):
            price = self.prices[symbol]
            stamp = Nanos(self.now_ns - 500_000_000 + number)
            if self.quotes:
                self.market.say(SimQuote(symbol, round(price - 0.01, 4), 500.0, round(price + 0.01, 4), 500.0, stamp))
            if self.prints:
                self.market.say(SimTrade(symbol, price, 100.0, Nanos(stamp + 1_000), "V", number))

    def _deliver(self) -> None:
        for event in self.exchange.take_market_events():
            converted = market_event(event, seen_ns=self.now_ns, mono_ns=self.mono_ns)
            if isinstance(converted, QuoteSeen):
                converted = self.spoil(converted)
            if converted is not None:
                self.tell(converted)
        self._deliver_updates()

    def _deliver_updates(self) -> None:
        for event in self.exchange.take_order_events():
            frame = msgspec.json.encode(order_event_json(event, published_ns=self.now_ns))
            for update in self.filter_update(parse_update(frame, seen_ns=self.now_ns, mono_ns=self.mono_ns)):
                self.tell(update)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Remember(record=record):
                self.records.append(record)
            case Answer():
                self.answers.append(effect)
            case SendOrder(approved=approved):
                self._gateway.append(approved)
            case CancelOrder(client_order_id=client_order_id, broker_order_id=broker_order_id):
                self._cancel(client_order_id, broker_order_id)
            case AskOrder(client_order_id=client_order_id):
                self._lookup(client_order_id)
            case RequestReconciliation():
                self.reconcile()
            case CancelEverything(reason=reason, spares_stops=spares_stops):
                self.cancelled_everything.append(reason)
                self._cancel_everything(self.engine.standing_stops() if spares_stops else frozenset())
            case CycleStream() | AllowHealing():
                self._heal(effect)
            case EngageLatch(reason=reason) | ClearLatch(reason=reason):
                self._latch(Latch.ENGAGED if isinstance(effect, EngageLatch) else Latch.CLEAR, reason)
            case _:
                raise AssertionError(f"the floor performs no {effect}")

    def _heal(self, effect: CycleStream | AllowHealing) -> None:
        if isinstance(effect, AllowHealing):
            self.healing_answers.append(effect)
            return
        self.cycled.append(effect.reason)
        if self.on_cycle is not None:
            self.on_cycle(effect.stream)

    def _cancel_everything(self, spared: frozenset[BrokerOrderId]) -> None:
        if spared:
            for order in self.exchange.orders(OrderQuery(status="open", limit=500)):
                if order.id not in spared and order.status != "pending_cancel":
                    self.exchange.cancel(order.id)
        else:
            self.exchange.cancel_all()
        self._deliver_updates()

    def _latch(self, latch: Latch, reason: str) -> None:
        if not self.takes_latch:
            return
        for store in Store:
            self.tell(LatchSeen(store=store, latch=latch, reason=reason, **self.stamps()))

    def _send(self, approved: Approved) -> None:
        refusal = self.before_write(approved) or self.engine.refusal_before_write(approved, mono_ns=self.mono_ns)
        if refusal is not None:
            dropped = OrderDropped(client_order_id=approved.intent.client_order_id, reason=refusal, **self.stamps())
            self.tell(dropped)
            return
        self.sent.append(approved)
        client_order_id = approved.intent.client_order_id
        self.tell(OrderSending(client_order_id=client_order_id, **self.stamps()))
        body = payload(approved.intent)

        def submit() -> SimOrder:
            self.posted.append(body)
            return self.exchange.submit(OrderRequest.from_body(msgspec.json.decode(body)))

        event = self.on_post(approved, submit) if self.on_post is not None else self._post(client_order_id, submit)
        if event is not None:
            self.tell(event)

    def _post(self, client_order_id: ClientOrderId, submit: Callable[[], SimOrder]) -> AnyEvent:
        try:
            order = submit()
        except Refusal as refusal:
            return OrderRefused(
                client_order_id=client_order_id,
                http_status=refusal.http_status,
                code=refusal.code,
                message=refusal.message,
                **self.stamps(),
            )
        shown = broker_order(order, self.exchange.legs(order))
        return OrderAnswered(client_order_id=client_order_id, order=shown, **self.stamps())

    def answer(self, approved: Approved, submit: Callable[[], SimOrder]) -> AnyEvent:
        """What the exchange says to the POST, for a test that only wanted to do something before it."""
        return self._post(approved.intent.client_order_id, submit)

    def in_doubt(
        self, approved: Approved, reason: str = "504, empty body", *, is_duplicate: bool = False
    ) -> OrderInDoubt:
        client_order_id = approved.intent.client_order_id
        return OrderInDoubt(client_order_id=client_order_id, reason=reason, is_duplicate=is_duplicate, **self.stamps())

    def _cancel(self, client_order_id: ClientOrderId, broker_order_id: str) -> None:
        self.cancelled.append(client_order_id)
        self.before_cancel()
        try:
            self.exchange.cancel(broker_order_id)
        except Refusal as refusal:
            answer = CancelAnswered(
                client_order_id=client_order_id,
                accepted=False,
                http_status=refusal.http_status,
                code=refusal.code,
                message=refusal.message,
                **self.stamps(),
            )
        else:
            answer = CancelAnswered(client_order_id=client_order_id, accepted=True, http_status=204, **self.stamps())
        self.tell(answer)
        self._deliver_updates()

    def _lookup(self, client_order_id: ClientOrderId) -> None:
        if not self.answers_lookups:
            return
        try:
            found = broker_order(self.exchange.order_by_client_id(client_order_id))
        except Refusal:
            found = None
        found = None if self.hides_orders else found
        self.tell(LookupAnswered(client_order_id=client_order_id, order=found, **self.stamps()))


def _with_stops(
    strategies: Sequence[StrategyConfig], stops: Mapping[StrategyId, Decimal]
) -> tuple[StrategyConfig, ...]:
    return tuple(msgspec.structs.replace(each, protective_stop_fraction=stops.get(each.id)) for each in strategies)


def scripted_floor(
    *,
    symbols: Sequence[str] = (SYMBOL,),
    limits: RiskLimits | None = None,
    start_ns: Nanos = MORNING,
    is_dry_run: bool = False,
    capital_usd: Decimal | None = None,
    partial_fill_probability: float = 0.0,
    protective_stops: Mapping[StrategyId, Decimal] | None = None,
    kill_cancels_stops: bool = False,
) -> Floor:
    """A started floor in mid-morning, whose strategies wait to be told what to say."""
    market = ScriptedMarket(symbols, start_ns=start_ns)
    settings = ExchangeSettings(start_ns=start_ns, partial_fill_probability=partial_fill_probability)
    floor = Floor(
        symbols=symbols,
        limits=limits,
        start_ns=start_ns,
        is_dry_run=is_dry_run,
        capital_usd=capital_usd,
        is_scripted=True,
        protective_stops=protective_stops,
        kill_cancels_stops=kill_cancels_stops,
        market=market,
        exchange=Exchange(settings=settings, market=market, journal=None),
    )
    floor.start()
    return floor
