"""The broker's own books: orders, executions, positions, cash. Decides what is accepted, and when it fills."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from tests.support.hostile_broker.market import Market

FIRST_CASH = Decimal(100_000)
OPEN = ("accepted", "pending_new", "new", "partially_filled", "pending_cancel", "held")
FINAL = ("filled", "canceled", "expired", "replaced", "rejected")
PARTIAL_PROBABILITY = 0.1
SIDES = {"buy": 1, "sell": -1}
ZERO = Decimal(0)


class Refused(Exception):
    """A definite no: HTTP status and body."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body.get("message"))
        self.status = status
        self.body = body


@dataclass
class Order:
    """One order as the broker keeps it."""

    id: str
    client_order_id: str
    symbol: str
    side: str
    type: str
    time_in_force: str
    qty: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    submitted_ns: int
    updated_ns: int
    order_class: str = ""
    status: str = "pending_new"
    filled_qty: Decimal = ZERO
    filled_value: Decimal = ZERO
    created_ns: int = 0
    filled_ns: int | None = None
    canceled_ns: int | None = None
    failed_ns: int | None = None
    replaced_ns: int | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    parent: str | None = None
    legs: list[str] = field(default_factory=list)
    rests_until_s: float = 0.0
    """Nobody trades with it before, by the monotonic clock."""
    is_stuck: bool = False
    """A cancel of it stays pending until the schedule is over."""

    @property
    def rest(self) -> Decimal:
        return self.qty - self.filled_qty

    @property
    def average(self) -> Decimal | None:
        if not self.filled_qty:
            return None
        return (self.filled_value / self.filled_qty).quantize(Decimal("0.0000000001"), ROUND_HALF_UP).normalize()


@dataclass(frozen=True)
class Execution:
    """One fill."""

    id: str
    order_id: str
    client_order_id: str
    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    cum_qty: Decimal
    leaves_qty: Decimal
    at_ns: int


@dataclass(frozen=True)
class Event:
    """What happened to an order, with a picture of it, for the stream."""

    word: str
    order: Order
    at_ns: int
    execution: Execution | None = None
    position_qty: Decimal = ZERO


