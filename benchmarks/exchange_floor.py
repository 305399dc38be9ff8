"""The floor of the exchange's load: aiohttp's server answering an order's bytes without any work."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from aiohttp import web

ANSWER = json.dumps({"id": "0" * 36, "status": "pending_new", "padding": "x" * 1_100}).encode()


async def answer(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=ANSWER, headers={"Content-Type": "application/json; charset=UTF-8"})


async def serve(folder: Path) -> None:
    app = web.Application()
    app.router.add_post("/v2/orders", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    (folder / "exchange.json").write_text(json.dumps({"url": f"http://127.0.0.1:{runner.addresses[0][1]}"}))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
