"""Facts the engine is told. Nothing in this module decides anything.

Every event carries three stamps: when it happened at the venue, when this process saw it by the wall clock, and by the
monotonic clock. Market-data events keep the venue stamp as `venue_at`, so that the wire decodes straight into them.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.broker import (
    Activity,
    BrokerAccount,
    BrokerOrder,
    BrokerPosition,
    ClockReading,
    Execution,
)
from quant_trading_system.core.types import (
    BrokerOrderId,
    ClientOrderId,
    HealingAction,
    Latch,
    MonoNanos,
    Nanos,
    Side,
    Store,
    StrategyId,
    Stream,
    Symbol,
)
from quant_trading_system.core.values import Allocation, Bar, Instrument
from quant_trading_system.core.views import RecentOrder


class MarketEvent(Struct, frozen=True, gc=False):
    """A message of the market-data feed. `seen_ns` and `mono_ns` are set once by the stream client on arrival."""

    symbol: Symbol
    venue_at: datetime
    seen_ns: Nanos = Nanos(0)
    mono_ns: MonoNanos = MonoNanos(0)

    @property
    def venue_ns(self) -> Nanos:
        return Nanos(round(self.venue_at.timestamp() * 1_000_000) * 1_000)


class TradeSeen(MarketEvent, frozen=True, gc=False, kw_only=True):
    """One print. Price in USD, size in shares. `conditions` are the tape's codes."""

    price: float
    size: float
    conditions: tuple[str, ...] = ()


class QuoteSeen(MarketEvent, frozen=True, gc=False, kw_only=True):
    """Best bid and ask. A crossed quote, or a price of zero (no quote on that side), is legal input."""

    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float


class BarSeen(MarketEvent, frozen=True, gc=False, kw_only=True):
    """A one-minute bar of the feed; `venue_at` is its start."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    trade_count: int = 0
    vwap: float = 0.0


class StatusSeen(MarketEvent, frozen=True, gc=False, kw_only=True):
    """A trading status of the tape, such as a halt."""

    status_code: str
    status_message: str = ""
    reason_code: str = ""


class Event(Struct, frozen=True, kw_only=True):
    """A fact that is not market data."""

    venue_ns: Nanos
    seen_ns: Nanos
    mono_ns: MonoNanos


class HistorySeen(Event, frozen=True, kw_only=True, tag=True):
    """Closed bars of one symbol from history, oldest first, for warm-up."""

    symbol: Symbol
    bars: tuple[Bar, ...]


class StreamUp(Event, frozen=True, kw_only=True, tag=True):
    """A stream is authenticated and its subscription acknowledged. After a gap a reconciliation must follow."""

    stream: Stream
    symbols: tuple[Symbol, ...] = ()


class StreamDown(Event, frozen=True, kw_only=True, tag=True):
    stream: Stream
    reason: str


class OrderSending(Event, frozen=True, kw_only=True, tag=True):
    """The intent row is committed, the re-checks passed, and its bytes are being written now."""

    client_order_id: ClientOrderId


class OrderAnswered(Event, frozen=True, kw_only=True, tag=True):
    """The broker answered a POST with the order."""

    client_order_id: ClientOrderId
    order: BrokerOrder


class OrderRefused(Event, frozen=True, kw_only=True, tag=True):
    """A definite refusal of a POST."""

    client_order_id: ClientOrderId
    http_status: int
    code: int | None
    message: str


class OrderInDoubt(Event, frozen=True, kw_only=True, tag=True):
    """The answer to a POST was lost; only the broker knows. `is_duplicate`: it said that it has an order of this id."""

    client_order_id: ClientOrderId
    reason: str
    is_duplicate: bool = False


class OrderDropped(Event, frozen=True, kw_only=True, tag=True):
    """Not one byte left: the intent could not be stored, a re-check failed, or every connection attempt did."""

    client_order_id: ClientOrderId
    reason: str


class CancelAnswered(Event, frozen=True, kw_only=True, tag=True):
    """`accepted`: the broker took the cancel (not: the order is canceled). Else why not."""

    client_order_id: ClientOrderId
    accepted: bool
    http_status: int
    code: int | None = None
    message: str = ""


class CancelInDoubt(Event, frozen=True, kw_only=True, tag=True):
    client_order_id: ClientOrderId
    reason: str


class LookupAnswered(Event, frozen=True, kw_only=True, tag=True):
    """What the broker says to "which order has this client id?". `order` None: it says it has none. Never a failure."""

    client_order_id: ClientOrderId
    order: BrokerOrder | None


class LookupFailed(Event, frozen=True, kw_only=True, tag=True):
    client_order_id: ClientOrderId
    reason: str


class OrderUpdated(Event, frozen=True, kw_only=True, tag=True):
    """A frame of `trade_updates`. `word` is the broker's event name; `execution` is set where shares moved."""

    word: str
    event_id: str | None
    order: BrokerOrder
    execution: Execution | None = None


