"""Orders that exist and that nothing tells of (fault rows A6, A7). Decides what is cut out of answers and streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from aiohttp import web

from quant_trading_system.simulator.refusals import order_not_found
from quant_trading_system.simulator.server.errors import refusal_answer
from quant_trading_system.simulator.server.fault_answers import body_of, copied
from quant_trading_system.simulator.server.fault_kinds import Kind
from quant_trading_system.simulator.server.faults import FaultPlan, Firing

HIDDEN_MAX = 10_000  # orders that one rule hides

_ORDERS = "/v2/orders"
_BY_CLIENT_ID = "/v2/orders:by_client_order_id"


def hide_made(firing: Firing, answer: web.Response) -> None:
    """Remember the order that an answer tells of, with its legs."""
    order = _decoded(answer)
    if not isinstance(order, dict) or "id" not in order:
        return
    hidden = _ids(firing)
    legs = order.get("legs")
    for row in (order, *(legs if isinstance(legs, list) else ())):
        if len(hidden) < HIDDEN_MAX:
            hidden[str(row["id"])] = str(row.get("client_order_id"))


def id_of(answer: web.Response) -> str | None:
    """The id of the order that an answer tells of."""
    order = _decoded(answer)
    return str(order["id"]) if isinstance(order, dict) and "client_order_id" in order else None


def conceal(plan: FaultPlan, request: web.Request, answer: web.Response) -> web.Response:
    """The answer to a read as if the hidden orders were not there."""
    if request.method != "GET" or answer.status != 200 or not request.path.startswith(_ORDERS):
        return answer
    if request.path == _ORDERS:
        hidden = {order_id for order_id, _ in _hidden(plan, "list")}
        return _without_rows(answer, hidden) if hidden else answer
    order = _decoded(answer)
    order_id = order.get("id") if isinstance(order, dict) else None
    if request.path == _BY_CLIENT_ID:
        asked = request.query.get("client_order_id", "")
        is_hidden = any(order_id == hidden_id for hidden_id, _ in _hidden(plan, "by_client_id"))
    else:
        asked = request.path.removeprefix(f"{_ORDERS}/")
        is_hidden = any(order_id == hidden_id for hidden_id, _ in _hidden(plan, "by_id"))
    return refusal_answer(order_not_found(asked)) if is_hidden else answer


def is_silenced(plan: FaultPlan, order_id: str) -> bool:
    """Whether trade_updates says nothing of an order."""
    return any(order_id == hidden_id for hidden_id, _ in _hidden(plan, "stream"))


def _hidden(plan: FaultPlan, place: str) -> Iterator[tuple[str, str]]:
    for firing in plan.in_force(Kind.ORDER_INVISIBLE):
        if place in firing.rule.hides:
            yield from _ids(firing).items()


def _ids(firing: Firing) -> dict[str, str]:
    kept = firing.kept.setdefault("orders", {})
    assert isinstance(kept, dict), "ids are kept"
    return kept


def _without_rows(answer: web.Response, hidden: set[str]) -> web.Response:
    rows = _decoded(answer)
    if not isinstance(rows, list):
        return answer
    return copied(answer, msgspec.json.encode([_without_legs(row, hidden) for row in rows if row["id"] not in hidden]))


def _without_legs(row: Mapping[str, object], hidden: set[str]) -> Mapping[str, object]:
    legs = row.get("legs")
    if not isinstance(legs, Sequence) or isinstance(legs, str):
        return row
    return {**row, "legs": [leg for leg in legs if leg["id"] not in hidden]}


def _decoded(answer: web.Response) -> object:
    try:
        return msgspec.json.decode(body_of(answer))
    except msgspec.DecodeError:
        return None
