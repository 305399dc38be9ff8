"""Decides what the fault plan does to one REST request: what comes before it, if it is carried out, what is told.

A request passes in this order: deeds of others, states that begin, refusals and cuts, delays, carrying out, and then
its answer: lost, old, spoilt, slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiohttp import web

from quant_trading_system.simulator.instants import NANOS_PER_MS
from quant_trading_system.simulator.server.account_wire import account_json
from quant_trading_system.simulator.server.bodies import fetch
from quant_trading_system.simulator.server.errors import html_answer
from quant_trading_system.simulator.server.fault_answers import (
    ERROR_KINDS,
    body_of,
    bomb,
    copied,
    cut,
    cut_within,
    drip,
    error_answer,
    flood,
    patched,
    skew_date,
)
from quant_trading_system.simulator.server.fault_bodies import empty_lists, halve_lists, spoil
from quant_trading_system.simulator.server.fault_kinds import DEED_KINDS, JSON_KINDS, REST_KINDS, Kind
from quant_trading_system.simulator.server.faults import FaultRule, Firing
from quant_trading_system.simulator.server.hidden_orders import conceal, hide_made, id_of
from quant_trading_system.simulator.server.settings import is_data_path
from quant_trading_system.simulator.server.venue import Venue

HANG_SECONDS_MAX = 3_600.0
BLOCKED = {"trading_blocked": True}
BUYING_POWER_FIELDS = (
    "buying_power",
    "regt_buying_power",
    "effective_buying_power",
    "non_marginable_buying_power",
    "options_buying_power",
)

STREAM_REFUSALS = ERROR_KINDS | {Kind.HTML_ERROR, Kind.REDIRECT, Kind.DROP_BEFORE_ACCEPT, Kind.HANG}

CarryOut = Callable[[], Awaitable[web.Response]]
Fired = Mapping[Kind, Firing]


async def answer_with_faults(request: web.Request, venue: Venue, carry_out: CarryOut) -> web.StreamResponse:
    """The answer to a request while a plan is in force."""
    each = venue.plan.fire_each(f"{request.method} {request.path}", REST_KINDS)
    fired: dict[Kind, Firing] = {}
    for firing in each:
        fired.setdefault(firing.rule.kind, firing)
        if firing.rule.kind in DEED_KINDS:
            venue.deeds.do(firing, path_order_id=_order_id(request))
    if Kind.ACCOUNT_FLAGS in fired:
        venue.states.begin_flags(fired[Kind.ACCOUNT_FLAGS].rule.flags or BLOCKED)
    refused = await _refused(request, venue, carry_out, fired)
    if refused is not None:
        return refused
    answer = await _carried_out(request, venue, carry_out, fired)
    answer = conceal(venue.plan, request, answer)
    if Kind.ACCEPT_THEN_DROP in fired:
        return cut_within(request, answer, fired[Kind.ACCEPT_THEN_DROP].rule.point)
    if Kind.LATENCY in fired:
        await asyncio.sleep(fired[Kind.LATENCY].rule.latency_ms / 1_000)
    answer = _spoilt(request, venue, fired, answer)
    return await _sent(request, fired, _reworded(answer, [firing.rule for firing in each]))


async def refuse_stream(request: web.Request, venue: Venue) -> web.Response | None:
    """The answer of a fault that keeps an event stream from beginning; nothing else of a stream is a request."""
    each = venue.plan.fire_each(f"{request.method} {request.path}", STREAM_REFUSALS)
    fired = {firing.rule.kind: firing for firing in reversed(each)}
    return await _refused(request, venue, _nothing, fired)


async def _nothing() -> web.Response:
    return web.Response(status=499)


def _order_id(request: web.Request) -> str | None:
    found: str | None = request.match_info.get("order_id")
    return found


async def _refused(request: web.Request, venue: Venue, carry_out: CarryOut, fired: Fired) -> web.Response | None:
    """The answer of a fault that puts itself in the place of the exchange."""
    for kind, firing in fired.items():
        if kind in ERROR_KINDS:
            return await _error(request, venue, carry_out, firing.rule)
    if Kind.HTML_ERROR in fired:
        return html_answer(401)
    if Kind.REDIRECT in fired:
        rule = fired[Kind.REDIRECT].rule
        return web.Response(status=rule.status or 307, headers={"Location": rule.location})
    if Kind.DROP_BEFORE_ACCEPT in fired:
        return cut(request)
    if Kind.HANG in fired:
        if fired[Kind.HANG].rule.carried_out:
            await carry_out()
        await asyncio.sleep(HANG_SECONDS_MAX)
        return cut(request)
    if Kind.DELAYED_ORIGINAL in fired:
        rule = fired[Kind.DELAYED_ORIGINAL].rule
        await fetch(request)  # the line is about to be cut
        venue.late.send(carry_out, seconds=rule.latency_ms / 1_000)
        return web.Response(status=504) if rule.answer == "504" else cut(request)
    return None


async def _error(request: web.Request, venue: Venue, carry_out: CarryOut, rule: FaultRule) -> web.Response:
    if rule.carried_out:
        await carry_out()
    answer = error_answer(rule, is_data=is_data_path(request.path))
    if answer.status == 429 and rule.rate_headers:
        answer.headers.update(venue.limiter.spent_headers(venue.exchange.now_ns))
    return answer


async def _carried_out(request: web.Request, venue: Venue, carry_out: CarryOut, fired: Fired) -> web.Response:
    if Kind.DELAY_BEFORE in fired:
        await fetch(request)
        await asyncio.sleep(fired[Kind.DELAY_BEFORE].rule.latency_ms / 1_000)
    if Kind.REORDER_REQUESTS in fired:
        await fetch(request)
        await venue.late.let_pass(seconds=fired[Kind.REORDER_REQUESTS].rule.latency_ms / 1_000)
    venue.holds_events = Kind.ORDER_INVISIBLE in fired
    try:
        answer = await carry_out()
        if Kind.DUPLICATE_REQUEST in fired:
            again = await carry_out()
            if fired[Kind.DUPLICATE_REQUEST].rule.answer == "second":
                answer = again
        if answer.status == 200:
            _mark_made_order(venue, fired, answer)
    finally:
        venue.holds_events = False
    venue.late.note_turn()
    return answer


def _mark_made_order(venue: Venue, fired: Fired, answer: web.Response) -> None:
    """What becomes of the order that the request made."""
    if Kind.ORDER_INVISIBLE in fired:
        hide_made(fired[Kind.ORDER_INVISIBLE], answer)
    if Kind.LATE_REJECT in fired and (order_id := id_of(answer)) is not None:
        rule = fired[Kind.LATE_REJECT].rule
        venue.exchange.doom(order_id, delay_ns=rule.latency_ms * NANOS_PER_MS, is_silent=rule.silent)


def _spoilt(request: web.Request, venue: Venue, fired: Fired, answer: web.Response) -> web.Response:
    """The answer after the faults that come behind the request: lost, empty, half, old."""
    if Kind.ACCEPT_THEN_504 in fired:
        return web.Response(status=504)
    if Kind.EMPTY_BODY in fired:
        return copied(answer, b"")
    if Kind.EMPTY_LIST in fired and answer.status == 200:
        answer = copied(answer, empty_lists(body_of(answer)))
    if Kind.PARTIAL_PAGE in fired and answer.status == 200:
        answer = copied(answer, halve_lists(body_of(answer)))
    if Kind.STALE_SNAPSHOT in fired and answer.status == 200:
        kept = fired[Kind.STALE_SNAPSHOT].kept.setdefault(f"{request.method} {request.path}", body_of(answer))
        assert isinstance(kept, bytes), "bodies are kept"
        answer = copied(answer, kept)
    if Kind.STALE_BUYING_POWER in fired and venue.account_before is not None:
        before = account_json(venue.account_before, venue.settings.profile)
        answer = patched(answer, {name: before[name] for name in BUYING_POWER_FIELDS if name in before})
    if Kind.TRUNCATED_BODY in fired:
        answer = copied(answer, body_of(answer)[: len(body_of(answer)) // 2])
    return answer


def _reworded(answer: web.Response, rules: Sequence[FaultRule]) -> web.Response:
    """The answer after the faults of what it says."""
    rules = [rule for rule in rules if rule.kind in JSON_KINDS]
    if rules:
        answer = copied(answer, spoil(body_of(answer), rules))
    for rule in rules:
        if rule.kind is Kind.CLOCK_SKEW and rule.scope != "stamps":
            skew_date(answer, rule.skew_seconds)
    return answer


async def _sent(request: web.Request, fired: Fired, answer: web.Response) -> web.StreamResponse:
    """The answer as it leaves: dripping, too large, or whole."""
    if Kind.SLOW_DRIP in fired:
        return await drip(request, answer, seconds=fired[Kind.SLOW_DRIP].rule.latency_ms / 1_000)
    if Kind.GZIP_BOMB in fired:
        return bomb(answer, size_bytes=fired[Kind.GZIP_BOMB].rule.size_bytes)
    for kind in (Kind.GIANT_BODY, Kind.ENDLESS_BODY):
        if kind in fired:
            size_bytes = fired[kind].rule.size_bytes
            return await flood(request, answer, size_bytes=size_bytes, is_chunked=kind is Kind.ENDLESS_BODY)
    return answer
