"""What the venue does to single orders of ours by itself: ends them, replaces them, has no word for them. Rows A14, B.

What happens to an order happens at the exchange: in its books, its pictures and its frames.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.requests import OrderChange
from quant_trading_system.simulator.schedule import Action
from quant_trading_system.simulator.settings import Hop
from tests.simulation.faults.catching import at_desk, befall, befall_canceled, fill, half_s, say, soon
from tests.simulation.faults.stage import CENT, Player, Stage, client_id, is_post, ours
from tests.simulation.http import Fate
from tests.simulation.venue import Answer, Request

NOBODYS_WORD = "a_word_nobody_knows"
ODD_FOR_S = 3.0
SLOW = 0.5
"""Of the replacements that are done: they are pending for a while, and a frame says so. Usually none does."""


# the broker ends it


def broker_ends(stage: Stage) -> None:
    def act(order: SimOrder) -> None:
        if stage.number_of("part"):
            fill(stage, order, is_part=True)
            soon(stage, lambda: _end(stage, order))
        else:
            _end(stage, order)

    befall(stage, act)


def _end(stage: Stage, order: SimOrder) -> None:
    exchange = stage.world.exchange
    desk = exchange._desk
    if not order.is_open:
        return
    stage.reach()
    match stage.word("word"):
        case "owner":
            _cancel_in_the_app(stage, order)
        case "expired":
            at_desk(stage, lambda: desk.expire(order, exchange.now_ns))
        case "rejected":
            at_desk(stage, lambda: desk.reject(order, exchange.now_ns))
        case _:
            at_desk(stage, lambda: desk.cancel_now(order, exchange.now_ns))
    if stage.word("then"):
        soon(stage, lambda: take_back(stage, order, stage.word("then")))


def _cancel_in_the_app(stage: Stage, order: SimOrder) -> None:
    """The owner cancels it, and the broker tells that the cancel is under way."""

    def act() -> None:
        exchange = stage.world.exchange
        if order.is_open and order.status != "pending_cancel":
            exchange._desk.request_cancel(order, exchange.now_ns)
        if order.is_open:
            exchange._recorder.emit("pending_cancel", order, exchange.now_ns)

    at_desk(stage, act)


# the broker takes its last word back


def take_back(stage: Stage, order: SimOrder, then: str) -> None:
    """An order that was told to be over was not: it fills after all, or a rejected one lives on.

    What is not there any more cannot be sold, and of a group the others went on: those stay over.
    """
    if order.is_open or order.status == "filled" or order.leg_ids or order.parent_id or not _can_fill(stage, order):
        return
    was_rejected = order.status == "rejected"
    at_desk(stage, lambda: _revive(stage, order))
    match then if was_rejected else "fill":
        case "live":
            say(stage, "new", order)
        case "part":
            fill(stage, order, is_part=True)
        case "replaced":
            replace(stage, order, is_told=False)
        case _:
            fill(stage, order, is_part=False)


def _can_fill(stage: Stage, order: SimOrder) -> bool:
    if not order.is_closing:
        return True
    exchange = stage.world.exchange
    held_qty, _ = exchange._valuation.held_qty(order.symbol)
    return abs(exchange._books.qty(order.symbol)) - held_qty >= order.remaining()


def _revive(stage: Stage, order: SimOrder) -> None:
    exchange = stage.world.exchange
    order.canceled_at_ns = order.expired_at_ns = order.failed_at_ns = order.replaced_at_ns = None
    order.cancel_requested_at_ns = order.doomed_at_ns = None
    order.status = "partially_filled" if order.filled_qty else "new"
    order.updated_at_ns = exchange.now_ns
    exchange._index.refresh(order)
    exchange._recorder.changed(order)
    stage.world.venue.revived[order.client_order_id] = order.updated_at_ns


# it is replaced


def replaced_outside(stage: Stage) -> None:
    """The owner changes a live order of ours in the app, so that it lives on under other ids; or nearly."""
    if stage.word("when", "now") != "now":
        befall(stage, lambda order: _replace_caught(stage, order))
        return

    def act() -> None:
        order = next((each for each in ours(stage) if each.limit_price is not None), None)
        if order is not None:
            replace(stage, order, times=int(stage.number_of("times")))

    _when_ours_is_open(stage, act)


def _when_ours_is_open(stage: Stage, act: Callable[[], None], *, patience_s: float = 120.0) -> None:
    """Do it as soon as an order of ours lives: right after the next POST, at the latest within `patience_s`."""
    waits_until_s = stage.world.elapsed_s + patience_s

    def look() -> None:
        if ours(stage):
            act()
        elif stage.world.elapsed_s < waits_until_s and not stage.is_over:
            stage.later(0.02 if stage.world.is_order_young() else 0.25, look)

    look()


def _replace_caught(stage: Stage, order: SimOrder) -> None:
    if stage.number_of("part"):
        fill(stage, order, is_part=True)
        soon(stage, lambda: replace(stage, order, times=int(stage.number_of("times"))))
    else:
        replace(stage, order, times=int(stage.number_of("times")))


def replace(stage: Stage, order: SimOrder, *, times: int = 1, is_told: bool = True) -> None:
    """Ask for another price; what the plan says comes of it once it was pending for delay_s."""
    if order.limit_price is None or not order.is_open:
        return
    how = stage.word("how", "done") if is_told else "done"
    price = order.limit_price + CENT
    hops = stage.world.exchange._desk._latency._hops
    before = hops[Action.REPLACE]
    is_slow = is_told and stage.number_of("delay_s") > 0 and (how != "done" or stage.chance.random() < SLOW)
    if is_slow:
        hops[Action.REPLACE] = _hop(stage, waits=1.0 if how == "done" else 2.0)
    change = OrderChange.from_body({"limit_price": str(price)})
    at_desk(stage, lambda: stage.world.exchange.replace(order.id, change))
    hops[Action.REPLACE] = before
    if order.status != "pending_replace" and order.status != "replaced":
        return
    if is_told:
        stage.reach()
        if is_slow:
            say(stage, "pending_replace", order)
        soon(stage, lambda: _go_on(stage, order, how, times), wait_s=half_s(stage) or 0.5)


def _hop(stage: Stage, *, waits: float) -> Hop:
    """How long a replacement is pending: half of the plan's seconds, in venue time."""
    delay_ms = max(1.0, 1_000 * waits * half_s(stage) * stage.world.speed)
    return Hop(mean_ms=delay_ms, min_ms=delay_ms, max_ms=delay_ms)


