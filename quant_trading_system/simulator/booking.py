"""Enters what is no fill: books and journal in one step. Decides the ids, and what a bust or a correction may touch."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.entries import DayStart, NonTrade, Void
from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.journal import DayStartRecord, NonTradeRecord, VoidRecord
from quant_trading_system.simulator.ledger import Books
from quant_trading_system.simulator.numbers import QTY_STEP, ZERO
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.recorder import Recorder
from quant_trading_system.simulator.refusals import not_found, unprocessable


class Bookkeeper:
    """The one who writes into the books, except for fills."""

    def __init__(self, *, books: Books, chance: Chance, index: OrderIndex, recorder: Recorder) -> None:
        self._books = books
        self._chance = chance
        self._index = index
        self._recorder = recorder

    def enter(
        self,
        activity_type: str,
        day: date,
        now_ns: Nanos,
        *,
        net_amount: Decimal = ZERO,
        cash: Decimal = ZERO,
        sub_type: str | None = None,
        symbol: str | None = None,
        cusip: str | None = None,
        qty: Decimal | None = None,
        price: Decimal | None = None,
        per_share_amount: Decimal | None = None,
        description: str = "",
        group_id: str | None = None,
        position_qty: Decimal = ZERO,
        position_cost: Decimal = ZERO,
    ) -> None:
        """Book one non-trade activity."""
        number = len(self._books.non_trades) + 1
        entry = NonTrade(
            id=f"{day:%Y%m%d}000000000::{self._chance.uuid('non_trade', number)}",
            activity_type=activity_type,
            day=day,
            created_at_ns=now_ns,
            net_amount=net_amount,
            cash=cash,
            sub_type=sub_type,
            symbol=symbol,
            cusip=cusip,
            qty=qty,
            price=price,
            per_share_amount=per_share_amount,
            description=description,
            group_id=group_id,
            position_qty=position_qty,
            position_cost=position_cost,
        )
        self._books.enter(entry)
        self._recorder.fact(NonTradeRecord(entry=entry))

    def group_id(self) -> str:
        """A name that entries of one matter share."""
        return self._chance.uuid("group", len(self._books.non_trades) + 1)

    def start_day(self, now_ns: Nanos) -> None:
        self._books.start_day(now_ns)
        self._recorder.fact(DayStartRecord(start=DayStart(starts_ns=now_ns)))

    def bust(self, execution_id: str, now_ns: Nanos) -> None:
        """Take an execution back: shares, cash and what its order has filled (reference 7.3).

        Raises:
            Refusal: none that stands, or one that a corporate action has changed since.
        """
        found, order = self._standing(execution_id)
        reversal = self._reversal(found, now_ns)
        self._void(Void(execution_id=found.execution_id, reversal=reversal), order, now_ns)
        self._tell("trade_bust", order, reversal, found, now_ns)

    def correct(self, execution_id: str, now_ns: Nanos, *, price: Decimal | None, qty: Decimal | None) -> None:
        """Put other numbers in place of an execution's.

        Raises:
            Refusal: as `bust`, or numbers that no execution of the order can have.
        """
        found, order = self._standing(execution_id)
        right_price, right_qty = price or found.price, qty or found.qty
        if right_price <= ZERO or right_qty <= ZERO or right_qty % QTY_STEP != ZERO:
            raise unprocessable("price and qty must be > 0, qty with at most 9 decimal places")
        others = order.filled_qty - found.qty
        if order.qty is not None and others + right_qty > order.qty:
            raise unprocessable(f"qty must be at most {order.qty - others}: the order has no more")
        reversal = self._reversal(found, now_ns)
        correction = self._correction(found, reversal, price=right_price, qty=right_qty, cum_qty=others + right_qty)
        self._void(Void(execution_id=found.execution_id, reversal=reversal, correction=correction), order, now_ns)
        self._tell("trade_correct", order, correction, found, now_ns)

    def _standing(self, execution_id: str) -> tuple[Execution, SimOrder]:
        found = self._books.execution(execution_id)
        if found is None:
            raise not_found(f"execution not found for {execution_id}")
        if self._books.is_adjusted_since(found):
            raise unprocessable("a corporate action has changed the shares of this execution")
        return found, self._index.known(found.order_id)

    def _reversal(self, execution: Execution, now_ns: Nanos) -> Execution:
        number = len(self._books.executions) + 1
        return msgspec.structs.replace(
            execution,
            sequence=number,
            execution_id=self._chance.uuid("execution", number),
            qty=-execution.qty,
            fee=-execution.fee,
            fee_qty=-execution.fee_qty,
            timestamp_ns=now_ns,
            previous_execution_id=execution.execution_id,
        )

    def _correction(
        self, execution: Execution, reversal: Execution, *, price: Decimal, qty: Decimal, cum_qty: Decimal
    ) -> Execution:
        number = reversal.sequence + 1
        amount_ratio = qty * price / (execution.qty * execution.price)
        return msgspec.structs.replace(
            execution,
            sequence=number,
            execution_id=self._chance.uuid("execution", number),
            qty=qty,
            price=price,
            fee=(execution.fee * amount_ratio).quantize(QTY_STEP),
            fee_qty=(execution.fee_qty * qty / execution.qty).quantize(QTY_STEP),
            cum_qty=cum_qty,
            previous_execution_id=execution.execution_id,
        )

    def _void(self, void: Void, order: SimOrder, now_ns: Nanos) -> None:
        self._books.void(void)
        self._recorder.fact(VoidRecord(void=void))
        for entry in filter(None, (void.reversal, void.correction)):
            order.filled_qty += entry.qty
            order.filled_cost += entry.qty * entry.price
        order.updated_at_ns = now_ns
        self._recorder.changed(order)

    def _tell(self, event: str, order: SimOrder, now: Execution, before: Execution, now_ns: Nanos) -> None:
        self._recorder.emit(
            event,
            order,
            now_ns,
            execution=now,
            position_qty=self._books.qty(order.symbol),
            previous_execution_id=before.execution_id,
        )
