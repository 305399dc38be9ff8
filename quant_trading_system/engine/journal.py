"""What the ledger did, as rows: executions, corrections of executions, and entries that are no execution.

Decides which row an execution gets. One that was booked before under its identity, and taken back, is a correction: the
table of fills keeps one row an execution, and the newest correction of it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from quant_trading_system.core.broker import Execution
from quant_trading_system.core.money import ZERO
from quant_trading_system.core.records import CorrectionRecord, EntryRecord, FillRecord
from quant_trading_system.core.types import StrategyId, Symbol
from quant_trading_system.core.values import Allocation
from quant_trading_system.engine.desk import Desk
from quant_trading_system.ledger.books import FillResult
from quant_trading_system.ledger.fills import BookedFill
from quant_trading_system.orders.order import Order

BPS = Decimal(10_000)
INFERRED = "inferred"


def remember_execution(desk: Desk, execution: Execution, order: Order | None, result: FillResult, source: str) -> None:
    """Rows of a booked execution, and of what became of the inferred one that stood for it."""
    replaced = result.replaced
    booked = BookedFill(execution=execution, parts=result.allocations, is_inferred=source == INFERRED)
    keys = {booked.key, *(rest.key for rest in result.left)}
    if replaced is not None and replaced.key not in keys:
        remember_void(desk, replaced, ZERO, source="told", reason="the execution itself was told")
    for fill, told in ((booked, source), *((rest, INFERRED) for rest in result.left)):
        realised = result.realised_usd if fill is booked else ZERO
        if desk.ledger.fills.was_undone(fill.key):
            before = replaced if replaced is not None and replaced.key == fill.key else None
            _remember_correction(desk, fill, before, order, realised, told)
        else:
            _remember_fill(desk, fill, order, realised, told)
    desk.remember_books(execution.symbol)


def remember_void(desk: Desk, fill: BookedFill, realised_usd: Decimal, *, source: str, reason: str) -> None:
    """A row that takes an execution back."""
    execution = fill.execution
    desk.remember(
        CorrectionRecord(
            venue_ns=desk.venue_ns,
            seen_ns=desk.seen_ns,
            broker_order_id=execution.broker_order_id,
            cumulative_quantity=execution.cumulative_quantity,
            execution_id=execution.execution_id,
            client_order_id=execution.client_order_id,
            symbol=execution.symbol,
            side=execution.side,
            quantity=ZERO,
            price=ZERO,
            executed_ns=execution.venue_ns,
            cash_usd=-fill.cash_usd,
            realised_usd=realised_usd,
            allocations=(),
            source=source,
            reason=reason,
        )
    )


def remember_entry(
    desk: Desk,
    kind: str,
    *,
    text: str,
    reference: str = "",
    symbol: Symbol | None = None,
    quantity: Decimal = ZERO,
    price: Decimal = ZERO,
    cash_usd: Decimal = ZERO,
    parts: Sequence[Allocation] = (),
) -> None:
    """A row of what moved cash or shares and is no execution."""
    desk.remember(
        EntryRecord(
            venue_ns=desk.venue_ns,
            seen_ns=desk.seen_ns,
            kind=kind,
            reference=reference,
            symbol=symbol,
            quantity=quantity,
            price=price,
            cash_usd=cash_usd,
            parts=tuple(parts),
            text=text,
        )
    )


def book_changes(before: dict[StrategyId, Decimal], after: dict[StrategyId, Decimal]) -> tuple[Allocation, ...]:
    """Signed shares by which each strategy's book changed."""
    changes = {each: after.get(each, ZERO) - before.get(each, ZERO) for each in sorted({*before, *after})}
    return tuple(Allocation(strategy, change) for strategy, change in changes.items() if change)


def held_by(desk: Desk, symbol: Symbol) -> dict[StrategyId, Decimal]:
    return {strategy: book.quantity for strategy, book in desk.ledger.books(symbol).items()}


def slippage_bps(execution: Execution, reference_price: Decimal) -> Decimal | None:
    """Cost against the price the decision was built on, in basis points; positive is to our disfavour."""
    if reference_price <= ZERO:
        return None
    return ((execution.price - reference_price) * execution.side.sign / reference_price * BPS).quantize(Decimal("0.01"))


def _remember_fill(desk: Desk, fill: BookedFill, order: Order | None, realised_usd: Decimal, source: str) -> None:
    execution = fill.execution
    desk.remember(
        FillRecord(
            venue_ns=execution.venue_ns,
            seen_ns=desk.seen_ns,
            execution_id=execution.execution_id,
            broker_order_id=execution.broker_order_id,
            client_order_id=execution.client_order_id if order is None else order.client_order_id,
            symbol=execution.symbol,
            side=execution.side,
            quantity=execution.quantity,
            price=execution.price,
            cumulative_quantity=execution.cumulative_quantity,
            realised_usd=realised_usd,
            allocations=fill.parts,
            source=source,
            slippage_bps=None if order is None else slippage_bps(execution, order.reference_price),
        )
    )


def _remember_correction(
    desk: Desk, fill: BookedFill, before: BookedFill | None, order: Order | None, realised_usd: Decimal, source: str
) -> None:
    execution = fill.execution
    desk.remember(
        CorrectionRecord(
            venue_ns=desk.venue_ns,
            seen_ns=desk.seen_ns,
            broker_order_id=execution.broker_order_id,
            cumulative_quantity=execution.cumulative_quantity,
            execution_id=execution.execution_id,
            client_order_id=execution.client_order_id if order is None else order.client_order_id,
            symbol=execution.symbol,
            side=execution.side,
            quantity=execution.quantity,
            price=execution.price,
            executed_ns=execution.venue_ns,
            cash_usd=fill.cash_usd - (ZERO if before is None else before.cash_usd),
            realised_usd=realised_usd,
            allocations=fill.parts,
            source=source,
            reason="its numbers are others now",
        )
    )
