"""Clients of an exchange: as many orders as it takes with 32 in flight, then a steady rate. Prints one JSON object.

`python -m benchmarks.exchange_load URL PER_SECOND`. Orders buy a share at the market and sell one by a limit that is
marketable, over 100 symbols in turn, while 50 limit orders rest far from the market. (A market sell would meet the rule
against wash trades where a buy rests.)
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator

import aiohttp
import uvloop

from benchmarks.exchange import symbol_names

KEYS = {"APCA-API-KEY-ID": "PKSIM", "APCA-API-SECRET-KEY": "sim"}
IN_FLIGHT = 32
WARM_UP_SECONDS = 1.0
FULL_SECONDS = 8.0
STEADY_SECONDS = 5.0
RESTING = 50
RESTING_LIMIT = {"limit_price": "1.00"}
SELL_LIMIT = {"limit_price": "1.01"}
REFUSED_SHARE_MAX = 0.05  # one in ten orders fills in parts, so that a sale can come too early


def bodies() -> Iterator[dict[str, str]]:
    symbols = symbol_names()
    while True:
        for symbol in symbols:
            yield {"symbol": symbol, "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
        for symbol in symbols:
            yield {"symbol": symbol, "qty": "1", "side": "sell", "type": "limit", "time_in_force": "day"} | SELL_LIMIT


class Load:
    """One session of requests, and what their answers were."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.bodies = bodies()
        self.granted = 0
        self.refused = 0

    async def send(self, body: dict[str, str]) -> None:
        async with self.session.post("/v2/orders", json=body) as response:
            await response.read()
            if response.status == 200:
                self.granted += 1
            else:
                self.refused += 1

    async def rest(self) -> None:
        """Orders that stay in the book."""
        for symbol in symbol_names()[:RESTING]:
            await self.send(
                {"symbol": symbol, "qty": "1", "side": "buy", "type": "limit", "time_in_force": "gtc"} | RESTING_LIMIT
            )

    async def full(self, seconds: float) -> float:
        """Orders granted a second with 32 in flight."""
        began_s, granted = time.perf_counter(), self.granted

        async def work() -> None:
            while time.perf_counter() - began_s < seconds:
                await self.send(next(self.bodies))

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work())
        return (self.granted - granted) / (time.perf_counter() - began_s)

    async def steady(self, per_second: int, seconds: float) -> list[float]:
        """Milliseconds from the moment at which an order was due to its answer, at a steady rate."""
        waited: list[float] = []
        began_s = time.perf_counter()

        async def one(due_s: float) -> None:
            await self.send(next(self.bodies))
            waited.append((time.perf_counter() - due_s) * 1e3)

        async with asyncio.TaskGroup() as group:
            for number in range(round(per_second * seconds)):
                due_s = began_s + number / per_second
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
                group.create_task(one(due_s))
        return sorted(waited)


async def work(url: str, per_second: int) -> dict[str, float]:
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT * 2)
    async with aiohttp.ClientSession(url, headers=KEYS, connector=connector) as session:
        load = Load(session)
        await load.rest()
        await load.full(WARM_UP_SECONDS)
        orders_per_second = await load.full(FULL_SECONDS)
        waited = await load.steady(per_second, STEADY_SECONDS)
        share = load.refused / (load.granted + load.refused)
        assert share <= REFUSED_SHARE_MAX, f"expected orders to be granted, found {share:.1%} refused"
    return {"orders_per_second": orders_per_second, "p99_ms": waited[int(len(waited) * 0.99)]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(uvloop.run(work(sys.argv[1], int(sys.argv[2])))) + "\n")
