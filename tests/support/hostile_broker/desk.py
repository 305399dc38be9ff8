"""Everything the broker is made of, shared by its REST and its sockets."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

from tests.support.hostile_broker.books import Books, Event, Order
from tests.support.hostile_broker.market import Market
from tests.support.hostile_broker.schedule import Schedule
from tests.support.hostile_broker.times import VenueTime, stamp
from tests.support.hostile_broker.wire import text

KEYS = ("PKHOSTILE", "hostile")


class Desk:
    """Books, market, schedule, and what was asked of them."""

    def __init__(self, *, time: VenueTime, schedule: Schedule, seed: int) -> None:
        self.time = time
        self.schedule = schedule
        self.market = Market()
        self.keys = KEYS
        self.requests = 0
        self.posts: dict[str, list[bytes]] = {}
        self.accepted: dict[str, list[str]] = {}
        self.listeners: list[Callable[[Event], None]] = []
        self.connections: dict[str, int] = {"trade": 0, "data": 0}
        self.handshakes: dict[str, int] = {"trade": 0, "data": 0}
        self.books = Books(
            self.market,
            now_ns=self.now_ns,
            rng=random.Random(seed + 1),
            on_event=self._tell,
            picture=self._picture,
        )

    def now_ns(self) -> int:
        return self.time.now_ns()

    def calm(self) -> None:
        """Nothing goes wrong any more, and what was stuck goes on."""
        self.schedule.end()
        for order in self.books.orders.values():
            order.is_stuck = False
            self.books.finish_cancel(order)

    def latest(self, what: str, symbol: str) -> dict[str, object]:
        now_ns = self.now_ns()
        bid, ask = self.market.quote(symbol, now_ns)
        if what == "quotes":
            sizes = {"as": 300, "bs": 200, "ax": "V", "bx": "V", "c": ["R"], "z": "C"}
            return {"t": stamp(now_ns), "bp": float(bid), "ap": float(ask), **sizes}
        if what == "trades":
            price = self.market.price(symbol, now_ns)
            return {"t": stamp(now_ns), "p": price, "s": 100, "x": "V", "c": ["@"], "i": 1, "z": "C"}
        return self.market.bar(symbol, now_ns // 60_000_000_000 * 60_000_000_000)

    def report(self) -> dict[str, Any]:
        """The books, and what the client did."""
        books = self.books
        return {
            "cash": text(books.cash),
            "positions": {symbol: text(qty) for symbol, qty in sorted(books.positions.items())},
            "executions": [
                {
                    "order_id": each.order_id,
                    "qty": text(each.qty),
                    "price": text(each.price),
                    "cum_qty": text(each.cum_qty),
                }
                for each in books.executions
            ],
            "orders": [
                {"client_order_id": each.client_order_id, "status": each.status, "symbol": each.symbol}
                for each in books.orders.values()
            ],
            "posts": {name: [body.decode() for body in bodies] for name, bodies in self.posts.items()},
            "accepted": self.accepted,
            "hostilities": dict(self.schedule.counts),
            "is_over": self.schedule.is_over,
            "requests": self.requests,
            "connections": self.connections,
            "handshakes": self.handshakes,
        }

    def _tell(self, event: Event) -> None:
        for listener in list(self.listeners):
            listener(event)

    @staticmethod
    def _picture(order: Order) -> Order:
        return copy.copy(order)
