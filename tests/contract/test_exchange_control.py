"""The exchange's own interface: an index of it, what others do by it, and a wrong wish named by its field."""

from __future__ import annotations

from typing import Any

import pytest

from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.server.testing import RunningExchange
from tests.contract.exchange_support import call, receive, served, submit, trade_updates

pytestmark = pytest.mark.asyncio

CONTROL = "/simulator/v1"
DIVIDEND = {"kind": "cash_dividend", "symbol": "AAPL", "ex_date": "2024-06-04", "cash": "0.25"}


async def filled(session: Any, exchange: RunningExchange, **fields: object) -> dict[str, Any]:
    """An order that has filled; the answer is its last execution, as the ledger has it."""
    assert (await submit(session, **fields))[0] == 200
    await exchange.step(60)
    _, ledger = await call(session, "GET", f"{CONTROL}/ledger")
    return dict(ledger["executions"][-1])


async def test_the_index_names_every_route_and_each_of_them_answers():
    async with served() as (_, session):
        status, index = await call(session, "GET", CONTROL)
        assert status == 200
        assert len(index["routes"]) >= 13
        for route in index["routes"]:
            assert route["does"]
            assert (await call(session, route["method"], route["path"], {"no": 1}))[0] in (200, 422)


async def test_a_halt_stops_market_orders_and_a_resumption_lets_them_in():
    async with served() as (_, session):
        assert (await call(session, "POST", f"{CONTROL}/status", {"symbol": "AAPL", "status": "halt"}))[0] == 200
        status, error = await submit(session)
        assert (status, error["code"]) == (403, 40310010)
        assert (await submit(session, symbol="MSFT"))[0] == 200
        assert (await call(session, "POST", f"{CONTROL}/status", {"symbol": "AAPL", "status": "resume"}))[0] == 200
        assert (await submit(session))[0] == 200


async def test_a_bust_takes_the_execution_back_and_tells_of_it():
    async with served() as (exchange, session), trade_updates(session, exchange) as socket:
        execution = await filled(session, exchange, qty="1")
        status, ledger = await call(session, "POST", f"{CONTROL}/bust", {"execution_id": execution["execution_id"]})
        assert (status, ledger["cash"], ledger["positions"]) == (200, "100000", [])
        told = (await receive(socket))["data"]
        while told["event"] != "trade_bust":
            told = (await receive(socket))["data"]
        assert told["previous_execution_id"] == execution["execution_id"]
        status, error = await call(session, "POST", f"{CONTROL}/bust", {"execution_id": execution["execution_id"]})
        assert status in (404, 422), error


async def test_a_correction_puts_another_price_in_the_books():
    async with served() as (exchange, session):
        execution = await filled(session, exchange, qty="2")
        wish = {"execution_id": execution["execution_id"], "price": "101.5", "qty": "1"}
        status, ledger = await call(session, "POST", f"{CONTROL}/bust", wish)
        assert (status, ledger["cash"]) == (200, "99898.5")
        assert ledger["positions"] == [{"symbol": "AAPL", "qty": "1", "avg_entry_price": "101.5"}]


async def test_a_transfer_moves_cash_and_is_an_activity():
    async with served() as (exchange, session):
        assert await call(session, "POST", f"{CONTROL}/transfer", {"amount_usd": "250.5"}) == (
            200, {"cash": "100250.5"},
        )  # fmt: skip
        assert (await call(session, "POST", f"{CONTROL}/transfer", {"amount_usd": -50.5}))[1] == {"cash": "100200"}
        booked = exchange.exchange.activities()
        assert sorted(row.activity_type for row in booked if not isinstance(row, Execution)) == ["CSD", "CSW"]
        assert (await call(session, "POST", f"{CONTROL}/transfer", {"amount_usd": "-200000"}))[0] in (403, 422)


