"""Protective stops: the broker holds one equal to what strategies with a declared stop hold (P34, design.md Orders 7).

Entries bring a stop as a leg. Here it is kept equal to the position: a stop that does not fit is cancelled, its end is
awaited, and another one is placed; one that would die with the day is followed by one that is good till cancelled.
Where none stands for too long, the position is reduced. Nothing here goes past the gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from quant_trading_system.core.money import ZERO, plain
from quant_trading_system.core.types import (
    NANOS_PER_SECOND,
    ClientOrderId,
    MonoNanos,
    OrderType,
    Severity,
    Symbol,
    TimeInForce,
)
from quant_trading_system.core.values import OrderIntent
from quant_trading_system.engine.desk import Desk
from quant_trading_system.engine.order_flow import OrderFlow
from quant_trading_system.engine.trading import APPROVED, Trading
from quant_trading_system.orders.order import EXTERNAL, Order
from quant_trading_system.orders.status import Status
from quant_trading_system.portfolio.stops import Holding, StopPlan, plan_stop

TRY_DELAYS_S = (1.0, 1.0, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Between attempts to protect a position; the last repeats. Each is one order, counted by control P24."""
SENT_TRIES_MAX = 4
"""An attempt that the gate let pass is repeated as after so many; one that it refuses is repeated less and less."""
STANDING = frozenset({Status.WORKING, Status.PARTIAL})


