"""A desk for order tests: a manager, a clock that the test turns, and a broker's words with every field defaulted."""

from __future__ import annotations

from decimal import Decimal
from typing import TypedDict

from msgspec import structs

from quant_trading_system.core.broker import BrokerAccount, BrokerOrder, BrokerPosition, Execution
from quant_trading_system.core.effects import AskOrder, CancelOrder
from quant_trading_system.core.events import (
    BrokerSnapshot,
    CancelAnswered,
    CancelInDoubt,
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
from quant_trading_system.core.types import (
    NANOS_PER_SECOND,
    BrokerOrderId,
    ClientOrderId,
    ExecutionId,
    MonoNanos,
    Nanos,
    OrderType,
    Side,
    StrategyId,
    Symbol,
    TimeInForce,
)
from quant_trading_system.core.values import Allocation, Approved, OrderIntent
from quant_trading_system.orders.manager import OrderManager, OrderSettings, Outcome
from quant_trading_system.orders.order import Order

IBM = Symbol("IBM")
MOMENTUM = StrategyId("momentum")
BROKER_ID = BrokerOrderId("broker-1")
START_NS = 1_380_000_000 * NANOS_PER_SECOND


class Stamps(TypedDict):
    venue_ns: Nanos
    mono_ns: MonoNanos


class EventStamps(Stamps):
    seen_ns: Nanos


def approved(client_order_id: ClientOrderId, **changes: object) -> Approved:
    """Buy 100 IBM at 50."""
    intent = OrderIntent(
        client_order_id=client_order_id,
        strategy=MOMENTUM,
        symbol=IBM,
        side=Side.BUY,
        quantity=Decimal(100),
        order_type=OrderType.LIMIT,
        limit_price=Decimal(50),
        stop_price=None,
        time_in_force=TimeInForce.DAY,
        reference_price=Decimal(50),
        declared_notional_usd=Decimal(5_000),
        allocations=(Allocation(MOMENTUM, Decimal(100)),),
        decision_id="d1",
        decided_ns=Nanos(0),
        decided_mono_ns=MonoNanos(0),
        reason="",
    )
    intent = structs.replace(intent, **changes)
    return Approved(intent=intent, limits_version="v", reduces_exposure=False, approved_mono_ns=MonoNanos(0))


class Desk:
    """One order manager. Times are seconds since the test began, in venue and monotonic time alike."""

    def __init__(self, settings: OrderSettings | None = None, *, next_sequence: int = 1) -> None:
        self.orders = OrderManager(account="PA1", instance="test0001", next_sequence=next_sequence, settings=settings)
        self.seconds = 0.0
        self.order: Order

    @property
    def stamps(self) -> Stamps:
        now_ns = round(self.seconds * NANOS_PER_SECOND)
        return Stamps(venue_ns=Nanos(START_NS + now_ns), mono_ns=MonoNanos(now_ns))

    @property
    def event_stamps(self) -> EventStamps:
        return EventStamps(seen_ns=self.stamps["venue_ns"], **self.stamps)

    # what happens

    def open(self, **changes: object) -> Order:
        self.order = self.orders.open(approved(self.orders.new_client_order_id(MOMENTUM), **changes), **self.stamps)
        return self.order

    def sent(self, **changes: object) -> Order:
        order = self.open(**changes)
        self.orders.apply(OrderSending(client_order_id=order.client_order_id, **self.event_stamps))
        return order

    def working(self, **changes: object) -> Order:
        order = self.sent(**changes)
        self.answer()
        return order

    def answer(self, **changes: object) -> Outcome:
        return self.orders.apply(
            OrderAnswered(client_order_id=self.order.client_order_id, order=self.shown(**changes), **self.event_stamps)
        )

    def refuse(self, status: int = 403, code: int | None = 40310000, message: str = "insufficient buying power"):
        return self.orders.apply(
            OrderRefused(
                client_order_id=self.order.client_order_id,
                http_status=status,
                code=code,
                message=message,
                **self.event_stamps,
            )
        )

    def lose_answer(self) -> Outcome:
        return self.orders.apply(
            OrderInDoubt(client_order_id=self.order.client_order_id, reason="timed out", **self.event_stamps)
        )

    def drop(self) -> Outcome:
        return self.orders.apply(
            OrderDropped(client_order_id=self.order.client_order_id, reason="no connection", **self.event_stamps)
        )

    def sending(self) -> Outcome:
        return self.orders.apply(OrderSending(client_order_id=self.order.client_order_id, **self.event_stamps))

    def look_up(self, *, found: bool = True, **changes: object) -> Outcome:
        return self.orders.apply(
            LookupAnswered(
                client_order_id=self.order.client_order_id,
                order=self.shown(**changes) if found else None,
                **self.event_stamps,
            )
        )

    def fail_lookup(self) -> Outcome:
        return self.orders.apply(
            LookupFailed(client_order_id=self.order.client_order_id, reason="503", **self.event_stamps)
        )

    def cancel(self) -> object:
        return self.orders.request_cancel(self.order.client_order_id, reason="too long", **self.stamps)

    def cancel_answer(self, *, accepted: bool = True, message: str = "") -> Outcome:
        return self.orders.apply(
            CancelAnswered(
                client_order_id=self.order.client_order_id,
                accepted=accepted,
                http_status=204 if accepted else 422,
                message=message,
                **self.event_stamps,
            )
        )

    def lose_cancel(self) -> Outcome:
        return self.orders.apply(
            CancelInDoubt(client_order_id=self.order.client_order_id, reason="timed out", **self.event_stamps)
        )

    def update(self, word: str, execution: Execution | None = None, **changes: object) -> Outcome:
        """A frame of trade_updates."""
        return self.orders.apply(
            OrderUpdated(
                word=word, event_id=None, order=self.shown(**changes), execution=execution, **self.event_stamps
            )
        )

    def fill(self, quantity: int, cumulative: int, *, price: int = 50, **changes: object) -> Outcome:
        """A fill's frame, the order's picture after it included."""
        is_last = Decimal(cumulative) >= self.order.quantity
        word, status = ("fill", "filled") if is_last else ("partial_fill", "partially_filled")
        picture: dict[str, object] = {"status": status, "filled_quantity": Decimal(cumulative)} | changes
        return self.update(word, self.execution(quantity, cumulative, price=price), **picture)

    def wait(self, seconds: float, step: float = 1.0) -> list[Outcome]:
        """Let time pass, the manager being told every second."""
        outcomes = []
        end = self.seconds + seconds
        while self.seconds < end:
            self.seconds = min(end, self.seconds + step)
            outcomes += self.orders.on_time(**self.stamps)
        return outcomes

    def clean_pass(self, *seen: ClientOrderId, started: float | None = None) -> list[Outcome]:
        began = self.seconds if started is None else started
        return self.orders.on_clean_pass(
            started_mono_ns=round(began * NANOS_PER_SECOND),
            mono_ns=self.stamps["mono_ns"],
            seen_client_ids=set(seen),
        )

    # what the broker shows

    def shown(self, **changes: object) -> BrokerOrder:
        order = self.order
        made = BrokerOrder(
            broker_order_id=BROKER_ID,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.DAY,
            quantity=order.quantity,
            notional_usd=None,
            filled_quantity=Decimal(0),
            filled_average_price=None,
            limit_price=order.limit_price,
            stop_price=None,
            status="new",
            submitted_ns=self.stamps["venue_ns"],
            updated_ns=self.stamps["venue_ns"],
        )
        return structs.replace(made, **changes)

    def execution(self, quantity: int, cumulative: int, *, price: int = 50) -> Execution:
        return Execution(
            execution_id=ExecutionId(f"e{cumulative}"),
            broker_order_id=BROKER_ID,
            client_order_id=self.order.client_order_id,
            symbol=self.order.symbol,
            side=self.order.side,
            quantity=Decimal(quantity),
            price=Decimal(price),
            cumulative_quantity=Decimal(cumulative),
            venue_ns=self.stamps["venue_ns"],
        )


def foreign(client_order_id: str = "by-hand", **changes: object) -> BrokerOrder:
    """An order that we did not send: buy 5 IBM."""
    made = BrokerOrder(
        broker_order_id=BrokerOrderId("broker-9"),
        client_order_id=ClientOrderId(client_order_id),
        symbol=IBM,
        side=Side.BUY,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        quantity=Decimal(5),
        notional_usd=None,
        filled_quantity=Decimal(0),
        filled_average_price=None,
        limit_price=None,
        stop_price=None,
        status="new",
        submitted_ns=Nanos(START_NS),
        updated_ns=Nanos(START_NS),
    )
    return structs.replace(made, **changes)


def saved(client_order_id: str = "qts-test0001-abcd-momentum-7", **changes: object) -> RestoredOrder:
    made = RestoredOrder(
        client_order_id=ClientOrderId(client_order_id),
        broker_order_id=None,
        strategy=MOMENTUM,
        symbol=IBM,
        side=Side.BUY,
        quantity=Decimal(100),
        order_type="limit",
        limit_price=Decimal(50),
        stop_price=None,
        time_in_force="day",
        reference_price=Decimal(50),
        allocations=(Allocation(MOMENTUM, Decimal(100)),),
        decision_id="d1",
        status="SENDING",
        filled_quantity=Decimal(0),
        filled_value_usd=Decimal(0),
        created_ns=Nanos(START_NS),
    )
    return structs.replace(made, **changes)


def account(cash: object = 10_000) -> BrokerAccount:
    amount = Decimal(str(cash))
    return BrokerAccount(
        account_number="PA1",
        status="ACTIVE",
        cash_usd=amount,
        equity_usd=amount,
        last_equity_usd=amount,
        buying_power_usd=amount,
        multiplier=Decimal(1),
        blocked=False,
        shorting_enabled=False,
    )


def position(quantity: object, symbol: Symbol = IBM, price: object = 50) -> BrokerPosition:
    return BrokerPosition(
        symbol=symbol,
        asset_id="a1",
        quantity=Decimal(str(quantity)),
        average_entry_price=Decimal(str(price)),
        current_price=Decimal(str(price)),
    )


def snapshot(
    *,
    open_orders: tuple[BrokerOrder, ...] = (),
    closed_orders: tuple[BrokerOrder, ...] = (),
    positions: tuple[BrokerPosition, ...] = (),
    executions: tuple[Execution, ...] = (),
    cash: object = 10_000,
    seconds: float = 100,
) -> BrokerSnapshot:
    now_ns = round(seconds * NANOS_PER_SECOND)
    return BrokerSnapshot(
        venue_ns=Nanos(START_NS + now_ns),
        seen_ns=Nanos(START_NS + now_ns),
        mono_ns=MonoNanos(now_ns),
        started_mono_ns=MonoNanos(now_ns),
        open_orders=open_orders,
        closed_orders=closed_orders,
        positions=positions,
        account=account(cash),
        executions=executions,
    )


# what came of it


def codes(*outcomes: Outcome) -> list[str]:
    return [code for outcome in outcomes for _, code, _ in outcome.alerts]


def asks(*outcomes: Outcome) -> int:
    return sum(isinstance(effect, AskOrder) for outcome in outcomes for effect in outcome.effects)


def cancels(*outcomes: Outcome) -> int:
    return sum(isinstance(effect, CancelOrder) for outcome in outcomes for effect in outcome.effects)


def booked(*outcomes: Outcome) -> Decimal:
    return sum((execution.quantity for outcome in outcomes for execution in outcome.executions), Decimal(0))
