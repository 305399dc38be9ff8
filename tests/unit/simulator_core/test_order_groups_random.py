"""Whatever happens to groups, no leg outlives its group, and no leg sells what is not there."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from quant_trading_system.simulator import order_classes
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.journal import Journal
from quant_trading_system.simulator.numbers import ZERO
from quant_trading_system.simulator.order_index import OrderQuery
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.requests import OrderChange
from quant_trading_system.simulator.settings import ExchangeSettings
from tests.support.scripted_market import ScriptedMarket
from tests.unit.simulator_core.desk_script import OPEN_NS, Floor, grouped, order_request

SYMBOLS = ("AAPL", "MSFT")
BUSY = ExchangeSettings(start_ns=OPEN_NS, seed=3, partial_fill_probability=0.5, shorting_enabled=True)
Step = tuple[Any, ...]


def script_of(seed: int, length: int) -> list[Step]:
    """What clients and the market do: so near to each other that most orders are met, often while a request travels."""
    draw = Random(seed)
    return [_step(draw) for _ in range(length)]


def _step(draw: Random) -> Step:
    symbol, price, place = draw.choice(SYMBOLS), draw.randint(9_900, 10_100), draw.randrange(8)
    steps: list[tuple[int, Step]] = [
        (18, ("group", symbol, *_group_fields(draw))),
        (4, ("simple", symbol, draw.choice(("buy", "sell")), price)),
        (30, ("market", symbol, price, draw.randint(1, 60))),
        (18, ("wait", draw.choice((0.001, 0.003, 0.02)))),
        (6, ("cancel", place)),
        (14, ("replace", place, draw.randint(-50, 50))),
        (2, ("doom", place)),
        (1, ("flatten",)),
        (1, ("night",)),
    ]
    return draw.choices([step for _, step in steps], [weight for weight, _ in steps])[0]


def _group_fields(draw: Random) -> Step:
    return (
        draw.choice(("bracket", "oco", "oto")),
        draw.choice(("buy", "sell")),
        draw.choice(("market", "limit")),
        draw.choice(("1", "9", "40")),
        draw.randint(-40, 40),
        draw.randint(1, 60),
        draw.randint(1, 60),
        draw.choice(("day", "gtc")),
    )


def play(floor: Floor, script: list[Step], *, is_new: bool = True) -> None:
    for symbol in SYMBOLS:
        floor.quote(99.99, 100.01, symbol=symbol)
        floor.trade(100.0, symbol=symbol)
    if is_new:  # so that there is something to leave
        floor.submit(order_request(symbol="AAPL", side="buy", qty="100"))
        floor.submit(order_request(symbol="MSFT", side="sell", qty="100"))
        floor.wait()
    refused: list[int] = []
    for name, *arguments in script:
        try:
            globals()[f"_{name}"](floor, *arguments)
        except Refusal as refusal:
            refused.append(refusal.http_status)
        check(floor.exchange)
    assert set(refused) <= {403, 404, 422}


def check(exchange: Exchange) -> None:
    """Cash and shares are conserved; every group is whole; what legs may still trade is there."""
    exchange.ledger()
    exchange.check()
    index = exchange._index
    for order in index.open():
        if order.order_class:
            check_member(order, exchange)
    for symbol in SYMBOLS:
        check_promises(symbol, exchange)


def check_member(order: SimOrder, exchange: Exchange) -> None:
    group = order_classes.group_of(order, exchange._index)
    if group is None:
        assert order.replaces is not None, f"{order.status} leg without a group"
        return  # on its way to take another one's place
    members = [member for member in group if member is not None]
    parent = order_classes.parent_of(order, exchange._index)
    assert parent in members
    if order is not parent and parent is group.entry:
        assert parent.is_open or parent.status == "filled", f"leg of a parent that is {parent.status}"
    if order.status == "held" and not order.is_armed:
        waits_for = group.entry or group.take_profit
        assert waits_for is not None
        assert waits_for.is_open
    if order.status not in ("held", "pending_cancel") and order is group.stop_loss and group.take_profit is not None:
        assert not group.take_profit.is_open or order.replaced_by, "both legs work"


def check_promises(symbol: str, exchange: Exchange) -> None:
    """What closing orders may still trade, a held leg counted with its sibling, is no more than the position."""
    index = exchange._index
    closing = [order for order in index.open_of(symbol) if order.is_closing and order.status != "held"]
    closing = [o for o in closing if o.replaces is None or index.known(o.replaces).status == "replaced"]
    promised = sum((order.remaining() for order in closing), start=ZERO)
    held = exchange._books.qty(symbol)
    assert promised <= abs(held), f"{symbol}: {promised} promised of {held}"
    for order in closing:
        assert (order.side == "sell") == (held > ZERO), f"{symbol}: {order.side} {order.position_intent} with {held}"


def _group(floor, symbol, order_class, side, kind, qty, offset, profit, stop, time_in_force):
    fields: dict[str, Any] = {"symbol": symbol, "side": side, "qty": qty, "time_in_force": time_in_force}
    base = 10_000 + offset
    is_exit = order_class == "oco"
    if kind == "limit" or is_exit:
        fields |= {"type": "limit", "limit_price": f"{base / 100:.2f}"}
    up = 1 if (side == "buy") != is_exit else -1
    legs = {"profit": f"{(base + up * profit) / 100:.2f}", "stop": f"{(base - up * stop) / 100:.2f}"}
    if order_class == "oto":
        legs.pop("profit" if profit > stop else "stop")
    floor.submit(grouped(order_request(**fields), order_class, **legs))


def _simple(floor, symbol, side, limit_cents):
    fields = {"type": "limit", "limit_price": f"{limit_cents / 100:.2f}", "qty": "7"}
    floor.submit(order_request(symbol=symbol, side=side, **fields))


def _market(floor, symbol, price_cents, size):
    price = price_cents / 100
    floor.quote(price, round(price + 0.02, 2), symbol=symbol, bid_size=size, ask_size=size)
    floor.trade(price, symbol=symbol)


def _wait(floor, seconds):
    floor.wait(seconds)


def _any(floor, place) -> SimOrder:
    orders = floor.exchange.orders(OrderQuery(limit=500)) or floor.exchange.orders(OrderQuery(status="all", limit=500))
    return orders[place % len(orders)]


def _cancel(floor, place):
    floor.exchange.cancel(_any(floor, place).id)


def _replace(floor, place, offset):
    order = _any(floor, place)
    prices = {name: getattr(order, name) for name in ("limit_price", "stop_price")}
    body = {name: f"{price + Decimal(offset) / 100:.2f}" for name, price in prices.items() if price is not None}
    floor.exchange.replace(order.id, OrderChange.from_body(body))


def _doom(floor, place):
    floor.exchange.doom(_any(floor, place).id, delay_ns=5_000_000)


def _flatten(floor):
    floor.exchange.close_all(cancel_orders=True)


def _night(floor):
    session = floor.market.session_closing_after(floor.exchange.now_ns)
    floor.until(session.close_ns)
    floor.until(floor.market.session_closing_after(session.close_ns).open_ns)


@pytest.mark.parametrize("seed", range(20))
def test_no_leg_outlives_its_group_or_trades_what_is_not_there(seed):
    floor = Floor(BUSY)
    play(floor, script_of(seed, 250))
    floor.wait(5)
    check(floor.exchange)
    left = [order.status for order in floor.exchange.orders(OrderQuery(limit=500)) if "pending" in order.status]
    assert left == [], "every request comes to an end"


@pytest.mark.parametrize("seed", range(20, 30))
def test_groups_are_the_same_after_a_kill(seed, tmp_path):
    path = tmp_path / "journal"
    floor = Floor(BUSY, journal=Journal(path))
    script = script_of(seed, 120)
    for begin in range(0, len(script), 20):
        play(floor, script[begin : begin + 20], is_new=begin == 0)
        market = ScriptedMarket(SYMBOLS, start_ns=floor.exchange.now_ns, last_close=100.0)
        again = Exchange(settings=floor.exchange.settings, market=market, journal=Journal(path))
        assert again.ledger()["executions"] == floor.exchange.ledger()["executions"]
        assert [_told(order) for order in again._index.all()] == [_told(order) for order in floor.exchange._index.all()]
        check(again)
        floor.market, floor.exchange = market, again


def _told(order: SimOrder) -> tuple[object, ...]:
    status = "pending_new" if order.status == "accepted" else order.status  # a restart routes at once what waited
    return (order.id, status, order.qty, order.parent_id, order.leg_ids, order.is_armed, order.submitted_at_ns)


def test_the_scripts_reach_every_part_of_a_groups_life():
    seen: Counter[tuple[str, str | None, str]] = Counter()
    for seed in range(20):
        floor = Floor(BUSY)
        play(floor, script_of(seed, 250))
        for order in floor.exchange._index.all():
            seen[order.order_class, order.leg_role, order.status] += 1
            if order.leg_role == "stop_loss" and order.is_elected:
                seen[order.order_class, order.leg_role, "elected"] += 1
    for order_class in ("bracket", "oco"):
        for status in ("filled", "canceled", "replaced", "elected"):
            assert seen[order_class, "stop_loss", status] > 3, f"{order_class} stop-loss {status}"
    assert seen["bracket", "take_profit", "filled"] > 10
    assert seen["bracket", "take_profit", "replaced"] > 3
    assert seen["oto", "take_profit", "filled"] > 3
