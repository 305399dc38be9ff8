"""Cancels orders: DELETE and nothing else, shared by the daemon, `control kill` and the watchdog.

Decides what an answer to a cancel proves. A cancel that was taken is not a canceled order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from quant_trading_system.adapters.alpaca.answers import parse_refusal
from quant_trading_system.adapters.alpaca.http import AlpacaHttp, Reply
from quant_trading_system.adapters.alpaca.limits import Lane
from quant_trading_system.core.errors import InDoubt
from quant_trading_system.core.types import BrokerOrderId

DEFINITE_STATUSES = frozenset({400, 401, 403, 404, 422})


class CancelReply(Struct, frozen=True, kw_only=True):
    """`accepted`: the broker took the cancel. Else its status, code and words."""

    broker_order_id: BrokerOrderId
    accepted: bool
    http_status: int
    code: int | None = None
    message: str = ""


class _Entry(Struct, kw_only=True):
    id: str
    status: int
    body: Any = None


class CancelClient:
    """DELETE on orders. A repeated cancel does no harm, so whoever is in doubt may ask again."""

    def __init__(self, http: AlpacaHttp) -> None:
        self._http = http

    async def cancel(
        self, broker_order_id: BrokerOrderId, *, before_write: Callable[[], None] | None = None
    ) -> CancelReply:
        """Ask the broker to cancel one order. `before_write` may keep every byte back, in the loop step of the first.

        Raises:
            InDoubt: the request may have arrived.
            Unavailable: it did not.
        """
        reply = await self._http.request(
            "DELETE",
            f"/v2/orders/{quote(broker_order_id, safe='')}",
            endpoint="DELETE /v2/orders/{id}",
            lane=Lane.CANCEL,
            before_write=before_write,
        )
        if reply.status in (200, 204):
            return CancelReply(broker_order_id=broker_order_id, accepted=True, http_status=reply.status)
        if reply.status not in DEFINITE_STATUSES:
            raise _doubt(reply)
        refusal = parse_refusal(reply.body)
        return CancelReply(
            broker_order_id=broker_order_id,
            accepted=False,
            http_status=reply.status,
            code=refusal.code,
            message=refusal.message,
        )

    async def cancel_all(self, *, before_write: Callable[[], None] | None = None) -> list[CancelReply]:
        """Ask the broker to cancel every open order, ours or not. One reply for each it knew of.

        Raises:
            InDoubt: the request may have arrived, or its answer cannot be read.
            Unavailable: it did not arrive.
        """
        reply = await self._http.request("DELETE", "/v2/orders", lane=Lane.CANCEL, before_write=before_write)
        if reply.status not in (200, 207):
            raise _doubt(reply)
        try:
            entries = msgspec.json.decode(reply.body, type=list[_Entry])
        except msgspec.DecodeError as error:
            raise InDoubt(f"answer {reply.status} to cancel-all: {error}") from error
        return [_to_reply(entry) for entry in entries]


def _to_reply(entry: _Entry) -> CancelReply:
    accepted = 200 <= entry.status < 300
    body = entry.body if isinstance(entry.body, dict) and not accepted else {}
    code = body.get("code")
    return CancelReply(
        broker_order_id=BrokerOrderId(entry.id),
        accepted=accepted,
        http_status=entry.status,
        code=code if type(code) is int else None,
        message=str(body.get("message", "")),
    )


def _doubt(reply: Reply) -> InDoubt:
    refusal = parse_refusal(reply.body)
    return InDoubt(f"answer {reply.status}, code {refusal.code}: {refusal.message}")
