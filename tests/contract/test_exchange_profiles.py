"""Answers of an earlier date: the keys, words and rules of each profile, and nothing of a later one."""

from __future__ import annotations

import aiohttp
import pytest

from quant_trading_system.simulator.server.settings import Profile, ServerSettings, TradeFrames
from quant_trading_system.simulator.server.testing import running_exchange
from tests.contract.exchange_support import call, receive, served, submit, trade_updates

pytestmark = pytest.mark.asyncio

RESTING = {"type": "limit", "limit_price": "1"}
ORDER_KEYS_2021 = [
    "id", "client_order_id", "created_at", "updated_at", "submitted_at", "filled_at", "expired_at", "canceled_at",
    "failed_at", "replaced_at", "replaced_by", "replaces", "asset_id", "symbol", "asset_class", "notional", "qty",
    "filled_qty", "filled_avg_price", "order_class", "order_type", "type", "side", "time_in_force", "limit_price",
    "stop_price", "status", "extended_hours", "legs", "trail_percent", "trail_price", "hwm",
]  # fmt: skip
ACCOUNT_KEYS_2021 = {
    "id", "account_number", "status", "currency", "buying_power", "regt_buying_power", "daytrading_buying_power",
    "cash", "portfolio_value", "pattern_day_trader", "trading_blocked", "transfers_blocked", "account_blocked",
    "created_at", "trade_suspended_by_user", "multiplier", "shorting_enabled", "equity", "last_equity",
    "long_market_value", "short_market_value", "initial_margin", "maintenance_margin", "last_maintenance_margin",
    "sma", "daytrade_count",
}  # fmt: skip


def of(profile: Profile) -> ServerSettings:
    return ServerSettings(profile=profile, requests_per_minute=0)


@pytest.mark.parametrize("profile", list(Profile))
async def test_day_trade_fields_come_as_one_set(profile):
    async with served(server=of(profile)) as (_, session):
        _, account = await call(session, "GET", "/v2/account")
        _, configurations = await call(session, "GET", "/v2/account/configurations")
    expected = profile is not Profile.CURRENT
    for name in ("pattern_day_trader", "daytrade_count", "daytrading_buying_power"):
        assert (name in account) is expected
    for name in ("pdt_check", "dtbp_check"):
        assert (name in configurations) is expected


async def test_an_account_of_2021_has_the_keys_of_2021():
    async with served(server=of(Profile.LEGACY_2021)) as (_, session):
        _, account = await call(session, "GET", "/v2/account")
        _, configurations = await call(session, "GET", "/v2/account/configurations")
        _, days = await call(session, "GET", "/v2/calendar?start=2024-06-03&end=2024-06-03")
        _, asset = await call(session, "GET", "/v2/assets/AAPL")
    assert set(account) == ACCOUNT_KEYS_2021
    assert set(configurations) == {
        "dtbp_check", "fractional_trading", "max_margin_multiplier", "no_shorting", "pdt_check", "suspend_trade",
        "trade_confirm_email",
    }  # fmt: skip
    assert days == [
        {"date": "2024-06-03", "open": "09:30", "close": "16:00", "session_open": "0700", "session_close": "1900"}
    ]
    assert set(asset) == {
        "id", "class", "exchange", "symbol", "name", "status", "tradable", "marginable", "shortable", "easy_to_borrow",
    }  # fmt: skip


async def test_an_order_of_2021_is_accepted_and_its_replacement_new():
    async with served(server=of(Profile.LEGACY_2021)) as (exchange, session):
        _, order = await submit(session, **RESTING)
        assert list(order) == ORDER_KEYS_2021
        assert order["status"] == "accepted"
        await exchange.step(1)
        _, new = await call(session, "PATCH", f"/v2/orders/{order['id']}", {"limit_price": "2"})
        assert (new["status"], list(new)) == ("new", ORDER_KEYS_2021)
        await submit(session)
        await exchange.step(60)
        _, positions = await call(session, "GET", "/v2/positions")
        assert "qty_available" not in positions[0]
        _, answer = await call(session, "DELETE", "/v2/positions?cancel_orders=true")
        assert list(next(entry["body"] for entry in answer if entry["status"] == 200)) == ORDER_KEYS_2021


