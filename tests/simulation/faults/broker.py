"""What the broker, its market and its owner do by themselves: races of fills, drift, splits. Rows B, C, D."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.calendar import session_opening_after
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.entries import NonTrade
from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.requests import OrderRequest
from quant_trading_system.simulator.schedule import Action
from quant_trading_system.simulator.settings import Hop
from tests.simulation.faults.catching import let_rest, soon
from tests.simulation.faults.stage import (
    CENT,
    ORDERS_PATH,
    PREFIX,
    Player,
    Stage,
    granted,
    is_post,
    is_read,
    is_single_cancel,
    lists_what,
    ours,
    refusal,
)
from tests.simulation.http import Fate
from tests.simulation.streams import Frame
from tests.simulation.venue import Request

RETRY_WAIT_S, LAST_TRIES_S, LOOK_S = 60.0, 4.0, 0.5
BROKER_SIDES = {"dividend": "DIV", "fee": "FEE", "interest": "INT"}


def our_executions(stage: Stage) -> list[Execution]:
    """Executions of the daemon's orders that stand."""
    books = stage.world.exchange._books
    return [
        each
        for each in books.executions
        if each.client_order_id.startswith(PREFIX) and books.execution(each.execution_id) is not None
    ]


# B. the life of an order


def fill_races_cancel(stage: Stage) -> None:
    """The order of a cancel's path fills before the cancel is looked at."""
    is_404 = stage.word("status") == "404"

    def bend(_request: Request, fate: Fate) -> None:
        fate.before_serve.append(lambda request: _fill_path(stage, request, None))
        if is_404:
            fate.change.append(
                lambda _request, answer: answer if answer.status == 204 else refusal("404 40410000 order not found")
            )

    let_rest(stage)
    stage.bend_requests(is_single_cancel, bend)


def _fill_path(stage: Stage, request: Request, part: Decimal | None) -> None:
    exchange = stage.world.exchange
    order = exchange._index.find(request.path[len(ORDERS_PATH) + 1 :])
    if order is None or not order.is_open or order.qty is None:
        return
    left = order.qty - order.filled_qty
    qty = None if part is None else max(Decimal(1), (left * part).to_integral_value())
    if qty is not None and qty >= left:
        return
    granted(lambda: exchange.fill_out_of_the_blue(order.id, qty=qty))


def partial_races_cancel(stage: Stage) -> None:
    delay_s = stage.number_of("delay_s")
    late: dict[str, None] = {}

    def bend(_request: Request, fate: Fate) -> None:
        def act(request: Request) -> None:
            late[request.path[len(ORDERS_PATH) + 1 :]] = None
            _fill_path(stage, request, Decimal("0.5"))

        fate.before_serve.append(act)

    def delay(frame: Frame) -> None:
        if frame.event.order.id in late and frame.event.event in ("fill", "partial_fill"):
            frame.delay_s += delay_s

    let_rest(stage)
    stage.bend_requests(is_single_cancel, bend)
    rules = stage.world.streams.rules
    rules[stage.number] = delay
    stage.at_end(lambda: rules.pop(stage.number, None))


def partial_fills(stage: Stage) -> None:
    settings = stage.world.exchange.settings
    before = settings.partial_fill_probability
    object.__setattr__(settings, "partial_fill_probability", stage.number_of("probability"))
    stage.at_end(lambda: object.__setattr__(settings, "partial_fill_probability", before))
    stage.reach()


def cancel_stuck(stage: Stage) -> None:
    exchange = stage.world.exchange
    exchange.cancels_stuck = True

    def bend(_request: Request, fate: Fate) -> None:
        del fate

    def undo() -> None:
        exchange.cancels_stuck = False
        stage.world.pump()

    let_rest(stage)
    stage.bend_requests(is_single_cancel, bend)
    stage.at_end(undo)


def cancel_slow(stage: Stage) -> None:
    hops = stage.world.exchange._desk._latency._hops
    before, delay_ms = hops[Action.CANCEL], 1_000 * stage.number_of("delay_s")
    hops[Action.CANCEL] = Hop(mean_ms=delay_ms, min_ms=delay_ms / 2, max_ms=delay_ms * 2)

    def bend(_request: Request, fate: Fate) -> None:
        del fate

    def undo() -> None:
        hops[Action.CANCEL] = before

    let_rest(stage)
    stage.bend_requests(is_single_cancel, bend)
    stage.at_end(undo)


