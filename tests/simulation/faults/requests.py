"""Faults of requests to the broker: refused, lost, late, answered with something else. Rows A, B4, C8, C10, G."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.core.values import Signal
from quant_trading_system.simulator.server.fault_bodies import empty_lists, halve_lists
from tests.simulation.faults.catching import let_rest
from tests.simulation.faults.orders import refuse_cancels
from tests.simulation.faults.stage import (
    ORDERS_PATH,
    Player,
    Stage,
    client_id,
    is_cancel,
    is_post,
    is_read,
    lists_what,
    ours,
    refusal,
)
from tests.simulation.http import LOST_ANSWERS, Fate
from tests.simulation.venue import Answer, Request

LIMITED = Answer(429, b'{"code":42910000,"message":"rate limit exceeded"}')
MORE_SHARES = 7
NAMED_SHARE = 0.4
PROXYS_SHARE = 0.5
"""Of the answers of a proxy that knows no broker, that say 404 without the broker's code: no word of the order."""
WAIT_SHARE, LOOK_S = 0.4, 0.1
"""Of its time, that old pictures wait for an order which changes behind them."""
NAMED_S, NAMED_LOOKS_S, MOMENT_S = 12.0, (2.0, 4.5), 0.01
ASKED_S, LOOKS_S = 18.0, (1.5, 4.0)
"""Behind the quarantine of an order that is hidden, and the question for it that follows: when trade_updates is cut, so
that a pass follows at once."""
HIDDEN_SHARE = 5 / 6
"""Of the quarantine: what the broker hides in every list and by its id for longer has its absence proven."""
READ_KINDS = ("orders", "positions", "account", "activities")
WRONG_VALUES = {
    "symbol": "ZVZZT",
    "qty": "1234567",
    "client_order_id": "qts-someoneelses-order",
    "limit_price": "1.11",
}
ODD_NUMBERS = {"nan": float("nan"), "infinity": float("inf"), "minus_zero": -0.0, "tiny": 1e-9, "huge": 1e12}


def post_refused(stage: Stage) -> None:
    def bend(_request: Request, fate: Fate) -> None:
        fate.is_refused = True

    stage.bend_requests(is_post, bend)


def post_answer_lost(stage: Stage) -> None:
    how = stage.word("how")

    def bend(_request: Request, fate: Fate) -> None:
        fate.answer_lost = how

    stage.bend_requests(is_post, bend)


def post_lost(stage: Stage) -> None:
    how = stage.word("how")

    def bend(_request: Request, fate: Fate) -> None:
        fate.request_lost = how

    stage.bend_requests(is_post, bend)


def post_delayed(stage: Stage) -> None:
    how, delay_s = stage.word("how"), stage.number_of("delay_s")

    def bend(_request: Request, fate: Fate) -> None:
        fate.request_lost = how
        fate.request_delay_s = delay_s

    stage.bend_requests(is_post, bend)


def post_answer_slow(stage: Stage) -> None:
    delay_s = stage.number_of("delay_s")

    def bend(_request: Request, fate: Fate) -> None:
        fate.answer_delay_s = delay_s

    stage.bend_requests(is_post, bend)


def order_mute(stage: Stage) -> None:
    """One order; then nothing tells of it until the end, and who asks for it gets no answer, or a 404 for a while.

    Before the 404 the broker may have named it: then the 404 is the weaker word.
    """
    is_404 = stage.word("lookup") == "404"
    is_named = is_404 and stage.chance.random() < NAMED_SHARE
    if is_named:
        _hide_next(stage, times=1, answer_lost=None, hold_s=NAMED_S, looks_s=NAMED_LOOKS_S)
        return
    if is_404:
        _hide_next(stage, times=1, answer_lost="timeout")
        stage.later(stage.world.plan.quarantine_s * HIDDEN_SHARE, stage.end)
        return
    _hide_until_believable(stage, times=1, answer_lost="timeout")

    def is_about_it(request: Request) -> bool:
        return request.params.get("client_order_id") in stage.world.venue.hidden

    def stay_silent(request: Request, fate: Fate) -> None:
        if is_about_it(request):
            fate.answer_lost = "timeout"

    rules, number = stage.world.network.rules, -1 - stage.number
    rules[number] = stay_silent
    stage.later(max(0.0, _chaos_left_s(stage) - MOMENT_S), lambda: rules.pop(number, None))


