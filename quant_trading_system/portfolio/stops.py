"""Decides which protective stop guards what strategies hold of a symbol: one, for the net of their shares."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.money import CENT, ONE, ZERO, to_limit_price, whole_shares
from quant_trading_system.core.types import Side, StrategyId
from quant_trading_system.core.values import Allocation
from quant_trading_system.portfolio.netting import apportion

NET = StrategyId("net")
PRICE_TOLERANCE_FRACTION = Decimal("0.005")
"""A stop that lies so near to the wanted price is left alone: entries fill a little off the price they were built on
(control P13 allows half of one per cent), and each replacement leaves the position bare for a moment."""


class Holding(Struct, frozen=True, kw_only=True):
    """Signed shares of one strategy, what they cost on average in USD, and the loss it declared as a fraction."""

    strategy: StrategyId
    quantity: Decimal
    average_price: Decimal
    fraction: Decimal


class StopPlan(Struct, frozen=True, kw_only=True):
    """The stop that the broker should hold. `allocations` are signed and add up to the signed quantity."""

    side: Side
    quantity: Decimal
    stop_price: Decimal
    reference_price: Decimal
    allocations: tuple[Allocation, ...]
    strategy: StrategyId

    def is_met_by(self, *, side: Side, quantity: Decimal, stop_price: Decimal | None) -> bool:
        """Whether a stop of such a kind does as well."""
        if stop_price is None or (side, quantity) != (self.side, self.quantity):
            return False
        return abs(stop_price - self.stop_price) <= self.stop_price * PRICE_TOLERANCE_FRACTION

    def is_passed_by(self, mark: Decimal) -> bool:
        """Whether the market stands at the stop or beyond it: then it is too late to place it."""
        return mark <= self.stop_price if self.side is Side.SELL else mark >= self.stop_price


def plan_stop(holdings: Sequence[Holding], *, position: Decimal) -> StopPlan | None:
    """One stop for the net of the holdings; None where there is nothing whole to protect.

    It never sells more than the account holds, others' shares on the other side counted. Of several strategies' prices
    the one nearest to the market is taken: nobody loses more than was declared.
    """
    net = sum((each.quantity for each in holdings), ZERO)
    if net * position <= ZERO:
        return None
    sign = ONE if net > ZERO else -ONE
    side = Side.SELL if net > ZERO else Side.BUY
    owners = [each for each in holdings if each.quantity * sign > ZERO and each.average_price > ZERO]
    wishes = {each.strategy: -sign * whole_shares(abs(each.quantity)) for each in owners}
    quantity = min(whole_shares(min(abs(net), abs(position))), abs(sum(wishes.values(), ZERO)))
    if quantity <= ZERO:
        return None
    allocations = apportion(wishes, -sign * quantity)
    cost = sum((abs(each.quantity) * each.average_price for each in owners), ZERO)
    return StopPlan(
        side=side,
        quantity=quantity,
        stop_price=nearest_stop([(each.average_price, each.fraction) for each in owners], side=side),
        reference_price=cost / sum((abs(each.quantity) for each in owners), ZERO),
        allocations=allocations,
        strategy=allocations[0].strategy if len(allocations) == 1 else NET,
    )


def nearest_stop(wishes: Sequence[tuple[Decimal, Decimal]], *, side: Side) -> Decimal:
    """Of (price paid, fraction lost at most), the stop price nearest to the market, on a legal tick, rounded to it."""
    prices = [price * (ONE + side.sign * fraction) for price, fraction in wishes]
    return to_limit_price(max(prices) if side is Side.SELL else min(prices), side)


def leg_price(reference: Decimal, fractions: Sequence[Decimal], *, entry: Side, limit: Decimal) -> Decimal | None:
    """Stop of an entry's leg; None where it would not lie a cent behind the limit, which the broker demands."""
    price = nearest_stop([(reference, fraction) for fraction in fractions], side=entry.opposite)
    behind = limit - price if entry is Side.BUY else price - limit
    return price if price > ZERO and behind >= CENT else None