async def test_a_dividend_is_announced_known_to_the_data_interface_and_paid():
    async with served() as (exchange, session):
        await filled(session, exchange, qty="100")
        status, action = await call(session, "POST", f"{CONTROL}/corporate-actions", DIVIDEND)
        assert (status, action["process_date"]) == (200, "2024-06-04")
        path = "/v1/corporate-actions?symbols=AAPL&start=2024-06-01&end=2024-06-30&types=cash_dividend"
        _, known = await call(session, "GET", path)
        assert [row["rate"] for row in known["corporate_actions"]["cash_dividends"]] == [0.25]
        _, before = await call(session, "GET", f"{CONTROL}/ledger")
        await exchange.jump_to("2024-06-05T09:31")
        _, after = await call(session, "GET", f"{CONTROL}/ledger")
        assert float(after["cash"]) - float(before["cash"]) == 25
        assert (await call(session, "POST", f"{CONTROL}/corporate-actions", DIVIDEND))[0] == 422  # the same once more


async def test_flags_of_the_account_are_set_told_and_taken_back():
    async with served() as (_, session):
        flags = {"trading_blocked": True, "status": "ACCOUNT_CLOSED_PENDING"}
        status, told = await call(session, "POST", f"{CONTROL}/account", flags)
        assert (status, {**told, **flags}) == (200, told)
        _, account = await call(session, "GET", "/v2/account")
        assert (account["trading_blocked"], account["status"]) == (True, "ACCOUNT_CLOSED_PENDING")
        assert (await submit(session))[0] == 403
        await call(session, "POST", f"{CONTROL}/account", {"trading_blocked": False, "status": "ACTIVE"})
        assert (await submit(session))[0] == 200
        _, told = await call(session, "GET", f"{CONTROL}/account")
        assert told["status"] == "ACTIVE"


@pytest.mark.parametrize(
    ("route", "wish", "field"),
    [
        ("status", {}, "symbol"), ("status", {"symbol": "AAPL"}, "status"),
        ("status", {"symbol": 5, "status": "halt"}, "symbol"),
        ("status", {"symbol": "AAPL", "status": "asleep"}, "status"), ("status", {"symbol": "AAPL", "x": 1}, "x"),
        ("bust", {}, "execution_id"), ("bust", {"execution_id": ""}, "execution_id"),
        ("bust", {"execution_id": "e", "price": "dear"}, "price"), ("bust", {"execution_id": "e", "qty": None}, "qty"),
        ("transfer", {}, "amount_usd"), ("transfer", {"amount_usd": "0"}, "amount_usd"),
        ("transfer", {"amount_usd": True}, "amount_usd"), ("transfer", {"amount_usd": "1e99"}, "amount_usd"),
        ("corporate-actions", {}, "kind"), ("corporate-actions", {**DIVIDEND, "kind": "gift"}, "kind"),
        ("corporate-actions", {**DIVIDEND, "cash": "-1"}, "cash"),
        ("corporate-actions", {**DIVIDEND, "ex_date": "soon"}, "ex_date"),
        ("corporate-actions", {**DIVIDEND, "kind": "forward_split"}, "old_rate"),
        ("corporate-actions", {**DIVIDEND, "x": 1}, "x"),
        ("corporate-actions", {**DIVIDEND, "process_date": "2024-06-03"}, "process_date"),
        ("account", {"mood": "bad"}, "mood"), ("account", {"status": "LOST"}, "status"),
        ("account", {"trading_blocked": 1}, "trading_blocked"),
        ("clock", {}, "body"), ("clock", {"step_seconds": "x"}, "step_seconds"), ("faults", {}, "faults"),
    ],
)  # fmt: skip
async def test_a_wrong_wish_is_refused_by_the_name_of_its_field(route, wish, field):
    async with served() as (_, session):
        status, error = await call(session, "POST", f"{CONTROL}/{route}", wish)
        assert (status, error["code"], error["message"].split(":")[0]) == (422, 42210000, field)
        assert (await call(session, "GET", f"{CONTROL}/ledger"))[1]["cash"] == "100000"


@pytest.mark.parametrize(
    ("route", "wish"),
    [
        ("status", {"symbol": "NONE", "status": "halt"}),
        ("bust", {"execution_id": "904837e3-3b76-47ec-b432-046db621571b"}),
        ("corporate-actions", {**DIVIDEND, "symbol": "NONE"}),
        ("external-order", {"symbol": "NONE", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}),
    ],
)
async def test_a_wish_about_nothing_that_is_there_is_refused(route, wish):
    async with served() as (_, session):
        status, error = await call(session, "POST", f"{CONTROL}/{route}", wish)
        assert status in (404, 422)
        assert error["message"]