def duplicate_unshown(stage: Stage) -> None:
    """Passes that would prove its absence, where that could be, follow each other soon behind the quarantine."""
    _hide_until_believable(stage, times=2, answer_lost=None)


def _hide_until_believable(stage: Stage, *, times: int, answer_lost: str | None) -> None:
    asked_s = max(stage.world.plan.quarantine_s, ASKED_S)
    looks_s = tuple(asked_s + after_s for after_s in LOOKS_S)
    _hide_next(stage, times=times, answer_lost=answer_lost, hold_s=asked_s + 2 * LOOKS_S[-1], looks_s=looks_s)


def _chaos_left_s(stage: Stage) -> float:
    return stage.world.ends_s - stage.world.plan.heal_s - stage.world.elapsed_s


def _bring_passes(stage: Stage, name: str, looks_s: Sequence[float]) -> None:
    world = stage.world

    def cut() -> None:
        if name in world.venue.hidden:
            world.streams.cut_all()

    for after_s in looks_s:
        stage.later(after_s, cut)


def _unhide_later(stage: Stage, name: str, shown_s: float) -> None:
    """Nothing tells of it until its absence could be believed, at the latest until all faults are over."""
    world = stage.world
    left_s = min(shown_s - world.elapsed_s, _chaos_left_s(stage))
    if left_s > 0:
        stage.later(left_s, lambda: world.venue.hidden.pop(name, None))
    else:
        world.venue.hidden.pop(name, None)


def _hide_next(
    stage: Stage, *, times: int, answer_lost: str | None, hold_s: float = 0.0, looks_s: Sequence[float] = ()
) -> None:
    """Nothing tells of the next order: until the fault is over, and for `hold_s` at least."""
    hidden = stage.world.venue.hidden
    done: list[str] = []

    def is_next(request: Request) -> bool:
        return is_post(request) and not done

    def bend(request: Request, fate: Fate) -> None:
        name = client_id(request)
        done.append(name)
        hidden[name] = None
        shown_s = stage.world.elapsed_s + hold_s
        _bring_passes(stage, name, looks_s)
        stage.at_end(lambda: _unhide_later(stage, name, shown_s))
        fate.serve_times = times
        fate.answer_lost = answer_lost
        if times > 1:
            fate.change.append(lambda _request, answer: _unhide_untold(stage, name, fate, answer))

    stage.bend_requests(is_next, bend)


def _unhide_untold(stage: Stage, name: str, fate: Fate, answer: Answer) -> Answer:
    """Where another fault keeps the 422 back, nothing tells that the order exists: it is not hidden for long then."""
    if answer.status != 422 or fate.answer_lost is not None or fate.request_lost is not None:
        hidden = stage.world.venue.hidden
        stage.later(stage.world.plan.quarantine_s * HIDDEN_SHARE, lambda: hidden.pop(name, None))
    return answer


def post_rejected(stage: Stage) -> None:
    answer = refusal(stage.word("refusal"))

    def bend(_request: Request, fate: Fate) -> None:
        fate.is_served, fate.instead = False, answer

    stage.bend_requests(is_post, bend)


def post_unknown_refusal(stage: Stage) -> None:
    answer, is_served = refusal(stage.word("refusal")), bool(stage.number_of("carried_out"))

    def bend(_request: Request, fate: Fate) -> None:
        fate.is_served, fate.instead = is_served, answer

    stage.bend_requests(is_post, bend)


