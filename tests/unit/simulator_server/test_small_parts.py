"""Logins, budgets, stamps and refusals have the forms that Alpaca gives them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.auth import Credentials, is_authorized
from quant_trading_system.simulator.server.data_frames import JSON, MSGPACK, Encoding, MarketMessage, split_frames
from quant_trading_system.simulator.server.errors import refusal_answer, unauthorized_answer
from quant_trading_system.simulator.server.exclusions import _refuse
from quant_trading_system.simulator.server.profiles import Profile
from quant_trading_system.simulator.server.rate_limit import RateLimiter
from quant_trading_system.simulator.server.stamps import eastern_text, msgpack_stamp, parse_instant, stamp_text

CREDENTIALS = Credentials(key_id="PKSIM", secret_key="sim")
OPEN_NS = 1_381_152_600_000_000_000
MINUTE_NS = 60_000_000_000


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    ("headers", "is_right"),
    [
        ({"APCA-API-KEY-ID": "PKSIM", "APCA-API-SECRET-KEY": "sim"}, True),
        ({"APCA-API-KEY-ID": "PKSIM", "APCA-API-SECRET-KEY": "wrong"}, False),
        ({"APCA-API-KEY-ID": "PKSIM"}, False),
        (basic("PKSIM:sim"), True),
        (basic("PKSIM:sim2"), False),
        (basic("PKSIM"), False),
        ({"Authorization": "Basic ???"}, False),
        ({"Authorization": "Bearer sim"}, True),
        ({"Authorization": "Bearer no"}, False),
        ({}, False),
    ],
)
def test_three_ways_to_log_in_and_no_other(headers, is_right):
    assert is_authorized(headers, CREDENTIALS) is is_right


def test_a_secret_does_not_show_in_the_credentials_text():
    assert "sim" not in repr(Credentials(key_id="PK", secret_key="simsecret"))


def test_a_budget_is_used_up_and_refilled_with_the_next_minute():
    limiter = RateLimiter(2)
    taken = [limiter.take("trading", Nanos(OPEN_NS + second)) for second in range(3)]
    assert [allowance.is_allowed for allowance in taken if allowance] == [True, True, False]
    assert taken[0] is not None
    assert taken[0].headers() == {
        "X-RateLimit-Limit": "2",
        "X-RateLimit-Remaining": "1",
        "X-RateLimit-Reset": str((OPEN_NS + MINUTE_NS) // 1_000_000_000),
    }
    other, later = limiter.take("data", Nanos(OPEN_NS)), limiter.take("trading", Nanos(OPEN_NS + MINUTE_NS))
    assert other is not None
    assert other.is_allowed
    assert later is not None
    assert later.remaining == 1


def test_without_a_limit_nothing_is_counted():
    assert RateLimiter(0).take("trading", Nanos(OPEN_NS)) is None


def test_stamps_are_written_as_alpaca_writes_them():
    assert stamp_text(OPEN_NS) == "2013-10-07T13:30:00Z"
    assert stamp_text(OPEN_NS + 120_000_000) == "2013-10-07T13:30:00.12Z"
    assert stamp_text(OPEN_NS + 1) == "2013-10-07T13:30:00.000000001Z"
    assert eastern_text(OPEN_NS + 7) == "2013-10-07T09:30:00.000000007-04:00"
    assert eastern_text(OPEN_NS, with_fraction=False) == "2013-10-07T09:30:00-04:00"


def test_a_msgpack_stamp_is_the_standard_extension():
    packed = msgspec.msgpack.encode(msgpack_stamp(OPEN_NS + 123_000))
    assert msgspec.msgpack.decode(packed) == datetime(2013, 10, 7, 13, 30, 0, 123, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "after_open_ns"),
    [
        ("2013-10-07T13:30:00Z", 0),
        ("2013-10-07T09:30:00-04:00", 0),
        ("2013-10-07T13:30:00.000000001+00:00", 1),
        ("2013-10-07T13:31", MINUTE_NS),
        ("2013-10-07", -(13 * 60 + 30) * MINUTE_NS),
    ],
)
def test_instants_are_read_with_and_without_offset(text, after_open_ns):
    assert parse_instant(text) == OPEN_NS + after_open_ns


def test_without_an_offset_the_given_zone_counts():
    assert parse_instant("2013-10-07T09:30", zone=ZoneInfo("America/New_York")) == OPEN_NS


@pytest.mark.parametrize(
    "text", ["", "now", "2013-13-07", "2013-10-07T25:00:00", "1381152600", "2013-10-07T09:30:00EST"]
)
def test_what_is_no_instant_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_instant(text)


def test_a_refusal_with_extras_has_its_keys_sorted_and_one_without_begins_with_the_code():
    plain = refusal_answer(Refusal(422, 40010001, "qty must be > 0"))
    assert plain.body == b'{"code":40010001,"message":"qty must be > 0"}'
    extra = refusal_answer(
        Refusal(403, 40310000, "insufficient buying power", {"buying_power": "1", "cost_basis": "2"})
    )
    assert list(json.loads(str(extra.text))) == ["buying_power", "code", "cost_basis", "message"]
    assert extra.status == 403


def test_without_a_login_clock_and_calendar_answer_with_a_page():
    assert unauthorized_answer("/v2/clock", profile=Profile.CURRENT).content_type == "text/html"
    assert unauthorized_answer("/v2/orders", profile=Profile.CURRENT).body == b'{"message":"unauthorized."}'
    assert "40110000" in str(unauthorized_answer("/v2/orders", profile=Profile.LEGACY_2021).text)


def test_a_message_is_encoded_once_for_each_encoding():
    made: list[str] = []

    def make(encoding):
        made.append(encoding.name)
        return {"T": "t"}

    message = MarketMessage("trades", "IBM", make)
    for _ in range(3):
        message.encoded(JSON)
        message.encoded(MSGPACK)
    assert made == ["json", "msgpack"]


@pytest.mark.parametrize("count", [1, 15, 16, 200, 201, 450])
def test_frames_hold_every_message_once_and_at_most_200(count):
    decoders: list[tuple[Encoding, Any]] = [(JSON, msgspec.json.decode), (MSGPACK, msgspec.msgpack.decode)]
    for encoding, decode in decoders:
        frames = split_frames(encoding, [encoding.encode({"n": number}) for number in range(count)])
        lists = [decode(frame) for frame in frames]
        assert max(map(len, lists)) <= 200
        assert [item["n"] for part in lists for item in part] == list(range(count))


@pytest.mark.asyncio
async def test_a_refused_path_keeps_nothing_of_the_requests_before():
    refusals = []
    for _ in range(3):
        with pytest.raises(Refusal) as raised:
            await _refuse(make_mocked_request("GET", "/v2/wallets"))
        refusals.append(raised.value)
    assert len(set(map(id, refusals))) == 3
