"""How a fill is shared between the strategies whose order it fills: in proportion, in whole shares, exact in the end.

The share of a strategy is a function of the cumulative quantity alone, and it never falls. So each fill's parts do not
depend on the order in which fills arrive, and the parts of a filled order are the allocations themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from quant_trading_system.core.money import QUANTITY_STEP, ZERO
from quant_trading_system.core.values import Allocation


def split_fill(
    allocations: Sequence[Allocation], *, cumulative: Decimal, quantity: Decimal, order_quantity: Decimal, sign: int
) -> tuple[Allocation, ...]:
    """Signed parts of the fill that brought an order from `cumulative - quantity` to `cumulative`; they sum to it.

    Args:
        allocations: what each strategy wants of the whole order, all of the order's sign.
        sign: +1 for a buy, -1 for a sell.
    """
    weights = [abs(allocation.quantity) for allocation in allocations]
    is_whole = all(weight == weight.to_integral_value() for weight in (*weights, order_quantity))
    unit = Decimal(1) if is_whole else QUANTITY_STEP
    before = _shares(weights, cumulative - quantity, unit)
    after = _shares(weights, cumulative, unit)
    return tuple(
        Allocation(allocation.strategy, (new - old) * sign)
        for allocation, new, old in zip(allocations, after, before, strict=True)
        if new != old
    )


def _shares(weights: Sequence[Decimal], cumulative: Decimal, unit: Decimal) -> list[Decimal]:
    """Parts of `cumulative` by d'Hondt's rule: exact for a filled order, and no part shrinks as the sum grows.

    The rule gives nobody less than the whole units of its exact share, so it may start from there. What is smaller than
    a unit goes to whom the next unit would go.
    """
    total = sum(weights, ZERO)
    units = cumulative // unit
    parts = [units * weight // total for weight in weights]
    for _ in range(int(units - sum(parts, ZERO))):
        parts[_next(weights, parts)] += 1
    shares = [part * unit for part in parts]
    rest = cumulative - units * unit
    if rest:
        shares[_next(weights, parts)] += rest
    return shares


def _next(weights: Sequence[Decimal], parts: Sequence[Decimal]) -> int:
    """Who receives the next unit: the largest weight over parts held plus one; the first of equals."""
    return max(range(len(weights)), key=lambda index: weights[index] / (parts[index] + 1))