def rejected_late(stage: Stage) -> None:
    """The broker takes an order, and its venue rejects it afterwards."""
    exchange = stage.world.exchange
    delay_ns, is_silent = int(stage.number_of("delay_s") * NANOS_PER_SECOND), bool(stage.number_of("silent"))

    def doom(_request: Request, answer: Answer) -> Answer:
        if answer.status == 200:
            exchange.doom(msgspec.json.decode(answer.body)["id"], delay_ns=delay_ns, is_silent=is_silent)
            stage.world.pump()
        return answer

    def bend(_request: Request, fate: Fate) -> None:
        fate.change.append(doom)

    stage.bend_requests(is_post, bend)


def rejected_thrice(stage: Stage) -> None:
    answer = refusal(stage.word("refusal"))
    symbol = stage.chance.choice(stage.world.symbols)

    def is_meant(request: Request) -> bool:
        return is_post(request) and msgspec.json.decode(request.body)["symbol"] == symbol

    def bend(_request: Request, fate: Fate) -> None:
        fate.is_served, fate.instead = False, answer

    stage.bend_requests(is_meant, bend)


def rate_limited(stage: Stage) -> None:
    has_headers = bool(stage.number_of("headers"))

    def bend(_request: Request, fate: Fate) -> None:
        headers = {}
        if has_headers:
            reset_s = stage.world.venue_ns() // NANOS_PER_SECOND + 5
            headers = {
                "X-RateLimit-Limit": "200",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": str(reset_s),
            }
        fate.is_served, fate.instead = False, Answer(LIMITED.status, LIMITED.body, headers)

    stage.bend_requests(_is_any, bend)


def strategy_nonsense(stage: Stage) -> None:
    number = ODD_NUMBERS[stage.word("how")]
    rules = stage.world.signal_rules

    def spoil(signal: Signal) -> Signal:
        stage.reach()
        return msgspec.structs.replace(signal, strength=number, confidence=number)

    rules[stage.number] = spoil
    stage.at_end(lambda: rules.pop(stage.number, None))


def wrong_echo(stage: Stage) -> None:
    field = stage.word("field")

    def change(_request: Request, answer: Answer) -> Answer:
        if answer.status != 200:
            return answer
        order = msgspec.json.decode(answer.body)
        order[field] = {"buy": "sell", "sell": "buy"}[order["side"]] if field == "side" else WRONG_VALUES[field]
        return answer._replace(body=msgspec.json.encode(order))

    def bend(request: Request, fate: Fate) -> None:
        if stage.number_of("more"):
            stage.world.venue.enlarged[client_id(request)] = MORE_SHARES
        else:
            fate.change.append(change)

    stage.bend_requests(is_post, bend)


def cancel_fails(stage: Stage) -> None:
    word, is_served = stage.word("status"), bool(stage.number_of("carried_out"))
    if word == "refused":
        refuse_cancels(stage)
        return

    def bend(request: Request, fate: Fate) -> None:
        if request.path == ORDERS_PATH:
            fate.change.append(_mix_results)
        elif word == "timeout":
            _lose(fate, is_served, "timeout")
        else:
            fate.is_served, fate.instead = is_served, _cancel_answer(word)

    let_rest(stage)
    stage.bend_requests(is_cancel, bend)


def _cancel_answer(word: str) -> Answer:
    if word == "422":
        return refusal('422 42210000 order is already in "filled" state')
    return LIMITED if word == "429" else LOST_ANSWERS[word]


def _mix_results(_request: Request, answer: Answer) -> Answer:
    """A 207 of which every second entry failed."""
    rows = msgspec.json.decode(answer.body)
    for row in rows[::2]:
        row["status"], row["body"] = 500, {"code": 50010000, "message": "internal server error occurred"}
    return answer._replace(body=msgspec.json.encode(rows))


def _lose(fate: Fate, is_served: bool, how: str) -> None:
    if is_served:
        fate.answer_lost = how
    else:
        fate.request_lost = how