def _go_on(stage: Stage, order: SimOrder, how: str, times: int) -> None:
    exchange = stage.world.exchange
    desk = exchange._desk
    new = None if order.replaced_by is None else exchange._index.find(order.replaced_by)
    if how == "done" or order.status != "pending_replace" or new is None:
        _after_replacement(stage, order, new, times)
        return
    match how:
        case "refused":
            at_desk(stage, lambda: desk.reject(new, exchange.now_ns))
            at_desk(stage, lambda: desk.complete_replacement(new, exchange.now_ns))
        case "filled":
            fill(stage, order, is_part=False)
        case "canceled":
            at_desk(stage, lambda: desk.cancel_now(order, exchange.now_ns))
        case "expired":
            at_desk(stage, lambda: desk.expire(order, exchange.now_ns))
        case "rejected":
            at_desk(stage, lambda: desk.reject(order, exchange.now_ns))
        case "owner":
            _cancel_in_the_app(stage, order)
        case "odd":
            _call_oddly(stage, order, NOBODYS_WORD, for_s=ODD_FOR_S)


def _after_replacement(stage: Stage, order: SimOrder, new: SimOrder | None, times: int) -> None:
    if order.status != "replaced" or new is None:
        return
    if times > 1 and not stage.is_over:
        replace(stage, new, times=times - 1)
    elif stage.word("then") and new.is_open and not new.filled_qty and _can_fill(stage, order):
        at_desk(stage, lambda: stage.world.exchange._desk.reject(new, stage.world.exchange.now_ns))
        take_back(stage, order, "fill")


# it has a word that nobody knows, or hardly anybody


def odd_status(stage: Stage) -> None:
    if stage.word("when", "answer") != "answer":
        befall(stage, lambda order: _call_caught(stage, order))
        return
    word, words = stage.word("status"), stage.world.venue.words

    def change(_request: Request, answer: Answer) -> Answer:
        if answer.status != 200:
            return answer
        order = msgspec.json.decode(answer.body)
        order["status"] = word
        return answer._replace(body=msgspec.json.encode(order))

    def bend(request: Request, fate: Fate) -> None:
        name = client_id(request)
        words[name] = word
        stage.at_end(lambda: words.pop(name, None))
        fate.change.append(change)

    stage.bend_requests(is_post, bend)


def _call_caught(stage: Stage, order: SimOrder) -> None:
    word = stage.word("status")
    if not stage.number_of("part"):
        _call_oddly(stage, order, word)
        return
    fill(stage, order, is_part=True)
    soon(stage, lambda: _call_oddly(stage, order, word))


def _call_oddly(stage: Stage, order: SimOrder, word: str, *, for_s: float | None = None) -> None:
    """The broker tells another word of an open order, in a frame at once and in each picture, until it says better."""
    if not order.is_open or stage.is_over:
        return
    words = stage.world.venue.words
    words[order.client_order_id] = word
    forget = lambda: words.pop(order.client_order_id, None)  # noqa: E731
    order.updated_at_ns = stage.world.exchange.now_ns
    say(stage, word, order)
    if stage.fault.kind == "odd_status":
        stage.reach()
    stage.at_end(forget)
    if for_s is not None:
        stage.later(for_s, forget)


# a cancel is refused


def refuse_cancels(stage: Stage) -> None:
    """A cancel is taken (204), and the venue refuses it: the order works on."""
    exchange = stage.world.exchange

    def refuse(order: SimOrder) -> None:
        if order.status != "pending_cancel":
            return  # it filled meanwhile
        order.cancel_requested_at_ns = None
        status = "partially_filled" if order.filled_qty else "new"
        exchange._desk._states.become(order, status, exchange.now_ns)
        exchange._recorder.emit("order_cancel_rejected", order, exchange.now_ns)
        stage.reach()

    def act(order: SimOrder) -> None:
        at_desk(stage, lambda: refuse(order))

    befall_canceled(stage, act)


PLAYERS: dict[str, Player] = {each.__name__: each for each in (broker_ends, replaced_outside, odd_status)}
