"""A served dashboard for contract tests: a port with behaviour, a hub, and a session to ask with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from quant_trading_system.dashboard.hub import EventHub
from quant_trading_system.dashboard.routes import make_app
from quant_trading_system.dashboard.serve import serving
from tests.unit.dashboard.builders import TOKEN, FakePort

SECONDS_MAX = 20
BEARER = {"Authorization": f"Bearer {TOKEN}"}
BODIES: dict[str, dict[str, object]] = {
    "reset": {"operator": "carol", "reason": "books agree"},
    "unlock": {"symbol": "ibm", "reason": "seen by hand"},
    "enable": {"strategy": "momentum", "reason": "bug fixed"},
}
COMMANDS = ["pause", "resume", "cancel-all", "kill", "reset", "unlock", "enable"]


class Desk:
    """A served dashboard, its port and its hub, and one session to ask with."""

    def __init__(self, number: int, port: FakePort, hub: EventHub, session: aiohttp.ClientSession) -> None:
        self.number = number
        self.port = port
        self.hub = hub
        self.session = session
        self.url = f"http://127.0.0.1:{number}"

    async def get(self, path: str, **options: Any) -> tuple[int, Any, aiohttp.ClientResponse]:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, **options: Any) -> tuple[int, Any, aiohttp.ClientResponse]:
        return await self.ask("POST", path, **options)

    async def command(self, name: str, body: object = None, **headers: str) -> tuple[int, Any, aiohttp.ClientResponse]:
        given = BODIES.get(name, {}) if body is None else body
        return await self.post(f"/api/v1/control/{name}", json=given, headers={**BEARER, **headers})

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any, aiohttp.ClientResponse]:
        async with self.session.request(method, self.url + path, **options) as response:
            raw = await response.read()
            content = json.loads(raw) if raw and "json" in response.content_type else raw
            return response.status, content, response


def served(scenario: Callable[[Desk], Awaitable[None]], **port: Any) -> None:
    async def run() -> None:
        fake, hub = FakePort(**port), EventHub(run_id="run")
        async with asyncio.timeout(SECONDS_MAX):
            app = make_app(fake, token=TOKEN, hub=hub)
            async with serving(app, host="127.0.0.1", port=0) as number, aiohttp.ClientSession() as session:
                await scenario(Desk(number, fake, hub, session))

    asyncio.run(run())


async def raw_exchange(number: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    writer.write(sent)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer
