"""What open orders hold: dollars of buys and short sales, shares of sales and covers. Kept as running totals.

Decides nothing about what an order may cost: that is its check price, set when it was admitted. A replacement and its
original hold the larger of both, once (reference 2.8); a held leg holds nothing until it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal, localcontext

import msgspec

from quant_trading_system.simulator.account import NOTHING_RESERVED, Reserved
from quant_trading_system.simulator.holdings import held_by
from quant_trading_system.simulator.marks import WIDE
from quant_trading_system.simulator.numbers import ZERO
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.orders import SimOrder


class Hold(msgspec.Struct, frozen=True):
    """What one order holds: USD where it opens, shares where it closes."""

    usd: Decimal = ZERO
    qty: Decimal = ZERO


NO_HOLD = Hold()
IsCashOnly = Callable[[str], bool]


def reservation(order: SimOrder) -> Decimal:
    """USD that the rest of an opening order may cost; closing ones reserve none."""
    if order.is_closing:
        return ZERO
    if order.notional is not None and order.qty is None:
        return max(ZERO, order.notional - order.filled_cost)
    return order.remaining() * order.check_price


class Reservations:
    """The holds of all open orders, by order, by symbol and together."""

    def __init__(self, index: OrderIndex, *, is_cash_only: IsCashOnly) -> None:
        self._index = index
        self._is_cash_only = is_cash_only
        self._holds: dict[str, Hold] = {}
        self._held_qty: dict[str, Decimal] = {}
        self._reserved = NOTHING_RESERVED

    @property
    def reserved(self) -> Reserved:
        """USD that open orders hold."""
        return self._reserved

    def without(self, order: SimOrder) -> Reserved:
        """The same, one order left out: it is to be replaced."""
        hold = self._holds.get(order.id, NO_HOLD)
        return self._moved(order.symbol, hold.usd, ZERO)

    def held_qty(self, symbol: str) -> Decimal:
        """Shares of a symbol that open closing orders hold."""
        return self._held_qty.get(symbol, ZERO)

    def holders(self, symbol: str) -> list[SimOrder]:
        """The orders that hold them, oldest first; looks at all open orders of the symbol."""
        found = [order for order in self._index.open_of(symbol) if self._holds.get(order.id, NO_HOLD).qty > ZERO]
        return sorted(found, key=lambda order: order.sequence)

    def note(self, order: SimOrder) -> None:
        """An order is new or has changed."""
        self._apply(order)
        for partner_id in (order.replaces, order.replaced_by):
            if partner_id is not None and (partner := self._index.find(partner_id)) is not None:
                self._apply(partner)

    def begin(self, orders: Iterable[SimOrder]) -> None:
        """Take over the open orders of a journal."""
        for order in orders:
            self._apply(order)

    def check(self) -> None:
        """Assert that the totals are what all open orders make."""
        again = Reservations(self._index, is_cash_only=self._is_cash_only)
        again.begin(self._index.open())
        assert again._reserved == self._reserved, f"reserved: expected {again._reserved}, found {self._reserved}"
        assert again._held_qty == self._held_qty, f"held shares: expected {again._held_qty}, found {self._held_qty}"

    def _apply(self, order: SimOrder) -> None:
        before = self._holds.get(order.id, NO_HOLD)
        hold = self._hold_of(order)
        if hold == before:
            return
        if hold is NO_HOLD:
            self._holds.pop(order.id, None)
        else:
            self._holds[order.id] = hold
        self._reserved = self._moved(order.symbol, before.usd, hold.usd)
        held_qty = self.held_qty(order.symbol) + hold.qty - before.qty
        if held_qty:
            self._held_qty[order.symbol] = held_qty
        else:
            self._held_qty.pop(order.symbol, None)

    def _moved(self, symbol: str, before_usd: Decimal, usd: Decimal) -> Reserved:
        """The totals with one hold in place of another; exact, or they would drift away from what the orders make."""
        if usd == before_usd:
            return self._reserved
        with localcontext(WIDE):
            usd -= before_usd
            if self._is_cash_only(symbol):
                return Reserved(marginable=self._reserved.marginable, cash_only=self._reserved.cash_only + usd)
            return Reserved(marginable=self._reserved.marginable + usd, cash_only=self._reserved.cash_only)

    def _hold_of(self, order: SimOrder) -> Hold:
        if order.is_closing:
            qty = held_by(order, self._index)
            return Hold(qty=qty) if qty else NO_HOLD
        usd = self._reserved_by(order)
        return Hold(usd=usd) if usd else NO_HOLD

    def _reserved_by(self, order: SimOrder) -> Decimal:
        """USD that an opening order holds; a replacement and its original the larger of both, once."""
        if not order.is_open or order.status in ("pending_replace", "held"):
            return ZERO
        old = self._index.find(order.replaces) if order.replaces is not None else None
        if old is None or not old.is_open:
            return reservation(order)
        if old.status == "pending_replace":
            return max(reservation(order), reservation(old))
        return ZERO  # the original is on its way out, and still holds it
