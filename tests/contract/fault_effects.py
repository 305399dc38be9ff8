"""What each kind of fault does to a client, one short script for each. The register is tested for completeness."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from quant_trading_system.simulator.server.fault_kinds import Kind
from quant_trading_system.simulator.server.testing import RunningExchange
from tests.contract.exchange_support import call, submit

Effect = Callable[[RunningExchange, aiohttp.ClientSession], Awaitable[None]]

SCRIPTS = tuple(f"tests.contract.fault_effects_{layer}" for layer in ("requests", "bodies", "streams"))
"""Modules that register their effects when they are imported."""
EFFECTS: dict[Kind, Effect] = {}
POST = "POST /v2/orders"
ACCOUNT = "GET /v2/account"
RESTING = {"type": "limit", "limit_price": "1"}


def shows(*kinds: Kind) -> Callable[[Effect], Effect]:
    """Register a script as the proof that these kinds act."""

    def register(effect: Effect) -> Effect:
        for kind in kinds:
            assert kind not in EFFECTS, f"{kind} is shown twice"
            EFFECTS[kind] = effect
        return effect

    return register


async def raw(session: aiohttp.ClientSession, method: str, path: str, **options: Any) -> tuple[Any, bytes]:
    """One request; the answer's headers and bytes as they came."""
    async with session.request(method, path, **options) as answer:
        return answer, await answer.read()


async def rest(session: aiohttp.ClientSession, exchange: RunningExchange, **fields: object) -> dict[str, Any]:
    """An order that is at the venue and stays there."""
    status, order = await submit(session, **{**RESTING, **fields})
    assert status == 200, order
    await exchange.step(1)
    return order


async def hold(session: aiohttp.ClientSession, exchange: RunningExchange, **fields: object) -> dict[str, Any]:
    """An order that has filled."""
    status, order = await submit(session, **fields)
    assert status == 200, order
    await exchange.step(60)
    return order


async def order_status(session: aiohttp.ClientSession, order: dict[str, Any]) -> str:
    status, told = await call(session, "GET", f"/v2/orders/{order['id']}")
    assert status == 200, told
    return str(told["status"])


async def all_orders(session: aiohttp.ClientSession) -> list[dict[str, Any]]:
    status, rows = await call(session, "GET", "/v2/orders?status=all&limit=500")
    assert status == 200, rows
    return list(rows)


async def told_fault(session: aiohttp.ClientSession, number: int = 0) -> dict[str, Any]:
    """A rule of the plan with how often it has fired."""
    _, told = await call(session, "GET", "/simulator/v1/faults")
    return dict(told["faults"][number])