class BrokerSnapshot(Event, frozen=True, kw_only=True, tag=True):
    """One complete reconciliation pass: orders, positions, account, orders again, executions since the cursor.

    `open_orders` are the broker's open orders; `closed_orders` those closed since the cursor plus any we asked for.
    The pass was quiet: both readings of the orders were equal. `started_mono_ns` lets us ignore older truth.
    """

    started_mono_ns: MonoNanos
    open_orders: tuple[BrokerOrder, ...]
    closed_orders: tuple[BrokerOrder, ...]
    positions: tuple[BrokerPosition, ...]
    account: BrokerAccount
    executions: tuple[Execution, ...]
    since_ns: Nanos | None = None
    """Orders submitted and executions after this venue time are all in it; None where nobody says."""
    started_venue_ns: Nanos | None = None
    activities: tuple[Activity, ...] = ()
    """What is no fill: transfers, dividends, fees, corporate actions of the last days."""


class SnapshotFailed(Event, frozen=True, kw_only=True, tag=True):
    """A pass that proves nothing: a read failed, a page was missing, or orders moved meanwhile (`discarded`)."""

    reason: str
    discarded: bool = False
    is_refused: bool = False
    """The broker refused the keys: no later attempt will do better before a person acts (fault G5)."""


class ClockSeen(Event, frozen=True, kw_only=True, tag=True):
    reading: ClockReading


class InstrumentsSeen(Event, frozen=True, kw_only=True, tag=True):
    instruments: tuple[Instrument, ...]


class TimerFired(Event, frozen=True, kw_only=True, tag=True):
    """`second` every second of monotonic time, `reconcile` on the 15 s grid."""

    name: str


class OperatorAsked(Event, frozen=True, kw_only=True, tag=True):
    """A command of a person, or of the KILL file: pause, resume, cancel-all, kill, reset, unlock, enable."""

    command: str
    operator: str
    reason: str
    request_id: str
    arguments: dict[str, str] = {}


class LatchSeen(Event, frozen=True, kw_only=True, tag=True):
    """What one store says of the kill latch."""

    store: Store
    latch: Latch
    reason: str = ""


class LeaseSeen(Event, frozen=True, kw_only=True, tag=True):
    held: bool
    epoch: int
    deadline_mono_ns: MonoNanos


class StoreSeen(Event, frozen=True, kw_only=True, tag=True):
    """Whether a store can be written."""

    store: Store
    is_up: bool
    detail: str = ""


class HealthSeen(Event, frozen=True, kw_only=True, tag=True):
    """Measurements of the process; None where nothing was measured."""

    loop_lag_s: float | None = None
    clock_skew_s: float | None = None
    disk_free_bytes: int | None = None
    commit_p99_s: float | None = None
    dropped_messages: int | None = None
    """Market-data messages that did not fit the inbox since the last measurement."""
    is_broker_breaker_open: bool | None = None


class HealingAsked(Event, frozen=True, kw_only=True, tag=True):
    """A part of the daemon has to be mended: may it be? Answer: AllowHealing."""

    action: HealingAction
    target: str
    reason: str