def read_fails(stage: Stage) -> None:
    how = stage.word("how")

    def bend(request: Request, fate: Fate) -> None:
        is_proxys = how == "502" and "client_order_id" in request.params and stage.chance.random() < PROXYS_SHARE
        fate.answer_lost = "404" if is_proxys else how

    stage.bend_requests(is_read, bend)


def read_empty(stage: Stage) -> None:
    _change_lists(stage, empty_lists)


def read_partial(stage: Stage) -> None:
    _change_lists(stage, halve_lists)


def _change_lists(stage: Stage, spoil: Callable[[bytes], bytes]) -> None:
    what = stage.word("what")

    def change(_request: Request, answer: Answer) -> Answer:
        return answer._replace(body=spoil(answer.body)) if answer.status == 200 else answer

    def bend(_request: Request, fate: Fate) -> None:
        fate.change.append(change)

    stage.bend_requests(lambda request: lists_what(request, what), bend)


def read_stale(stage: Stage) -> None:
    """What is read (orders, positions, account, activities) is what it was when an order of ours was open, or soon."""
    venue, what = stage.world.venue, stage.word("what")
    names = READ_KINDS if what == "all" else (what,)
    waits_until_s = stage.world.elapsed_s + WAIT_SHARE * stage.fault.for_s

    def begin() -> None:
        if stage.is_over:
            return
        if not ours(stage) and stage.world.elapsed_s < waits_until_s:
            stage.later(LOOK_S, begin)
            return
        picture = venue.take_picture()
        for name in names:
            venue.stale[name] = picture
        stage.reach()
        stage.at_end(lambda: [venue.stale.pop(name, None) for name in names])

    begin()


def read_slow(stage: Stage) -> None:
    delay_s = stage.number_of("delay_s")

    def bend(_request: Request, fate: Fate) -> None:
        fate.answer_delay_s = delay_s

    stage.bend_requests(is_read, bend)


def blackhole(stage: Stage) -> None:
    half = stage.word("half")

    def bend(_request: Request, fate: Fate) -> None:
        _lose(fate, half == "from_broker", "timeout")

    stage.bend_requests(_is_any, bend)
    _mute_stream(stage)


def _mute_stream(stage: Stage) -> None:
    streams = stage.world.streams
    streams.mute[stage.number] = None
    streams.refusals[stage.number] = "blackhole"
    stage.at_end(lambda: streams.mute.pop(stage.number, None))
    stage.at_end(lambda: streams.refusals.pop(stage.number, None))
    stage.at_end(streams.cut_all)  # what was lost inside is not sent again


def login_refused(stage: Stage) -> None:
    status = stage.word("status")
    text = "401 - unauthorized." if status == "401" else "403 - forbidden."

    def bend(_request: Request, fate: Fate) -> None:
        fate.is_served, fate.instead = False, refusal(text)

    stage.bend_requests(_is_any, bend)


def rest_down(stage: Stage) -> None:
    def bend(_request: Request, fate: Fate) -> None:
        fate.is_refused = True

    stage.bend_requests(_is_any, bend)


def date_skew(stage: Stage) -> None:
    network, skew_s = stage.world.network, stage.number_of("skew_s")
    network.skew_s += skew_s
    stage.reach()

    def undo() -> None:
        network.skew_s -= skew_s

    stage.at_end(undo)


def _is_any(_request: Request) -> bool:
    return True


PLAYERS: dict[str, Player] = {
    each.__name__: each
    for each in (
        post_refused, post_answer_lost, post_lost, post_delayed, post_answer_slow, order_mute, duplicate_unshown,
        post_rejected, post_unknown_refusal, rejected_late, rejected_thrice, rate_limited, strategy_nonsense,
        wrong_echo,
        cancel_fails, read_fails, read_empty, read_partial, read_stale, read_slow, blackhole, login_refused, rest_down,
        date_skew,
    )
}  # fmt: skip
