"""Holds the fills of a random market against what it said, with arithmetic of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import TypeVar

from quant_trading_system.simulator.bells import CLOSING_PATIENCE_NS, OPENING_PATIENCE_NS
from quant_trading_system.simulator.events import Execution, SimLuld, SimQuote, SimTrade
from quant_trading_system.simulator.instants import NANOS_PER_MS
from quant_trading_system.simulator.matching import effective_limit
from quant_trading_system.simulator.order_index import OrderQuery
from quant_trading_system.simulator.orders import SimOrder
from tests.unit.simulator_core.desk_script import CLOSE_NS, MONDAY, OPEN_NS
from tests.unit.simulator_core.random_market import PAIR, SYMBOLS, Player, executions_of

LATENCY_NS_MAX = 200 * NANOS_PER_MS  # of an immediate order: acknowledged, met, perhaps met again

AUCTIONS = {"opg": "O", "cls": "6"}

_Event = TypeVar("_Event", SimQuote, SimTrade, SimLuld)


class Judge:
    """Holds an exchange's executions against the story, with arithmetic of its own."""

    def __init__(self, player: Player) -> None:
        self._exchange = player.exchange
        self._story = player.story
        self._halts = player.halts

    def check(self) -> int:
        """Assert everything; the answer is how many executions there were."""
        executions = executions_of(self._exchange)
        of_order: dict[str, list[Execution]] = {}
        for execution in executions:
            of_order.setdefault(execution.order_id, []).append(execution)
            order = self._exchange.order(execution.order_id)
            self._check_limit(order, execution)
            self._check_hours(order, execution)
            self._check_halts(execution)
            self._check_bands(execution)
            if order.time_in_force not in AUCTIONS:
                self._check_price(order, execution)
        for order_id, fills in of_order.items():
            self._check_quantity(self._exchange.order(order_id), fills)
        for order in self._exchange.orders(OrderQuery(status="all", limit=500)):
            self._check_immediate(order, of_order.get(order.id, []))
        in_auctions = [e for e in executions if self._exchange.order(e.order_id).time_in_force in AUCTIONS]
        self._check_auctions(in_auctions)
        self._check_sizes([execution for execution in executions if execution not in in_auctions])
        return len(executions)

    def _check_limit(self, order: SimOrder, execution: Execution) -> None:
        limit = effective_limit(order)
        if limit is not None:
            is_worse = execution.price > limit if order.is_buy else execution.price < limit
            assert not is_worse, f"{order.type} {order.side} filled at {execution.price}, limit {limit}"

    def _check_hours(self, order: SimOrder, execution: Execution) -> None:
        at_ns = execution.timestamp_ns
        if order.symbol == PAIR:
            return
        if order.time_in_force == "opg":
            hours = (MONDAY.open_ns, MONDAY.open_ns + OPENING_PATIENCE_NS)
        elif order.time_in_force == "cls":
            hours = (MONDAY.close_ns, MONDAY.close_ns + CLOSING_PATIENCE_NS)
        elif order.extended_hours:
            hours = (MONDAY.pre_market_ns, MONDAY.post_market_end_ns - 1)
        else:
            hours = (MONDAY.open_ns, MONDAY.close_ns - 1)
        assert hours[0] <= at_ns <= hours[1], (
            f"{order.time_in_force} filled {(at_ns - MONDAY.open_ns) / 1e9} s from open"
        )

    def _check_halts(self, execution: Execution) -> None:
        told = [(at, code) for at, symbol, code in self._halts if symbol == execution.symbol]
        before = [code for at, code in told if at < execution.timestamp_ns]
        assert not before or before[-1] in "T3", f"{execution.symbol} filled in a halt ({before[-1]})"

    def _check_bands(self, execution: Execution) -> None:
        at_ns = execution.timestamp_ns
        if not OPEN_NS < at_ns < CLOSE_NS:
            return
        halted = [at for at, symbol, _ in self._halts if symbol == execution.symbol and at <= at_ns]
        since = max(OPEN_NS, *halted, 0)  # bands are of regular hours, and new after a halt
        bands = [e for e in self._of(SimLuld, execution.symbol) if since < e.ts_ns <= at_ns]
        if bands:
            assert bands[-1].limit_down <= float(execution.price) <= bands[-1].limit_up, "filled outside the bands"

    def _check_price(self, order: SimOrder, execution: Execution) -> None:
        """Nobody does better than what the market showed, unless at its own price."""
        at_ns, price = execution.timestamp_ns, float(execution.price)
        if order.limit_price is not None and execution.price == order.limit_price:
            return
        printed = [e.price for e in self._of(SimTrade, order.symbol) if e.ts_ns == at_ns]
        quotes = [e for e in self._of(SimQuote, order.symbol) if e.ts_ns <= at_ns]
        touch = quotes[-1].ask_price if order.is_buy else quotes[-1].bid_price
        bounds = [*printed, touch]
        is_fair = price >= min(bounds) if order.is_buy else price <= max(bounds)
        assert is_fair, f"{order.side} at {price}, where the market was at {bounds}"

    def _check_quantity(self, order: SimOrder, fills: list[Execution]) -> None:
        total = sum((fill.qty for fill in fills), start=Decimal(0))
        assert total == order.filled_qty
        if order.qty is not None:
            assert total <= order.qty, f"{total} of {order.qty} filled"

    def _check_immediate(self, order: SimOrder, fills: list[Execution]) -> None:
        if order.time_in_force == "fok":
            assert order.status in ("filled", "canceled", "expired"), order.status
            assert not fills or (len(fills) == 1 and fills[0].qty == order.qty)
        is_at_once = order.stop_price is None and order.new_at_ns is not None  # a stop waits for its price first
        if order.time_in_force in ("ioc", "fok") and is_at_once:
            assert order.new_at_ns is not None
            assert not order.is_open
            assert all(fill.timestamp_ns <= order.new_at_ns + LATENCY_NS_MAX for fill in fills)

    def _check_sizes(self, executions: Sequence[Execution]) -> None:
        """Between two quotes no more is bought than was offered and printed."""
        for symbol in SYMBOLS:
            quotes = self._of(SimQuote, symbol)
            trades = self._of(SimTrade, symbol)
            stamps = [0, *(quote.ts_ns for quote in quotes), math.inf]
            for place in range(len(stamps) - 1):
                shown = quotes[place - 1] if place else None
                for side in ("buy", "sell"):
                    size = 0.0 if shown is None else shown.ask_size if side == "buy" else shown.bid_size
                    printed = sum(e.size for e in trades if stamps[place] <= e.ts_ns < stamps[place + 1])
                    filled = sum(
                        float(e.qty)
                        for e in executions
                        if e.symbol == symbol and e.side == side and stamps[place] <= e.timestamp_ns < stamps[place + 1]
                    )
                    assert filled <= size + printed + 1e-6, (
                        f"{symbol}: {filled} {side} of {size} shown, {printed} printed"
                    )

    def _check_auctions(self, executions: Sequence[Execution]) -> None:
        """One price for everybody: the auction's print, or else the quote; and each side trades no more than it."""
        groups: dict[tuple[str, str, str], list[Execution]] = {}
        for execution in executions:
            order = self._exchange.order(execution.order_id)
            groups.setdefault((execution.symbol, order.time_in_force, execution.side), []).append(execution)
        for (symbol, time_in_force, side), fills in groups.items():
            (price,) = {float(fill.price) for fill in fills}
            (at_ns,) = {fill.timestamp_ns for fill in fills}
            prints = [e for e in self._of(SimTrade, symbol) if AUCTIONS[time_in_force] in e.conditions]
            sizes = [e.size for e in prints if e.price == price and e.ts_ns <= at_ns]
            for quote in self._of(SimQuote, symbol):
                touch = (quote.ask_price, quote.ask_size) if side == "buy" else (quote.bid_price, quote.bid_size)
                if touch[0] == price and quote.ts_ns <= at_ns:
                    sizes.append(touch[1])
            assert sum(float(fill.qty) for fill in fills) <= max(sizes, default=0.0) + 1e-6, f"{symbol} {time_in_force}"

    def _of(self, kind: type[_Event], symbol: str) -> list[_Event]:
        return [e for e in self._story.events if isinstance(e, kind) and e.symbol == symbol]
