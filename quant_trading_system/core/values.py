"""Values that stages hand to one another: bars, signals, targets, intents, approvals. Valid once built."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.types import (
    ClientOrderId,
    Direction,
    InstrumentClass,
    MonoNanos,
    Nanos,
    OrderClass,
    OrderType,
    Side,
    StrategyId,
    Symbol,
    TimeInForce,
)


class Bar(Struct, frozen=True, gc=False):
    """One closed interval of one symbol. `start_ns` is the start of the interval in venue time."""

    symbol: Symbol
    start_ns: Nanos
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int = 0


class Signal(Struct, frozen=True, kw_only=True):
    """What one strategy thinks of one symbol at one closed bar.

    `strength` is in [0, 1], `confidence` in [0, 1]; `inputs` is the snapshot of every number the decision used.
    """

    strategy: StrategyId
    symbol: Symbol
    direction: Direction
    strength: float
    confidence: float
    reason: str
    bar_start_ns: Nanos
    close: float
    inputs: dict[str, float]


class Target(Struct, frozen=True, kw_only=True):
    """Signed shares one strategy wants to hold of one symbol, after sizing. `note` says what scaled it down, or ""."""

    strategy: StrategyId
    symbol: Symbol
    quantity: Decimal
    weight_asked: float
    note: str
    signal: Signal


class Allocation(Struct, frozen=True):
    """Signed shares of an intent that belong to one strategy's book."""

    strategy: StrategyId
    quantity: Decimal


class OrderIntent(Struct, frozen=True, kw_only=True):
    """One order the portfolio wants, before anyone approved it.

    `reference_price` is the price the decision was built on, `declared_notional_usd` what the strategy believes it
    orders (control P12). `strategy` names the intent's owner: one strategy, `net` for several, `manual` for a person.
    An OTO or bracket carries the prices of its legs in USD; the legs have its quantity and its time in force.
    """

    client_order_id: ClientOrderId
    strategy: StrategyId
    symbol: Symbol
    side: Side
    quantity: Decimal
    order_type: OrderType
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: TimeInForce
    reference_price: Decimal
    declared_notional_usd: Decimal
    allocations: tuple[Allocation, ...]
    decision_id: str
    decided_ns: Nanos
    decided_mono_ns: MonoNanos
    reason: str
    order_class: OrderClass = OrderClass.SIMPLE
    stop_loss_price: Decimal | None = None
    take_profit_price: Decimal | None = None

    @property
    def signed_quantity(self) -> Decimal:
        return self.quantity * self.side.sign


class Approved(Struct, frozen=True, kw_only=True):
    """Proof that the gate saw this intent. Only `risk.gate` builds it; a tidy test sees to that."""

    intent: OrderIntent
    limits_version: str
    reduces_exposure: bool
    approved_mono_ns: MonoNanos


class ControlResult(Struct, frozen=True, kw_only=True):
    """What one control measured, against what, how old its input was, and whether it let the order pass."""

    control: str
    name: str
    passed: bool
    measured: str
    limit: str
    usage: float | None = None
    age_s: float | None = None
    reason: str = ""


class Instrument(Struct, frozen=True, kw_only=True):
    """What we know of a symbol: the broker's asset entry, its class from the universe, its trading volume."""

    symbol: Symbol
    asset_id: str
    instrument_class: InstrumentClass
    tradable: bool
    active: bool
    fractionable: bool
    shortable: bool
    average_volume_shares: float | None = None
    average_volume_usd: float | None = None
    reference_only: bool = False