class Protection:
    """Looks at a symbol whenever something happened to it, and every second."""

    def __init__(self, desk: Desk, *, flow: OrderFlow, trading: Trading) -> None:
        self._desk = desk
        self._flow = flow
        self._trading = trading
        self._bare_since: dict[Symbol, MonoNanos] = {}
        self._alarmed: set[Symbol] = set()
        self._tries: dict[Symbol, tuple[int, int]] = {}  # how many, and when the next may be
        self._giving_way: set[Symbol] = set()
        self._stale: set[ClientOrderId] = set()
        """Stops from before a corporate action: whatever the broker made of them, they are placed anew (fault D9)."""
        desk.share_changes.append(self.on_share_change)

    def make_way(self, symbol: Symbol) -> None:
        """An approved order waits for the stop to go; the plan is made anew when its end is known."""
        self._giving_way.add(symbol)
        self.look(symbol)

    def on_share_change(self, symbol: Symbol, ratio: Decimal) -> None:
        """The shares of a symbol became others: its stops end, and one in the new shares follows."""
        del ratio
        self._stale.update(order.client_order_id for order in self._desk.orders.live(symbol) if order.is_protection)

    def look_at_all(self) -> None:
        desk = self._desk
        if not desk.protective_stops:
            return
        held = {symbol for symbol in desk.ledger.positions() if self._plan(symbol) is not None}
        guarded = {order.symbol for order in desk.orders.live() if order.is_protection}
        self._stale &= {order.client_order_id for order in desk.orders.live()}
        for symbol in sorted(held | guarded | self._giving_way | set(self._bare_since)):
            self.look(symbol)

    @property
    def is_in_place(self) -> bool:
        """Whether every position that should have a stop has one."""
        return not self._bare_since

    def look(self, symbol: Symbol) -> None:
        """Take the next step towards the one stop that should stand."""
        desk = self._desk
        if not desk.protective_stops or not desk.is_trading:
            return
        plan = self._plan(symbol)
        live = [order for order in desk.orders.live(symbol) if order.strategy != EXTERNAL]
        stops = [order for order in live if order.is_protection]
        trades = [order for order in live if not order.is_protection]
        serves = plan is not None and len(stops) == 1 and self._serves(stops[0], plan)
        stands = serves and stops[0].status in STANDING and not stops[0].is_dormant
        self._measure(symbol, is_bare=plan is not None and not stands)
        if trades:
            self._hurry(symbol, trades)
        elif symbol in self._giving_way:
            self._give_way(symbol, stops)
        elif stops:
            self._watch(symbol, stops, serves=serves)
        elif plan is not None:
            self._protect(symbol, plan)

    # what should be

    def _plan(self, symbol: Symbol) -> StopPlan | None:
        desk = self._desk
        books = desk.ledger.books(symbol)
        holdings = [
            Holding(
                strategy=strategy,
                quantity=book.quantity,
                average_price=book.cost_usd / book.quantity,
                fraction=fraction,
            )
            for strategy, fraction in sorted(desk.protective_stops.items())
            if (book := books.get(strategy)) is not None and book.quantity
        ]
        return plan_stop(holdings, position=desk.ledger.position(symbol)) if holdings else None

    def _serves(self, stop: Order, plan: StopPlan) -> bool:
        """Whether a stop does what is wanted, once it stands; where a person moved it, its price is theirs."""
        if stop.client_order_id in self._stale:
            return False
        if stop.time_in_force == TimeInForce.DAY.value and self._is_day_ending():
            return False
        price = plan.stop_price if stop.replaces is not None else stop.stop_price
        return plan.is_met_by(side=stop.side, quantity=stop.remaining_quantity, stop_price=price)

    def _is_day_ending(self) -> bool:
        """No entry is allowed any more today: time to hand stops of the day over to ones that outlive it."""
        session = self._desk.session()
        end_ns = session.window_end_ns
        return session.is_open_by_calendar and end_ns is not None and self._desk.venue_ns >= end_ns

    # how long it has not been so

    def _measure(self, symbol: Symbol, *, is_bare: bool) -> None:
        if is_bare:
            self._bare_since.setdefault(symbol, self._desk.mono_ns)
            return
        self._bare_since.pop(symbol, None)
        self._tries.pop(symbol, None)
        self._alarmed.discard(symbol)

    def _bare_s(self, symbol: Symbol) -> float:
        since_ns = self._bare_since.get(symbol)
        return 0.0 if since_ns is None else (self._desk.mono_ns - since_ns) / NANOS_PER_SECOND

    @property
    def _limit_s(self) -> float:
        return self._desk.config.limits.protective_stop_seconds_max

    def _alarm(self, symbol: Symbol, text: str) -> None:
        if symbol not in self._alarmed:
            self._alarmed.add(symbol)
            self._desk.alert(Severity.CRITICAL, "stop_missing", f"{symbol}: {text}", symbol=symbol)

    # steps

    def _hurry(self, symbol: Symbol, trades: Sequence[Order]) -> None:
        """Shares without a stop do not wait for long: half of the time is the order's, half the stop's."""
        if self._bare_s(symbol) >= self._limit_s / 2:
            rested = [order for order in trades if self._desk.age_s(order.created_mono_ns) >= self._limit_s / 2]
            self._cancel(rested, "shares have no protective stop meanwhile")
        if self._bare_s(symbol) >= self._limit_s:
            self._alarm(symbol, f"no stop for {self._bare_s(symbol):.0f} s while an order is under way")

    def _watch(self, symbol: Symbol, stops: Sequence[Order], *, serves: bool) -> None:
        """There are stops: the right one is waited for, any other has to end before another is placed (fault B6)."""
        if not serves:
            self._cancel(stops, "does not fit what is held")
        if self._bare_s(symbol) >= self._limit_s:
            states = ", ".join(f"{stop.client_order_id} {stop.status.name}" for stop in stops)
            self._alarm(symbol, f"no stop stands for {self._bare_s(symbol):.0f} s: {states}")

    def _give_way(self, symbol: Symbol, stops: Sequence[Order]) -> None:
        if stops:
            self._cancel(stops, "an order needs its shares")
            if self._bare_s(symbol) >= self._limit_s:
                self._alarm(symbol, f"the cancel of its stop is not confirmed for {self._bare_s(symbol):.0f} s")
            return
        self._giving_way.discard(symbol)
        self._trading.rebalance(symbol)
        self.look(symbol)

    def _cancel(self, orders: Sequence[Order], reason: str) -> None:
        for order in orders:
            if not order.is_dormant:
                self._flow.cancel(order.client_order_id, reason)

    def _protect(self, symbol: Symbol, plan: StopPlan) -> None:
        """Place the stop; reduce instead where it is too late for one, or none could be placed in time."""
        desk = self._desk
        tries, next_mono_ns = self._tries.get(symbol, (0, 0))
        if desk.mono_ns < next_mono_ns or (desk.config.kill_cancels_stops and desk.kill.is_engaged):
            return
        is_sent = self._try(symbol, plan)
        delay_s = TRY_DELAYS_S[min(tries, SENT_TRIES_MAX if is_sent else len(TRY_DELAYS_S) - 1)]
        self._tries[symbol] = (tries + 1, desk.mono_ns + int(delay_s * NANOS_PER_SECOND))

    def _try(self, symbol: Symbol, plan: StopPlan) -> bool:
        """One attempt. Returns whether an order went out."""
        desk = self._desk
        mark = desk.mark(symbol)
        is_passed = mark is not None and plan.is_passed_by(mark)
        if is_passed or self._bare_s(symbol) >= self._limit_s:
            said = f"at {plain(mark)} the market is beyond its stop" if is_passed and mark is not None else "no stop"
            self._reduce(symbol, f"{said}; {self._bare_s(symbol):.0f} s without one; its shares are sold")
            is_leaving = any(True for _ in desk.orders.live_trades(symbol))
            if is_passed or is_leaving:
                return is_leaving
        return self._trading.review(self._intent(symbol, plan)) == APPROVED

    def _reduce(self, symbol: Symbol, reason: str) -> None:
        """Let the protected strategies want nothing of the symbol: the exit is an order like any other (P34)."""
        desk = self._desk
        self._alarm(symbol, reason)
        for strategy in desk.protective_stops:
            if desk.ledger.book_quantity(strategy, symbol):
                desk.portfolio.set_target(strategy, symbol, ZERO)
        self._trading.rebalance(symbol)

    def _intent(self, symbol: Symbol, plan: StopPlan) -> OrderIntent:
        desk = self._desk
        return OrderIntent(
            client_order_id=desk.orders.new_client_order_id(plan.strategy),
            strategy=plan.strategy,
            symbol=symbol,
            side=plan.side,
            quantity=plan.quantity,
            order_type=OrderType.STOP,
            limit_price=None,
            stop_price=plan.stop_price,
            time_in_force=TimeInForce.GTC,
            reference_price=plan.reference_price.quantize(Decimal("0.000001")),
            declared_notional_usd=plan.quantity * plan.reference_price,
            allocations=plan.allocations,
            decision_id=desk.new_decision_id(),
            decided_ns=desk.venue_ns,
            decided_mono_ns=desk.mono_ns,
            reason=f"protective stop for {plain(plan.quantity)} shares held",
        )
