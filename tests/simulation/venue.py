"""Answers Alpaca's REST requests from the exchange's core. Decides what the broker says, before faults change it.

The queries are those of the embedded exchange's server, without sockets; what is written is its own JSON.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import NamedTuple

import msgspec

from quant_trading_system.adapters.alpaca.stamps import parse_stamp
from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.account import AccountState, PositionView
from quant_trading_system.simulator.activities import PAGE_SIZE_MAX, Activity, ActivityLog, ActivityQuery
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.order_index import OrderIndex, OrderQuery
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.refusals import Refusal, invalid, not_found
from quant_trading_system.simulator.requests import OrderChange, OrderRequest
from quant_trading_system.simulator.server.account_wire import account_json, activity_json, position_json
from quant_trading_system.simulator.server.asset_wire import asset_json
from quant_trading_system.simulator.server.hours_wire import clock_json
from quant_trading_system.simulator.server.order_wire import order_json
from quant_trading_system.simulator.server.settings import Profile

ORDER_PREFIX = "/v2/orders/"
ACTIVITY_PREFIX = "/v2/account/activities"
NO_ROWS = b"[]"


class Request(NamedTuple):
    """One request as it arrives."""

    method: str
    path: str
    params: Mapping[str, str]
    body: bytes


class Answer(NamedTuple):
    """Status, headers and body of an answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


class Picture(NamedTuple):
    """What the broker showed at a moment, kept for reads that are answered with old truth."""

    orders: OrderIndex
    positions: list[PositionView]
    account: AccountState
    activities: ActivityLog


