"""What clients ask of orders and positions. Decides the order of the steps: judge, enter, write down, answer.

The part of an exchange that trades; `exchange.Exchange` makes what it works with.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator import change_rules, order_classes
from quant_trading_system.simulator.account import PositionView
from quant_trading_system.simulator.asset_list import AssetList
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.desk import OrderDesk
from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.intake import Intake
from quant_trading_system.simulator.ledger import Books
from quant_trading_system.simulator.matching import Fill
from quant_trading_system.simulator.order_index import OrderIndex, OrderQuery
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.positions import Position
from quant_trading_system.simulator.recorder import Recorder
from quant_trading_system.simulator.refusals import Refusal, position_not_found, unprocessable
from quant_trading_system.simulator.requests import OrderChange, OrderRequest
from quant_trading_system.simulator.trading_day import TradingDay
from quant_trading_system.simulator.valuation import Valuation


class CloseResult(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the 207 that closing everything answers.

    `symbol` is the order's id where the entry is about a cancelled order, as Alpaca has it (reference 3.3).
    """

    symbol: str
    http_status: int
    order: SimOrder | None = None
    refusal: Refusal | None = None


class CancelResult(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the 207 that cancelling everything answers; of a leg, `order` is its parent (reference 2.9)."""

    order_id: str
    http_status: int
    order: SimOrder


class ExchangeOrders:
    """Orders and positions of one account at one venue. Every method raises `Refusal` for what is not granted."""

    _asset_list: AssetList
    _books: Books
    _day: TradingDay
    _desk: OrderDesk
    _index: OrderIndex
    _intake: Intake
    _recorder: Recorder
    _valuation: Valuation

    # --- orders -------------------------------------------------------------------------------------------------------

    def submit(self, request: OrderRequest) -> SimOrder:
        """Take a new order, with its legs.

        Raises:
            Refusal: Alpaca's answer where it is not taken.
        """
        order, *legs = self._intake.admit(request, self._now_ns)
        self._desk.enter(order, legs, self._now_ns, is_routable=self._day.floor.takes(order))
        self._day.expect(order)
        self._recorder.commit(self._now_ns)
        return order

    def external_order(self, request: OrderRequest) -> SimOrder:
        """Take an order that somebody gave in the broker's own app; its client id is always the exchange's.

        Raises:
            Refusal: as `submit`.
        """
        return self.submit(msgspec.structs.replace(request, client_order_id=None, source="app"))

    def replace(self, order_id: str, change: OrderChange) -> SimOrder:
        """Ask for an order to be replaced; the answer is the new one (reference 2.8).

        Raises:
            Refusal: unknown, not replaceable now, or the change is not granted.
        """
        old = self._index.get(order_id)
        new = self._intake.admit_replacement(old, change, self._now_ns)
        self._desk.enter_replacement(old, new, self._now_ns)
        self._recorder.commit(self._now_ns)
        return new

    def cancel(self, order_id: str) -> None:
        """Ask for a cancel; a fill may be faster.

        Raises:
            Refusal: unknown, already asked for, or final.
        """
        order = self._index.get(order_id)
        refusal = change_rules.refuse_cancel(order)
        if refusal is not None:
            raise refusal
        if order.is_open:
            self._desk.request_cancel(order, self._now_ns)
            self._recorder.commit(self._now_ns)

    def cancel_all(self) -> list[CancelResult]:
        """Ask for a cancel of every open order, the newest first; each with the status of its own answer.

        Legs that are held end with their group and are not told of (recorded 2021-06-03 and 2021-06-17).
        """
        answers: list[CancelResult] = []
        for order in reversed(self._index.open()):
            if order.status == "held":
                continue
            refusal = change_rules.refuse_cancel(order) if order.is_open else None
            if refusal is None and order.is_open:
                self._desk.request_cancel(order, self._now_ns)
            answers.append(
                CancelResult(
                    order_id=order.id,
                    http_status=refusal.http_status if refusal else 200,
                    order=order_classes.parent_of(order, self._index),
                )
            )
        self._recorder.commit(self._now_ns)
        return answers

    def legs(self, order: SimOrder) -> list[SimOrder]:
        """The legs of an order as they are now, take-profit first; none of a simple one or of a leg."""
        return order_classes.legs_of(order, self._index)

    def doom(self, order_id: str, *, delay_ns: int, is_silent: bool = False) -> None:
        """A fault: an order that was answered with 200 is rejected some venue time later, with an event or without.

        Raises:
            Refusal: unknown.
        """
        order = self._index.get(order_id)
        if order.is_open:
            self._desk.doom(order, Nanos(self._now_ns + delay_ns), is_silent=is_silent)
            self._recorder.commit(self._now_ns)

    def order(self, order_id: str) -> SimOrder:
        """An order by its id. Raises Refusal 404, or 422 where it is no id."""
        return self._index.get(order_id)

    def order_by_client_id(self, client_order_id: str) -> SimOrder:
        """An order by its sender's name for it. Raises Refusal 404."""
        return self._index.get_by_client_id(client_order_id)

    def orders(self, query: OrderQuery | None = None) -> list[SimOrder]:
        """Orders as a client filters them. Raises Refusal 422 for a filter that makes no sense."""
        query = query or OrderQuery()
        if query.symbols:
            query = msgspec.structs.replace(query, symbols=frozenset(map(self._symbol, query.symbols)))
        return self._index.select(query)

    def fill_out_of_the_blue(
        self, order_id: str, *, qty: Decimal | None = None, price: Decimal | None = None
    ) -> Execution:
        """A fault: an open order fills although the market did not come to it, or before something else arrived.

        Args:
            qty: shares, all that is left unless said; no more than that.
            price: USD a share; its limit or stop price, else the last one.

        Raises:
            Refusal: unknown, final, or nothing says at what price.
        """
        order = self._index.get(order_id)
        if not order.is_open:
            raise unprocessable(f'order is already in "{order.status}" state')
        at = price or order.limit_price or order.stop_price or self._valuation.last_price(order.symbol)
        if at is None:
            raise unprocessable(f"no price of {order.symbol} to fill at")
        wanted = min(qty or order.remaining(at), order.remaining(at))
        execution = self._desk.fill(order, Fill(wanted, at), self._now_ns)
        self._recorder.commit(self._now_ns)
        return execution

    @property
    def cancels_stuck(self) -> bool:
        """A fault: while it is set, cancel requests stay `pending_cancel`; cleared, they go on."""
        return self._desk.holds_cancels

    @cancels_stuck.setter
    def cancels_stuck(self, stuck: bool) -> None:
        self._desk.hold_cancels(stuck=stuck, now_ns=self._now_ns)

    # --- positions ----------------------------------------------------------------------------------------------------

    def positions(self) -> list[PositionView]:
        """Open positions by symbol, at current prices."""
        return [self._view(position) for position in self._books.positions()]

    def position(self, symbol_or_asset_id: str) -> PositionView:
        """One position. Raises Refusal 404."""
        return self._view(self._held(symbol_or_asset_id))

    def close_position(
        self, symbol_or_asset_id: str, *, qty: Decimal | None = None, percentage: Decimal | None = None
    ) -> SimOrder:
        """Sell a position, or a part of it, at the market.

        Raises:
            Refusal: none held (404), shares held by open orders (403), or a part that makes no sense (422).
        """
        symbol = self._held(symbol_or_asset_id).symbol
        return self.submit(self._intake.closing_request(symbol, qty=qty, percentage=percentage))

    def close_all(self, *, cancel_orders: bool) -> list[CloseResult]:
        """Ask for everything to be sold. With `cancel_orders`, cancels are asked for first; they are not waited for,
        so positions behind open sells are refused in the same answer (reference 0.8, W7)."""
        answers = [
            CloseResult(symbol=result.order_id, http_status=result.http_status, order=result.order)
            for result in (self.cancel_all() if cancel_orders else [])
        ]
        for position in self._books.positions():
            try:
                order = self.close_position(position.symbol)
            except Refusal as refusal:
                answers.append(CloseResult(symbol=position.symbol, http_status=refusal.http_status, refusal=refusal))
            else:
                answers.append(CloseResult(symbol=position.symbol, http_status=200, order=order))
        return answers

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _now_ns(self) -> Nanos:
        return self._day.now_ns

    def _held(self, symbol_or_asset_id: str) -> Position:
        position = self._books.position(self._symbol(symbol_or_asset_id))
        if position is None:
            raise position_not_found()
        return position

    def _symbol(self, name: str) -> str:
        return self._asset_list.symbol(name)

    def _find_asset(self, name: str) -> SimAsset | None:
        return self._asset_list.by_symbol.get(self._symbol(name))

    def _view(self, position: Position) -> PositionView:
        return self._valuation.position(position, self._asset_list.by_symbol[position.symbol], self._now_ns)
