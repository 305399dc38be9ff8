"""Decides who trades with whom: opposite wishes of strategies meet inside, what remains is one order. Sums are exact.

Shares are counted in whole steps here, so that no division can lose or make one.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.money import ONE, ZERO
from quant_trading_system.core.types import StrategyId
from quant_trading_system.core.values import Allocation


class Meeting(Struct, frozen=True):
    """Shares that one strategy wants to sell and another to buy."""

    seller: StrategyId
    buyer: StrategyId
    quantity: Decimal


def cross_inside(changes: Mapping[StrategyId, Decimal]) -> tuple[tuple[Meeting, ...], dict[StrategyId, Decimal]]:
    """Meet sellers with buyers, in the order of their ids.

    Args:
        changes: signed shares each strategy wants.

    Returns:
        The meetings, and the changes that remain, all of one sign.
    """
    rest = {strategy: change for strategy, change in sorted(changes.items()) if change}
    sellers = [strategy for strategy, change in rest.items() if change < ZERO]
    buyers = [strategy for strategy, change in rest.items() if change > ZERO]
    meetings: list[Meeting] = []
    for seller in sellers:
        for buyer in buyers:
            quantity = min(-rest[seller], rest[buyer])
            if quantity:
                meetings.append(Meeting(seller, buyer, quantity))
                rest[seller] += quantity
                rest[buyer] -= quantity
    return tuple(meetings), {strategy: left for strategy, left in rest.items() if left}


def apportion(wishes: Mapping[StrategyId, Decimal], total: Decimal, *, step: Decimal = ONE) -> tuple[Allocation, ...]:
    """Divide `total` among wishes of one sign in proportion, in whole steps, largest remainder first.

    Wishes and total are whole numbers of steps of one sign, and the total is not larger than the wishes' sum. Nobody
    gets more than the wish, and the shares add up to `total` exactly.
    """
    sign = ONE if total > ZERO else -ONE
    wanted = {strategy: int(abs(wish) / step) for strategy, wish in sorted(wishes.items())}
    goal, asked = int(abs(total) / step), sum(wanted.values())
    assert goal <= asked, f"expected at most {asked} steps, the sum of the wishes, found {goal}"
    given = {strategy: goal * wish // asked for strategy, wish in wanted.items()}
    by_remainder = sorted(wanted, key=lambda strategy: (-(goal * wanted[strategy] % asked), strategy))
    # Rounding down loses less than one step a strategy, so one round hands out the rest.
    for strategy in by_remainder[: goal - sum(given.values())]:
        given[strategy] += 1
    allocations = tuple(Allocation(strategy, sign * steps * step) for strategy, steps in given.items() if steps)
    assert sum((each.quantity for each in allocations), ZERO) == total, "allocations must add up to the order"
    return allocations
