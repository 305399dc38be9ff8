"""What must be so after every event. Checked every second in production; a violation ends the daemon (as a bug)."""

from __future__ import annotations

from quant_trading_system.core.money import ZERO
from quant_trading_system.engine.desk import Desk


def check_invariants(desk: Desk) -> None:
    """Assert what always holds.

    Raises:
        AssertionError: naming what does not.
    """
    desk.ledger.assert_conserved()  # positions are the sum of executions and journaled adjustments (I12)
    for order in desk.orders.live():
        assert not order.is_final, f"{order.client_order_id} is final and counts as live"
        assert order.open_quantity >= ZERO, f"{order.client_order_id} may still execute {order.open_quantity} shares"
    for symbol, quantity in desk.ledger.positions().items():
        books = sum((book.quantity for book in desk.ledger.books(symbol).values()), ZERO)
        assert books == quantity, f"the books of {symbol} hold {books}, its position is {quantity}"
