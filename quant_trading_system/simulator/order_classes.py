"""Decides what the fate of one order does to the others of its group: bracket, OCO, OTO (reference 2.10).

Pure: who belongs together, and the steps that follow. The desk takes them. The groups differ in one thing only, who
is the parent: a bracket's and an OTO's is the entry, an OCO's is its take-profit.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple, TypeGuard

from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.orders import COMPLEX_CLASSES, STOP_LOSS, TAKE_PROFIT, SimOrder


class Act(Enum):
    ACTIVATE = auto()  # a held leg goes to the venue
    ARM = auto()  # a held stop-loss begins to watch its price
    RESIZE = auto()  # a held stop-loss protects what its sibling has not sold
    CANCEL = auto()  # as if its owner had asked: what is at the venue may fill first
    END = auto()  # at once, in the same way as the order that is followed


class Step(NamedTuple):
    act: Act
    order: SimOrder


class Group(NamedTuple):
    """The living members; None where the class has none or where it was replaced and not yet succeeded."""

    entry: SimOrder | None
    take_profit: SimOrder | None
    stop_loss: SimOrder | None

    def open_except(self, order: SimOrder) -> Iterator[SimOrder]:
        return (member for member in self if member is not None and member is not order and member.is_open)


def parent_of(order: SimOrder, index: OrderIndex) -> SimOrder:
    """The order that a client sent: itself, or of a leg its parent."""
    return order if order.parent_id is None else index.known(order.parent_id)


def legs_of(order: SimOrder, index: OrderIndex) -> list[SimOrder]:
    """The legs of a parent, take-profit first; none of an order without."""
    return [index.known(leg_id) for leg_id in order.leg_ids]


def group_of(order: SimOrder, index: OrderIndex) -> Group | None:
    """The group of an order; None of a simple one, and of one that has been succeeded by its replacement."""
    if order.order_class not in COMPLEX_CLASSES:
        return None
    parent = parent_of(order, index)
    legs = legs_of(parent, index)
    if not legs or (order is not parent and all(leg is not order for leg in legs)):
        return None
    role = {leg.leg_role: leg for leg in legs}
    if parent.order_class == "oco":
        return Group(entry=None, take_profit=parent, stop_loss=role.get(STOP_LOSS))
    return Group(entry=parent, take_profit=role.get(TAKE_PROFIT), stop_loss=role.get(STOP_LOSS))


def after_fill(order: SimOrder, group: Group) -> list[Step]:
    """An order of the group filled, in part or to its end. Nothing follows from a part of the entry."""
    if order.status != "filled":
        if order is group.take_profit and _is_held(group.stop_loss):
            return [Step(Act.RESIZE, group.stop_loss)]
        return []
    if order is not group.entry:
        return [Step(Act.CANCEL, sibling) for sibling in group.open_except(order)]
    if _is_held(group.take_profit) and _is_held(group.stop_loss):
        return [Step(Act.ACTIVATE, group.take_profit), Step(Act.ARM, group.stop_loss)]
    return [Step(Act.ACTIVATE, leg) for leg in group.open_except(order) if _is_held(leg)]


def after_end(order: SimOrder, group: Group) -> list[Step]:
    """An order of the group ended without filling: no other one stays, the entry included.

    A part of the entry that had filled stays unprotected: legs begin with the whole of it or not at all.
    """
    act = Act.END if order.status == "expired" else Act.CANCEL  # they all live as long, so they end alike
    return [Step(act, sibling) for sibling in group.open_except(order)]


def after_election(order: SimOrder, group: Group) -> list[Step]:
    """The stop-loss was touched: the take-profit gives way before the stop is sent, so both never work at once."""
    return [Step(Act.END, sibling) for sibling in group.open_except(order)]


def after_acknowledgement(order: SimOrder, group: Group) -> list[Step]:
    """The take-profit of an OCO works: its stop-loss has a position to protect from the beginning."""
    if group.entry is None and order is group.take_profit and _is_held(group.stop_loss):
        return [Step(Act.ARM, group.stop_loss)]
    return []


def succeed(old: SimOrder, new: SimOrder, index: OrderIndex) -> list[SimOrder]:
    """Put a replacement in the place of what it replaces; the answer is who else has changed by that."""
    if old.parent_id is None:
        new.leg_ids, old.leg_ids = old.leg_ids, ()
        legs = legs_of(new, index)
        for leg in legs:
            leg.parent_id = new.id
        return legs
    parent = index.known(old.parent_id)
    parent.leg_ids = tuple(new.id if leg_id == old.id else leg_id for leg_id in parent.leg_ids)
    new.parent_id, new.is_armed, old.is_armed = parent.id, old.is_armed, False
    return [parent]


def _is_held(order: SimOrder | None) -> TypeGuard[SimOrder]:
    return order is not None and order.status == "held"
