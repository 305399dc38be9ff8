"""The GET routes of the API: what the engine shows, and what the database remembers. Change nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from quant_trading_system.core.types import Mode
from quant_trading_system.core.views import EngineView
from quant_trading_system.dashboard import inputs, json_views, openapi
from quant_trading_system.dashboard.port import DashboardPort, HistoryUnavailable
from quant_trading_system.dashboard.problems import Problem

HISTORY_SECONDS_MAX = 3.0

Found = TypeVar("Found")


def json_response(content: object, *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=encode(content), content_type="application/json")


def encode(content: object) -> bytes:
    return msgspec.json.encode(content)


def status_object(port: DashboardPort) -> dict[str, Any]:
    """What `status` answers, also while the daemon starts."""
    view = port.view()
    steps = [
        {
            "number": step.number,
            "name": step.name,
            "seconds": round(step.seconds, 3),
            "state": step.state,
            "detail": step.detail,
        }
        for step in port.startup()
    ]
    content: dict[str, Any] = {
        "mode": port.mode.value,
        "band": port.band,
        "account": port.account,
        "version": port.version,
        "pid": os.getpid(),
        "trading_state": _state_without_engine(steps) if view is None else view.state.value,
        "causes": [] if view is None else [json_views.cause(cause) for cause in view.causes],
        "steps": steps,
        "wall_time": json_views.time(port.wall_ns()),
    }
    restart = port.restart_report()
    if restart is not None:
        content["restart"] = {name: restart[name] for name in ("down_since", "down_seconds", "lines")}
    if port.mode is Mode.SIM:
        content["exchange_url"] = port.exchange_url
    return content if view is None else content | _engine_status(view)


def _state_without_engine(steps: Sequence[Mapping[str, Any]]) -> str:
    return "STANDBY" if any(step["state"] == "standby" for step in steps) else "STARTING"


def _engine_status(view: EngineView) -> dict[str, Any]:
    return {
        "is_stopping": view.is_stopping,
        "venue_time": json_views.time(view.venue_ns),
        "session": json_views.session(view.session),
        "streams": {
            name: {
                "is_up": is_up,
                "last_message_age_s": json_views.age(view.stream_last_message_age_s.get(name)),
            }
            for name, is_up in view.streams_up.items()
        },
        "healing": {each.action: {"used": each.used, "limit": each.limit} for each in view.healing},
        "kill_latch": {"state": json_views.latch_state(view), "stores": view.latches},
        "reconciliation": {
            "age_s": json_views.age(view.reconciliation_age_s),
            "runs": view.reconciliations,
            "drifts": view.drifts,
        },
        "equity": json_views.amount(view.money.equity_usd),
        "cash": json_views.amount(view.cash_usd),
        "day_pl": json_views.amount(view.money.day_pnl_usd),
        "drawdown_ratio": json_views.ratio(view.money.drawdown_ratio),
        "gross_exposure_ratio": json_views.ratio(view.exposure_ratio),
        "positions": sum(1 for position in view.positions if position.quantity),
        "open_orders": len(view.open_orders),
        "unknown_orders": view.unknown_orders,
        "locks": view.locks,
        "limits_version": view.limits_version,
        "events_handled": view.events_handled,
    }


class Reads:
    """Handlers by the names of the route table."""

    def __init__(self, port: DashboardPort) -> None:
        self._port = port
        self._document = encode(openapi.document(port.version))

    async def livez(self, _request: web.Request, _query: object) -> web.StreamResponse:
        is_alive, _detail = self._port.livez()
        return web.Response(status=200 if is_alive else 503, text="ok" if is_alive else "stalled")

    async def readyz(self, request: web.Request, _query: object) -> web.StreamResponse:
        checks = self._port.ready_checks()
        is_ready = bool(checks) and all(check.ok for check in checks)
        word = "ready" if is_ready else "not ready"
        if any(check.name == "standby" for check in checks):
            word = "not ready: standby"
        if "verbose" in request.query:
            lines = [f"[{'+' if check.ok else '-'}] {check.name}: {check.detail or 'ok'}" for check in checks]
            word = "\n".join([*lines, word]) + "\n"
        return web.Response(status=200 if is_ready else 503, text=word)

    async def metrics(self, request: web.Request, _query: object) -> web.StreamResponse:
        body, content_type = self._port.metrics(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def status(self, _request: web.Request, _query: object) -> web.StreamResponse:
        return json_response(status_object(self._port))

    async def account(self, _request: web.Request, _query: object) -> web.StreamResponse:
        return json_response(json_views.account(self._view(), number=self._port.account))

    async def positions(self, _request: web.Request, _query: object) -> web.StreamResponse:
        held = [position for position in self._view().positions if position.quantity]
        return json_response({"positions": [json_views.position(position) for position in held]})

    async def orders(self, _request: web.Request, query: inputs.OrdersQuery) -> web.StreamResponse:
        symbol = query.symbol.upper() if query.symbol else None
        if query.status == "open":
            live = [order for order in self._view().open_orders if symbol is None or order.symbol == symbol]
            return json_response({"orders": [json_views.order(order) for order in live[: query.limit]]})
        rows = await history(self._port.orders(symbol=symbol, limit=query.limit))
        wanted = [row for row in rows if query.status == "all" or row.is_final]
        return json_response({"orders": [json_views.order_row(row) for row in wanted]})

    async def order_story(self, request: web.Request, _query: object) -> web.StreamResponse:
        order_id = request.match_info["order_id"]
        story = await history(self._port.order_story(order_id))
        if story is None:
            raise Problem(404, f"no order {order_id} is known", code="order_not_found")
        return json_response(
            {
                "client_order_id": story.client_order_id,
                "decision": None if story.decision is None else json_views.decision(story.decision),
                "order": None if story.order is None else json_views.order_row(story.order),
                "states": [json_views.order_state(state) for state in story.states],
                "fills": [json_views.fill(row) for row in story.fills],
            }
        )

    async def fills(self, _request: web.Request, query: inputs.ListQuery) -> web.StreamResponse:
        rows = await history(self._port.fills(query.limit))
        return json_response({"fills": [json_views.fill(row) for row in rows]})

    async def decisions(self, _request: web.Request, query: inputs.DecisionsQuery) -> web.StreamResponse:
        rows = await history(
            self._port.decisions(
                symbol=query.symbol.upper() if query.symbol else None,
                at_ns=None if query.at is None else inputs.parse_time(query.at),
                limit=query.limit,
                order=query.order,
            )
        )
        return json_response({"decisions": [json_views.decision(row) for row in rows]})

    async def strategies(self, _request: web.Request, _query: object) -> web.StreamResponse:
        return json_response({"strategies": [json_views.strategy(view) for view in self._view().strategies]})

    async def risk(self, _request: web.Request, _query: object) -> web.StreamResponse:
        view = self._view()
        return json_response(
            {
                "trading_state": view.state.value,
                "causes": [json_views.cause(cause) for cause in view.causes],
                "kill_latch": {"state": json_views.latch_state(view), "stores": view.latches},
                "limits": [json_views.limit(limit) for limit in view.limits],
                "limits_version": view.limits_version,
                "locks": [{"symbol": symbol, "reason": reason} for symbol, reason in sorted(view.locks.items())],
                "disabled_strategies": [
                    {"strategy": strategy.strategy, "reason": strategy.disabled_reason}
                    for strategy in view.strategies
                    if not strategy.is_enabled
                ],
            }
        )

    async def reconciliation(self, _request: web.Request, query: inputs.ListQuery) -> web.StreamResponse:
        view = self._view()
        return json_response(
            {
                "age_s": json_views.age(view.reconciliation_age_s),
                "runs": view.reconciliations,
                "drifts": view.drifts,
                "restart": self._port.restart_report(),
                "passes": [json_views.reconciliation(row) for row in self._port.reconciliations(query.limit)],
            }
        )

    async def alerts(self, _request: web.Request, query: inputs.ListQuery) -> web.StreamResponse:
        return json_response({"alerts": [json_views.alert(row) for row in self._port.alerts(query.limit)]})

    async def openapi(self, _request: web.Request, _query: object) -> web.StreamResponse:
        return web.Response(body=self._document, content_type="application/json")

    def _view(self) -> EngineView:
        view = self._port.view()
        if view is None:
            raise Problem(503, "the daemon is starting; /api/v1/status shows its steps", code="starting")
        return view


async def history(asking: Awaitable[Found]) -> Found:
    """Wait for the database, at most `HISTORY_SECONDS_MAX`.

    Raises:
        Problem: 503, it cannot answer now.
    """
    try:
        async with asyncio.timeout(HISTORY_SECONDS_MAX):
            return await asking
    except HistoryUnavailable as error:
        raise Problem(503, f"the history cannot be read now: {error}", code="history_unavailable") from error
    except TimeoutError:
        raise Problem(
            503, f"the history did not answer within {HISTORY_SECONDS_MAX:.0f} s", code="history_unavailable"
        ) from None
