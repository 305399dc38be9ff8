"""The Overview page and its live stream. Decides how often the page's data is gathered, for however many readers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from quant_trading_system.core.records import DecisionRecord, EquityRecord
from quant_trading_system.core.types import Mode
from quant_trading_system.dashboard import curve, inputs, json_views, overview, reads
from quant_trading_system.dashboard.hub import EventHub, Message, StreamEnded, Subscription, TooManyClients
from quant_trading_system.dashboard.port import DashboardPort
from quant_trading_system.dashboard.problems import Problem

PAGE_PERIOD_S = 1.0
HISTORY_PERIOD_S = 5.0
PING_PERIOD_S = 15.0
WRITE_SECONDS_MAX = 10.0
RETRY_MS = 2_000

HERE = Path(__file__).parent
STATIC_TYPES = {"app.css": "text/css", "live.js": "text/javascript"}
MODE_COLORS = {Mode.BACKTEST: "#64748b", Mode.SIM: "#2f6fd6", Mode.PAPER: "#b7791f", Mode.LIVE: "#c5283d"}

log = structlog.get_logger("dashboard")


class OverviewSource:
    """Gathers the page's facts at most once a period, and keeps the last history while the database is away."""

    def __init__(
        self, port: DashboardPort, hub: EventHub, *, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._port = port
        self._hub = hub
        self._monotonic_s = monotonic_s
        self._decisions: Sequence[DecisionRecord] = ()
        self._points: Sequence[EquityRecord] = ()
        self._note = ""
        self._history_at_s = -HISTORY_PERIOD_S
        self._decisions_seen = -1
        self._page: overview.Overview | None = None
        self._page_at_s = 0.0
        self._lock = asyncio.Lock()

    async def page(self) -> overview.Overview:
        """The page, not older than a period."""
        async with self._lock:  # readers that come together share one gathering
            if self._page is None or self._monotonic_s() - self._page_at_s >= PAGE_PERIOD_S / 2:
                await self._refresh_history()
                self._page = self._build()
                self._page_at_s = self._monotonic_s()
            return self._page

    async def _refresh_history(self) -> None:
        now_s = self._monotonic_s()
        is_due = now_s - self._history_at_s >= HISTORY_PERIOD_S
        if self._port.view() is None or not (is_due or self._decisions_seen != self._hub.decisions_published):
            return
        self._history_at_s = now_s
        self._decisions_seen = self._hub.decisions_published
        try:
            self._decisions = await reads.history(
                self._port.decisions(symbol=None, at_ns=None, limit=overview.DECISIONS_SHOWN, order=None)
            )
            self._points = await reads.history(self._port.equity_curve(curve.POINTS_MAX))
            self._note = ""
        except Problem as problem:
            self._note = problem.detail

    def _build(self) -> overview.Overview:
        port = self._port
        return overview.build(
            overview.Facts(
                mode=port.mode,
                band=port.band,
                account=port.account,
                version=port.version,
                view=port.view(),
                steps=tuple(port.startup()),
                decisions=self._decisions,
                points=self._points,
                history_note=self._note,
            )
        )


class Pages:
    """Handlers of the page, its static files, and the event stream."""

    def __init__(self, port: DashboardPort, hub: EventHub, *, csrf_token: str) -> None:
        self._port = port
        self._hub = hub
        self._csrf_token = csrf_token
        self._source = OverviewSource(port, hub)
        environment = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._template = environment.get_template("overview.html")
        self._static = {name: (HERE / "static" / name).read_bytes() for name in STATIC_TYPES}

    async def overview(self, _request: web.Request, _query: object) -> web.StreamResponse:
        page = await self._source.page()
        text = self._template.render(
            page=page, csrf_token=self._csrf_token, width=curve.WIDTH, height=curve.HEIGHT, mode=self._port.mode.value
        )
        return web.Response(text=text, content_type="text/html")

    async def static(self, request: web.Request, _query: object) -> web.StreamResponse:
        name = request.match_info["file"]
        if name not in self._static:
            raise Problem(404, "there is nothing at this path")
        return web.Response(body=self._static[name], content_type=STATIC_TYPES[name], charset="utf-8")

    async def favicon(self, _request: web.Request, _query: object) -> web.StreamResponse:
        color = MODE_COLORS[self._port.mode]
        text = (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
            f'<rect width="32" height="32" rx="7" fill="{color}"/>'
            '<path d="M5 22 L12 14 L18 18 L27 8" fill="none" stroke="#fff" stroke-width="3.4" '
            'stroke-linecap="round" stroke-linejoin="round"/></svg>'
        )
        return web.Response(text=text, content_type="image/svg+xml")

    async def events(self, request: web.Request, query: inputs.EventsQuery) -> web.StreamResponse:
        """Server-sent events until the client leaves, is too slow, or the daemon stops."""
        try:
            client = self._hub.subscribe(request.headers.get("Last-Event-ID", ""))
        except TooManyClients:
            raise Problem(503, "too many clients listen already", code="too_many_clients") from None
        except StreamEnded:
            raise Problem(503, "the daemon is stopping", code="stopping") from None
        with client:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
            await response.prepare(request)
            await _write(response, f"retry: {RETRY_MS}\n\n".encode())
            try:
                await self._feed(response, client, wants_page=query.page == "overview")
            except (StreamEnded, TimeoutError, ConnectionError) as error:
                log.debug("event_stream_ended", why=type(error).__name__)
            except Exception as error:  # border: the head is sent, so the stream can only end; the client comes back
                log.exception("event_stream_failed", error=type(error).__name__)
        return response

    async def _feed(self, response: web.StreamResponse, client: Subscription, *, wants_page: bool) -> None:
        """Records as they come, and on a grid the page, or a ping that shows a client without records we are there."""
        loop = asyncio.get_running_loop()
        period_s = PAGE_PERIOD_S if wants_page else PING_PERIOD_S
        due_s = loop.time()
        if not wants_page:
            await _write(response, Message("status", reads.encode(reads.status_object(self._port))).encode())
            due_s += period_s
        while True:
            message = await client.next(max(0.0, due_s - loop.time()))
            if message is not None:
                await _write(response, message.encode())
            if loop.time() >= due_s:
                await _write(response, (await self._periodic(wants_page=wants_page)).encode())
                due_s = loop.time() + period_s

    async def _periodic(self, *, wants_page: bool) -> Message:
        if wants_page:
            return Message("overview", overview.encode(await self._source.page()))
        return Message("ping", reads.encode({"wall_time": json_views.time(self._port.wall_ns())}))


async def _write(response: web.StreamResponse, chunk: bytes) -> None:
    async with asyncio.timeout(WRITE_SECONDS_MAX):
        await response.write(chunk)
