"""One order and all that is known of it. Decides how much of it may still execute, at worst."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from quant_trading_system.core.broker import BrokerOrder, Execution
from quant_trading_system.core.events import RestoredOrder
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.records import OrderRecord
from quant_trading_system.core.types import (
    BrokerOrderId,
    ClientOrderId,
    MonoNanos,
    Nanos,
    Side,
    StrategyId,
    Symbol,
)
from quant_trading_system.core.values import Allocation, Approved
from quant_trading_system.core.views import OrderView, RecentOrder
from quant_trading_system.orders.status import TERMINAL, Status

EXTERNAL = StrategyId("external")
CANCELABLE = frozenset({Status.WORKING, Status.PARTIAL, Status.REPLACING})


class Order:
    """Mutable, and changed by the order manager alone. Quantities in shares, prices in USD."""

    __slots__ = (
        "acknowledged_ns",
        "alerts_raised",
        "allocations",
        "asks",
        "base_filled",
        "base_value_usd",
        "broker_order_id",
        "broker_status",
        "broker_updated_ns",
        "cancel_asked_mono_ns",
        "cancel_reason",
        "clean_passes",
        "client_order_id",
        "created_mono_ns",
        "created_ns",
        "decision_id",
        "echoed_quantity",
        "empty_answer_mono_ns",
        "executions",
        "is_external",
        "last_execution_ns",
        "limit_price",
        "next_ask_mono_ns",
        "order_type",
        "quantity",
        "reason",
        "reference_price",
        "sent_ns",
        "shown_filled",
        "side",
        "status",
        "status_mono_ns",
        "stop_price",
        "strategy",
        "symbol",
        "time_in_force",
        "unknown_since_mono_ns",
        "updated_ns",
    )

    def __init__(
        self,
        *,
        client_order_id: ClientOrderId,
        strategy: StrategyId,
        symbol: Symbol,
        side: Side,
        quantity: Decimal,
        order_type: str,
        limit_price: Decimal | None,
        stop_price: Decimal | None,
        time_in_force: str,
        reference_price: Decimal,
        allocations: Sequence[Allocation],
        decision_id: str,
        status: Status,
        created_ns: Nanos,
        mono_ns: MonoNanos,
        is_external: bool = False,
    ) -> None:
        self.client_order_id = client_order_id
        self.strategy = strategy
        self.symbol = symbol
        self.side = side
        self.quantity = quantity
        self.order_type = order_type
        self.limit_price = limit_price
        self.stop_price = stop_price
        self.time_in_force = time_in_force
        self.reference_price = reference_price
        self.allocations = tuple(allocations)
        self.decision_id = decision_id
        self.status = status
        self.is_external = is_external
        self.reason = ""
        self.broker_order_id: BrokerOrderId | None = None
        self.broker_status = ""
        self.broker_updated_ns = 0
        # fills
        self.shown_filled = ZERO  # the most the broker's statuses showed
        self.echoed_quantity = quantity  # the most the broker believed to have been ordered (fault A13)
        self.executions: dict[Decimal, tuple[Decimal, Decimal]] = {}  # cumulative → (quantity, price)
        self.base_filled = ZERO  # booked before this process began
        self.base_value_usd = ZERO
        self.last_execution_ns = 0
        # stamps
        self.created_ns = created_ns
        self.created_mono_ns = mono_ns
        self.status_mono_ns = mono_ns
        self.updated_ns = created_ns
        self.sent_ns: Nanos | None = None
        self.acknowledged_ns: Nanos | None = None
        # doubts and cancels
        self.unknown_since_mono_ns: MonoNanos | None = None
        self.asks = 0
        self.next_ask_mono_ns = 0
        self.clean_passes = 0
        self.empty_answer_mono_ns: int | None = None
        self.cancel_reason = ""  # a cancel is wanted; it may have to wait for the broker's id
        self.cancel_asked_mono_ns: int | None = None
        self.alerts_raised: set[str] = set()

    # quantities

    @property
    def executed_quantity(self) -> Decimal:
        """Shares of which the execution itself is known."""
        return self.base_filled + sum((quantity for quantity, _ in self.executions.values()), ZERO)

    @property
    def filled_quantity(self) -> Decimal:
        """Shares filled, by execution or by the broker's word, whichever says more."""
        return max(self.shown_filled, self.executed_quantity)

    @property
    def filled_value_usd(self) -> Decimal:
        return self.base_value_usd + sum((quantity * price for quantity, price in self.executions.values()), ZERO)

    @property
    def filled_average_price(self) -> Decimal | None:
        executed = self.executed_quantity
        return self.filled_value_usd / executed if executed else None

    @property
    def remaining_quantity(self) -> Decimal:
        return max(ZERO, self.quantity - self.filled_quantity)

    @property
    def open_quantity(self) -> Decimal:
        """Shares that are not in the books yet and, at worst, will be (invariant I5).

        A final order still counts with the fills that its status shows and no execution has explained.
        """
        if self.status in TERMINAL:
            return max(ZERO, self.filled_quantity - self.executed_quantity)
        return max(ZERO, max(self.quantity, self.echoed_quantity) - self.executed_quantity)

    # what it is

    @property
    def is_final(self) -> bool:
        """Nothing more can come of it: a final status, and every fill explained."""
        return self.status in TERMINAL and self.open_quantity == ZERO

    @property
    def is_unknown(self) -> bool:
        return self.status is Status.UNKNOWN

    @property
    def is_cancelable(self) -> bool:
        return self.broker_order_id is not None and self.status in CANCELABLE

    # pictures

    def to_record(self, *, venue_ns: Nanos, seen_ns: Nanos) -> OrderRecord:
        return OrderRecord(
            venue_ns=venue_ns,
            seen_ns=seen_ns,
            client_order_id=self.client_order_id,
            broker_order_id=self.broker_order_id,
            strategy=self.strategy,
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            order_type=self.order_type,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            time_in_force=self.time_in_force,
            status=self.status.name,
            broker_status=self.broker_status,
            filled_quantity=self.filled_quantity,
            filled_value_usd=self.filled_value_usd,
            reason=self.reason,
            decision_id=self.decision_id,
            reference_price=self.reference_price,
            allocations=self.allocations,
            created_ns=self.created_ns,
            sent_ns=self.sent_ns,
            acknowledged_ns=self.acknowledged_ns,
            is_final=self.is_final,
        )

    def view(self) -> OrderView:
        return OrderView(
            client_order_id=self.client_order_id,
            broker_order_id=self.broker_order_id,
            strategy=self.strategy,
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            filled_quantity=self.filled_quantity,
            filled_average_price=self.filled_average_price,
            order_type=self.order_type,
            time_in_force=self.time_in_force,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            status=self.status.name,
            broker_status=self.broker_status,
            is_final=self.is_final,
            reason=self.reason,
            created_ns=self.created_ns,
            updated_ns=self.updated_ns,
        )

    def to_recent(self) -> RecentOrder:
        """For rates, duplicates and turnover: a live order counts whole, a final one with what it executed."""
        is_final = self.is_final
        return RecentOrder(
            client_order_id=self.client_order_id,
            strategy=self.strategy,
            symbol=self.symbol,
            side=self.side,
            quantity=self.executed_quantity if is_final else self.quantity,
            price=self.limit_price if self.limit_price is not None else self.stop_price,
            sent_ns=self.created_ns,
            is_final=is_final,
        )

    def note(self, execution: Execution) -> bool:
        """Remember an execution. Returns False where it is known already."""
        cumulative = execution.cumulative_quantity
        self.last_execution_ns = max(self.last_execution_ns, execution.venue_ns)
        if cumulative in self.executions or cumulative <= self.base_filled:
            return False
        self.executions[cumulative] = (execution.quantity, execution.price)
        self.shown_filled = max(self.shown_filled, cumulative)
        return True


