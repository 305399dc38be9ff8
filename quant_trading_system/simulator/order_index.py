"""Where orders are found: by id, by client id, open ones, and lists as a client asks for them. Decides no fate."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from uuid import UUID

import msgspec

from quant_trading_system.simulator.orders import FINAL_STATUSES, OPEN_STATUSES, SimOrder
from quant_trading_system.simulator.refusals import invalid, order_not_found

LIST_LIMIT_DEFAULT = 50
LIST_LIMIT_MAX = 500


class OrderQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders a client wants to see (reference 2.1). Stamps are exclusive and compare with `submitted_at`."""

    status: str = "open"
    limit: int = LIST_LIMIT_DEFAULT
    after_ns: int | None = None
    until_ns: int | None = None
    direction: str = "desc"
    symbols: Collection[str] = ()
    side: str | None = None
    before_order_id: str | None = None
    after_order_id: str | None = None

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


class OrderIndex:
    """Every order of the account, in the order of arrival."""

    def __init__(self) -> None:
        self._by_id: dict[str, SimOrder] = {}
        self._by_client_id: dict[str, SimOrder] = {}
        self._open: dict[str, SimOrder] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, order: SimOrder) -> None:
        assert order.id not in self._by_id, f"order {order.id}: already known"
        self._by_id[order.id] = order
        self._by_client_id[order.client_order_id] = order
        self.refresh(order)

    def put(self, order: SimOrder) -> None:
        """Enter an order or its newer state, as a journal tells it."""
        self._by_id[order.id] = order
        self._by_client_id[order.client_order_id] = order
        self.refresh(order)

    def refresh(self, order: SimOrder) -> None:
        """Look again whether an order is open."""
        if order.is_open:
            self._open[order.id] = order
        else:
            self._open.pop(order.id, None)

    def all(self) -> Iterator[SimOrder]:
        return iter(self._by_id.values())

    def open(self) -> list[SimOrder]:
        """Open orders, oldest first."""
        return sorted(self._open.values(), key=_arrival)

    def open_of(self, symbol: str) -> list[SimOrder]:
        return [order for order in self._open.values() if order.symbol == symbol]

    def has_client_id(self, client_order_id: str) -> bool:
        return client_order_id in self._by_client_id

    def known(self, order_id: str) -> SimOrder:
        """An order that is certainly there."""
        return self._by_id[order_id]

    def get(self, order_id: str) -> SimOrder:
        """Find an order by the id in a path; dashes may be missing.

        Raises:
            Refusal: no id of an order, or nobody's.
        """
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
        """The orders that a client asks for, by `submitted_at`, then arrival.

        Raises:
            Refusal: the question makes no sense, or names an order that is not there.
        """
        query.check()
        pool = self._open.values() if query.status == "open" else self._by_id.values()
        found = [order for order in pool if self._is_wanted(order, query)]
        found.sort(key=_arrival, reverse=query.direction == "desc")
        return found[: query.limit]

    def _is_wanted(self, order: SimOrder, query: OrderQuery) -> bool:
        wanted = {"open": OPEN_STATUSES, "closed": FINAL_STATUSES, "all": OPEN_STATUSES | FINAL_STATUSES}[query.status]
        return (
            order.status in wanted
            and (not query.symbols or order.symbol in query.symbols)
            and query.side in (None, order.side)
            and self._is_in_range(order, query)
        )

    def _is_in_range(self, order: SimOrder, query: OrderQuery) -> bool:
        if query.after_order_id is not None and _arrival(order) <= _arrival(self.get(query.after_order_id)):
            return False
        if query.before_order_id is not None and _arrival(order) >= _arrival(self.get(query.before_order_id)):
            return False
        if query.after_ns is not None and order.submitted_at_ns <= query.after_ns:
            return False
        return query.until_ns is None or order.submitted_at_ns < query.until_ns


def _arrival(order: SimOrder) -> tuple[int, int]:
    return order.submitted_at_ns, order.sequence
