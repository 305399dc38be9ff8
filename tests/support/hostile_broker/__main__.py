"""Run the hostile broker on loopback until it is ended; the file it is given tells its port."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from tests.support.hostile_broker.desk import Desk
from tests.support.hostile_broker.rest import Rest
from tests.support.hostile_broker.schedule import Schedule
from tests.support.hostile_broker.sockets import DataSocket, TradeSocket
from tests.support.hostile_broker.times import VenueTime

MATCH_EVERY_S = 0.25


def make_app(desk: Desk) -> web.Application:
    @web.middleware
    async def stamp_answers(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        answer = await handler(request)
        if not answer.prepared:
            answer.headers["Date"] = desk.time.http_date()
            answer.headers["X-Request-ID"] = f"{desk.requests:032x}"
        return answer

    app = web.Application(middlewares=[stamp_answers])
    app.add_routes(Rest(desk).routes())
    app.add_routes([web.get("/stream", TradeSocket(desk).handle)])
    app.add_routes([web.get(f"/v2/{feed}", DataSocket(desk).handle) for feed in ("iex", "sip")])
    return app


def tell_port(path: str, port: int) -> None:
    half = Path(f"{path}.part")
    half.write_text(str(port))
    half.rename(path)


async def serve(arguments: argparse.Namespace) -> None:
    time = VenueTime(start_ns=arguments.start_ns, real_ns=arguments.real_ns, speed=arguments.speed)
    only, without = (tuple(filter(None, names.split(","))) for names in (arguments.only, arguments.without))
    schedule = Schedule(arguments.seed, is_rude_start=arguments.rude, boost=arguments.boost, only=only, without=without)
    desk = Desk(time=time, schedule=schedule, seed=arguments.seed)
    runner = web.AppRunner(make_app(desk), handle_signals=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    tell_port(arguments.port_file, runner.addresses[0][1])
    while True:
        await asyncio.sleep(MATCH_EVERY_S)
        desk.books.match()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port-file", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--start-ns", type=int, required=True)
    parser.add_argument("--real-ns", type=int, required=True)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--boost", type=float, default=1.0)
    parser.add_argument("--only", default="")
    parser.add_argument("--without", default="")
    parser.add_argument("--rude", action="store_true")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
