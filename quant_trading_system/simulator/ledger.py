"""The exchange's own books: executions, positions, cash, fees. Decides what a fill does to money and shares.

Everything here follows from the executions alone. Conservation is asserted after every one of them, from totals that
are kept apart from the positions and the cash that they check.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256

from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.instants import rfc3339
from quant_trading_system.simulator.numbers import ZERO, plain
from quant_trading_system.simulator.orders import SimOrder

AVERAGE_STEP = Decimal("0.0000000000000001")  # sixteen decimals (reference 3.2)


@dataclass(slots=True)
class Position:
    """Shares of one symbol, signed. `cost` is what they were bought for in USD, at average cost."""

    symbol: str
    qty: Decimal = ZERO
    cost: Decimal = ZERO
    overnight_qty: Decimal = ZERO  # held since before today's session; valued from the last close for today's P&L
    intraday_cost: Decimal = ZERO  # what the rest was bought for

    @property
    def avg_entry_price(self) -> Decimal:
        """USD a share, at most sixteen decimals."""
        average = self.cost / self.qty
        return average if _decimals(average) <= 16 else average.quantize(AVERAGE_STEP)


@dataclass(slots=True)
class _Totals:
    """What went through one symbol; never decreases."""

    bought_qty: Decimal = ZERO
    sold_qty: Decimal = ZERO


class Books:
    """Cash in USD and positions of one account."""

    def __init__(self, cash: Decimal) -> None:
        self.cash_at_start = cash
        self.cash = cash
        self.fees = ZERO
        self.executions: list[Execution] = []
        self._positions: dict[str, Position] = {}
        self._totals: dict[str, _Totals] = defaultdict(_Totals)
        self._paid = ZERO
        self._received = ZERO
        self._filled_of_order: dict[str, Decimal] = defaultdict(Decimal)

    def positions(self) -> list[Position]:
        """Open positions by symbol."""
        return [self._positions[symbol] for symbol in sorted(self._positions)]

    def position(self, symbol: str) -> Position | None:
        return self._positions.get(symbol)

    def qty(self, symbol: str) -> Decimal:
        """Signed shares of a symbol, 0 when flat."""
        held = self._positions.get(symbol)
        return held.qty if held else ZERO

    def book(self, execution: Execution) -> None:
        """Enter one execution."""
        assert execution.qty > ZERO, f"execution {execution.execution_id}: expected qty > 0, found {execution.qty}"
        assert execution.price > ZERO, f"execution {execution.execution_id}: expected price > 0"
        amount = execution.qty * execution.price
        totals = self._totals[execution.symbol]
        if execution.side == "buy":
            self.cash -= amount
            self._paid += amount
            totals.bought_qty += execution.qty
            self._move(execution, execution.qty)
        else:
            self.cash += amount
            self._received += amount
            totals.sold_qty += execution.qty
            self._move(execution, -execution.qty)
        self.cash -= execution.fee
        self.fees += execution.fee
        self.executions.append(execution)
        self._filled_of_order[execution.order_id] += execution.qty
        self._check(execution)

    def start_day(self) -> None:
        """Everything held now was held over night."""
        for position in self._positions.values():
            position.overnight_qty = position.qty
            position.intraday_cost = ZERO

    def check(self) -> None:
        """Assert every conservation law over the whole history; for tests and the ledger's readers."""
        again = Books(self.cash_at_start)
        for execution in self.executions:
            again.book(execution)
        assert again.cash == self.cash, f"cash: expected {again.cash} USD by the executions, found {self.cash}"
        assert {p.symbol: (p.qty, p.cost) for p in again.positions()} == {
            p.symbol: (p.qty, p.cost) for p in self.positions()
        }, "positions: not what the executions make"

    def digest(self, orders: Iterable[SimOrder]) -> str:
        """A hash over cash, positions, executions and the orders' fates; equal books have equal hashes."""
        lines = [f"cash {plain(self.cash)} fees {plain(self.fees)}"]
        lines += [f"position {p.symbol} {plain(p.qty)} {plain(p.avg_entry_price)}" for p in self.positions()]
        lines += [
            f"execution {e.execution_id} {e.order_id} {e.symbol} {e.side} {plain(e.qty)} {plain(e.price)} "
            f"{e.timestamp_ns}"
            for e in self.executions
        ]
        lines += [f"order {o.id} {o.client_order_id} {o.status} {plain(o.filled_qty)}" for o in orders]
        return sha256("\n".join(lines).encode()).hexdigest()

    def _move(self, execution: Execution, signed_qty: Decimal) -> None:
        position = self._positions.setdefault(execution.symbol, Position(execution.symbol))
        before = position.qty
        if before * signed_qty >= ZERO:
            position.cost += signed_qty * execution.price
            position.intraday_cost += signed_qty * execution.price
        else:
            _reduce(position, signed_qty, execution.price)
        position.qty = before + signed_qty
        if not position.qty:
            del self._positions[execution.symbol]

    def _check(self, execution: Execution) -> None:
        expected_cash = self.cash_at_start - self._paid + self._received - self.fees
        assert self.cash == expected_cash, f"cash: expected {expected_cash} USD, found {self.cash}"
        totals = self._totals[execution.symbol]
        expected_qty = totals.bought_qty - totals.sold_qty
        found_qty = self.qty(execution.symbol)
        assert found_qty == expected_qty, f"{execution.symbol}: expected {expected_qty} shares, found {found_qty}"
        filled = self._filled_of_order[execution.order_id]
        assert filled == execution.cum_qty, f"{execution.order_id}: expected {filled} filled, found {execution.cum_qty}"
        assert execution.leaves_qty >= ZERO, f"{execution.order_id}: overfilled by {-execution.leaves_qty}"


def _reduce(position: Position, signed_qty: Decimal, price: Decimal) -> None:
    """Take shares away at average cost: those held over night first. What goes past zero opens the other side."""
    before, after = position.qty, position.qty + signed_qty
    if before * after < ZERO:
        position.cost = position.intraday_cost = after * price
        position.overnight_qty = ZERO
        return
    if after == ZERO:
        position.cost = position.intraday_cost = position.overnight_qty = ZERO
        return
    intraday_before = before - position.overnight_qty
    from_overnight = min(abs(signed_qty), abs(position.overnight_qty)) * (1 if before > ZERO else -1)
    position.cost = position.cost / before * after
    position.overnight_qty -= from_overnight
    intraday_after = after - position.overnight_qty
    position.intraday_cost = position.intraday_cost / intraday_before * intraday_after if intraday_before else ZERO


def execution_row(execution: Execution) -> dict[str, str]:
    """An execution as `GET /simulator/v1/ledger` shows it."""
    return {
        "execution_id": execution.execution_id,
        "order_id": execution.order_id,
        "client_order_id": execution.client_order_id,
        "symbol": execution.symbol,
        "side": execution.side,
        "qty": plain(execution.qty),
        "price": plain(execution.price),
        "fee": plain(execution.fee),
        "timestamp": rfc3339(execution.timestamp_ns),
    }


def _decimals(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int), f"expected a finite number, found {amount}"
    return -exponent
