"""Shares out a single-price auction. Decides who of the account's orders trades in it, at the auction's one price.

Price, then time: orders at the market first, then the better limit, then who came first. The market's own auction
print bounds both sides: the account bought at most what was sold there, and sold at most what was bought.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from quant_trading_system.simulator.matching import Fill, effective_limit, is_within
from quant_trading_system.simulator.numbers import ZERO
from quant_trading_system.simulator.orders import SimOrder


def share_out(orders: Iterable[SimOrder], *, price: Decimal, size: Decimal) -> list[tuple[SimOrder, Fill]]:
    """Who of one side trades how much, in the order of priority."""
    left = size
    filled: list[tuple[SimOrder, Fill]] = []
    for order in sorted((order for order in orders if is_within(order, price)), key=_priority):
        qty = min(order.remaining(price), left)
        if qty > ZERO:
            filled.append((order, Fill(qty, price)))
            left -= qty
    return filled


def _priority(order: SimOrder) -> tuple[bool, Decimal, int]:
    limit = effective_limit(order)
    if limit is None:
        return False, ZERO, order.sequence
    return True, -limit if order.is_buy else limit, order.sequence
