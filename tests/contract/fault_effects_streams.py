"""Faults of the streams: frames that are lost, late, repeated or strange; lines that break, starve or never begin."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from quant_trading_system.simulator.server.fault_kinds import Kind
from quant_trading_system.simulator.server.testing import RunningExchange
from tests.contract.exchange_support import call, is_closed, market_data, receive, submit, trade_updates
from tests.contract.fault_effects import RESTING, rest, shows

TRADES = "stream:trade_updates"
DATA = "stream:market_data"
SILENCE_SECONDS = 0.2

Socket = aiohttp.ClientWebSocketResponse
Event = dict[str, Any]


async def events(socket: Socket, count: int) -> list[Event]:
    return [(await receive(socket))["data"] for _ in range(count)]


async def names(socket: Socket, count: int) -> list[str]:
    return [event["event"] for event in await events(socket, count)]


async def is_silent(socket: Socket) -> bool:
    try:
        await socket.receive(timeout=SILENCE_SECONDS)
    except TimeoutError:
        return True
    return False


async def a_life(exchange: RunningExchange, session: aiohttp.ClientSession, *, is_filled: bool = False) -> Event:
    """An order that is acknowledged and cancelled, or filled."""
    order = await rest(session, exchange)
    if is_filled:
        exchange.exchange.fill_out_of_the_blue(order["id"])
    else:
        await call(session, "DELETE", f"/v2/orders/{order['id']}")
    await exchange.step(1)
    return order


@shows(Kind.DROP_FRAME)
async def a_fill_is_lost_and_the_rest_is_told(exchange, session):
    async with trade_updates(session, exchange) as socket:
        exchange.set_faults({"kind": "drop_frame", "where": TRADES, "event": "*fill"})
        order = await a_life(exchange, session, is_filled=True)
        assert await names(socket, 2) == ["pending_new", "new"]
        assert await is_silent(socket)
        assert (await call(session, "GET", f"/v2/orders/{order['id']}"))[1]["status"] == "filled"


@shows(Kind.DUPLICATE_FRAME)
async def a_frame_comes_twice(exchange, session):
    async with trade_updates(session, exchange) as socket:
        exchange.set_faults({"kind": "duplicate_frame", "where": TRADES, "event": "new"})
        await a_life(exchange, session)
        told = await events(socket, 4)
        assert [event["event"] for event in told] == ["pending_new", "new", "new", "canceled"]
        assert told[1] == told[2]


@shows(Kind.REPLAY_FRAMES)
async def the_last_three_come_again(exchange, session):
    async with trade_updates(session, exchange) as socket:
        exchange.set_faults({"kind": "replay_frames", "where": TRADES, "at": 3})
        await a_life(exchange, session)
        assert await names(socket, 6) == ["pending_new", "new", "canceled", "pending_new", "new", "canceled"]


@shows(Kind.REORDER)
async def two_frames_change_places(exchange, session):
    async with trade_updates(session, exchange) as socket:
        exchange.set_faults({"kind": "reorder", "where": TRADES, "at": 2})
        await a_life(exchange, session)
        assert await names(socket, 3) == ["pending_new", "canceled", "new"]


@shows(Kind.DELAY_FRAME)
async def a_fill_is_told_late(exchange, session):
    async with trade_updates(session, exchange) as socket:
        exchange.set_faults({"kind": "delay_frame", "where": TRADES, "event": "fill", "latency_ms": 300})
        await a_life(exchange, session, is_filled=True)
        await a_life(exchange, session)
        assert await names(socket, 6) == ["pending_new", "new", "pending_new", "new", "canceled", "fill"]


@shows(Kind.REPLAY_FILLS)
async def new_and_fill_come_again_behind_the_last_event(exchange, session):
    async with trade_updates(session, exchange) as socket:
        exchange.set_faults({"kind": "replay_fills", "where": TRADES, "times": 2})
        await a_life(exchange, session, is_filled=True)
        told = await events(socket, 7)
        assert [event["event"] for event in told] == ["pending_new", "new", "fill", "new", "fill", "new", "fill"]
        assert len({event["execution_id"] for event in told if event["event"] == "fill"}) == 1


@shows(Kind.BURST)
async def frames_are_held_and_leave_together(exchange, session):
    async with trade_updates(session, exchange) as socket:
        exchange.set_faults({"kind": "burst", "where": TRADES, "at": 1, "latency_ms": 500})
        await a_life(exchange, session)
        assert await is_silent(socket)
        assert await names(socket, 3) == ["pending_new", "new", "canceled"]


@shows(Kind.MUTE_LEGS)
async def legs_are_not_told_of(exchange, session):
    legs = {"order_class": "bracket", "take_profit": {"limit_price": "2"}, "stop_loss": {"stop_price": "0.5"}}
    async with trade_updates(session, exchange) as socket:
        exchange.set_faults({"kind": "mute_legs", "where": TRADES})
        _, parent = await submit(session, **RESTING, **legs)
        await exchange.step(1)
        exchange.exchange.fill_out_of_the_blue(parent["id"])
        await exchange.step(60)
        told = await events(socket, 3)
        assert {event["order"]["id"] for event in told} == {parent["id"]}
        assert await is_silent(socket)
        _, nested = await call(session, "GET", f"/v2/orders/{parent['id']}?nested=true")
        assert {leg["status"] for leg in nested["legs"]} != {"held"}


@shows(Kind.UNKNOWN_EVENT, Kind.UNKNOWN_KEYS, Kind.NULL_EXECUTION_ID, Kind.NO_TIMESTAMP)
async def frames_have_strange_names_and_contents(exchange, session):
    async with trade_updates(session, exchange) as socket:
        exchange.set_faults(
            {"kind": "unknown_event", "where": TRADES, "event": "pending_new"},
            {"kind": "unknown_keys", "where": TRADES, "event": "new"},
            {"kind": "null_execution_id", "where": TRADES, "event": "new"},
            {"kind": "no_timestamp", "where": TRADES, "event": "canceled"},
            {"kind": "wrong_echo", "where": TRADES, "event": "canceled", "field": "order.qty"},
        )
        await a_life(exchange, session)
        _, strange, new, canceled = await events(socket, 4)
        assert strange["event"] not in ("pending_new", "new", "accepted")
        assert "venue_note" in new
        assert "venue_note" in new["order"]
        assert new["execution_id"] is None
        assert "timestamp" not in canceled
        assert canceled["order"]["qty"] == "2"


@shows(Kind.MUTE_STREAM)
async def a_stream_is_open_and_says_nothing(exchange, session):
    async with trade_updates(session, exchange) as socket:
        exchange.set_faults({"kind": "mute_stream", "where": "stream:*"})
        await a_life(exchange, session)
        assert await is_silent(socket)
        assert not socket.closed
        exchange.set_faults()
        await a_life(exchange, session)
        assert await names(socket, 1) == ["pending_new"]


@shows(Kind.STARVE_STREAM)
async def the_open_connections_starve_and_a_new_one_does_not(exchange, session):
    async with market_data(session) as old:
        await subscribe(old, quotes=["AAPL"])
        exchange.set_faults({"kind": "starve_stream", "where": DATA, "count": 1})
        await exchange.step(60)
        assert await is_silent(old)
        await old.close()
        async with market_data(session) as new:
            await subscribe(new, quotes=["AAPL"])
            await exchange.step(60)
            assert (await receive(new))[0]["T"] == "q"


@shows(Kind.DISCONNECT_STREAM)
async def a_line_breaks_without_a_farewell(exchange, session):
    async with trade_updates(session, exchange) as socket:
        exchange.set_faults({"kind": "disconnect_stream", "where": TRADES, "count": 1})
        assert await is_closed(socket)
        assert socket.close_code in (None, 1006)
    async with trade_updates(session, exchange):
        pass


@shows(Kind.CLOSE_STREAM)
async def a_line_is_closed_with_a_code(exchange, session):
    async with trade_updates(session, exchange) as socket:
        exchange.set_faults({"kind": "close_stream", "where": TRADES, "count": 1, "code": 4003})
        assert await is_closed(socket)
        assert socket.close_code == 4003


@shows(Kind.STREAM_ERROR)
async def errors_come_at_login_at_subscribe_and_at_a_frame(exchange, session):
    exchange.set_faults({"kind": "stream_error", "where": DATA, "code": 406, "at": 1})
    async with session.ws_connect("/v2/iex") as socket:
        assert (await receive(socket))[0]["msg"] == "connected"
        assert (await receive(socket))[0]["code"] == 406
    async with market_data(session) as socket:
        exchange.set_faults({"kind": "stream_error", "where": DATA, "code": 405, "at": 1})
        await socket.send_json({"action": "subscribe", "quotes": ["AAPL"]})
        assert (await receive(socket))[0]["code"] == 405
        await subscribe(socket, quotes=["AAPL"])
        exchange.set_faults({"kind": "stream_error", "where": DATA, "code": 407})
        await exchange.step(60)
        assert (await receive(socket))[0]["code"] == 407
        assert await is_closed(socket)
    async with trade_updates(session, exchange) as trades:
        exchange.set_faults({"kind": "stream_error", "where": TRADES, "count": 1})
        assert (await receive(trades))["data"]["error_message"] == "internal server error"
        assert await is_closed(trades)


@shows(Kind.REFUSE_CONNECT)
async def a_handshake_is_refused(exchange, session):
    for path in ("/stream", "/v2/iex"):
        exchange.set_faults({"kind": "refuse_connect", "where": "stream:*", "count": 1})
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(path)
        assert caught.value.status == 429
        async with session.ws_connect(path):
            pass


@shows(Kind.SILENT_LOGIN)
async def a_login_is_never_answered(exchange, session):
    exchange.set_faults({"kind": "silent_login", "where": "stream:*"})
    credentials = exchange.venue.settings.credentials
    login = {"action": "auth", "key": credentials.key_id, "secret": credentials.secret_key}
    async with session.ws_connect("/stream") as trades, market_data(session, login=False) as data:
        for socket in (trades, data):
            await socket.send_json(login)
            assert await is_silent(socket)
            assert not socket.closed


@shows(Kind.REFUSE_OLD_LOGIN)
async def the_old_form_of_the_login_is_refused_and_the_new_one_is_not(exchange, session):
    exchange.set_faults({"kind": "refuse_old_login"})
    credentials = exchange.venue.settings.credentials
    async with session.ws_connect("/stream") as socket:
        data = {"key_id": credentials.key_id, "secret_key": credentials.secret_key}
        await socket.send_json({"action": "authenticate", "data": data})
        assert (await receive(socket))["data"]["status"] == "unauthorized"
    async with trade_updates(session, exchange):
        pass


@shows(Kind.SILENT_SUBSCRIBE)
async def a_subscription_is_never_answered_and_has_no_effect(exchange, session):
    exchange.set_faults({"kind": "silent_subscribe", "where": "stream:*"})
    async with market_data(session) as socket:
        await socket.send_json({"action": "subscribe", "quotes": ["AAPL"]})
        await asyncio.sleep(0.05)
        await exchange.step(60)
        assert await is_silent(socket)


@shows(Kind.SHORT_SUBSCRIPTION)
async def a_subscription_holds_half_of_what_was_asked_for(exchange, session):
    exchange.set_faults({"kind": "short_subscription", "where": DATA})
    async with market_data(session) as socket:
        state = await subscribe(socket, quotes=["AAPL", "MSFT"])
        assert len(state["quotes"]) == 1


async def subscribe(socket: Socket, **channels: list[str]) -> Event:
    await socket.send_json({"action": "subscribe", **channels})
    (state,) = await receive(socket)
    assert state["T"] == "subscription", state
    return dict(state)


async def messages(exchange: RunningExchange, socket: Socket, seconds: float = 120) -> list[Event]:
    """Everything that market data says while some venue time passes."""
    await exchange.step(seconds)
    told: list[Event] = []
    while True:
        try:
            message = await socket.receive_json(timeout=SILENCE_SECONDS)
        except TimeoutError:
            return told
        told += message


@shows(Kind.CORRECT_TRADE, Kind.CANCEL_TRADE, Kind.UPDATE_BAR, Kind.LATE_TRADE)
async def trades_are_corrected_cancelled_and_late_and_bars_updated(exchange, session):
    async with market_data(session) as socket:
        await subscribe(socket, trades=["AAPL"], bars=["AAPL"], updatedBars=["AAPL"])
        exchange.set_faults({"kind": "correct_trade"}, {"kind": "cancel_trade"}, {"kind": "update_bar"})
        told = await messages(exchange, socket)
        ids = {letter: [m.get("i", m.get("oi")) for m in told if m["T"] == letter] for letter in "tcx"}
        assert ids["t"]
        assert ids["t"] == ids["c"] == ids["x"]
        assert any(message["T"] == "u" for message in told)
        exchange.set_faults({"kind": "late_trade", "latency_ms": 600_000})
        late = [message["t"] for message in await messages(exchange, socket) if message["T"] == "t"]
        assert late
        assert max(late) < "2024-06-03T13:31"


@shows(Kind.BAD_QUOTE)
async def quotes_are_wrong_in_six_ways(exchange, session):
    wrong = {
        "crossed": lambda q: q["bp"] > q["ap"],
        "locked": lambda q: q["bp"] == q["ap"],
        "zero": lambda q: q["bp"] == q["ap"] == 0,
        "negative": lambda q: q["bp"] < 0 and q["ap"] < 0,
        "stale": lambda q: q["t"] < "2024-06-03T13",
        "ten_times": lambda q: q["bp"] > 1_000,
    }
    async with market_data(session) as socket:
        await subscribe(socket, quotes=["AAPL"])
        for how, is_wrong in wrong.items():
            exchange.set_faults({"kind": "bad_quote", "how": how})
            told = await messages(exchange, socket, 20)
            assert told, how
            assert all(map(is_wrong, told)), how


@shows(Kind.FLOOD)
async def every_batch_comes_several_times(exchange, session):
    async with market_data(session) as socket:
        await subscribe(socket, quotes=["AAPL"])
        exchange.set_faults({"kind": "flood", "copies": 10})
        told = [str(message) for message in await messages(exchange, socket, 20)]
        assert told
        assert len(told) == 10 * len(set(told))