class HealingEnded(Event, frozen=True, kw_only=True, tag=True):
    """What came of a mending that was allowed. `outcome`: done or failed."""

    action: HealingAction
    target: str
    outcome: str
    detail: str


class Started(Event, frozen=True, kw_only=True, tag=True):
    """All eight steps are done: from now on strategies are asked."""


class Stopping(Event, frozen=True, kw_only=True, tag=True):
    """The ordered shutdown began: no new intents; open entries are cancelled."""

    reason: str


class RestoredOrder(Struct, frozen=True, kw_only=True):
    """An order of ours that was not final when the last process ended, as the database knows it."""

    client_order_id: ClientOrderId
    broker_order_id: BrokerOrderId | None
    strategy: StrategyId
    symbol: Symbol
    side: Side
    quantity: Decimal
    order_type: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: str
    reference_price: Decimal
    allocations: tuple[Allocation, ...]
    decision_id: str
    status: str
    filled_quantity: Decimal
    filled_value_usd: Decimal
    created_ns: Nanos
    order_class: str = ""
    stop_loss_price: Decimal | None = None
    take_profit_price: Decimal | None = None
    parent_client_order_id: ClientOrderId | None = None
    replaces: BrokerOrderId | None = None
    exists_at_broker: bool = False
    told_ns: Nanos = Nanos(0)
    """When this was recorded, venue time: the broker's word that led to it is no newer."""


class RestoredBook(Struct, frozen=True, kw_only=True):
    """One strategy's signed shares of one symbol, their cost in USD and what it has realised so far."""

    strategy: StrategyId
    symbol: Symbol
    quantity: Decimal
    cost_usd: Decimal
    realised_usd: Decimal


class RestoredGuards(Struct, frozen=True, kw_only=True):
    """The guards' durable state. `session_date` is the New York date the day's numbers belong to."""

    session_date: str
    day_start_equity_usd: Decimal | None
    high_water_mark_usd: Decimal | None
    session_high_usd: Decimal | None
    equity_floor_usd: Decimal | None
    first_equity_usd: Decimal | None
    incidents: int
    causes: tuple[tuple[str, str], ...]
    """(cause, detail) of everything that must survive: latched halts, pause, soft limits of this session."""


class RestoredFill(Struct, frozen=True, kw_only=True):
    """One of the newest booked executions with its numbers, as fills and their corrections leave it."""

    execution: Execution
    allocations: tuple[Allocation, ...]
    is_inferred: bool


class RestoredEntry(Struct, frozen=True, kw_only=True):
    """A journal entry of an activity: it is not booked again. `kind` is the class of its money."""

    reference: str
    kind: str
    cash_usd: Decimal
    venue_ns: Nanos


class Restored(Event, frozen=True, kw_only=True, tag=True):
    """What the database knew at start. Told once, before anything else; the broker's snapshot follows."""

    orders: tuple[RestoredOrder, ...]
    books: tuple[RestoredBook, ...]
    known_executions: tuple[tuple[BrokerOrderId, Decimal], ...]
    """(broker order id, cumulative quantity) already booked."""
    cash_usd: Decimal | None
    guards: RestoredGuards | None
    next_sequence: int
    locks: tuple[tuple[Symbol, str], ...]
    disabled_strategies: tuple[tuple[StrategyId, str], ...]
    last_stop_ns: Nanos | None
    is_first_start: bool
    recent: tuple[RecentOrder, ...] = ()
    """Final orders of ours of the last 24 hours of venue time: rates, turnover and cooldowns outlive a restart (I8)."""
    healing: tuple[tuple[str, float], ...] = ()
    """(action, age in seconds) of every mending since the budget was renewed last: a restart renews none."""
    fills: tuple[RestoredFill, ...] = ()
    """The newest of `known_executions` with their numbers: the broker may still take one back."""
    undone_executions: tuple[tuple[BrokerOrderId, Decimal], ...] = ()
    """Executions that were booked and taken back."""
    entries: tuple[RestoredEntry, ...] = ()


AnyEvent = MarketEvent | Event
