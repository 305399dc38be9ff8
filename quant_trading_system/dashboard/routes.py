"""Puts the HTTP application together from the route table. Decides which handler serves which route.

A route that the table does not declare, or declares without a level of access, cannot be served.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from aiohttp import web
from msgspec import Struct

from quant_trading_system.dashboard import inputs
from quant_trading_system.dashboard.controls import Controls
from quant_trading_system.dashboard.guard import Guard, Handler, add_headers
from quant_trading_system.dashboard.hub import EventHub
from quant_trading_system.dashboard.pages import Pages
from quant_trading_system.dashboard.port import DashboardPort
from quant_trading_system.dashboard.reads import Reads
from quant_trading_system.dashboard.route_table import ROUTES, Auth, Route

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")

Reader = Callable[[web.Request, Any], Awaitable[web.StreamResponse]]


def make_app(
    port: DashboardPort,
    *,
    token: str,
    allowed_hosts: Collection[str] = LOOPBACK_HOSTS,
    listen: str = "",
    hub: EventHub | None = None,
) -> web.Application:
    """The whole HTTP side.

    Args:
        port: the daemon, as far as it shows itself.
        token: content of `control.token`.
        allowed_hosts: names a Host header may carry; ports are not compared.
        listen: HOST:PORT of the listener, whose host is allowed too.
        hub: where the app publishes records for event streams; one of its own where none is given.
    """
    events = hub if hub is not None else EventHub()
    guard = Guard(token=token, allowed_hosts=[*allowed_hosts, *([listen] if listen else [])])
    readers = (Reads(port), Pages(port, events, csrf_token=guard.csrf_token))
    controls = Controls(port, guard)
    app = web.Application(middlewares=[guard.middleware], client_max_size=inputs.BODY_BYTES_MAX)
    for route in ROUTES:
        handler = _command(route, controls) if route.auth is Auth.TOKEN else _read(route, _reader(route, readers))
        app.router.add_route(route.method, route.path, handler)
        if route.method == "GET" and route.name != "events":
            app.router.add_route("HEAD", route.path, handler)
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(_closes(events))
    return app


def _reader(route: Route, readers: tuple[object, ...]) -> Reader:
    found: list[Reader] = [getattr(reader, route.name) for reader in readers if hasattr(reader, route.name)]
    assert len(found) == 1, f"route {route.path} needs one handler {route.name}, has {len(found)}"
    return found[0]


def _read(route: Route, reader: Reader) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await reader(request, _query(route, request))

    return handle


def _command(route: Route, controls: Controls) -> Handler:
    assert route.body is not None, f"command {route.path} declares its body"
    kind: type[Struct] = route.body

    async def handle(request: web.Request) -> web.StreamResponse:
        _query(route, request)
        return await controls.run(request, route.name, kind)

    return handle


def _query(route: Route, request: web.Request) -> Struct | None:
    if route.query is None or not route.is_api:
        return None
    return inputs.parse_query(request.query, list(request.query.keys()), route.query)


def _closes(hub: EventHub) -> Callable[[web.Application], Awaitable[None]]:
    async def close(_app: web.Application) -> None:
        hub.close()

    return close
