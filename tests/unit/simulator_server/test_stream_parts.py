"""Parts of the streams on their own: how every market message is written, the delay line, spans and ids of events."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

import msgspec
import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator.assets import assets_of
from quant_trading_system.simulator.events import (
    MarketEvent,
    OrderEvent,
    SimBar,
    SimCancelError,
    SimCorrection,
    SimImbalance,
    SimLuld,
    SimOrderbook,
    SimQuote,
    SimStatus,
    SimTrade,
)
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.data_frames import JSON, MSGPACK
from quant_trading_system.simulator.server.delay_line import DelayLine
from quant_trading_system.simulator.server.event_span import Span, read_span
from quant_trading_system.simulator.server.event_wire import order_event_json, parse_ulid, ulid, ulid_number
from quant_trading_system.simulator.server.feeds import channel_of
from quant_trading_system.simulator.server.market_wire import MarketWire
from quant_trading_system.simulator.server.profiles import Profile, manners_of
from tests.support.scripted_market import ScriptedMarket
from tests.unit.simulator_core.desk_script import Floor, buy

T = 1_795_444_200_000_000_001
STAMP = "2026-11-23T14:30:00.000000001Z"
WIRE = MarketWire(assets_of(("AAPL", "JPM", "SPY")))

CASES: list[tuple[MarketEvent, str, str]] = [
    (
        SimTrade("AAPL", 100.25, 50.0, T, "V", 7, ("@", "I")),
        "trades",
        f'{{"T":"t","S":"AAPL","i":7,"x":"V","p":100.25,"s":50,"c":["@","I"],"t":"{STAMP}","z":"C"}}',
    ),
    (
        SimQuote("JPM", 100.0, 200.0, 100.01, 300.0, T),
        "quotes",
        f'{{"T":"q","S":"JPM","bx":"V","bp":100.0,"bs":200,"ax":"V","ap":100.01,"as":300,"c":["R"],"t":"{STAMP}","z":"A"}}',
    ),
    (
        SimBar("SPY", 1.0, 2.0, 0.5, 1.5, 900.0, T, 3, 1.25),
        "bars",
        f'{{"T":"b","S":"SPY","o":1.0,"h":2.0,"l":0.5,"c":1.5,"v":900,"t":"{STAMP}","n":3,"vw":1.25}}',
    ),
    (
        SimBar("SPY", 1.0, 2.0, 0.5, 1.5, 900.0, T, 3, 1.25, "u"),
        "updatedBars",
        f'{{"T":"u","S":"SPY","o":1.0,"h":2.0,"l":0.5,"c":1.5,"v":900,"t":"{STAMP}","n":3,"vw":1.25}}',
    ),
    (
        SimBar("SPY", 1.0, 2.0, 0.5, 1.5, 900.0, T, 3, 1.25, "d"),
        "dailyBars",
        f'{{"T":"d","S":"SPY","o":1.0,"h":2.0,"l":0.5,"c":1.5,"v":900,"t":"{STAMP}","n":3,"vw":1.25}}',
    ),
    (
        SimStatus("AAPL", "H", "Trading Halt", "T12", "Additional Information Requested", T),
        "statuses",
        '{"T":"s","S":"AAPL","sc":"H","sm":"Trading Halt","rc":"T12","rm":"Additional Information Requested",'
        f'"t":"{STAMP}","z":"C"}}',
    ),
    (
        SimLuld("AAPL", 105.0, 95.0, "B", T),
        "lulds",
        f'{{"T":"l","S":"AAPL","u":105.0,"d":95.0,"i":"B","t":"{STAMP}","z":"C"}}',
    ),
    (
        SimCorrection("AAPL", "V", 7, 100.0, 50.0, ("@",), 8, 99.0, 40.0, ("@", "I"), T),
        "corrections",
        '{"T":"c","S":"AAPL","x":"V","oi":7,"op":100.0,"os":50,"oc":["@"],"ci":8,"cp":99.0,"cs":40,"cc":["@","I"],'
        f'"t":"{STAMP}","z":"C"}}',
    ),
    (
        SimCancelError("AAPL", 7, "V", 100.0, 50.0, "C", T),
        "cancelErrors",
        f'{{"T":"x","S":"AAPL","i":7,"x":"V","p":100.0,"s":50,"a":"C","t":"{STAMP}","z":"C"}}',
    ),
    (SimImbalance("AAPL", 100.0, T), "imbalances", f'{{"T":"i","S":"AAPL","p":100.0,"t":"{STAMP}","z":"C"}}'),
    (
        SimOrderbook("BTC/USD", ((99.5, 1.0),), ((100.5, 0.25), (101.0, 2.0)), True, T),
        "orderbooks",
        f'{{"T":"o","S":"BTC/USD","t":"{STAMP}","b":[{{"p":99.5,"s":1.0}}],'
        '"a":[{"p":100.5,"s":0.25},{"p":101.0,"s":2.0}],"r":true}',
    ),
    (
        SimOrderbook("BTC/USD", ((99.5, 0.0),), (), False, T),
        "orderbooks",
        f'{{"T":"o","S":"BTC/USD","t":"{STAMP}","b":[{{"p":99.5,"s":0.0}}],"a":[]}}',
    ),
    (
        SimTrade("BTC/USD", 100.25, 0.125, T, "", 7, (), "B"),
        "trades",
        f'{{"T":"t","S":"BTC/USD","p":100.25,"s":0.125,"t":"{STAMP}","i":7,"tks":"B"}}',
    ),
    (
        SimQuote("BTC/USD", 100.0, 0.5, 100.5, 1.5, T),
        "quotes",
        f'{{"T":"q","S":"BTC/USD","bp":100.0,"bs":0.5,"ap":100.5,"as":1.5,"t":"{STAMP}"}}',
    ),
]


@pytest.mark.parametrize(("event", "channel", "text"), CASES)
def test_every_market_message_is_written_with_alpacas_keys_in_their_order(event, channel, text):
    message = WIRE.message(event)
    assert message.channel == channel_of(event) == channel
    assert message.encoded(JSON).decode() == text
    packed = msgspec.msgpack.decode(message.encoded(MSGPACK))
    assert packed.pop("t").timestamp() * 10**6 == T // 1_000
    assert packed == {name: value for name, value in msgspec.json.decode(text).items() if name != "t"}


def test_no_kind_of_market_message_is_left_out():
    assert {type(event) for event, _, _ in CASES} == set(get_args(MarketEvent))


# --- the delayed feed

MINUTE_NS = 60 * NANOS_PER_SECOND


def line() -> tuple[DelayLine, ScriptedMarket]:
    market = ScriptedMarket(("AAPL",), start_ns=Nanos(T), last_close=100.0)
    return DelayLine(market, 15 * MINUTE_NS), market


def trade_at(stamp_ns: int) -> SimTrade:
    return SimTrade("AAPL", 100.0, 10.0, stamp_ns, "V", stamp_ns - T)


def test_a_delayed_event_is_told_a_quarter_of_an_hour_later_and_not_a_nanosecond_before():
    delayed, _ = line()
    delayed.note(trade_at(T), T)
    assert delayed.due(T + 15 * MINUTE_NS - 1) == []
    assert delayed.due(T + 15 * MINUTE_NS) == [trade_at(T)]
    assert delayed.due(T + 99 * MINUTE_NS) == []


def test_a_delayed_subscription_begins_in_the_past_and_forgets_it_when_it_ends():
    delayed, market = line()
    now_ns = T + 20 * MINUTE_NS
    before, within = trade_at(T + 2 * MINUTE_NS), trade_at(T + 10 * MINUTE_NS)
    market.say(before)
    market.say(within)
    list(market.events_until(Nanos(now_ns)))
    delayed.recall([("trades", "AAPL")], now_ns)
    delayed.note(trade_at(now_ns + 1), now_ns + 1)
    assert delayed.due(now_ns) == []
    assert delayed.due(now_ns + 5 * MINUTE_NS) == [within]
    delayed.forget({("trades", "AAPL")})
    assert delayed.due(now_ns + 99 * MINUTE_NS) == []


# --- event streams


def test_ids_of_events_are_ulids_that_sort_and_read_back():
    ids = [ulid(T, 1), ulid(T, 2), ulid(T + 10**6, 3)]
    assert ids == sorted(ids)
    assert [len(one) for one in ids] == [26, 26, 26]
    assert parse_ulid(ids[1]) == ulid_number(T, 2)
    for wrong in ("", "0" * 25, "U" * 26, "Z" * 26):
        with pytest.raises(ValueError, match=r"expected|substring"):
            parse_ulid(wrong)


@pytest.mark.parametrize(
    "query",
    [
        {"until": "2026-11-23"},
        {"until_id": ulid(T, 1)},
        {"since": "2026-11-23", "since_id": ulid(T, 1)},
        {"since": "yesterday"},
        {"since_id": "1"},
    ],
)
def test_a_span_that_makes_no_sense_is_refused(query):
    with pytest.raises(Refusal) as caught:
        read_span(query)
    assert (caught.value.http_status, caught.value.code) == (422, 40010001)


def test_a_span_holds_its_first_moment_and_its_last_event_but_not_the_event_that_the_client_has():
    by_day = read_span({"since": "2026-11-23", "until": "2026-11-23"})
    assert by_day.includes(stamp_ns=T, number=1)
    assert by_day.is_over(T) is False
    assert by_day.is_over(T + 86_400 * NANOS_PER_SECOND)
    by_id = read_span({"since_id": ulid(T, 1), "until_id": ulid(T, 3)})
    numbers = [ulid_number(T, sequence) for sequence in (1, 2, 3, 4)]
    assert [by_id.includes(stamp_ns=T, number=number) for number in numbers] == [False, True, True, False]
    assert not Span().has_history


# --- order events


def told(event: OrderEvent, profile: Profile = Profile.CURRENT) -> dict[str, object] | None:
    return manners_of(profile).event(order_event_json(event, published_ns=event.timestamp_ns + 1_500))


def events_of_a_fill() -> list[OrderEvent]:
    floor = Floor()
    floor.submit(buy())
    floor.wait()
    return floor.events


def test_a_fill_has_the_keys_of_the_recording_in_their_order():
    pending, new, fill = (told(event) for event in events_of_a_fill())
    assert pending is not None
    assert new is not None
    assert fill is not None
    assert list(pending) == ["at", "event_id", "event", "timestamp", "order"]
    assert list(new) == [*pending, "execution_id"]
    assert list(fill) == [*pending, "price", "qty", "position_qty", "execution_id"]
    assert fill["at"] > fill["timestamp"]  # type: ignore[operator]  # texts of one form


def test_crypto_fills_alone_say_when_they_settle():
    fill = events_of_a_fill()[-1]
    order = msgspec.structs.replace(fill.order, asset_class="crypto", symbol="BTC/USD")
    data = told(msgspec.structs.replace(fill, order=order))
    assert data is not None
    assert list(data)[-3:] == ["execution_id", "swap_rate", "settle_date"]
    assert (data["swap_rate"], data["settle_date"]) == ("1", "2026-11-23")


@pytest.mark.parametrize("name", ["trade_bust", "trade_correct"])
def test_a_bust_and_a_correction_name_the_execution_that_they_take_back(name):
    fill = events_of_a_fill()[-1]
    event = msgspec.structs.replace(
        fill, event=name, qty=Decimal(-10), previous_execution_id=fill.execution_id, execution_id="e3"
    )
    data = told(event)
    assert data is not None
    assert (data["qty"], data["previous_execution_id"], data["execution_id"]) == ("-10", fill.execution_id, "e3")


def test_events_of_2021_have_no_ids_and_eastern_stamps_and_new_has_no_timestamp():
    pending, new, fill = (told(event, Profile.LEGACY_2021) for event in events_of_a_fill())
    assert pending is None
    assert new is not None
    assert fill is not None
    assert list(new) == ["event", "order"]
    assert list(fill) == ["event", "timestamp", "order", "price", "qty", "position_qty", "execution_id"]
    order = fill["order"]
    assert isinstance(order, dict)
    assert order["created_at"].endswith("-05:00")
    assert order["filled_at"].endswith("Z")