def leg_fills_during_cancel(stage: Stage) -> None:
    exchange = stage.world.exchange
    both = bool(stage.number_of("both"))

    def act(request: Request) -> None:
        order = exchange._index.find(request.path[len(ORDERS_PATH) + 1 :])
        if order is None:
            return
        parent = exchange._index.find(order.parent_id) if order.parent_id else order
        legs = [] if parent is None else [leg for leg in exchange.legs(parent) if leg.is_open]
        for leg in legs if both else legs[:1]:
            if granted(lambda leg=leg: exchange.fill_out_of_the_blue(leg.id)):  # type: ignore[misc]
                stage.reach()

    def bend(_request: Request, fate: Fate) -> None:
        fate.before_serve.append(act)

    let_rest(stage)
    stage.bend_quietly(is_single_cancel, bend)


# C. drift, the owner, busts


def fill_mid_pass(stage: Stage) -> None:
    before = stage.word("before")
    exchange = stage.world.exchange

    def is_meant(request: Request) -> bool:
        if before == "account":
            return is_read(request) and request.path == "/v2/account" and bool(ours(stage))
        return lists_what(request, before) and bool(ours(stage))

    def act(_request: Request) -> None:
        living = ours(stage)
        if living:
            granted(lambda: exchange.fill_out_of_the_blue(living[0].id))

    def bend(_request: Request, fate: Fate) -> None:
        fate.before_serve.append(act)

    let_rest(stage)
    stage.bend_requests(is_meant, bend)


def position_appears(stage: Stage) -> None:
    _shift(stage, stage.symbol, Decimal(str(stage.number_of("qty"))))


def position_vanishes(stage: Stage) -> None:
    held = stage.world.exchange._books.positions()
    if not held:
        return
    position = stage.chance.choice(held)
    match stage.word("how"):
        case "flat":
            change = -position.qty
        case "less":
            change = -(position.qty / 2).to_integral_value()
        case _:
            change = -2 * position.qty
    if change:
        _shift(stage, position.symbol, change)


def _shift(stage: Stage, symbol: str, qty: Decimal) -> None:
    """Shares come or go, and nothing at the broker says why."""
    world = stage.world
    price = Decimal(str(round(world.market.prices[symbol], 2)))
    name = f"{new_york_date(world.venue_ns()):%Y%m%d}000000000::drift-{stage.number}"
    world.venue.hidden_activities[name] = None
    _enter(
        stage,
        NonTrade(
            id=name,
            activity_type="JNLS",
            day=new_york_date(world.venue_ns()),
            created_at_ns=world.venue_ns(),
            symbol=symbol,
            qty=qty,
            position_qty=qty,
            position_cost=qty * price,
        ),
    )


def _enter(stage: Stage, entry: NonTrade) -> None:
    exchange = stage.world.exchange
    exchange.advance(stage.world.venue_ns())
    exchange._books.enter(entry)
    exchange._recorder.commit(exchange.now_ns)
    stage.reach()


def external_order(stage: Stage) -> None:
    world, symbol, side = stage.world, stage.symbol, stage.word("side")
    price = world.market.prices[symbol]
    body: dict[str, object] = {
        "symbol": symbol,
        "qty": f"{stage.number_of('qty'):g}",
        "side": side,
        "type": "market",
        "time_in_force": "day",
    }
    if stage.word("form") == "resting":
        away = 0.99 if side == "buy" else 1.01
        body |= {"type": "limit", "limit_price": f"{price * away:.2f}"}
    world.exchange.advance(world.venue_ns())
    if granted(lambda: world.exchange.external_order(OrderRequest.from_body(body))):
        stage.reach()
        world.pump()


def bust(stage: Stage) -> None:
    def act() -> None:
        _take_back(stage, lambda execution: stage.world.exchange.bust(execution.execution_id), waiting)

    waiting: list[str] = []
    """The symbols of the orders that were refused, the newest last."""
    if stage.word("when", "now") == "before_retry":
        _refuse_posts_until(stage, act, waiting)
    else:
        act()


def _refuse_posts_until(stage: Stage, act: Callable[[], None], waiting: list[str]) -> None:
    """No order finds a connection, until one waits for its next try: then it happens; its last tries get through."""

    def bend(request: Request, fate: Fate) -> None:
        fate.is_refused = True
        waiting.append(str(msgspec.json.decode(request.body)["symbol"]))

    rules = stage.world.network.rules
    stage.bend_quietly(is_post, bend)
    stage.later(RETRY_WAIT_S, lambda: rules.pop(stage.number, None))

    def at_retry() -> None:
        act()
        stage.later(LAST_TRIES_S, lambda: rules.pop(stage.number, None))

    stage.at_moment(at_retry)


