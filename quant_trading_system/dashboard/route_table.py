"""Every route there is, with who may use it and what it takes. Decides nothing else; server and OpenAPI follow it."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from quant_trading_system.dashboard import inputs


class Auth(Enum):
    """OPEN: anybody who reaches the loopback address. TOKEN: the control token."""

    OPEN = "open"
    TOKEN = "token"  # noqa: S105 - a level, not a secret


class Route(Struct, frozen=True, kw_only=True):
    """`name` is the handler's; `query` None leaves parameters unread (probes and scrapers may add their own)."""

    method: str
    path: str
    name: str
    auth: Auth
    summary: str
    query: type[Struct] | None = None
    body: type[Struct] | None = None
    is_api: bool = True
    statuses: tuple[int, ...] = (200,)


def _get(
    path: str, name: str, summary: str, query: type[Struct] | None = inputs.NoQuery, *, status: int = 503
) -> Route:
    return Route(
        method="GET", path=path, name=name, auth=Auth.OPEN, summary=summary, query=query, statuses=(200, 422, status)
    )


def _page(path: str, name: str, summary: str) -> Route:
    return Route(method="GET", path=path, name=name, auth=Auth.OPEN, summary=summary, is_api=False)


def _command(command: str, summary: str, body: type[Struct]) -> Route:
    return Route(
        method="POST",
        path=f"/api/v1/control/{command}",
        name=command,
        auth=Auth.TOKEN,
        summary=summary,
        query=inputs.NoQuery,
        body=body,
        statuses=(200, 400, 401, 403, 409, 413, 415, 422, 429, 503, 504),
    )


ROUTES: tuple[Route, ...] = (
    _get("/livez", "livez", "The engine loop advanced lately", None),
    _get("/healthz", "livez", "The same as /livez", None),
    _get("/readyz", "readyz", "Reconciled, streams up, data fresh, stores writable, not halted", inputs.ReadyQuery),
    _get("/metrics", "metrics", "Prometheus text or OpenMetrics", None),
    _page("/", "overview", "The Overview page"),
    _page("/static/{file}", "static", "Style and script of the page"),
    _page("/favicon.svg", "favicon", "The page's sign, in the mode's colour"),
    _get("/api/v1/status", "status", "Mode, account, trading state with causes, the eight steps"),
    _get("/api/v1/account", "account", "Money, as the broker shows it and as the books compute it"),
    _get("/api/v1/positions", "positions", "Positions with their strategies' books"),
    _get("/api/v1/orders", "orders", "Orders, open ones unless asked otherwise", inputs.OrdersQuery),
    _get("/api/v1/orders/{order_id}", "order_story", "One order from signal to fill", status=404),
    _get("/api/v1/fills", "fills", "Executions, newest first", inputs.ListQuery),
    _get("/api/v1/decisions", "decisions", "Why orders were sent or not, newest first", inputs.DecisionsQuery),
    _get("/api/v1/strategies", "strategies", "Strategies, their parameters and results"),
    _get("/api/v1/risk", "risk", "Limits with their use, causes, latches and locks"),
    _get("/api/v1/reconciliation", "reconciliation", "Passes against the broker, newest first", inputs.ListQuery),
    _get("/api/v1/alerts", "alerts", "Alerts, newest first", inputs.ListQuery),
    _get("/api/v1/events", "events", "Server-sent events; Last-Event-ID resumes", inputs.EventsQuery),
    _get("/api/openapi.json", "openapi", "This interface as OpenAPI 3.1"),
    _command("pause", "Only orders that reduce exposure pass", inputs.PauseBody),
    _command("resume", "Lift the pause", inputs.CommandBody),
    _command("cancel-all", "Cancel every order at the broker", inputs.CommandBody),
    _command("kill", "Engage the kill latch and cancel everything", inputs.CommandBody),
    _command("reset", "Leave HALTED after a clean reconciliation", inputs.ResetBody),
    _command("unlock", "Unlock a symbol", inputs.UnlockBody),
    _command("enable", "Switch a strategy on again", inputs.EnableBody),
)
