"""Every fault that a plan can name does what the table says, seen over the wire."""

from __future__ import annotations

import pytest

from quant_trading_system.simulator.server.fault_kinds import KINDS, Kind
from tests.contract import fault_effects_bodies, fault_effects_requests, fault_effects_streams
from tests.contract.exchange_support import call, served, submit
from tests.contract.fault_effects import EFFECTS, Effect

pytestmark = pytest.mark.asyncio

assert fault_effects_bodies, "registers its scripts"
assert fault_effects_requests, "registers its scripts"
assert fault_effects_streams, "registers its scripts"


@pytest.mark.parametrize("effect", dict.fromkeys(EFFECTS.values()), ids=lambda effect: effect.__name__)
async def test_a_fault_acts(effect: Effect):
    async with served() as (exchange, session):
        await effect(exchange, session)
        exchange.set_faults()
        assert (await call(session, "GET", "/simulator/v1/ledger"))[0] == 200  # its books have checked themselves


async def test_no_kind_of_fault_lacks_a_proof_that_it_acts():
    assert [kind for kind in Kind if kind not in EFFECTS] == []
    assert list(KINDS) == list(Kind)


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
