"""One order and all that is known of it. Decides how much of it may still execute, at worst."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from quant_trading_system.core.broker import Execution
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
from quant_trading_system.core.values import Allocation
from quant_trading_system.core.views import OrderView, RecentOrder
from quant_trading_system.orders.status import TERMINAL, Status

EXTERNAL = StrategyId("external")
CANCELABLE = frozenset({Status.WORKING, Status.PARTIAL, Status.REPLACING})
STOP_TYPES = frozenset({"stop", "stop_limit"})
HELD_WORDS = frozenset({"", "held", "accepted", "pending_new"})
STOP_LOSS = "stop_loss"
TAKE_PROFIT = "take_profit"


class Order:
    """Mutable, and changed by the order manager alone. Quantities in shares, prices in USD."""

    __slots__ = (
        "_told_quantity",
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
        "contradiction",
        "created_mono_ns",
        "created_ns",
        "decision_id",
        "echo_side",
        "echo_symbol",
        "echoed_quantity",
        "empty_answer_mono_ns",
        "executions",
        "exists_at_broker",
        "inferred",
        "is_echoed",
        "is_external",
        "last_execution_ns",
        "legs",
        "limit_price",
        "next_ask_mono_ns",
        "order_class",
        "order_type",
        "parent",
        "parent_client_order_id",
        "quantity",
        "reason",
        "reference_price",
        "replaces",
        "sent_ns",
        "shown_filled",
        "side",
        "status",
        "status_mono_ns",
        "stop_loss_price",
        "stop_price",
        "strategy",
        "successor",
        "symbol",
        "take_profit_price",
        "time_in_force",
        "told_ns",
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
        order_class: str = "",
        stop_loss_price: Decimal | None = None,
        take_profit_price: Decimal | None = None,
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
        self.is_external = is_external  # not sent by us under an id of ours; it may be ours all the same
        self.reason = ""
        # relatives: legs belong to their parent, a successor took this order's place at the broker
        self.order_class = order_class
        self.stop_loss_price = stop_loss_price
        self.take_profit_price = take_profit_price
        self.legs: dict[str, Order] = {}  # by role
        self.parent: Order | None = None
        self.parent_client_order_id: ClientOrderId | None = None
        self.replaces: BrokerOrderId | None = None
        self.successor: Order | None = None
        self._begin(quantity, created_ns=created_ns, mono_ns=mono_ns)

    def _begin(self, quantity: Decimal, *, created_ns: Nanos, mono_ns: MonoNanos) -> None:
        """What nobody has said yet."""
        self.broker_order_id: BrokerOrderId | None = None
        self.broker_status = ""
        self.broker_updated_ns = 0
        self.told_ns = 0  # an earlier life recorded then what it knew, by a word of the broker that is no newer
        # fills
        self.shown_filled = ZERO  # the most the broker's statuses showed
        self.echoed_quantity = quantity  # the most the broker believed to have been ordered (fault A13)
        self.echo_symbol: Symbol | None = None  # another one than was asked for: it counts there, too
        self.echo_side: Side | None = None
        self.is_echoed = False  # the broker showed it as it was sent
        self.executions: dict[Decimal, tuple[Decimal, Decimal]] = {}  # cumulative → (quantity, price)
        self._told_quantity: Decimal | None = None  # their sum, until they change
        self.inferred: set[Decimal] = set()  # those of the executions that only a status told
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
        self.exists_at_broker = False  # by its own word, shown or not (fault A7)
        self.contradiction: tuple[str, int] | None = None  # the word that was refused last, and its stamp
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
        if not self.executions:
            return self.base_filled
        if self._told_quantity is None:
            self._told_quantity = sum((quantity for quantity, _ in self.executions.values()), ZERO)
        return self.base_filled + self._told_quantity

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

        A final order still counts with the fills that its status shows and no execution has explained. A leg counts
        when its entry is filled: it can execute no sooner, and undoes no more than what the entry did. An order and
        what takes its place count once, with the larger of both; where nobody knows what took its place, the order
        counts for it, and whole: a replacement that names no quantity wants that of the order, whatever had filled.
        """
        executed = self.executed_quantity
        unexplained = self.shown_filled - executed if self.shown_filled > executed else ZERO
        wanted = self.quantity if self.quantity >= self.echoed_quantity else self.echoed_quantity
        rest = wanted - executed if wanted > executed else ZERO
        if self.status is Status.REPLACED and self.successor is None:
            return wanted
        if self.status in TERMINAL or self.is_dormant:
            return unexplained
        if self.successor is not None:
            return max(unexplained, rest - self.successor.open_quantity)
        return rest

    def claims(self) -> Iterator[tuple[Symbol, Side, Decimal]]:
        """(symbol, side, shares) that it may still move, at worst: as it was asked, and as the broker echoed it."""
        open_quantity = self.open_quantity
        yield self.symbol, self.side, open_quantity
        if self.echo_symbol is not None or self.echo_side is not None:
            yield self.echo_symbol or self.symbol, self.echo_side or self.side, open_quantity

    # what it is

    @property
    def is_final(self) -> bool:
        """Nothing more can come of it: a final status, and every fill explained."""
        return self.status in TERMINAL and self.open_quantity == ZERO

    @property
    def is_unknown(self) -> bool:
        return self.status is Status.UNKNOWN

    @property
    def is_protection(self) -> bool:
        """A stop that guards what strategies of ours hold: sent alone, as a leg, or put in such a one's place."""
        return self.order_type in STOP_TYPES and bool(self.allocations)

    @property
    def is_dormant(self) -> bool:
        """A leg that the broker holds back: its entry is under way, and no word says that the leg works already."""
        if self.parent is None or self.parent.status in TERMINAL or self.executed_quantity:
            return False
        return self.broker_status in HELD_WORDS

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
            order_class=self.order_class,
            stop_loss_price=self.stop_loss_price,
            take_profit_price=self.take_profit_price,
            parent_client_order_id=self.parent_client_order_id,
            replaces=self.replaces,
            exists_at_broker=self.exists_at_broker,
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
            executed_ns=Nanos(self.last_execution_ns) if self.last_execution_ns else None,
            is_protection=self.is_protection,
        )

    def note(self, execution: Execution) -> bool:
        """Remember an execution. Returns False where it is known already."""
        cumulative = execution.cumulative_quantity
        self.last_execution_ns = max(self.last_execution_ns, execution.venue_ns)
        if cumulative in self.executions or cumulative <= self.base_filled:
            return False
        self.executions[cumulative] = (execution.quantity, execution.price)
        self._told_quantity = None
        self.shown_filled = max(self.shown_filled, cumulative)
        return True

    def make_room(self, execution: Execution) -> None:
        """Let an execution take the place of what was inferred of its shares; the rest stays inferred."""
        first = execution.cumulative_quantity - execution.quantity
        self._told_quantity = None
        for cumulative in sorted(self.inferred):
            quantity, price = self.executions[cumulative]
            start = cumulative - quantity
            if not (start < execution.cumulative_quantity and first < cumulative):
                continue
            self.inferred.discard(cumulative)
            del self.executions[cumulative]
            for low, high in ((start, first), (execution.cumulative_quantity, cumulative)):
                if high > low:
                    self.executions[high] = (high - low, price)
                    self.inferred.add(high)

    def restate(self, executions: Sequence[Execution]) -> None:
        """Take the broker's executions of the order as all there are."""
        self.base_filled = self.base_value_usd = ZERO
        self.inferred.clear()
        self.executions = {fill.cumulative_quantity: (fill.quantity, fill.price) for fill in executions}
        self._told_quantity = None
        self.shown_filled = self.executed_quantity