def approved_order(approved: Approved, *, venue_ns: Nanos, mono_ns: MonoNanos) -> Order:
    """An order about to be handed to the gateway: it counts as exposure from now on."""
    intent = approved.intent
    return Order(
        client_order_id=intent.client_order_id,
        strategy=intent.strategy,
        symbol=intent.symbol,
        side=intent.side,
        quantity=intent.quantity,
        order_type=intent.order_type.value,
        limit_price=intent.limit_price,
        stop_price=intent.stop_price,
        time_in_force=intent.time_in_force.value,
        reference_price=intent.reference_price,
        allocations=intent.allocations,
        decision_id=intent.decision_id,
        status=Status.READY,
        created_ns=venue_ns,
        mono_ns=mono_ns,
    )


def restored_order(saved: RestoredOrder, *, mono_ns: MonoNanos) -> Order:
    """An order of an earlier life. What had no clear state then is UNKNOWN now."""
    known = Status.__members__.get(saved.status, Status.UNKNOWN)
    is_doubtful = known in TERMINAL or known in (Status.READY, Status.SENDING, Status.UNKNOWN)
    order = Order(
        client_order_id=saved.client_order_id,
        strategy=saved.strategy,
        symbol=saved.symbol,
        side=saved.side,
        quantity=saved.quantity,
        order_type=saved.order_type,
        limit_price=saved.limit_price,
        stop_price=saved.stop_price,
        time_in_force=saved.time_in_force,
        reference_price=saved.reference_price,
        allocations=saved.allocations,
        decision_id=saved.decision_id,
        status=Status.UNKNOWN if is_doubtful else known,
        created_ns=saved.created_ns,
        mono_ns=mono_ns,
    )
    order.sent_ns = saved.created_ns  # it may have been sent
    order.broker_order_id = saved.broker_order_id
    order.shown_filled = order.base_filled = saved.filled_quantity
    order.base_value_usd = saved.filled_value_usd
    order.unknown_since_mono_ns = mono_ns if is_doubtful else None
    return order


def external_order(shown: BrokerOrder, *, replaced: Order | None, venue_ns: Nanos, mono_ns: MonoNanos) -> Order:
    """An order at the broker that we did not send. One that replaces an order of ours stays with its strategies."""
    quantity = shown.quantity if shown.quantity is not None else shown.filled_quantity
    price = shown.limit_price or shown.stop_price or shown.filled_average_price or ZERO
    return Order(
        client_order_id=shown.client_order_id,
        strategy=EXTERNAL if replaced is None else replaced.strategy,
        symbol=shown.symbol,
        side=shown.side,
        quantity=quantity,
        order_type=str(shown.order_type),
        limit_price=shown.limit_price,
        stop_price=shown.stop_price,
        time_in_force=str(shown.time_in_force),
        reference_price=price,
        allocations=() if replaced is None else replaced.allocations,
        decision_id="" if replaced is None else replaced.decision_id,
        status=Status.SENDING,
        created_ns=venue_ns,
        mono_ns=mono_ns,
        is_external=True,
    )
