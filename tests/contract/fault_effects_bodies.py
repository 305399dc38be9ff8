"""Faults in what is said: fields, values, stamps; and states and deeds behind it."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

from quant_trading_system.simulator.server.fault_kinds import Kind
from tests.contract.exchange_support import call, receive, submit, trade_updates
from tests.contract.fault_effects import (
    ACCOUNT,
    POST,
    RESTING,
    all_orders,
    hold,
    order_status,
    raw,
    rest,
    shows,
    told_fault,
)

OUTSIDE = {"symbol": "SPY", "qty": "2", "side": "buy", "type": "market", "time_in_force": "day"}


@shows(Kind.WRONG_ECHO)
async def the_answer_speaks_of_another_order(exchange, session):
    for field, wrong in (("symbol", "AAPLX"), ("side", "sell"), ("qty", "2"), ("client_order_id", "mineX")):
        exchange.set_faults({"kind": "wrong_echo", "where": POST, "field": field})
        _, order = await submit(session, client_order_id="mine" if field == "client_order_id" else None)
        assert order[field] == wrong
    exchange.set_faults({"kind": "wrong_echo", "where": POST, "field": "id"})
    _, order = await submit(session)
    exchange.set_faults()
    assert order["id"] not in {row["id"] for row in await all_orders(session)}


@shows(Kind.UNKNOWN_VALUE)
async def a_value_stands_in_no_list(exchange, session):
    for field in ("status", "type", "asset_class"):
        exchange.set_faults({"kind": "unknown_value", "where": POST, "field": field})
        assert (await submit(session))[1][field] == f"unannounced_{field}"
    exchange.set_faults({"kind": "unknown_value", "where": POST, "value": "suspended"})
    assert (await submit(session))[1]["status"] == "suspended"


@shows(Kind.EXTRA_FIELD)
async def every_object_has_one_field_more(exchange, session):
    await rest(session, exchange)
    exchange.set_faults({"kind": "extra_field"})
    assert all("unannounced" in row for row in await all_orders(session))
    assert "unannounced" in (await call(session, "GET", "/v2/account"))[1]
    exchange.set_faults({"kind": "extra_field", "field": "commission", "value": "0.01"})
    assert (await all_orders(session))[0]["commission"] == "0.01"


@shows(Kind.MISSING_FIELD)
async def a_field_is_gone_everywhere_or_in_one_row(exchange, session):
    exchange.set_faults({"kind": "missing_field", "where": "GET /v2/assets*", "field": "0.easy_to_borrow"})
    _, assets = await call(session, "GET", "/v2/assets?asset_class=us_equity")
    assert ["easy_to_borrow" in asset for asset in assets][:2] == [False, True]
    exchange.set_faults({"kind": "missing_field", "where": "GET /v2/assets*", "field": "easy_to_borrow"})
    _, assets = await call(session, "GET", "/v2/assets?asset_class=us_equity")
    assert not any("easy_to_borrow" in asset for asset in assets)


@shows(Kind.NULL_FIELD)
async def a_field_is_null(exchange, session):
    exchange.set_faults({"kind": "null_field", "where": ACCOUNT, "field": "buying_power"})
    assert (await call(session, "GET", "/v2/account"))[1]["buying_power"] is None


@shows(Kind.SET_FIELD)
async def a_field_says_what_the_plan_says(exchange, session):
    await hold(session, exchange, qty="3")
    exchange.set_faults({"kind": "set_field", "where": "GET /v2/positions", "field": "0.qty", "value": "-3"})
    assert (await call(session, "GET", "/v2/positions"))[1][0]["qty"] == "-3"
    exchange.set_faults({"kind": "set_field", "where": "GET /v2/clock", "field": "is_open", "value": False})
    assert (await call(session, "GET", "/v2/clock"))[1]["is_open"] is False
    path = "/v2/stocks/bars?symbols=AAPL&timeframe=1Day&start=2024-05-01"
    exchange.set_faults({"kind": "set_field", "where": "GET /v2/stocks/*", "field": "bars.*.*.c", "value": 0})
    assert {bar["c"] for bar in (await call(session, "GET", path))[1]["bars"]["AAPL"]} == {0}


@shows(Kind.CLOCK_SKEW)
async def the_date_and_the_stamps_are_off(exchange, session):
    order = await rest(session, exchange)
    path = f"/v2/orders/{order['id']}"
    right, _ = await raw(session, "GET", path)
    for scope, date_off_s, stamps_off_s in (("date", 90, 0), ("stamps", 0, 90), ("all", 90, 90)):
        exchange.set_faults({"kind": "clock_skew", "skew_seconds": 90, "scope": scope})
        answer, _ = await raw(session, "GET", path)
        told = (await call(session, "GET", path))[1]
        skew = parsedate_to_datetime(answer.headers["Date"]) - parsedate_to_datetime(right.headers["Date"])
        assert abs(skew.total_seconds() - date_off_s) <= 5
        moved = datetime.fromisoformat(told["submitted_at"]) - datetime.fromisoformat(order["submitted_at"])
        assert moved.total_seconds() == stamps_off_s


@shows(Kind.OFFSET_STAMPS)
async def stamps_carry_an_offset_and_mean_the_same(exchange, session):
    order = await rest(session, exchange)
    exchange.set_faults({"kind": "offset_stamps"})
    told = (await call(session, "GET", f"/v2/orders/{order['id']}"))[1]
    assert told["submitted_at"].endswith("-04:00")
    assert datetime.fromisoformat(told["submitted_at"]) == datetime.fromisoformat(order["submitted_at"])


@shows(Kind.PENDING_CANCEL_STUCK)
async def a_cancel_does_not_come_to_its_end(exchange, session):
    order = await rest(session, exchange)
    exchange.set_faults({"kind": "pending_cancel_stuck", "where": "DELETE /v2/orders/*"})
    assert (await call(session, "DELETE", f"/v2/orders/{order['id']}"))[0] == 204
    await exchange.step(3_600)
    assert await order_status(session, order) == "pending_cancel"
    exchange.set_faults()
    await exchange.step(1)
    await exchange.step(1)
    assert await order_status(session, order) == "canceled"


@shows(Kind.ORDER_INVISIBLE)
async def an_order_exists_and_nothing_tells_of_it(exchange, session):
    exchange.set_faults({"kind": "order_invisible", "where": POST, "at": 1, "for_seconds": 0.5})
    _, order = await submit(session, client_order_id="ghost", **RESTING)
    by_client_id = "/v2/orders:by_client_order_id?client_order_id=ghost"
    for path in (f"/v2/orders/{order['id']}", by_client_id):
        status, error = await call(session, "GET", path)
        assert (status, error["code"]) == (404, 40410000)
    assert await all_orders(session) == []
    status, error = await submit(session, client_order_id="ghost", **RESTING)
    assert (status, error["message"]) == (422, "client_order_id must be unique")
    exchange.set_faults()
    assert (await call(session, "GET", by_client_id))[1]["id"] == order["id"]
    async with trade_updates(session, exchange) as socket:
        exchange.set_faults({"kind": "order_invisible", "where": POST, "at": 2, "hides": ["stream"]})
        for name in ("told", "untold", "told too"):
            await submit(session, client_order_id=name, **RESTING)
        told = [(await receive(socket))["data"]["order"]["client_order_id"] for _ in range(2)]
        assert told == ["told", "told too"]


@shows(Kind.EXTERNAL_ORDER)
async def somebody_trades_between_two_reads_and_at_a_moment(exchange, session):
    exchange.set_faults({"kind": "external_order", "where": "GET /v2/positions", "at": 1, "order": OUTSIDE})
    assert await all_orders(session) == []
    await call(session, "GET", "/v2/positions")
    assert [order["symbol"] for order in await all_orders(session)] == ["SPY"]
    exchange.set_faults({"kind": "external_order", "at_time": "2024-06-03T10:00", "order": OUTSIDE})
    await exchange.jump_to("2024-06-03T09:59")
    assert len(await all_orders(session)) == 1
    await exchange.jump_to("2024-06-03T10:01")
    assert (await all_orders(session))[0]["submitted_at"] == "2024-06-03T14:00:00Z"
    assert (await told_fault(session))["fired"] == 1
    exchange.set_faults({"kind": "external_order", "at": 1, "order": {**OUTSIDE, "symbol": "NONE"}})
    await all_orders(session)
    assert (await told_fault(session))["error"].startswith("422: asset")


@shows(Kind.FILL_ORDER)
async def a_fill_is_faster_than_the_cancel(exchange, session):
    whole, part = await rest(session, exchange, qty="10"), await rest(session, exchange, qty="10")
    exchange.set_faults({"kind": "fill_order", "where": "DELETE /v2/orders/*", "at": 1})
    status, error = await call(session, "DELETE", f"/v2/orders/{whole['id']}")
    assert (status, error["message"]) == (422, 'order is already in "filled" state')
    exchange.set_faults({"kind": "fill_order", "where": "DELETE /v2/orders/*", "at": 1, "qty": "4", "price": "0.99"})
    assert (await call(session, "DELETE", f"/v2/orders/{part['id']}"))[0] == 204
    await exchange.step(1)
    _, told = await call(session, "GET", f"/v2/orders/{part['id']}")
    assert (told["status"], told["filled_qty"], told["filled_avg_price"]) == ("canceled", "4", "0.99")


@shows(Kind.CLOCK_STEP)
async def venue_time_passes_between_two_reads(exchange, session):
    await submit(session)
    exchange.set_faults({"kind": "clock_step", "where": "GET /v2/positions", "at": 1, "step_seconds": 60})
    assert len((await call(session, "GET", "/v2/orders"))[1]) == 1
    assert len((await call(session, "GET", "/v2/positions"))[1]) == 1
    assert (await all_orders(session))[0]["status"] == "filled"


@shows(Kind.LATE_REJECT)
async def an_order_that_was_taken_is_rejected_later(exchange, session):
    exchange.set_faults({"kind": "late_reject", "where": POST, "at": 1, "latency_ms": 5_000})
    status, order = await submit(session, **RESTING)
    assert status == 200
    await exchange.step(1)
    assert await order_status(session, order) == "pending_new"
    await exchange.step(5)
    _, told = await call(session, "GET", f"/v2/orders/{order['id']}")
    assert told["status"] == "rejected"
    assert told["failed_at"] is not None


@shows(Kind.TRADING_STATUS)
async def a_symbol_is_halted_at_a_moment(exchange, session):
    exchange.set_faults({"kind": "trading_status", "symbol": "AAPL", "at_time": "2024-06-03T09:35"})
    await exchange.jump_to("2024-06-03T09:36")
    status, error = await submit(session)
    assert (status, error["code"]) == (403, 40310010)
    exchange.set_faults({"kind": "trading_status", "symbol": "AAPL", "trading_status": "resume", "at": 1})
    await call(session, "GET", "/v2/clock")
    assert (await submit(session))[0] == 200


@shows(Kind.ACCOUNT_FLAGS)
async def the_account_is_blocked_until_the_plan_is_healed(exchange, session):
    exchange.set_faults({"kind": "account_flags", "where": ACCOUNT, "at": 1})
    assert (await submit(session))[0] == 200
    assert (await call(session, "GET", "/v2/account"))[1]["trading_blocked"] is True
    assert (await submit(session))[0] == 403
    exchange.set_faults({"kind": "account_flags", "flags": {"status": "ACCOUNT_CLOSED", "trading_blocked": False}})
    assert (await call(session, "GET", "/v2/account"))[1]["status"] == "ACCOUNT_CLOSED"
    exchange.set_faults()
    await exchange.step(1)
    _, account = await call(session, "GET", "/v2/account")
    assert (account["status"], account["trading_blocked"]) == ("ACTIVE", False)
    assert (await submit(session))[0] == 200


@shows(Kind.BUST)
async def an_execution_is_taken_back(exchange, session):
    _, before = await call(session, "GET", "/v2/account")
    await hold(session, exchange, qty="1")
    exchange.set_faults({"kind": "bust", "where": ACCOUNT, "at": 1})
    _, after = await call(session, "GET", "/v2/account")
    assert after["cash"] == before["cash"]
    assert await call(session, "GET", "/v2/positions") == (200, [])


@shows(Kind.CORRECT)
async def an_execution_turns_out_to_be_of_another_price(exchange, session):
    await hold(session, exchange, qty="1")
    exchange.set_faults({"kind": "correct", "where": ACCOUNT, "at": 1, "price": "150"})
    _, account = await call(session, "GET", "/v2/account")
    assert account["cash"] == "99850"
    assert (await call(session, "GET", "/v2/positions"))[1][0]["avg_entry_price"] == "150"


@shows(Kind.TRANSFER)
async def cash_comes_and_goes(exchange, session):
    exchange.set_faults({"kind": "transfer", "amount_usd": "-500.25", "at_time": "2024-06-03T10:00"})
    await exchange.jump_to("2024-06-03T10:01")
    assert (await call(session, "GET", "/v2/account"))[1]["cash"] == "99499.75"
    exchange.set_faults({"kind": "transfer", "amount_usd": "-900000", "at": 1})
    await call(session, "GET", "/v2/account")
    assert "error" in await told_fault(session)


@shows(Kind.CORPORATE_ACTION)
async def a_split_is_announced_and_takes_effect(exchange, session):
    await hold(session, exchange, qty="3")
    split = {"kind": "forward_split", "symbol": "AAPL", "ex_date": "2024-06-04", "old_rate": "1", "new_rate": "7"}
    exchange.set_faults({"kind": "corporate_action", "at": 1, "action": split})
    await call(session, "GET", "/v2/clock")
    assert "error" not in await told_fault(session)
    await exchange.jump_to("2024-06-04T09:31")
    assert (await call(session, "GET", "/v2/positions"))[1][0]["qty"] == "21"
