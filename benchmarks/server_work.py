"""One round of PostgreSQL's own share of a start: made and started, then started again. Prints one JSON object."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from quant_trading_system.persistence.embedded import EmbeddedPostgres
from tests.support.stores import short_folder


async def start_seconds(folder: Path) -> float:
    server = EmbeddedPostgres(folder)
    started_s = time.perf_counter()
    await server.start()
    taken_s = time.perf_counter() - started_s
    await server.stop()
    return taken_s


async def work() -> dict[str, float]:
    with short_folder() as folder:
        return {"first_s": await start_seconds(folder / "pg"), "later_s": await start_seconds(folder / "pg")}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(work())) + "\n")
