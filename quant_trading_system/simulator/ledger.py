"""The exchange's own books: executions, positions, cash, fees. Decides what a fill does to money and shares.

Everything here follows from the history of entries alone: executions, those taken back, non-trade activities, days.
Conservation is asserted after every entry, from totals that are kept apart from the positions and the cash that they
check.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import assert_never

from quant_trading_system.simulator.activities import ActivityLog
from quant_trading_system.simulator.entries import DayStart, NonTrade, Void
from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.instants import rfc3339
from quant_trading_system.simulator.numbers import ZERO, plain
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.positions import Position

DAY_TRADE_DAYS = 5  # business days over which the old day-trade rule counted

Entry = Execution | Void | NonTrade | DayStart


@dataclass(slots=True)
class _Totals:
    """What went through one symbol, what was taken back counted off."""

    bought_qty: Decimal = ZERO
    sold_qty: Decimal = ZERO
    fee_qty: Decimal = ZERO
    granted_qty: Decimal = ZERO


class Books:
    """Cash in USD and positions of one account."""

    def __init__(self, cash: Decimal) -> None:
        self.cash_at_start = cash
        self.cash = cash
        self.fees = ZERO
        self.adjustments_today = ZERO  # USD that non-trade activities moved since the day began
        self.executions: list[Execution] = []
        self.non_trades: list[NonTrade] = []
        self.activities = ActivityLog()
        self.unposted: list[Execution] = []  # with fees that no activity tells of yet
        self.unposted_fees = ZERO  # the dollars among them
        self.changed: dict[str, None] = {}
        """Symbols whose position has changed since somebody took the note away."""
        self._history: list[Entry] = []
        self._positions: dict[str, Position] = {}
        self._totals: dict[str, _Totals] = defaultdict(_Totals)
        self._paid = ZERO
        self._received = ZERO
        self._other_cash = ZERO
        self._filled_of_order: dict[str, Decimal] = defaultdict(Decimal)
        self._instead: dict[str, Execution | None] = {}  # executions taken back, and what is right
        self._day_trades: deque[int] = deque([0], maxlen=DAY_TRADE_DAYS)
        self._opened_today: dict[str, None] = {}  # symbols that were opened since their last day trade

    def positions(self) -> list[Position]:
        """Open positions by symbol."""
        return [self._positions[symbol] for symbol in sorted(self._positions)]

    def position(self, symbol: str) -> Position | None:
        return self._positions.get(symbol)

    def qty(self, symbol: str) -> Decimal:
        """Signed shares of a symbol, 0 when flat."""
        held = self._positions.get(symbol)
        return held.qty if held else ZERO

    @property
    def day_trades(self) -> int:
        """How often shares were opened and closed on one day, over the last five days; by turns, as FINRA counts."""
        return sum(self._day_trades)

    def would_day_trade(self, symbol: str, side: str) -> bool:
        """Whether an execution would close what was opened today."""
        held = self._positions.get(symbol)
        return held is not None and held.intraday_qty * (1 if side == "buy" else -1) < ZERO

    def execution(self, execution_id: str) -> Execution | None:
        """An execution that stands: neither taken back nor one that takes back."""
        found = next((e for e in reversed(self.executions) if e.execution_id == execution_id), None)
        return None if found is None or execution_id in self._instead or found.qty < ZERO else found

    @property
    def entries_booked(self) -> int:
        return len(self._history)

    def entries(self, first: int = 0) -> Sequence[Entry]:
        """What was entered, in order, from a number on."""
        return self._history[first:]

    # --- entries ------------------------------------------------------------------------------------------------------

    def book(self, execution: Execution) -> None:
        """Enter one execution."""
        assert execution.qty > ZERO, f"execution {execution.execution_id}: expected qty > 0, found {execution.qty}"
        is_short_sale = execution.side == "sell" and self.qty(execution.symbol) <= ZERO
        self._history.append(execution)
        self._count(execution)
        self._note_day_trade(execution)
        position = self._positions.setdefault(execution.symbol, Position(execution.symbol))
        _trade(position, execution)
        self._settle(position)
        self.activities.add_fill(execution, is_short_sale=is_short_sale)
        self._check(execution.symbol)
        self._check_order(execution)

    def void(self, void: Void) -> None:
        """Take an execution back, and enter what is right instead. The position becomes what it would have been."""
        found = self.execution(void.execution_id)
        assert found is not None, f"execution {void.execution_id}: expected one that stands"
        assert void.reversal.qty == -found.qty, f"execution {void.execution_id}: expected all of it to be taken back"
        self._history.append(void)
        self._instead[void.execution_id] = void.correction
        self._count(void.reversal)
        self.activities.correct(found, void.correction)
        if void.correction is not None:
            self._count(void.correction)
        self._settle(self._replayed(found.symbol))
        self._check(found.symbol)

    def enter(self, entry: NonTrade) -> None:
        """Enter a non-trade activity."""
        self._history.append(entry)
        self.non_trades.append(entry)
        self.cash += entry.cash
        self._other_cash += entry.cash
        self.adjustments_today += entry.cash
        self.activities.add_non_trade(entry)
        if entry.activity_type == "CFEE":  # whoever posts fees posts all there are
            self.unposted.clear()
            self.unposted_fees = ZERO
        if entry.position_qty or entry.position_cost:
            assert entry.symbol is not None, f"activity {entry.id}: expected a symbol beside its shares"
            position = self._positions.setdefault(entry.symbol, Position(entry.symbol))
            position.grant(entry.position_qty, entry.position_cost)
            self._totals[entry.symbol].granted_qty += entry.position_qty
            self._settle(position)
            self._check(entry.symbol)
        self._check_cash()

    def start_day(self, starts_ns: int = 0) -> None:
        """Everything held now was held over night."""
        self._history.append(DayStart(starts_ns=starts_ns))
        self.adjustments_today = ZERO
        self._day_trades.append(0)
        self._opened_today.clear()
        for symbol, position in self._positions.items():
            position.start_day()
            self.changed[symbol] = None

    def is_adjusted_since(self, execution: Execution) -> bool:
        """Whether a corporate action changed the symbol's shares after an execution."""
        for entry in reversed(self._history):
            if entry == execution:
                return False
            if isinstance(entry, NonTrade) and entry.symbol == execution.symbol and entry.position_qty:
                return True
        return False

    # --- checks -------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Assert every conservation law over the whole history; for tests and the ledger's readers."""
        again = Books(self.cash_at_start)
        for entry in self._history:
            again._repeat(entry)
        assert again.cash == self.cash, f"cash: expected {again.cash} USD by the entries, found {self.cash}"
        assert {p.symbol: (p.qty, p.cost) for p in again.positions()} == {
            p.symbol: (p.qty, p.cost) for p in self.positions()
        }, "positions: not what the entries make"

    def digest(self, orders: Iterable[SimOrder]) -> str:
        """A hash over cash, positions, executions, activities and the orders' fates; equal books have equal hashes."""
        lines = [f"cash {plain(self.cash)} fees {plain(self.fees)}"]
        lines += [f"position {p.symbol} {plain(p.qty)} {plain(p.avg_entry_price)}" for p in self.positions()]
        lines += [
            f"execution {e.execution_id} {e.order_id} {e.symbol} {e.side} {plain(e.qty)} {plain(e.price)} "
            f"{e.timestamp_ns}"
            for e in self.executions
        ]
        lines += [f"activity {n.id} {n.activity_type} {plain(n.cash)} {plain(n.position_qty)}" for n in self.non_trades]
        lines += [f"order {o.id} {o.client_order_id} {o.status} {plain(o.filled_qty)}" for o in orders]
        return sha256("\n".join(lines).encode()).hexdigest()

    def fees_by_asset(self) -> dict[str, str]:
        """Fees paid: USD, and coins that were kept of what was bought."""
        kept = {symbol: plain(t.fee_qty) for symbol, t in sorted(self._totals.items()) if t.fee_qty}
        return {"USD": plain(self.fees), **kept}

    # --- inside -------------------------------------------------------------------------------------------------------

    def _repeat(self, entry: Entry) -> None:
        match entry:
            case Execution():
                self.book(entry)
            case Void():
                self.void(entry)
            case NonTrade():
                self.enter(entry)
            case DayStart():
                self.start_day(entry.starts_ns)
            case _:
                assert_never(entry)

    def _count(self, execution: Execution) -> None:
        """What an execution, or one taken back, does to cash and totals."""
        assert execution.price > ZERO, f"execution {execution.execution_id}: expected price > 0"
        amount = execution.qty * execution.price
        totals = self._totals[execution.symbol]
        if execution.side == "buy":
            self.cash -= amount
            self._paid += amount
            totals.bought_qty += execution.qty
        else:
            self.cash += amount
            self._received += amount
            totals.sold_qty += execution.qty
        totals.fee_qty += execution.fee_qty
        self.cash -= execution.fee
        self.fees += execution.fee
        if execution.fee or execution.fee_qty:
            self.unposted.append(execution)
            self.unposted_fees += execution.fee
        self.executions.append(execution)
        self._filled_of_order[execution.order_id] += execution.qty

    def _note_day_trade(self, execution: Execution) -> None:
        if not self.would_day_trade(execution.symbol, execution.side):
            self._opened_today[execution.symbol] = None
        elif execution.symbol in self._opened_today:
            del self._opened_today[execution.symbol]
            self._day_trades[-1] += 1

    def _replayed(self, symbol: str) -> Position:
        """A position as the history makes it, executions that were taken back left out."""
        position = Position(symbol)
        for entry in self._history:
            match entry:
                case Execution() if entry.symbol == symbol:
                    standing = self._standing(entry)
                    if standing is not None:
                        _trade(position, standing)
                case NonTrade() if entry.symbol == symbol and (entry.position_qty or entry.position_cost):
                    position.grant(entry.position_qty, entry.position_cost)
                case DayStart():
                    position.start_day()
        return position

    def _standing(self, execution: Execution) -> Execution | None:
        """What counts of an execution now; a correction may have been corrected again."""
        standing: Execution | None = execution
        while standing is not None and standing.execution_id in self._instead:
            standing = self._instead[standing.execution_id]
        return standing

    def _settle(self, position: Position) -> None:
        self.changed[position.symbol] = None
        if position.qty:
            self._positions[position.symbol] = position
        else:
            self._positions.pop(position.symbol, None)

    def _check(self, symbol: str) -> None:
        self._check_cash()
        totals = self._totals[symbol]
        expected_qty = totals.bought_qty - totals.sold_qty - totals.fee_qty + totals.granted_qty
        found_qty = self.qty(symbol)
        assert found_qty == expected_qty, f"{symbol}: expected {expected_qty} shares, found {found_qty}"

    def _check_cash(self) -> None:
        expected_cash = self.cash_at_start - self._paid + self._received - self.fees + self._other_cash
        assert self.cash == expected_cash, f"cash: expected {expected_cash} USD, found {self.cash}"

    def _check_order(self, execution: Execution) -> None:
        filled = self._filled_of_order[execution.order_id]
        assert filled == execution.cum_qty, f"{execution.order_id}: expected {filled} filled, found {execution.cum_qty}"
        assert execution.leaves_qty >= ZERO, f"{execution.order_id}: overfilled by {-execution.leaves_qty}"


def _trade(position: Position, execution: Execution) -> None:
    signed_qty = execution.qty - execution.fee_qty if execution.side == "buy" else -execution.qty
    position.trade(signed_qty, execution.price)


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


def non_trade_row(entry: NonTrade) -> dict[str, str | None]:
    """A non-trade activity as `GET /simulator/v1/ledger` shows it: what it did to cash and shares."""
    return {
        "id": entry.id,
        "activity_type": entry.activity_type,
        "symbol": entry.symbol,
        "cash": plain(entry.cash),
        "qty": plain(entry.position_qty),
        "timestamp": rfc3339(entry.created_at_ns),
    }