class Books:
    """Takes orders, fills them against the market, tells `on_event` what happened."""

    def __init__(
        self,
        market: Market,
        *,
        now_ns: Callable[[], int],
        rng: random.Random,
        on_event: Callable[[Event], None],
        picture: Callable[[Order], Order],
    ) -> None:
        self._market = market
        self._now_ns = now_ns
        self._rng = rng
        self._on_event = on_event
        self._picture = picture
        self.cash = FIRST_CASH
        self.orders: dict[str, Order] = {}
        self.by_client: dict[str, Order] = {}
        self.executions: list[Execution] = []
        self.positions: dict[str, Decimal] = {}
        self.costs: dict[str, Decimal] = {}

    # what is asked

    def submit(self, fields: dict[str, Any]) -> Order:
        """Take an order, or refuse it as the protocol says."""
        order = self._read(fields)
        if order.client_order_id in self.by_client:
            raise Refused(422, {"code": 40010001, "message": "client_order_id must be unique"})
        self._check(order, fields)
        order.status = self._rng.choice(("accepted", "pending_new"))
        self._keep(order)
        self._add_legs(order, fields)
        return order

    def acknowledge(self, order: Order, *, rejects: bool = False) -> None:
        """The venue has it: pending_new, new; or refuses it after the broker took it."""
        if order.status not in ("accepted", "pending_new"):
            return
        self._move(order, "pending_new")
        if rejects:
            order.failed_ns = self._now_ns()
            self._move(order, "rejected")
            return
        self._move(order, "new")

    def cancel(self, order: Order) -> None:
        """Ask for a cancel; whether it wins is decided later."""
        if order.status == "canceled":
            return
        if order.status in FINAL:
            message = f'order is already in "{order.status}" state'
            raise Refused(422, {"code": 42210000, "message": message})
        if order.status == "pending_cancel":
            raise Refused(422, {"code": 42210000, "message": "order pending cancel"})
        self._move(order, "pending_cancel", is_told=self._rng.random() < 0.5)

    def finish_cancel(self, order: Order) -> None:
        """The cancel wins, unless the order was filled meanwhile."""
        if order.status != "pending_cancel" or order.is_stuck:
            return
        order.canceled_ns = self._now_ns()
        self._move(order, "canceled")
        for leg in [self.orders[each] for each in order.legs]:
            if leg.status in OPEN:
                leg.canceled_ns = self._now_ns()
                self._move(leg, "canceled", is_told=False)  # no event of a leg was ever seen

    def replace(self, order: Order, fields: dict[str, Any]) -> Order:
        """A replaced order is a new order."""
        if order.status not in ("new", "partially_filled"):
            raise Refused(422, {"code": 42210000, "message": "unable to replace order, order is not open"})
        wanted = dict(
            symbol=order.symbol,
            side=order.side,
            type=order.type,
            time_in_force=fields.get("time_in_force", order.time_in_force),
            qty=fields.get("qty", str(order.qty)),
            limit_price=fields.get("limit_price", order.limit_price),
            stop_price=fields.get("stop_price", order.stop_price),
            client_order_id=fields.get("client_order_id") or str(uuid.UUID(int=self._rng.getrandbits(128))),
        )
        heir = self._read({key: value for key, value in wanted.items() if value is not None})
        if heir.client_order_id in self.by_client:
            raise Refused(422, {"code": 40010001, "message": "client_order_id must be unique"})
        heir.replaces, heir.created_ns, heir.status = order.id, order.created_ns, "new"
        self._keep(heir)
        order.replaced_by, order.replaced_ns = heir.id, self._now_ns()
        self._move(order, "replaced")
        self._move(heir, "new")
        return heir

    def match(self) -> None:
        """Fill what the market reaches now."""
        for order in list(self.orders.values()):
            if order.status in ("new", "partially_filled", "pending_cancel"):
                self._match(order)

    def fill_whole(self, order: Order) -> None:
        """The venue fills it at its own price, before anything else can be done with it."""
        price = order.limit_price or self._market.quote(order.symbol, self._now_ns())[1]
        self._fill(order, order.rest, price)

    def available(self, symbol: str) -> Decimal:
        """Shares that no open sale holds."""
        held = sum(
            (each.rest for each in self.orders.values() if each.status in OPEN and each.symbol == symbol
             and each.side == "sell" and each.parent is None),
            ZERO,
        )  # fmt: skip
        return self.positions.get(symbol, ZERO) - held

    # inside

    def _read(self, fields: dict[str, Any]) -> Order:
        now_ns = self._now_ns()
        try:
            qty = Decimal(str(fields["qty"]))
            limit, stop = (
                None if fields.get(name) is None else Decimal(str(fields[name]))
                for name in ("limit_price", "stop_price")
            )
            order = Order(
                id=str(uuid.UUID(int=self._rng.getrandbits(128), version=4)),
                client_order_id=str(fields.get("client_order_id") or uuid.UUID(int=self._rng.getrandbits(128))),
                symbol=fields["symbol"],
                side=fields["side"],
                type=fields["type"],
                time_in_force=fields["time_in_force"],
                qty=qty,
                limit_price=limit,
                stop_price=stop,
                submitted_ns=now_ns,
                updated_ns=now_ns,
                created_ns=now_ns + self._rng.randrange(2_000_000, 90_000_000),
                order_class=fields.get("order_class") or "",
            )
        except (KeyError, InvalidOperation) as error:
            raise Refused(422, {"code": 40010001, "message": f"request body format is invalid: {error}"}) from error
        return order

    def _check(self, order: Order, fields: dict[str, Any]) -> None:
        if order.symbol not in self._market.symbols:
            raise Refused(422, {"code": 42210000, "message": f'asset "{order.symbol}" not found'})
        if order.qty <= 0:
            raise Refused(422, {"code": 40010001, "message": "qty must be > 0"})
        for name in ("limit_price", "stop_price"):
            price = getattr(order, name)
            if price is not None and price != price.quantize(Decimal("0.01")):
                text = f"invalid {name} {price}. sub-penny increment does not fulfill minimum pricing criteria"
                raise Refused(422, {"code": 42210000, "message": text})
        if fields.get("type") == "limit" and order.limit_price is None:
            raise Refused(422, {"code": 40010001, "message": "limit orders require a limit price"})
        self._check_money(order)
        self._check_wash(order)

    def _check_money(self, order: Order) -> None:
        if order.side == "sell":
            free = self.available(order.symbol)
            if order.qty > free:
                text = f"insufficient qty available for order (requested: {order.qty}, available: {max(free, ZERO)})"
                held = [each.id for each in self.orders.values() if each.status in OPEN and each.symbol == order.symbol]
                existing = self.positions.get(order.symbol, ZERO)
                raise Refused(403, {
                    "available": str(max(free, ZERO)), "code": 40310000, "existing_qty": str(existing),
                    "held_for_orders": str(existing - free), "message": text, "related_orders": held,
                    "symbol": order.symbol,
                })  # fmt: skip
            return
        price = order.limit_price or self._market.quote(order.symbol, self._now_ns())[1]
        if price * order.qty > self.buying_power():
            cost = {"cost_basis": str(price * order.qty), "message": "insufficient buying power"}
            raise Refused(403, {"buying_power": str(self.buying_power()), "code": 40310000, **cost})

    def buying_power(self) -> Decimal:
        reserved = sum(
            (each.rest * (each.limit_price or ZERO) for each in self.orders.values()
             if each.status in OPEN and each.side == "buy"),
            ZERO,
        )  # fmt: skip
        return max(ZERO, self.cash - reserved)

    def _check_wash(self, order: Order) -> None:
        for other in self.orders.values():
            if other.status not in OPEN or other.symbol != order.symbol or other.side == order.side or other.parent:
                continue
            both_limit = order.type == other.type == "limit"
            buy, sell = (order, other) if order.side == "buy" else (other, order)
            if both_limit and (buy.limit_price or ZERO) < (sell.limit_price or ZERO):
                continue
            raise Refused(403, {
                "code": 40310000, "existing_order_id": other.id,
                "message": "potential wash trade detected. use complex orders",
                "reject_reason": "opposite side limit order exists" if both_limit
                else "opposite side market/stop order exists",
            })  # fmt: skip

    def _keep(self, order: Order) -> None:
        self.orders[order.id] = order
        self.by_client[order.client_order_id] = order

    def _add_legs(self, order: Order, fields: dict[str, Any]) -> None:
        for name, kind in (("take_profit", "limit"), ("stop_loss", "stop")):
            leg = fields.get(name)
            if not isinstance(leg, dict):
                continue
            child = self._read({
                "symbol": order.symbol, "side": "sell" if order.side == "buy" else "buy", "qty": str(order.qty),
                "type": "stop_limit" if kind == "stop" and leg.get("limit_price") else kind,
                "time_in_force": order.time_in_force, "limit_price": leg.get("limit_price"),
                "stop_price": leg.get("stop_price"),
            })  # fmt: skip
            child.status, child.parent, child.order_class = "held", order.id, order.order_class
            order.legs.append(child.id)
            self._keep(child)

    def _match(self, order: Order) -> None:
        if time.monotonic() < order.rests_until_s:
            return
        bid, ask = self._market.quote(order.symbol, self._now_ns())
        price = ask if order.side == "buy" else bid
        if order.type in ("stop", "stop_limit"):
            sign = SIDES[order.side]
            if order.stop_price is None or (price - order.stop_price) * sign < 0:
                return
        if order.limit_price is not None and (order.limit_price - price) * SIDES[order.side] < 0:
            return
        if order.rest > 1 and self._rng.random() < PARTIAL_PROBABILITY:
            self._fill(order, Decimal(self._rng.randrange(1, int(order.rest))), price)
            return
        self._fill(order, order.rest, price)

    def _fill(self, order: Order, qty: Decimal, price: Decimal) -> None:
        signed = qty * SIDES[order.side]
        held = self.positions.get(order.symbol, ZERO)
        self.cash -= signed * price
        cost = self.costs.get(order.symbol, ZERO)
        self.costs[order.symbol] = cost + qty * price if signed > 0 else cost * (held + signed) / held if held else ZERO
        self.positions[order.symbol] = held + signed
        if not self.positions[order.symbol]:
            del self.positions[order.symbol]
            del self.costs[order.symbol]
        order.filled_qty += qty
        order.filled_value += qty * price
        was_canceling = order.status == "pending_cancel"
        is_last = not order.rest
        now_ns = self._now_ns()
        execution = Execution(
            id=str(uuid.UUID(int=self._rng.getrandbits(128), version=4)),
            order_id=order.id,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            qty=qty,
            price=price,
            cum_qty=order.filled_qty,
            leaves_qty=order.rest,
            at_ns=now_ns,
        )
        self.executions.append(execution)
        if is_last:
            order.filled_ns = now_ns
        status = "filled" if is_last else "pending_cancel" if was_canceling else "partially_filled"
        self._move(order, status, word="fill" if is_last else "partial_fill", execution=execution)
        if is_last and was_canceling and self._rng.random() < 0.5:
            self._tell("order_cancel_rejected", order)
        if is_last:
            self._after_fill(order)

    def _after_fill(self, order: Order) -> None:
        """Legs wake up when their parent is filled; one that fills ends its sibling."""
        for leg in [self.orders[each] for each in order.legs]:
            if leg.status == "held":
                leg.submitted_ns = self._now_ns()
                self._move(leg, "new", is_told=leg.type == "limit")
        if order.parent is not None:
            for sibling in [self.orders[each] for each in self.orders[order.parent].legs]:
                if sibling is not order and sibling.status in OPEN:
                    sibling.canceled_ns = self._now_ns()
                    self._move(sibling, "canceled", is_told=False)

    def _move(
        self, order: Order, status: str, *, word: str = "", execution: Execution | None = None, is_told: bool = True
    ) -> None:
        order.status = status
        order.updated_ns = max(self._now_ns(), order.updated_ns + 1_000)
        if is_told:
            self._tell(word or status, order, execution)

    def _tell(self, word: str, order: Order, execution: Execution | None = None) -> None:
        held = self.positions.get(order.symbol, ZERO)
        self._on_event(Event(word, self._picture(order), order.updated_ns, execution, held))