class SimVenue:
    """The broker's REST interface of one world."""

    def __init__(self, exchange: Exchange, now_ns: Callable[[], Nanos], speed: float) -> None:
        self.exchange = exchange
        self._now_ns = now_ns
        self._encode = msgspec.json.Encoder().encode
        self._clock_control = msgspec.json.encode({"speed": speed, "finished": False, "market": "simulated"})
        self.hidden: dict[str, None] = {}
        """Client ids of orders that nothing shows."""
        self.enlarged: dict[str, int] = {}
        """Client ids of orders of which more shares are taken than were asked for, and how many."""
        self.words: dict[str, str] = {}
        """Client ids of orders, and the status word that is told instead."""
        self.revived: dict[str, int] = {}
        """Client ids of orders of which the broker took its final word back, and when."""
        self.hidden_activities: dict[str, None] = {}
        self.stale: dict[str, Picture] = {}
        """What is read (orders, positions, account, activities), and the old picture it is read from."""

    def serve(self, request: Request) -> Answer:
        """Carry out one request."""
        try:
            return self._route(request)
        except Refusal as refusal:
            return Answer(refusal.http_status, self._encode(refusal.body()))

    def take_picture(self) -> Picture:
        """Everything as it is shown now."""
        index = OrderIndex()
        for order in self.exchange._index.all():
            index.put(copy.copy(order))
        activities = copy.copy(self.exchange._books.activities)
        activities._rows = list(activities._rows)
        activities._stamps = list(activities._stamps)
        return Picture(index, self.exchange.positions(), self.exchange.account(), activities)

    def _route(self, request: Request) -> Answer:
        method, path = request.method, request.path
        if method == "GET":
            return self._read(path, request.params)
        if method == "POST" and path == "/v2/orders":
            body = msgspec.json.decode(request.body)
            more = self.enlarged.get(body["client_order_id"], 0)
            wish = OrderRequest.from_body({**body, "qty": str(int(body["qty"]) + more)} if more else body)
            return self._order_answer(self.exchange.submit(wish))
        if method == "DELETE" and path == "/v2/orders":
            return self._cancel_all()
        if method == "DELETE" and path.startswith(ORDER_PREFIX):
            self.exchange.cancel(path[len(ORDER_PREFIX) :])
            return Answer(204, b"")
        if method == "PATCH" and path.startswith(ORDER_PREFIX):
            change = OrderChange.from_body(msgspec.json.decode(request.body))
            return self._order_answer(self.exchange.replace(path[len(ORDER_PREFIX) :], change))
        raise not_found("endpoint not found.")

    def _read(self, path: str, params: Mapping[str, str]) -> Answer:
        if path == "/v2/orders":
            return self._orders(params)
        if path == "/v2/positions":
            picture = self.stale.get("positions")
            views = self.exchange.positions() if picture is None else picture.positions
            return Answer(200, self._encode([position_json(view) for view in views]) if views else NO_ROWS)
        if path == "/v2/account":
            picture = self.stale.get("account")
            state = self.exchange.account() if picture is None else picture.account
            return Answer(200, self._encode(account_json(state, Profile.CURRENT)))
        if path.startswith(ACTIVITY_PREFIX):
            return self._activities(path, params)
        if path == "/v2/orders:by_client_order_id":
            return self._shown(self._index.get_by_client_id(params["client_order_id"]))
        if path.startswith(ORDER_PREFIX):
            return self._shown(self._index.get(path[len(ORDER_PREFIX) :]))
        return self._read_reference(path, params)

    def _read_reference(self, path: str, params: Mapping[str, str]) -> Answer:
        """What does not depend on the account."""
        if path == "/v2/clock":
            return Answer(200, self._encode(clock_json(self._now_ns())))
        if path == "/v2/assets":
            return Answer(200, self._encode([asset_json(asset) for asset in self.exchange.assets()]))
        if path.startswith("/v2/assets/"):
            return Answer(200, self._encode(asset_json(self.exchange.asset(path[len("/v2/assets/") :]))))
        if path == "/v2/stocks/bars":
            return Answer(200, daily_bars(params["symbols"]))
        if path == "/simulator/v1/clock":
            return Answer(200, self._clock_control)
        raise not_found("endpoint not found.")

    @property
    def _index(self) -> OrderIndex:
        picture = self.stale.get("orders")
        return self.exchange._index if picture is None else picture.orders

    def _orders(self, params: Mapping[str, str]) -> Answer:
        after = params.get("after")
        found = self._index.select(
            OrderQuery(
                status=params.get("status", "open"),
                limit=int(params.get("limit", "50")),
                after_ns=None if after is None else parse_stamp(after),
                direction=params.get("direction", "desc"),
                symbols=tuple(filter(None, params.get("symbols", "").split(","))),
                before_order_id=params.get("before_order_id"),
                after_order_id=params.get("after_order_id"),
            )
        )
        if not found:
            return Answer(200, NO_ROWS)
        shown = [self._json(order) for order in found if order.client_order_id not in self.hidden]
        return Answer(200, self._encode(shown))

    def _activities(self, path: str, params: Mapping[str, str]) -> Answer:
        single = path[len(ACTIVITY_PREFIX) + 1 :]
        after, until = params.get("after"), params.get("until")
        query = ActivityQuery(
            types=[single] if single else [name for name in params.get("activity_types", "").split(",") if name],
            category=params.get("category", ""),
            after_ns=None if after is None else parse_stamp(after),
            until_ns=None if until is None else parse_stamp(until),
            direction=params.get("direction", "desc"),
            page_size=int(params.get("page_size", str(PAGE_SIZE_MAX))),
            page_token=params.get("page_token"),
        )
        picture = self.stale.get("activities")
        rows: Sequence[Activity] = (
            self.exchange.activities(query) if picture is None else picture.activities.select(query)
        )
        return Answer(200, self._encode([activity_json(row) for row in rows if row.id not in self.hidden_activities]))

    def _cancel_all(self) -> Answer:
        rows = [
            {"id": result.order_id, "status": result.http_status, "body": self._json(result.order)}
            for result in self.exchange.cancel_all()
        ]
        return Answer(207, self._encode(rows))

    def _order_answer(self, order: SimOrder) -> Answer:
        return Answer(200, self._encode(order_json(order, self.exchange.legs(order))))

    def _shown(self, order: SimOrder) -> Answer:
        if order.client_order_id in self.hidden:
            raise not_found(f"order not found for {order.client_order_id}")
        return Answer(200, self._encode(self._json(order)))

    def _json(self, order: SimOrder) -> dict[str, object]:
        written = order_json(order)
        word = self.words.get(order.client_order_id) if self.words else None
        if word is not None:
            written["status"] = word
        return written


@cache
def daily_bars(symbols: str) -> bytes:
    """A month of liquid days: what the daemon asks for average volumes."""
    bar = {"o": 100.0, "h": 101.0, "l": 99.0, "c": 100.0, "v": 5e7, "n": 1_000, "vw": 100.0}
    days = [{"t": f"2025-12-{day:02d}T05:00:00Z", **bar} for day in range(1, 27)]
    return msgspec.json.encode({"bars": {symbol: days for symbol in symbols.split(",")}, "next_page_token": None})


def amount(text: str) -> Decimal:
    """A number of a fault's parameters.

    Raises:
        Refusal: it is none.
    """
    try:
        return Decimal(text)
    except ArithmeticError:
        raise invalid(f"expected a number, found {text}") from None
