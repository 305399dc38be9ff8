"""Catching single orders of ours at the venue: as they arrive, before anybody hears of them, or as a cancel does.

Decides the moment, not what happens. An order rests until then, because the market steps away from it.
"""

from __future__ import annotations

from collections.abc import Callable

from quant_trading_system.simulator.orders import SimOrder
from tests.simulation.faults.stage import ORDERS_PATH, Stage, client_id, granted, is_post, is_single_cancel
from tests.simulation.feed import STEP_AWAY
from tests.simulation.http import Fate
from tests.simulation.streams import Frame
from tests.simulation.venue import Answer, Request

ANSWER_S = 2.0
"""By so much an answer is late where a frame is to be the first word of an order."""
FRAMES_S = 5.0
"""By so much its frames are late where the answer to a question is to be the first word."""
EARLY = ("first_word", "unanswered")
Act = Callable[[SimOrder], None]


def befall(stage: Stage, act: Act) -> None:
    """Let something befall each order that is caught at the plan's moment, drawn by its probability.

    `first_word`: before the answer to its POST, which is late, and before any frame; `unanswered`: the same, and the
    answer is lost; `working`: delay_s later; `canceling`: when a cancel of it was taken.
    """
    when = stage.word("when")
    if when == "canceling":
        befall_canceled(stage, act)
        return
    if when in EARLY:
        _befall_early(stage, act, is_answered=when == "first_word")
        return

    def taken(request: Request, answer: Answer) -> Answer:
        order = _taken(stage, request)
        if order is not None:
            step_away(stage, order)
            soon(stage, lambda: act(order))
        return answer

    def bend(_request: Request, fate: Fate) -> None:
        if stage.is_drawn():
            fate.change.append(taken)

    stage.bend_quietly(is_post, bend)


def _befall_early(stage: Stage, act: Act, *, is_answered: bool) -> None:
    untold: dict[str, None] = {}
    late: dict[str, None] = {}

    def bend(request: Request, fate: Fate) -> None:
        if not stage.is_drawn():
            return
        if is_answered:
            untold[client_id(request)] = None
            fate.answer_delay_s = max(fate.answer_delay_s, ANSWER_S)
        else:
            late[client_id(request)] = None
            fate.answer_lost = "504"
        fate.change.append(taken)

    def taken(request: Request, answer: Answer) -> Answer:
        order = _taken(stage, request)
        if order is not None:
            step_away(stage, order)
            _acknowledge(stage, order)
            untold.pop(order.client_order_id, None)
            act(order)
        return answer

    def hush(frame: Frame) -> None:
        name = frame.event.order.client_order_id
        frame.is_dropped = frame.is_dropped or name in untold
        frame.delay_s += FRAMES_S if name in late else 0.0

    stage.bend_quietly(is_post, bend)
    rules = stage.world.streams.rules
    rules[stage.number] = hush
    stage.at_end(lambda: rules.pop(stage.number, None))


def befall_canceled(stage: Stage, act: Act) -> None:
    let_rest(stage)

    def taken(request: Request, answer: Answer) -> Answer:
        order = stage.world.exchange._index.find(request.path[len(ORDERS_PATH) + 1 :])
        if answer.status == 204 and order is not None and order.is_open:
            act(order)
        return answer

    def bend(_request: Request, fate: Fate) -> None:
        if stage.is_drawn():
            fate.change.append(taken)

    stage.bend_quietly(is_single_cancel, bend)


def let_rest(stage: Stage) -> None:
    """While the fault lasts the market steps away from each order as it arrives, so that it rests for a while."""

    def taken(request: Request, answer: Answer) -> Answer:
        order = _taken(stage, request)
        if order is not None:
            step_away(stage, order)
        return answer

    stage.bend_quietly(is_post, lambda _request, fate: fate.change.append(taken))


def step_away(stage: Stage, order: SimOrder) -> None:
    world = stage.world
    away = STEP_AWAY if order.is_buy else -STEP_AWAY
    world.market.move(order.symbol, world.market.prices[order.symbol] * (1 + away), world.venue_ns() + 1)


def _taken(stage: Stage, request: Request) -> SimOrder | None:
    """The order that a POST has made, while it is open; whatever another fault lets the broker say of it."""
    order = stage.world.exchange._index._by_client_id.get(client_id(request))
    return order if order is not None and order.is_open else None


def _acknowledge(stage: Stage, order: SimOrder) -> None:
    """Let the venue have it at once."""

    exchange = stage.world.exchange
    for _ in range(2):  # taken by the broker, then by the venue
        at_desk(stage, lambda: exchange._desk.acknowledge(order, exchange.now_ns))


def at_desk(stage: Stage, act: Callable[[], object]) -> None:
    """Do something at the exchange's desk, and tell of it."""
    world = stage.world
    world.exchange.advance(world.venue_ns())
    granted(act)
    world.exchange._recorder.commit(world.exchange.now_ns)
    world.pump()


def say(stage: Stage, event: str, order: SimOrder) -> None:
    """One frame of an order beyond those that the exchange sends by itself."""
    at_desk(stage, lambda: stage.world.exchange._recorder.emit(event, order, stage.world.exchange.now_ns))


def fill(stage: Stage, order: SimOrder, *, is_part: bool) -> None:
    """It fills at its own price: all that is left, or half of it where that is a part."""
    left = order.remaining()
    qty = (left / 2).to_integral_value() if is_part else left
    if order.is_open and qty > 0 and (qty < left or not is_part):
        at_desk(stage, lambda: stage.world.exchange.fill_out_of_the_blue(order.id, qty=qty))


def half_s(stage: Stage) -> float:
    return stage.number_of("delay_s") / 2


def soon(stage: Stage, act: Callable[[], object], *, wait_s: float | None = None) -> None:
    """Do something after half of the plan's delay, unless everything is over then."""
    world = stage.world

    def act_in_time() -> None:
        if world.elapsed_s < world.ends_s - world.plan.heal_s:
            act()

    stage.later(half_s(stage) if wait_s is None else wait_s, act_in_time)
