"""Every fault that a plan can name does what the table says, seen over the wire."""

from __future__ import annotations

from importlib import import_module

import pytest

from quant_trading_system.simulator.server.fault_kinds import KINDS, Kind
from tests.contract.exchange_support import call, served, submit
from tests.contract.fault_effects import EFFECTS, SCRIPTS, Effect

pytestmark = pytest.mark.asyncio

for script in SCRIPTS:
    import_module(script)


@pytest.mark.parametrize("effect", dict.fromkeys(EFFECTS.values()), ids=lambda effect: effect.__name__)
async def test_a_fault_acts(effect: Effect):
    async with served() as (exchange, session):
        await effect(exchange, session)
        exchange.set_faults()
        assert (await call(session, "GET", "/simulator/v1/ledger"))[0] == 200  # its books have checked themselves


async def test_no_kind_of_fault_lacks_a_proof_that_it_acts():
    assert [kind for kind in Kind if kind not in EFFECTS] == []
    assert list(KINDS) == list(Kind)


# --- several at once: what happened to others


async def test_both_legs_of_a_bracket_fill():  # fault row B7
    legs = {"take_profit": {"limit_price": "999"}, "stop_loss": {"stop_price": "1"}}
    async with served() as (exchange, session):
        _, parent = await submit(session, qty="10", order_class="bracket", **legs)
        await exchange.step(60)
        _, nested = await call(session, "GET", f"/v2/orders/{parent['id']}?nested=true")
        where = {"kind": "fill_order", "where": "GET /v2/clock", "at": 1}
        stop_first = [{**where, "client_order_id": leg["client_order_id"]} for leg in reversed(nested["legs"])]
        exchange.set_faults(*stop_first)
        await call(session, "GET", "/v2/clock")
        _, nested = await call(session, "GET", f"/v2/orders/{parent['id']}?nested=true")
        assert [leg["status"] for leg in nested["legs"]] == ["filled", "filled"]
        assert (await call(session, "GET", "/v2/positions"))[1][0]["qty"] == "-10"


async def test_a_replacement_is_answered_with_an_error_and_made_all_the_same():  # fault row B5
    async with served() as (exchange, session):
        _, order = await submit(session, type="limit", limit_price="1")
        await exchange.step(1)
        exchange.set_faults({"kind": "error_500", "where": "PATCH *", "at": 1, "carried_out": True})
        assert (await call(session, "PATCH", f"/v2/orders/{order['id']}", {"limit_price": "2"}))[0] == 500
        await exchange.step(1)
        _, old = await call(session, "GET", f"/v2/orders/{order['id']}")
        _, new = await call(session, "GET", f"/v2/orders/{old['replaced_by']}")
        assert (old["status"], new["limit_price"]) == ("replaced", "2")


async def test_the_original_fills_before_it_is_replaced():
    async with served() as (exchange, session):
        _, order = await submit(session, type="limit", limit_price="1")
        await exchange.step(1)
        exchange.set_faults({"kind": "fill_order", "where": "PATCH *", "at": 1})
        assert (await call(session, "PATCH", f"/v2/orders/{order['id']}", {"limit_price": "2"}))[0] == 422
        assert (await call(session, "GET", f"/v2/orders/{order['id']}"))[1]["status"] == "filled"


async def test_an_event_stream_is_refused_and_begins_when_the_plan_is_healed():
    async with served() as (exchange, session):
        for kind, status in (("error_503", 503), ("html_error", 401)):
            exchange.set_faults({"kind": kind, "where": "GET /v2/events/*"})
            async with session.get("/v2/events/trades") as answer:
                assert answer.status == status
        exchange.set_faults()
        async with session.get("/v2/events/trades") as answer:
            assert (answer.status, answer.content_type) == (200, "text/event-stream")


async def test_the_same_plan_and_seed_fire_at_the_same_requests_whatever_the_other_rules_do():
    rules = [{"kind": "error_500", "where": "POST /v2/orders", "probability": 0.4}]
    others = [*rules, {"kind": "latency", "where": "GET *", "probability": 0.5, "latency_ms": 1}]
    outcomes = []
    for plan in (rules, rules, others):
        async with served() as (exchange, session):
            exchange.set_faults(*plan, seed=9)
            statuses = []
            for _ in range(20):
                statuses.append((await submit(session, type="limit", limit_price="1"))[0])
                await call(session, "GET", "/v2/clock")
        outcomes.append(statuses)
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert {200, 500} == set(outcomes[0])
