"""The POST routes: a command from outside to the engine. Decides what a request must bring, no more."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web
from msgspec import Struct

from quant_trading_system.dashboard import inputs
from quant_trading_system.dashboard.guard import Guard
from quant_trading_system.dashboard.port import DashboardPort, NotReady
from quant_trading_system.dashboard.problems import Problem
from quant_trading_system.dashboard.reads import json_response

BODY_SECONDS_MAX = 5.0
ANSWER_SECONDS_MAX = 5.0

log = structlog.get_logger("control")


class Controls:
    """Puts commands before the engine and answers with what it said."""

    def __init__(self, port: DashboardPort, guard: Guard) -> None:
        self._port = port
        self._guard = guard

    async def run(self, request: web.Request, command: str, kind: type[Struct]) -> web.StreamResponse:
        """Check token, origin and body; ask; answer 200 where it was accepted, 409 where it was refused."""
        self._guard.require_token(request)
        body = inputs.parse_body(await _read(request), kind)
        assert isinstance(body, inputs.Body), "every command has a body type of its own"
        arguments = _arguments(body)
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                answer = await self._port.ask(command, operator=body.operator, reason=body.reason, arguments=arguments)
        except NotReady as error:
            log.warning("control_not_ready", command=command, operator=body.operator, reason=body.reason)
            raise Problem(503, f"the engine takes no commands now: {error}", code="not_ready") from error
        except TimeoutError:
            log.error("control_not_answered", command=command, operator=body.operator, reason=body.reason)
            raise Problem(
                504, f"the engine did not answer within {ANSWER_SECONDS_MAX:.0f} s; what it did shows in status"
            ) from None
        log.info(
            "control",
            command=command,
            operator=body.operator,
            reason=body.reason,
            accepted=answer.accepted,
            text=answer.text,
            **{f"argument_{name}": value for name, value in arguments.items()},
        )
        if not answer.accepted:
            raise Problem(409, answer.text, details={"details": answer.details} if answer.details else None)
        return json_response({"accepted": True, "text": answer.text, "details": answer.details})


async def _read(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        if not request.can_read_body:
            return b""
        raise Problem(415, "the body must be application/json")
    if request.content_length is not None and request.content_length > inputs.BODY_BYTES_MAX:
        raise Problem(413, f"the body is larger than {inputs.BODY_BYTES_MAX} bytes")
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            return await request.read()
    except TimeoutError:
        raise Problem(408, f"the body did not arrive within {BODY_SECONDS_MAX:.0f} s") from None


def _arguments(body: inputs.Body) -> dict[str, str]:
    match body:
        case inputs.PauseBody(cancel=cancel):
            return {"cancel": "true"} if cancel else {}
        case inputs.UnlockBody(symbol=symbol):
            return {"symbol": symbol.upper()}
        case inputs.EnableBody(strategy=strategy):
            return {"strategy": strategy}
        case _:
            return {}
