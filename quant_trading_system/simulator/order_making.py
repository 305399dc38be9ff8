"""Makes orders of granted requests: the one that was sent, its legs, what replaces another. Decides their fields."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.numbers import QTY_STEP, cut_to
from quant_trading_system.simulator.orders import COMPLEX_CLASSES, STOP_LOSS, TAKE_PROFIT, SimOrder
from quant_trading_system.simulator.requests import OrderChange, OrderRequest
from quant_trading_system.simulator.rules import SIMPLE_CLASSES, entry_limit
from quant_trading_system.simulator.sessions import expiry_ns
from quant_trading_system.simulator.trailing import stop_behind, trail


def make_order(
    request: OrderRequest,
    asset: SimAsset,
    *,
    intent: str,
    market_price: Decimal | None,
    number: int,
    chance: Chance,
    now_ns: Nanos,
) -> SimOrder:
    """The order that a request asks for; `number` counts the orders of the account."""
    assert request.side, "expected a side: the form was checked"
    assert request.type, "expected a type: the form was checked"
    assert request.time_in_force, "expected a time in force: the form was checked"
    order = SimOrder(
        id=chance.uuid("order", number),
        client_order_id=request.client_order_id or chance.uuid("client", number),
        created_at_ns=now_ns,
        updated_at_ns=now_ns,
        submitted_at_ns=now_ns,
        asset_id=asset.id,
        symbol=asset.symbol,
        asset_class=asset.asset_class,
        notional=request.notional,
        qty=_quantity(request, asset),
        order_class="" if request.order_class in SIMPLE_CLASSES else request.order_class,
        type=request.type,
        side=request.side,
        position_intent=intent,
        time_in_force=request.time_in_force,
        limit_price=entry_limit(request),
        stop_price=request.stop_price,
        trail_price=request.trail_price,
        trail_percent=request.trail_percent,
        status="pending_new",
        extended_hours=request.extended_hours and asset.asset_class != "crypto",
        expires_at_ns=expiry_ns(
            request.time_in_force, now_ns, asset_class=asset.asset_class, extended_hours=request.extended_hours
        ),
        source=request.source,
        sequence=number,
    )
    if market_price is not None:
        trail(order, market_price)
    return order


def make_legs(parent: SimOrder, request: OrderRequest, *, chance: Chance) -> list[SimOrder]:
    """The held legs of a group's parent, take-profit first; none for a simple order (reference 2.10)."""
    if parent.order_class not in COMPLEX_CLASSES:
        return []
    legs: list[SimOrder] = []
    if request.take_profit is not None and parent.order_class != "oco":
        legs.append(_leg(parent, TAKE_PROFIT, "limit", number=parent.sequence + 1, chance=chance))
        legs[0].limit_price = request.take_profit.limit_price
    if request.stop_loss is not None and request.stop_loss.stop_price is not None:
        order_type = "stop" if request.stop_loss.limit_price is None else "stop_limit"
        leg = _leg(parent, STOP_LOSS, order_type, number=parent.sequence + 1 + len(legs), chance=chance)
        leg.stop_price, leg.limit_price = request.stop_loss.stop_price, request.stop_loss.limit_price
        legs.append(leg)
    parent.leg_ids = tuple(leg.id for leg in legs)
    return legs


def make_replacement(old: SimOrder, change: OrderChange, *, number: int, chance: Chance, now_ns: Nanos) -> SimOrder:
    """The order that will take another one's place: what the change leaves out stays (reference 2.8).

    The quantity is the whole that is wanted from now on, and left out it is the whole of the old order, whatever has
    filled (reported 2021). Not so in a group: its orders never trade more than the group's shares.
    """
    time_in_force = change.time_in_force or old.time_in_force
    new = SimOrder(
        id=chance.uuid("order", number),
        client_order_id=change.client_order_id or chance.uuid("client", number),
        created_at_ns=old.created_at_ns,  # both share it (reference, appendix C)
        updated_at_ns=now_ns,
        submitted_at_ns=now_ns,
        replaces=old.id,
        asset_id=old.asset_id,
        symbol=old.symbol,
        asset_class=old.asset_class,
        qty=old.qty if change.qty is None else change.qty,
        order_class=old.order_class,
        type=old.type,
        side=old.side,
        position_intent=old.position_intent,
        time_in_force=time_in_force,
        limit_price=old.limit_price if change.limit_price is None else change.limit_price,
        stop_price=old.stop_price if change.stop_price is None else change.stop_price,
        trail_price=old.trail_price,
        trail_percent=old.trail_percent,
        hwm=old.hwm,
        status="pending_new",
        extended_hours=old.extended_hours,
        expires_at_ns=expiry_ns(time_in_force, now_ns, asset_class=old.asset_class, extended_hours=old.extended_hours),
        source=old.source,
        parent_id=old.parent_id,
        leg_role=old.leg_role,
        sequence=number,
        is_elected=old.is_elected,
    )
    if old.order_class in COMPLEX_CLASSES:
        new.qty = old.remaining()
    if change.trail is not None:
        _retrail(new, change.trail)
    return new


def _leg(parent: SimOrder, role: str, order_type: str, *, number: int, chance: Chance) -> SimOrder:
    is_own_side = parent.order_class == "oco"  # an OCO's parent is a leg itself; others' legs undo their entry
    side = parent.side if is_own_side else {"buy": "sell", "sell": "buy"}[parent.side]
    return SimOrder(
        id=chance.uuid("order", number),
        client_order_id=chance.uuid("client", number),
        created_at_ns=parent.created_at_ns,
        updated_at_ns=parent.updated_at_ns,
        submitted_at_ns=parent.submitted_at_ns,
        asset_id=parent.asset_id,
        symbol=parent.symbol,
        asset_class=parent.asset_class,
        qty=parent.qty,
        order_class=parent.order_class,
        type=order_type,
        side=side,
        position_intent=f"{side}_to_close",
        time_in_force=parent.time_in_force,
        status="held",
        expires_at_ns=parent.expires_at_ns,
        source=parent.source,
        parent_id=parent.id,
        leg_role=role,
        sequence=number,
    )


def _quantity(request: OrderRequest, asset: SimAsset) -> Decimal | None:
    """Coins are cut to what the asset knows (reference 2.15); shares were refused instead."""
    if request.qty is None or asset.asset_class != "crypto":
        return request.qty
    return cut_to(request.qty, asset.min_trade_increment or QTY_STEP)


def _retrail(order: SimOrder, distance: Decimal) -> None:
    if order.trail_price is not None:
        order.trail_price = distance
    else:
        order.trail_percent = distance
    if order.hwm is not None:
        order.stop_price = stop_behind(order, order.hwm)
