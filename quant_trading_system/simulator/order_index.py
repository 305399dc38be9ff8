"""Where orders are found: by id, by client id, open ones, and lists as a client asks for them. Decides no fate."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator
from uuid import UUID

import msgspec

from quant_trading_system.simulator.orders import FINAL_STATUSES, OPEN_STATUSES, SimOrder
from quant_trading_system.simulator.refusals import invalid, order_not_found

LIST_LIMIT_DEFAULT = 50
LIST_LIMIT_MAX = 500

_WANTED = {"open": OPEN_STATUSES, "closed": FINAL_STATUSES, "all": OPEN_STATUSES | FINAL_STATUSES}


class OrderQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders a client wants to see (reference 2.1). Stamps are exclusive and compare with `submitted_at`."""

    status: str = "open"
    limit: int = LIST_LIMIT_DEFAULT
    after_ns: int | None = None
    until_ns: int | None = None
    direction: str = "desc"
    symbols: Collection[str] = ()
    side: str | None = None
    asset_classes: Collection[str] = ()
    before_order_id: str | None = None
    after_order_id: str | None = None
    nested: bool = False

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            Refusal: names the parameter.
        """
        if self.status not in ("open", "closed", "all"):
            raise invalid("status must be open, closed or all")
        if not 1 <= self.limit <= LIST_LIMIT_MAX:
            raise invalid(f"limit must be between 1 and {LIST_LIMIT_MAX}")
        if self.direction not in ("asc", "desc"):
            raise invalid("direction must be asc or desc")
        if self.side not in (None, "buy", "sell"):
            raise invalid("side must be buy or sell")
        by_id = self.before_order_id is not None or self.after_order_id is not None
        if self.before_order_id is not None and self.after_order_id is not None:
            raise invalid("before_order_id and after_order_id cannot be used together")
        if by_id and (self.after_ns is not None or self.until_ns is not None):
            raise invalid("before_order_id and after_order_id cannot be used with after or until")


Arrival = tuple[int, str]
_FIRST_ID, _LAST_ID = "", "g"  # of UUIDs
_BEFORE_ALL: Arrival = (-1, _FIRST_ID)
_AFTER_ALL: Arrival = ((1 << 63) - 1, _LAST_ID)


class OrderIndex:
    """Every order of the account, kept in the order of `submitted_at`, then id (reference 2.1)."""

    def __init__(self) -> None:
        self._by_id: dict[str, SimOrder] = {}
        self._by_client_id: dict[str, SimOrder] = {}
        self._arrivals: list[Arrival] = []
        self._open: dict[str, SimOrder] = {}
        self._open_by_symbol: dict[str, dict[str, SimOrder]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, order: SimOrder) -> None:
        assert order.id not in self._by_id, f"order {order.id}: already known"
        self.put(order)

    def put(self, order: SimOrder) -> None:
        """Enter an order or its newer state, as a journal tells it."""
        older = self._by_id.get(order.id)
        if older is not None:
            self._withdraw(older)
        self._by_id[order.id] = order
        namesake = self._by_client_id.get(order.client_order_id)
        if namesake is None or namesake.sequence <= order.sequence:  # where ids are free again, the newer one has it
            self._by_client_id[order.client_order_id] = order
        self._enlist(order)
        self.refresh(order)

    def refresh(self, order: SimOrder) -> None:
        """Look again whether an order is open."""
        at_symbol = self._open_by_symbol.setdefault(order.symbol, {})
        if order.is_open:
            self._open[order.id] = at_symbol[order.id] = order
        else:
            self._open.pop(order.id, None)
            at_symbol.pop(order.id, None)

    def resubmit(self, order: SimOrder, submitted_at_ns: int) -> None:
        """A held leg goes to the venue: its `submitted_at` moves (reference 2.3), and it with it."""
        self._withdraw(order)
        order.submitted_at_ns = submitted_at_ns
        self._enlist(order)

    def all(self) -> Iterator[SimOrder]:
        return iter(self._by_id.values())

    def open(self) -> list[SimOrder]:
        """Open orders, oldest first."""
        return sorted(self._open.values(), key=lambda order: order.sequence)

    def open_of(self, symbol: str) -> list[SimOrder]:
        return list(self._open_by_symbol.get(symbol, {}).values())

    def has_client_id(self, client_order_id: str) -> bool:
        return client_order_id in self._by_client_id

    def find(self, order_id: str) -> SimOrder | None:
        return self._by_id.get(order_id)

    def known(self, order_id: str) -> SimOrder:
        """An order that is certainly there."""
        return self._by_id[order_id]

    def get(self, order_id: str) -> SimOrder:
        """Find an order by the id in a path; dashes may be missing.

        Raises:
            Refusal: no id of an order, or nobody's.
        """
        order = self._by_id.get(order_id)
        if order is not None:
            return order
        try:
            plain_id = str(UUID(order_id))
        except ValueError:
            raise invalid("order_id is missing") from None  # Alpaca's text (reference 2.1)
        order = self._by_id.get(plain_id)
        if order is None:
            raise order_not_found(order_id)
        return order

    def get_by_client_id(self, client_order_id: str) -> SimOrder:
        """Find an order by the name its sender gave it.

        Raises:
            Refusal: nobody's.
        """
        order = self._by_client_id.get(client_order_id)
        if order is None:
            raise order_not_found(client_order_id)
        return order

    def select(self, query: OrderQuery) -> list[SimOrder]:
        """The orders that a client asks for, by `submitted_at`, then id.

        Nested, a leg is no row of its own where its parent is among the orders asked for: the caller writes it into
        the parent. A leg that has been replaced stays a row, because its parent has another one now.

        Raises:
            Refusal: the question makes no sense, or names an order that is not there.
        """
        query.check()
        first, last = self._span(query)
        arrivals = sorted(map(_arrival, self._open.values())) if query.status == "open" else self._arrivals
        low, high = bisect_right(arrivals, first), bisect_left(arrivals, last)
        places = range(low, high) if query.direction == "asc" else range(high - 1, low - 1, -1)
        found: list[SimOrder] = []
        for place in places:
            order = self._by_id[arrivals[place][1]]
            if not _is_wanted(order, query):
                continue
            parent = self._living_parent(order) if query.nested else None
            if parent is not None and first < _arrival(parent) < last and _is_wanted(parent, query):
                continue
            found.append(order)
            if len(found) == query.limit:
                break
        return found

    def _span(self, query: OrderQuery) -> tuple[Arrival, Arrival]:
        """The arrivals between which, exclusively, a query looks."""
        first, last = _BEFORE_ALL, _AFTER_ALL
        if query.after_order_id is not None:
            first = _arrival(self.get(query.after_order_id))
        elif query.after_ns is not None:
            first = (query.after_ns, _LAST_ID)
        if query.before_order_id is not None:
            last = _arrival(self.get(query.before_order_id))
        elif query.until_ns is not None:
            last = (query.until_ns, _FIRST_ID)
        return first, last

    def _living_parent(self, order: SimOrder) -> SimOrder | None:
        parent = None if order.parent_id is None else self._by_id[order.parent_id]
        return parent if parent is not None and order.id in parent.leg_ids else None

    def _enlist(self, order: SimOrder) -> None:
        arrival = _arrival(order)
        if not self._arrivals or arrival > self._arrivals[-1]:
            self._arrivals.append(arrival)
        else:
            self._arrivals.insert(bisect_left(self._arrivals, arrival), arrival)

    def _withdraw(self, order: SimOrder) -> None:
        arrival = _arrival(order)
        place = bisect_left(self._arrivals, arrival)
        assert self._arrivals[place] == arrival, f"order {order.id}: expected it among the arrivals"
        del self._arrivals[place]


def _arrival(order: SimOrder) -> Arrival:
    return order.submitted_at_ns, order.id


def _is_wanted(order: SimOrder, query: OrderQuery) -> bool:
    return (
        order.status in _WANTED[query.status]
        and (not query.symbols or order.symbol in query.symbols)
        and query.side in (None, order.side)
        and (not query.asset_classes or order.asset_class in query.asset_classes)
    )
