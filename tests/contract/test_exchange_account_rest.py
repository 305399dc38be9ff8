"""The account over REST: every answer here is judged by Alpaca's schemas on the way (exchange_support)."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import CorporateActionType
from alpaca.trading.requests import GetCorporateAnnouncementsRequest, GetPortfolioHistoryRequest

from quant_trading_system.simulator.chance import asset_id
from quant_trading_system.simulator.configurations import AccountFlags
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.server.settings import Profile, ServerSettings
from tests.contract.exchange_support import call, served, submit

pytestmark = pytest.mark.asyncio

DIVIDEND = CorporateAction(
    id=asset_id("a dividend"),
    kind="cash_dividend",
    symbol="AAPL",
    ex_date=date(2024, 6, 5),
    process_date=date(2024, 6, 7),
    record_date=date(2024, 6, 6),
    payable_date=date(2024, 6, 7),
    cash=Decimal("0.25"),
    cusip="037833100",
)
SPLIT = CorporateAction(
    id=asset_id("a split"),
    kind="forward_split",
    symbol="MSFT",
    ex_date=date(2024, 6, 6),
    process_date=date(2024, 6, 6),
    old_rate=Decimal(1),
    new_rate=Decimal(4),
)


async def test_a_fresh_account_is_a_paper_account_of_today():
    async with served() as (_, session):
        _, account = await call(session, "GET", "/v2/account")
        numbers = {
            name: account[name] for name in ("cash", "equity", "buying_power", "regt_buying_power", "multiplier")
        }
        assert numbers == {
            "cash": "100000", "equity": "100000", "buying_power": "400000", "regt_buying_power": "200000",
            "multiplier": "4",
        }  # fmt: skip
        assert (account["shorting_enabled"], account["intraday_adjustments"]) == (True, "0")
        assert account["user_configurations"] is None
        assert "pattern_day_trader" not in account


async def test_flags_and_configurations_show_in_the_account():
    async with served() as (exchange, session):
        exchange.exchange.account_flags = AccountFlags(status="ACCOUNT_UPDATED", trading_blocked=True)
        status, told = await call(session, "PATCH", "/v2/account/configurations", {"max_margin_multiplier": "2"})
        assert (status, told["max_margin_multiplier"], list(told)) == (200, "2", sorted(told))
        assert (await call(session, "GET", "/v2/account/configurations"))[1] == told
        _, account = await call(session, "GET", "/v2/account")
        assert (account["status"], account["trading_blocked"], account["multiplier"]) == ("ACCOUNT_UPDATED", True, "2")
        assert account["user_configurations"] == {"fractional_trading": True, "max_margin_multiplier": "2"}
        assert (await submit(session))[0] == 403
        status, error = await call(session, "PATCH", "/v2/account/configurations", {"suspend_trade": "no"})
        assert (status, error["message"]) == (422, "suspend_trade must be a boolean")


async def test_the_day_trade_fields_and_checks_are_of_earlier_days():
    server = ServerSettings(requests_per_minute=0, profile=Profile.BEFORE_2026_07)
    async with served(server=server) as (_, session):
        _, account = await call(session, "GET", "/v2/account")
        assert (account["daytrade_count"], account["daytrading_buying_power"]) == (0, "400000")
        status, told = await call(session, "PATCH", "/v2/account/configurations", {"pdt_check": "both"})
        assert (status, told["pdt_check"], told["dtbp_check"]) == (200, "both", "entry")


async def test_a_short_sale_is_told_of_as_one_and_its_position_is_negative():
    async with served() as (exchange, session):
        await submit(session, side="sell", qty="3")
        await exchange.step(2)
        _, (fill, *_) = await call(session, "GET", "/v2/account/activities/FILL")
        assert fill["side"] == "sell_short"
        _, position = await call(session, "GET", "/v2/positions/AAPL")
        assert (position["side"], position["qty"], position["qty_available"]) == ("short", "-3", "-3")
        assert Decimal(position["market_value"]) < 0 > Decimal(position["cost_basis"])


async def test_activities_are_one_line_of_fills_and_others_with_pages_and_filters():
    async with served() as (exchange, session):
        exchange.exchange.transfer(Decimal(500))
        await submit(session)
        await exchange.step(2)
        _, rows = await call(session, "GET", "/v2/account/activities")
        assert [row["activity_type"] for row in rows][-1] == "CSD"
        deposit = rows[-1]
        assert (deposit["net_amount"], deposit["date"], deposit["status"]) == ("500", "2024-06-03", "executed")
        assert deposit["id"].startswith("20240603000000000::")
        assert deposit["created_at"].endswith("Z")
        path = "/v2/account/activities?page_size=1&direction=asc"
        _, first = await call(session, "GET", path)
        _, second = await call(session, "GET", f"{path}&page_token={first[0]['id']}")
        assert [first[0]["activity_type"], second[0]["activity_type"]] == ["CSD", "FILL"]
        _, others = await call(session, "GET", "/v2/account/activities?category=non_trade_activity")
        assert others == [deposit]
        assert (await call(session, "GET", "/v2/account/activities?activity_types=TRANS,FILL"))[1] == rows
        for query in ("category=trade_activity&activity_types=FILL", "page_size=101", "direction=up", "page_token=x"):
            assert (await call(session, "GET", f"/v2/account/activities?{query}"))[0] == 422


async def test_portfolio_history_has_arrays_of_one_length():
    path = "/v2/account/portfolio/history"
    async with served() as (exchange, session):
        await submit(session, qty="100")
        await exchange.step(600)
        _, told = await call(
            session, "GET", "/v2/account/portfolio/history?period=1D&timeframe=5Min&cashflow_types=ALL"
        )
        names = ("timestamp", "equity", "profit_loss", "profit_loss_pct")
        assert {len(told[name]) for name in names} == {3}
        assert (told["timeframe"], told["base_value"], told["cashflow"]) == ("5Min", 100000.0, {})
        status, error = await call(session, "GET", f"{path}?period=1Y")
        assert (status, error["message"]) == (422, "invalid period: 1Y")
        assert (await call(session, "GET", f"{path}?cashflow_types=NOPE"))[0] == 422
        assert "cashflow" not in (await call(session, "GET", path))[1]
        assert (await call(session, "GET", f"{path}?end=0001-01-01"))[1]["timestamp"] == []


async def test_watchlists_answer_to_every_verb_by_id_and_by_name():
    async with served() as (_, session):
        status, made = await call(session, "POST", "/v2/watchlists", {"name": "a b", "symbols": ["MSFT"]})
        assert (status, [asset["symbol"] for asset in made["assets"]]) == (200, ["MSFT"])
        assert list(made) == ["id", "account_id", "created_at", "updated_at", "name", "assets"]
        by_id, by_name = f"/v2/watchlists/{made['id']}", "/v2/watchlists:by_name?name=a%20b"
        for path, symbol in ((by_id, "AAPL"), (by_name, "SPY")):
            assert (await call(session, "GET", path))[1]["name"] == "a b"
            assert (await call(session, "POST", path, {"symbol": symbol}))[1]["assets"][-1]["symbol"] == symbol
        _, left = await call(session, "DELETE", f"{by_id}/AAPL")
        assert [asset["symbol"] for asset in left["assets"]] == ["MSFT", "SPY"]
        assert (await call(session, "PUT", by_id, {"symbols": ["AAPL"]}))[0] == 200
        _, (listed,) = await call(session, "GET", "/v2/watchlists")
        assert "assets" not in listed
        assert await call(session, "DELETE", by_name) == (204, None)
        assert (await call(session, "GET", by_id))[0] == 404
        assert (await call(session, "GET", by_name))[1]["message"] == "watchlist not found: a b"
        assert (await call(session, "GET", "/v2/watchlists/fake_id"))[1]["message"] == "watchlist is required"
        assert (await call(session, "DELETE", by_name))[0] == 404


async def test_assets_are_filtered_and_pairs_have_both_forms():
    symbols = ("AAPL", "JPM", "SPY", "BTC/USD")
    async with served(symbols=symbols) as (_, session):
        _, equities = await call(session, "GET", "/v2/assets")
        assert [asset["symbol"] for asset in equities] == ["SPY", "AAPL", "JPM"]
        _, coins = await call(session, "GET", "/v2/assets?asset_class=crypto")
        assert [asset["symbol"] for asset in coins] == ["BTC/USD"]
        assert "borrow_status" not in coins[0]
        assert coins[0]["min_trade_increment"] == "0.000000001"
        for path in ("BTCUSD", "BTC%2FUSD", coins[0]["id"]):
            assert await call(session, "GET", f"/v2/assets/{path}") == (200, coins[0])
        found = {
            query: [asset["symbol"] for asset in (await call(session, "GET", f"/v2/assets?{query}"))[1]]
            for query in ("exchange=NYSE", "status=inactive", "attributes=fractional_eh_enabled,ipo", "attributes=ipo")
        }
        assert found == {
            "exchange=NYSE": ["JPM"],
            "status=inactive": [],
            "attributes=fractional_eh_enabled,ipo": ["SPY", "AAPL", "JPM"],
            "attributes=ipo": [],
        }


async def test_the_calendar_goes_by_trading_or_settlement_and_ends_with_2029():
    async with served() as (_, session):
        _, days = await call(session, "GET", "/v2/calendar?start=2024-05-24&end=2024-05-29")
        assert [(day["date"], day["settlement_date"]) for day in days] == [
            ("2024-05-24", "2024-05-29"), ("2024-05-28", "2024-05-29"), ("2024-05-29", "2024-05-30"),
        ]  # fmt: skip
        path = "/v2/calendar?start=2024-05-29&end=2024-05-29&date_type=SETTLEMENT"
        assert [day["date"] for day in (await call(session, "GET", path))[1]] == ["2024-05-24", "2024-05-28"]
        _, half = await call(session, "GET", "/v2/calendar?start=2024-07-03&end=2024-07-03T12:00:00Z")
        assert (half[0]["close"], half[0]["session_open"], half[0]["session_close"]) == ("13:00", "0400", "1700")
        _, everything = await call(session, "GET", "/v2/calendar?start=1900-01-01&end=2999-12-31")
        assert everything[-1]["date"] == "2029-12-31"
        assert (await call(session, "GET", "/v2/calendar?start=soon"))[0] == 400


@pytest.mark.parametrize(
    ("time", "phase", "until"),
    [
        ("2024-06-03T03:00:00-04:00", "closed", "2024-06-03T04:00:00-04:00"),
        ("2024-06-03T04:00:00-04:00", "pre", "2024-06-03T09:30:00-04:00"),
        ("2024-06-03T09:30:00-04:00", "core", "2024-06-03T16:00:00-04:00"),
        ("2024-06-03T16:00:00-04:00", "post", "2024-06-03T20:00:00-04:00"),
        ("2024-06-02T12:00:00-04:00", "closed", "2024-06-03T04:00:00-04:00"),
    ],
)
async def test_the_third_clock_tells_the_phase_of_each_market(time, phase, until):
    async with served() as (_, session):
        _, told = await call(session, "GET", f"/v3/clock?markets=NYSE,XNAS&time={time}")
        assert [clock["market"]["mic"] for clock in told["clocks"]] == ["XNYS", "XNAS"]
        assert {(clock["phase"], clock["phase_until"]) for clock in told["clocks"]} == {(phase, until)}
        assert {clock["is_market_day"] for clock in told["clocks"]} == {"06-03" in time}


async def test_the_third_calendar_has_the_hours_of_each_phase():
    async with served() as (_, session):
        _, told = await call(session, "GET", "/v3/calendar/NYSE?start=2024-07-03&end=2024-07-03")
        (day,) = told["calendar"]
        assert (day["pre_start"], day["core_end"], day["post_end"]) == (
            "2024-07-03T04:00:00-04:00", "2024-07-03T13:00:00-04:00", "2024-07-03T17:00:00-04:00",
        )  # fmt: skip
        _, utc = await call(session, "GET", "/v3/calendar/XNYS?start=2024-07-03&end=2024-07-03&timezone=UTC")
        assert utc["calendar"][0]["core_start"] == "2024-07-03T13:30:00Z"
        _, week = await call(session, "GET", "/v3/calendar/IEX")
        assert [day["date"] for day in week["calendar"]][:2] == ["2024-06-03", "2024-06-04"]
        assert len(week["calendar"]) == 6, "a week from today, both ends included"
        for path in ("calendar/LSE", "clock?markets=NONE", "clock?time=2999-01-01T00:00:00Z", "clock?time=0001-01-01"):
            assert (await call(session, "GET", f"/v3/{path}"))[0] == 400


async def test_announcements_are_found_by_type_symbol_and_date():
    async with served() as (exchange, session):
        for action in (DIVIDEND, SPLIT):
            exchange.exchange.announce(action)
        path = "/v2/corporate_actions/announcements"
        everything = f"{path}?ca_types=dividend,split&since=2024-06-01&until=2024-06-30"
        _, told = await call(session, "GET", everything)
        assert [(row["ca_type"], row["ca_sub_type"], row["initiating_symbol"]) for row in told][-2:] == [
            ("dividend", "cash", "AAPL"), ("split", "stock_split", "MSFT"),
        ]  # fmt: skip
        assert (await call(session, "GET", f"{everything}&symbol=MSFT&date_type=ex_date"))[1][-1]["new_rate"] == "4"
        assert (await call(session, "GET", f"{everything}&date_type=payable_date&cusip=037833100"))[1][-1][
            "cash"
        ] == "0.25"
        assert await call(session, "GET", f"{path}/{DIVIDEND.id}") == (200, told[-2])
        assert (await call(session, "GET", f"{path}/{asset_id('none')}"))[0] == 404
        for query in (
            "", "?ca_types=party&since=2024-06-01&until=2024-06-02", "?ca_types=split&since=2024-06-01",
            "?ca_types=split&since=2024-01-01&until=2024-06-02", "?ca_types=split&since=2024-06-02&until=2024-06-01",
        ):  # fmt: skip
            assert (await call(session, "GET", path + query))[0] == 422


async def test_alpaca_py_reads_history_and_announcements():
    async with served() as (exchange, _):
        exchange.exchange.announce(DIVIDEND)
        client = TradingClient("PKSIM", "sim", url_override=exchange.url)
        wish = GetCorporateAnnouncementsRequest(
            ca_types=[CorporateActionType.DIVIDEND], since=date(2024, 6, 1), until=date(2024, 6, 30), symbol="AAPL"
        )
        found = await asyncio.to_thread(client.get_corporate_announcements, wish)
        assert str(found[-1].id) == DIVIDEND.id  # type: ignore[index]
        one = await asyncio.to_thread(client.get_corporate_announcement_by_id, DIVIDEND.id)
        assert one.cash == 0.25  # type: ignore[union-attr]
        history = await asyncio.to_thread(client.get_portfolio_history, GetPortfolioHistoryRequest(period="1D"))
        assert history.timeframe == "1Min"  # type: ignore[union-attr]