def correct(stage: Stage) -> None:
    exchange, how = stage.world.exchange, stage.word("how")

    def act(execution: Execution) -> None:
        if how == "price":
            exchange.correct(execution.execution_id, price=execution.price + CENT)
        else:
            exchange.correct(execution.execution_id, qty=max(Decimal(1), execution.qty - 1))

    _take_back(stage, act)


def _take_back(stage: Stage, act: Callable[[Execution], None], symbols: Sequence[str] = ()) -> None:
    """Take one of the newest executions back, or the first one that comes; of the last symbol where it has one."""
    executions = our_executions(stage)
    executions = [each for each in executions if each.symbol in symbols[-1:]] or executions
    if executions:
        stage.world.exchange.advance(stage.world.venue_ns())
        if granted(lambda: act(stage.chance.choice(executions[-3:]))):
            stage.reach()
            stage.world.pump()
    else:
        soon(stage, lambda: _take_back(stage, act), wait_s=LOOK_S)


def many_orders(stage: Stage) -> None:
    exchange, symbol = stage.world.exchange, stage.world.symbols[0]
    price = stage.world.market.prices[symbol]
    placed: list[str] = []
    exchange.advance(stage.world.venue_ns())
    for number in range(int(stage.number_of("orders"))):
        body = {
            "symbol": symbol,
            "qty": "1",
            "side": "buy",
            "type": "limit",
            "limit_price": f"{price * (0.9 - number / 10_000):.2f}",
            "time_in_force": "day",
        }
        request = OrderRequest.from_body(body)
        if granted(lambda request=request: placed.append(exchange.external_order(request).id)):  # type: ignore[misc]
            stage.reach()
    stage.world.pump()

    def undo() -> None:
        for order_id in placed:
            granted(lambda order_id=order_id: exchange.cancel(order_id))  # type: ignore[misc]
        stage.world.pump()

    stage.at_end(undo)


# D. the market and companies


def halt(stage: Stage) -> None:
    world, symbol = stage.world, stage.symbol

    def resume() -> None:
        granted(lambda: world.exchange.set_status(symbol, "resume"))
        world.pump()

    world.exchange.advance(world.venue_ns())
    if granted(lambda: world.exchange.set_status(symbol, "halt")):
        stage.reach()
        stage.at_end(resume)
    world.pump()


def split(stage: Stage) -> None:
    """The night comes at once: the venue's clock jumps to a second after the next open, where the split is booked."""
    world, symbol = stage.world, stage.symbol
    new, old = map(Decimal, stage.word("ratio").split(":"))
    opening = session_opening_after(world.venue_ns())
    assert opening is not None, "the calendar reaches beyond the run"
    action = CorporateAction(
        id=f"split-{stage.number}",
        kind="forward_split" if new > old else "reverse_split",
        symbol=symbol,
        ex_date=opening.day,
        process_date=opening.day,
        old_rate=old,
        new_rate=new,
    )
    if not granted(lambda: world.exchange.announce(action)):
        return
    stage.reach()
    world.pump()
    world.jump_to(opening.open_ns + NANOS_PER_SECOND, before=lambda: world.market.scale(symbol, float(old / new)))


def cash_flow(stage: Stage) -> None:
    world, how = stage.world, stage.word("how")
    amount = Decimal(str(stage.number_of("amount_usd"))).quantize(CENT)
    world.exchange.advance(world.venue_ns())
    if how in ("deposit", "withdrawal"):
        if granted(lambda: world.exchange.transfer(amount if how == "deposit" else -amount)):
            stage.reach()
        return
    signed = -amount if how == "fee" else amount
    day = new_york_date(world.venue_ns())
    entry = NonTrade(
        id=f"{day:%Y%m%d}000000000::flow-{stage.number}",
        activity_type=BROKER_SIDES[how],
        day=day,
        created_at_ns=world.venue_ns(),
        net_amount=signed,
        cash=signed,
        symbol=world.symbols[0] if how == "dividend" else None,
        description=how,
    )
    _enter(stage, entry)


def price_shock(stage: Stage) -> None:
    world, fraction = stage.world, stage.number_of("fraction")
    for symbol in world.symbols:
        world.market.move(symbol, world.market.prices[symbol] * (1 + fraction), world.venue_ns())
    stage.reach()
    world.pump()


PLAYERS: dict[str, Player] = {
    each.__name__: each
    for each in (
        fill_races_cancel, partial_races_cancel, partial_fills, cancel_stuck, cancel_slow,
        leg_fills_during_cancel, fill_mid_pass, position_appears, position_vanishes, external_order, bust, correct,
        many_orders, halt, split, cash_flow, price_shock,
    )
}  # fmt: skip