async def test_a_refusal_has_the_newest_words_in_every_profile():
    async with served(server=of(Profile.LEGACY_2021)) as (exchange, session):
        assert await submit(session, symbol="FACEBOOK") == (
            422, {"code": 42210000, "message": 'asset "FACEBOOK" not found'},
        )  # fmt: skip
        _, error = await submit(session, type="limit")
        assert error["message"] == "limit orders require a limit price"
        _, order = await submit(session, **RESTING)
        await exchange.step(1)
        await call(session, "DELETE", f"/v2/orders/{order['id']}")
        await exchange.step(1)
        assert await call(session, "PATCH", f"/v2/orders/{order['id']}", {"qty": "2"}) == (
            422, {"code": 42210000, "message": "unable to replace order, order is not open"},
        )  # fmt: skip


async def test_a_stranger_of_2021_was_refused_with_a_code_everywhere():
    server = of(Profile.LEGACY_2021)
    async with running_exchange(server=server) as exchange, aiohttp.ClientSession(exchange.url) as stranger:
        for path in ("/v2/account", "/v2/clock"):
            status, error = await call(stranger, "GET", path)
            assert (status, error["code"]) == (401, 40110000)


async def test_a_price_finer_than_a_tick_was_cut_in_2021_and_is_refused_today():
    price = {"type": "limit", "limit_price": "3.7885", "side": "buy"}
    legs = {"order_class": "bracket", "take_profit": {"limit_price": "9.032"}, "stop_loss": {"stop_price": "2.0195"}}
    async with served(server=of(Profile.LEGACY_2021)) as (exchange, session):
        _, order = await submit(session, **price)
        assert order["limit_price"] == "3.78"
        _, bracket = await submit(session, **price, **legs)
        assert (bracket["limit_price"], bracket["legs"][0]["limit_price"]) == ("3.78", "9.032")
        await exchange.step(1)
        _, new = await call(session, "PATCH", f"/v2/orders/{order['id']}", {"limit_price": "2.999"})
        assert new["limit_price"] == "2.99"
    async with served() as (_, session):
        assert (await submit(session, **price))[1]["code"] == 42210000


async def test_the_stream_of_2021_knows_no_pending_new_and_no_event_ids():
    server = ServerSettings(profile=Profile.LEGACY_2021, requests_per_minute=0, trade_frames=TradeFrames.BINARY)
    async with served(server=server) as (exchange, session), trade_updates(session, exchange) as socket:
        await submit(session, qty="1")
        await exchange.step(60)
        events = [(await receive(socket))["data"] for _ in range(2)]
    assert [event["event"] for event in events] == ["new", "fill"]
    assert set(events[0]) == {"event", "order"}
    assert {"event", "timestamp", "order", "price", "qty", "position_qty", "execution_id"} == set(events[1])
    assert list(events[1]["order"]) == ORDER_KEYS_2021


async def round_trip(exchange, session, **sale):
    assert (await submit(session))[0] == 200
    await exchange.step(60)
    answer = await submit(session, side="sell", **sale)
    await exchange.step(60)
    return answer


DENIED = {"code": 40310100, "message": "trade denied due to pattern day trading protection"}


@pytest.mark.parametrize(("profile", "cash", "is_denied"), [
    (Profile.BEFORE_2026_07, "24000", True), (Profile.LEGACY_2021, "24000", True),
    (Profile.BEFORE_2026_07, "26000", False), (Profile.CURRENT, "24000", False),
])  # fmt: skip
async def test_a_small_account_makes_three_day_trades_in_five_days(profile, cash, is_denied):
    async with served(server=of(profile), cash=cash) as (exchange, session):
        for _ in range(3):
            assert (await round_trip(exchange, session))[0] == 200
        if profile.has_day_trade_fields:
            assert (await call(session, "GET", "/v2/account"))[1]["daytrade_count"] == 3
        answer = await submit(session)
        assert (answer == (403, DENIED)) is is_denied
        await call(session, "PATCH", "/v2/account/configurations", {"pdt_check": "exit"})
        answer = await round_trip(exchange, session)
        assert (answer == (403, DENIED)) is is_denied
        await exchange.jump_to("2024-06-04T09:31")
        if is_denied:
            assert (await call(session, "DELETE", "/v2/positions"))[1][0]["status"] == 200  # held over night
