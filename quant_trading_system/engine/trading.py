"""From a closed bar to an approved order: strategies, targets, netting, gate. Every intent leaves a decision record."""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal

from quant_trading_system.core.effects import SendOrder
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.records import DecisionRecord
from quant_trading_system.core.types import (
    NANOS_PER_SECOND,
    ClientOrderId,
    Direction,
    InstrumentClass,
    Nanos,
    OrderClass,
    OrderType,
    Severity,
    StrategyId,
    Symbol,
    TimeInForce,
)
from quant_trading_system.core.values import Bar, ControlResult, OrderIntent, Signal
from quant_trading_system.engine.claims import claim_external
from quant_trading_system.engine.desk import Desk
from quant_trading_system.engine.risk_view import build_money, build_risk_view
from quant_trading_system.portfolio.portfolio import Plan, PlannedOrder
from quant_trading_system.portfolio.sizing import SizingContext
from quant_trading_system.portfolio.stops import leg_price

APPROVED = "approved"
WAITS = "waits"
SIZE_MARGIN = Decimal("0.95")  # sized below the position limit, so that the next tick does not carry the order over it
VOLATILITY = "vol_annual_20"


class Trading:
    """Evaluates strategies at each closed bar and turns what they want into intents for the gate."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._latest_signal: dict[Symbol, Signal] = {}
        self.make_way: Callable[[Symbol], None] = lambda _symbol: None
        """Asks for the protective stops of a symbol to be cancelled; `rebalance` is called when they are gone."""

    def on_bar(self, bar: Bar) -> None:
        """Ask every enabled strategy about one closed bar, then move the portfolio towards the targets."""
        desk = self._desk
        desk.venue_ns = max(desk.venue_ns, Nanos(bar.start_ns + desk.config.bar_seconds * NANOS_PER_SECOND))
        if not self._may_trade or bar.symbol not in desk.instruments or not desk.is_in_session(bar.start_ns):
            return
        values = desk.market.values(bar.symbol)
        for strategy_id, strategy in desk.strategies.items():
            try:
                signal = strategy.on_bar(bar, values, desk.ledger.book_quantity(strategy_id, bar.symbol))
            except Exception as error:  # border: a strategy that raises is switched off, the daemon goes on
                desk.lock_strategy(strategy_id, f"raised {error!r} at the bar of {bar.symbol}")
                continue
            if signal is not None and strategy_id not in desk.strategy_locks:
                self._take(signal, values.get(VOLATILITY))
        self._forget_late_entries(bar.symbol)
        self.rebalance(bar.symbol)

    def rebalance(self, symbol: Symbol) -> None:
        """Net the strategies' targets of one symbol into at most one order.

        Waits while an order is live. Protective stops hold the shares and stand on the other side of an entry: an order
        that would be approved without them makes them give way, and is decided anew when their end is known.
        """
        desk = self._desk
        if not self._may_trade or any(True for _ in desk.orders.live_trades(symbol)):
            return
        instrument = desk.instruments.get(symbol)
        price = desk.market.price(symbol, desk.mono_ns)
        equity = desk.limit_equity_usd()
        if instrument is None or price is None or equity is None:
            return
        claim_external(desk, symbol)
        plan = desk.portfolio.plan(
            symbol,
            books=self._books_to_move(symbol),
            price=price,
            equity_usd=equity,
            order_value_max_usd=self._order_value_max_usd(instrument.instrument_class, equity),
            is_fractionable=False,
        )
        self._cross_inside(plan)
        if plan.order is not None:
            self._submit(plan.order)

    def _books_to_move(self, symbol: Symbol) -> dict[StrategyId, Decimal]:
        """The strategies' books that take part in the next step.

        An entry that may not happen now must not swallow another strategy's exit by crossing inside: where there is
        something to reduce, it waits. Alone it goes to the gate, whose record says why it is refused.
        """
        desk = self._desk
        books = {strategy: desk.ledger.book_quantity(strategy, symbol) for strategy in desk.strategies}
        wanted = {strategy: desk.portfolio.target(strategy, symbol) for strategy in books}
        entries = {each for each, target in wanted.items() if target is not None and abs(target) > abs(books[each])}
        exits = {each for each, target in wanted.items() if target is not None and abs(target) < abs(books[each])}
        if not entries or not exits:
            return books
        is_shut = desk.kill.blocks or symbol in desk.symbol_locks or not desk.guards.allows(reduces_exposure=False)
        waiting = {each for each in entries if is_shut or each in desk.strategy_locks}
        return {each: held for each, held in books.items() if each not in waiting}

    def _take(self, signal: Signal, volatility: float | None) -> None:
        desk = self._desk
        equity, capital = desk.limit_equity_usd(), desk.capital_usd()
        mark = desk.mark(signal.symbol)
        if equity is None or capital is None or mark is None:
            desk.alert(
                Severity.WARNING,
                "signal_without_money",
                f"{signal.strategy} signals {signal.direction} {signal.symbol}, but equity or price is unknown",
                strategy=signal.strategy,
                symbol=signal.symbol,
            )
            return
        weight = desk.portfolio.weight(signal.strategy)
        instrument_class = desk.instruments[signal.symbol].instrument_class
        limits = desk.config.limits.classes[instrument_class]
        position_max = equity * limits.position_fraction
        if desk.config.limits.position_size_usd_max is not None:
            position_max = min(position_max, desk.config.limits.position_size_usd_max)
        own = build_money(desk).own_buying_power_usd
        desk.portfolio.on_signal(
            signal,
            SizingContext(
                equity_usd=equity * weight,
                capital_usd=capital * weight,
                price=mark,
                volatility=volatility,
                buying_power_usd=own if own is not None else ZERO,
                order_value_max_usd=self._order_value_max_usd(instrument_class, equity),
                position_value_max_usd=position_max * weight * SIZE_MARGIN,
                is_fractionable=False,
            ),
        )
        desk.last_signal_ns[signal.strategy] = desk.venue_ns
        self._latest_signal[signal.symbol] = signal
        deadline = Nanos(desk.venue_ns + int(desk.config.signal_seconds_max * NANOS_PER_SECOND))
        if signal.direction is not Direction.EXIT:
            desk.entry_deadline_ns[signal.strategy, signal.symbol] = deadline

    def _forget_late_entries(self, symbol: Symbol) -> None:
        """An entry that did not happen in time is no longer wanted; what is held stays wanted.

        While an order is live nobody knows whether it happened: a fill that is heard of late must not be sold again.
        """
        desk = self._desk
        if any(True for _ in desk.orders.live_trades(symbol)):
            return
        for strategy in desk.strategies:
            deadline = desk.entry_deadline_ns.get((strategy, symbol))
            target = desk.portfolio.target(strategy, symbol)
            if deadline is None or target is None or desk.venue_ns < deadline:
                continue
            held = desk.ledger.book_quantity(strategy, symbol)
            if abs(target) > abs(held):
                desk.portfolio.set_target(strategy, symbol, held)
            del desk.entry_deadline_ns[strategy, symbol]

    def _cross_inside(self, plan: Plan) -> None:
        for transfer in plan.transfers:
            desk = self._desk
            desk.ledger.transfer(
                transfer.from_strategy, transfer.to_strategy, transfer.symbol, transfer.quantity, transfer.price
            )
            desk.remember_books(transfer.symbol)
            desk.audit(
                "portfolio",
                "internal_cross",
                reason="two strategies wanted opposite changes of one symbol",
                outcome="booked",
                symbol=transfer.symbol,
                quantity=str(transfer.quantity),
                price=str(transfer.price),
                from_strategy=transfer.from_strategy,
                to_strategy=transfer.to_strategy,
            )

    def _submit(self, planned: PlannedOrder) -> None:
        desk = self._desk
        stops = [order.client_order_id for order in desk.orders.live(planned.symbol) if order.is_protection]
        stop_loss_price = self._stop_loss_price(planned)
        intent = OrderIntent(
            client_order_id=desk.orders.new_client_order_id(planned.strategy),
            strategy=planned.strategy,
            symbol=planned.symbol,
            side=planned.side,
            quantity=planned.quantity,
            order_type=OrderType.LIMIT,
            limit_price=planned.limit_price,
            stop_price=None,
            time_in_force=TimeInForce.DAY,
            reference_price=planned.reference_price,
            declared_notional_usd=planned.declared_notional_usd,
            allocations=planned.allocations,
            decision_id=desk.new_decision_id(),
            decided_ns=desk.venue_ns,
            decided_mono_ns=desk.mono_ns,
            reason=self._reason(planned),
            order_class=OrderClass.SIMPLE if stop_loss_price is None else OrderClass.OTO,
            stop_loss_price=stop_loss_price,
        )
        if self.review(intent, stops=stops) == WAITS:
            self.make_way(planned.symbol)

    def _stop_loss_price(self, planned: PlannedOrder) -> Decimal | None:
        """The stop that an entry brings along, where each of its strategies declares one."""
        desk = self._desk
        position = desk.ledger.position(planned.symbol)
        fractions = [desk.protective_stops.get(each.strategy) for each in planned.allocations]
        declared = [fraction for fraction in fractions if fraction is not None]
        is_whole = planned.quantity == planned.quantity.to_integral_value()
        if position * planned.side.sign < ZERO or len(declared) < len(fractions) or not is_whole:
            return None
        return leg_price(planned.reference_price, declared, entry=planned.side, limit=planned.limit_price)

    def review(self, intent: OrderIntent, *, stops: Collection[ClientOrderId] = ()) -> str:
        """Put one intent before the gate; what it approves is reserved in the same call and sent.

        Args:
            stops: protective stops that would have to go first; the intent is judged without them, and waits.

        Returns:
            What the record of the decision says: refused, approved, dry_run or waits.
        """
        desk = self._desk
        view = build_risk_view(desk, intent.symbol, strategy=intent.strategy, side=intent.side, without=stops)
        decision = desk.gate.review(intent, view)
        outcome = "refused"
        if decision.approved is not None:
            outcome = "dry_run" if desk.config.is_dry_run else WAITS if stops else APPROVED
        signal = self._latest_signal.get(intent.symbol)
        desk.remember(
            DecisionRecord(
                venue_ns=desk.venue_ns,
                seen_ns=desk.seen_ns,
                decision_id=intent.decision_id,
                strategy=intent.strategy,
                symbol=intent.symbol,
                outcome=outcome,
                reason="; ".join(
                    part
                    for part in (
                        _refusals(decision.controls) or intent.reason,
                        "a protective stop gives way first" if outcome == WAITS else "",
                    )
                    if part
                ),
                side=intent.side,
                quantity=intent.quantity,
                limit_price=intent.limit_price,
                reference_price=intent.reference_price,
                client_order_id=intent.client_order_id,
                limits_version=desk.gate.limits_version,
                controls=decision.controls,
                inputs={} if signal is None else signal.inputs,
            )
        )
        if outcome != APPROVED or decision.approved is None:
            return outcome
        order = desk.orders.open(decision.approved, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns)
        desk.remember(order.to_record(venue_ns=desk.venue_ns, seen_ns=desk.seen_ns))
        desk.emit(SendOrder(approved=decision.approved))
        return outcome

    def still_approved(self, client_order_id: ClientOrderId, intent: OrderIntent) -> str | None:
        """Judge an order that was not sent yet again, as if it did not exist. Returns why it may not go, or None."""
        desk = self._desk
        view = build_risk_view(
            desk, intent.symbol, strategy=intent.strategy, side=intent.side, without={client_order_id}
        )
        return _refusals(desk.gate.review(intent, view).controls) or None

    def _reason(self, planned: PlannedOrder) -> str:
        signal = self._latest_signal.get(planned.symbol)
        parts = [signal.reason if signal is not None else "", planned.note]
        return "; ".join(part for part in parts if part)

    def _order_value_max_usd(self, instrument_class: InstrumentClass, equity: Decimal) -> Decimal:
        limits = self._desk.config.limits.classes[instrument_class]
        return min(equity * limits.order_value_fraction, limits.order_value_usd)

    @property
    def _may_trade(self) -> bool:
        return self._desk.is_trading and not self._desk.is_stopping


def _refusals(controls: tuple[ControlResult, ...]) -> str:
    return "; ".join(
        f"{result.control} {result.name}: {result.reason or f'{result.measured}, limit {result.limit}'}"
        for result in controls
        if not result.passed
    )
