"""Read-only pictures of the engine: what the gate judges by, and what the outside may see. Decide nothing."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.types import (
    ClientOrderId,
    Latch,
    Mode,
    MonoNanos,
    Nanos,
    Side,
    Store,
    StrategyId,
    Stream,
    Symbol,
    TradingState,
)
from quant_trading_system.core.values import Instrument


class PriceView(Struct, frozen=True, kw_only=True):
    """What the feed says of one symbol. Prices in USD, None where nothing valid came; ages in monotonic seconds.

    `feed_age_s` is the age of the feed's last message of any symbol: a quote that stands while the feed speaks is
    judged by it (control P15).
    """

    symbol: Symbol
    bid: float | None
    ask: float | None
    bid_size: float
    ask_size: float
    quote_age_s: float | None
    last_trade: float | None
    trade_age_s: float | None
    feed_age_s: float | None
    last_close: float | None
    vwap_30min: float | None
    is_halted: bool

    @property
    def mid(self) -> float | None:
        """Middle of a sane quote (both sides present, not crossed), else None."""
        if self.bid is None or self.ask is None or self.bid <= 0 or self.ask < self.bid:
            return None
        return (self.bid + self.ask) / 2


class SessionView(Struct, frozen=True, kw_only=True):
    """The regular session by two sources, in venue time. `window_*`: where entries are allowed (control P5)."""

    date: str
    is_open_by_calendar: bool
    is_open_by_broker: bool | None
    open_ns: Nanos | None
    close_ns: Nanos | None
    window_start_ns: Nanos | None
    window_end_ns: Nanos | None
    next_open_ns: Nanos | None


class RecentOrder(Struct, frozen=True, kw_only=True):
    """An order sent lately: for duplicates, rates and repeated executions."""

    client_order_id: ClientOrderId
    strategy: StrategyId
    symbol: Symbol
    side: Side
    quantity: Decimal
    price: Decimal | None
    sent_ns: Nanos
    is_final: bool
    executed_ns: Nanos | None = None
    """When it executed last; a protective stop may do so days after it was sent."""
    is_protection: bool = False


class ExposureView(Struct, frozen=True, kw_only=True):
    """Worst-case exposure: positions plus everything open, pending, cancelling or UNKNOWN taken in the bad direction.

    Quantities in signed or unsigned shares as named, money in USD at the current mark.
    """

    position: Decimal
    open_buy: Decimal
    open_sell: Decimal
    has_unknown_order: bool
    open_orders_symbol: int
    open_orders_total: int
    positions: int
    symbol_usd: Decimal
    gross_usd: Decimal
    net_usd: Decimal
    reserved_buying_power_usd: Decimal


class MoneyView(Struct, frozen=True, kw_only=True):
    """The account as the broker shows it and as our books compute it, in USD; None where nothing is known yet."""

    equity_usd: Decimal | None
    last_equity_usd: Decimal | None
    cash_usd: Decimal | None
    broker_buying_power_usd: Decimal | None
    own_buying_power_usd: Decimal | None
    capital_usd: Decimal | None
    account_age_s: float | None
    day_pnl_usd: Decimal | None
    day_loss_ratio: Decimal | None
    drawdown_ratio: Decimal | None
    intraday_drawdown_ratio: Decimal | None
    equity_floor_usd: Decimal | None


class RiskView(Struct, frozen=True, kw_only=True):
    """Everything the gate may look at for one intent. A missing value is None and refuses."""

    mode: Mode
    venue_ns: Nanos
    mono_ns: MonoNanos
    state: TradingState
    causes: tuple[tuple[str, str], ...]
    latches: Mapping[Store, Latch]
    lease_held: bool
    lease_deadline_mono_ns: MonoNanos
    reconciliation_age_s: float | None
    streams_up: Mapping[Stream, bool]
    symbol_lock: str | None
    strategy_lock: str | None
    session: SessionView
    price: PriceView | None
    instrument: Instrument | None
    exposure: ExposureView
    money: MoneyView
    recent: tuple[RecentOrder, ...]
    live_opposite_orders: int
    is_stopping: bool


class CauseView(Struct, frozen=True, kw_only=True):
    cause: str
    detail: str
    state: TradingState
    since_ns: Nanos
    is_latched: bool


class PositionView(Struct, frozen=True, kw_only=True):
    """One symbol's position with its books, marked at the mid (else last trade); money in USD."""

    symbol: Symbol
    quantity: Decimal
    average_entry_price: Decimal
    mark_price: Decimal | None
    market_value_usd: Decimal | None
    unrealized_usd: Decimal | None
    realized_usd: Decimal
    broker_quantity: Decimal | None
    mark_age_s: float | None
    books: tuple[tuple[StrategyId, Decimal], ...]


class OrderView(Struct, frozen=True, kw_only=True):
    client_order_id: ClientOrderId
    broker_order_id: str | None
    strategy: StrategyId
    symbol: Symbol
    side: Side
    quantity: Decimal
    filled_quantity: Decimal
    filled_average_price: Decimal | None
    order_type: str
    time_in_force: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    status: str
    broker_status: str
    is_final: bool
    reason: str
    created_ns: Nanos
    updated_ns: Nanos


class StrategyView(Struct, frozen=True, kw_only=True):
    strategy: StrategyId
    kind: str
    is_enabled: bool
    disabled_reason: str
    symbols: tuple[Symbol, ...]
    warm_symbols: int
    realized_usd: Decimal
    unrealized_usd: Decimal
    last_signal_ns: Nanos | None
    parameters: dict[str, str]


class LimitView(Struct, frozen=True, kw_only=True):
    """One limit and how much of it is used now; `usage` is a ratio, None where it cannot be measured."""

    control: str
    name: str
    limit: str
    measured: str
    usage: float | None


class SymbolDataView(Struct, frozen=True, kw_only=True):
    symbol: Symbol
    age_s: float | None
    is_traded: bool
    bars: int


class HealingView(Struct, frozen=True, kw_only=True):
    """How often one kind of mending was done in the last 24 hours, and how often it may be."""

    action: str
    used: int
    limit: int


class EngineView(Struct, frozen=True, kw_only=True):
    """The whole engine at one moment, for status, dashboard, metrics and the Redis snapshot."""

    mode: Mode
    venue_ns: Nanos
    seen_ns: Nanos
    state: TradingState
    causes: tuple[CauseView, ...]
    latches: dict[str, str]
    session: SessionView
    streams_up: dict[str, bool]
    stream_last_message_age_s: dict[str, float | None]
    reconciliation_age_s: float | None
    reconciliations: int
    drifts: int
    money: MoneyView
    cash_usd: Decimal | None
    gross_exposure_usd: Decimal
    exposure_ratio: Decimal | None
    positions: tuple[PositionView, ...]
    open_orders: tuple[OrderView, ...]
    unknown_orders: int
    strategies: tuple[StrategyView, ...]
    limits: tuple[LimitView, ...]
    locks: dict[str, str]
    data: tuple[SymbolDataView, ...]
    limits_version: str
    is_stopping: bool
    events_handled: int
    healing: tuple[HealingView, ...] = ()
