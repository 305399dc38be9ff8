"""Decides whether a request becomes an order: the rules, asked with what the account and the market say right now."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator import calendar, rules
from quant_trading_system.simulator.account import reservation
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.ledger import Books
from quant_trading_system.simulator.numbers import ZERO, is_whole, shares_down
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.refusals import (
    Refusal,
    insufficient_qty,
    invalid,
    position_not_found,
    unprocessable,
)
from quant_trading_system.simulator.requests import OrderChange, OrderRequest
from quant_trading_system.simulator.settings import ExchangeSettings
from quant_trading_system.simulator.valuation import Valuation

GTC_DAYS = 89  # recorded: 2026-09-18 → 2026-12-16 (reference 2.5)
_DAY_NS = 86_400 * NANOS_PER_SECOND
_PERCENT = Decimal(100)


class Intake:
    """Turns granted requests into orders that nobody has seen yet; refuses the others."""

    def __init__(
        self,
        *,
        settings: ExchangeSettings,
        chance: Chance,
        assets: dict[str, SimAsset],
        index: OrderIndex,
        books: Books,
        valuation: Valuation,
    ) -> None:
        self._settings = settings
        self._chance = chance
        self._assets = assets
        self._index = index
        self._books = books
        self._valuation = valuation

    def admit(self, request: OrderRequest, now_ns: Nanos) -> SimOrder:
        """Check a new order.

        Raises:
            Refusal: with Alpaca's status, code and text.
        """
        rules.check_form(request)
        asset = self._asset(request)
        if request.client_order_id is not None and self._index.has_client_id(request.client_order_id):
            raise invalid("client_order_id must be unique")
        position_qty = self._books.qty(asset.symbol)
        intent = rules.check_intent(request, position_qty=position_qty)
        order = self._make(request, asset, intent, now_ns)
        market_price = self._valuation.last_price(order.symbol)
        rules.check_stop(is_buy=order.is_buy, stop_price=order.stop_price, market_price=market_price)
        rules.check_wash_trade(order, self._index.open_of(order.symbol))
        if order.is_buy:
            self._check_purchase(order, now_ns)
        else:
            self._check_sale(order)
        return order

    def admit_replacement(self, old: SimOrder, change: OrderChange, now_ns: Nanos) -> SimOrder:
        """Check a change of an open order; the answer is the order that will replace it.

        Raises:
            Refusal: with Alpaca's status, code and text.
        """
        rules.check_replace(old, change)
        if change.client_order_id is not None and self._index.has_client_id(change.client_order_id):
            raise invalid("client_order_id must be unique")
        new = self._changed(old, change, now_ns)
        rules.check_prices(new.type, limit_price=new.limit_price, stop_price=new.stop_price)
        rules.check_wash_trade(new, self._index.open_of(new.symbol))
        if new.is_buy:
            self._check_purchase(new, now_ns, instead_of=old)
        else:
            self._check_sale(new, instead_of=old)
        return new

    def closing_request(
        self, symbol: str, *, qty: Decimal | None = None, percentage: Decimal | None = None
    ) -> OrderRequest:
        """The market order that closes a position, or a part of it (reference 3.3).

        Raises:
            Refusal: there is no position, or the part makes no sense.
        """
        held = self._books.position(symbol)
        if held is None:
            raise position_not_found()
        size = abs(held.qty)
        wanted = size
        if qty is not None and percentage is not None:
            raise invalid("only one of qty or percentage is accepted")
        if qty is not None:
            rules.check_qty(qty)
            wanted = qty
        if percentage is not None:
            if not ZERO < percentage <= _PERCENT:
                raise invalid("percentage must be between 0 and 100")
            wanted = shares_down(size * percentage / _PERCENT)
            rules.check_qty(wanted)
        if wanted > size:
            held_qty, holders = self._valuation.held_qty(symbol)
            raise insufficient_qty(
                symbol=symbol,
                requested=wanted,
                available=max(ZERO, size - held_qty),
                existing=held.qty,
                held=held_qty,
                related=[order.id for order in holders],
            )
        side = "sell" if held.qty > ZERO else "buy"
        return OrderRequest(symbol=symbol, qty=wanted, side=side, type="market", time_in_force="day")

    def _asset(self, request: OrderRequest) -> SimAsset:
        asset = self._assets.get(request.symbol or "")
        if asset is None:
            raise unprocessable(f'asset "{request.symbol}" not found')
        if not asset.tradable:
            raise unprocessable(f'asset "{asset.symbol}" is not tradable')
        is_fractional = request.notional is not None or not is_whole(request.qty or ZERO)
        if is_fractional and not asset.fractionable:
            raise unprocessable(f'asset "{asset.symbol}" is not fractionable')
        return asset

    def _make(self, request: OrderRequest, asset: SimAsset, intent: str, now_ns: Nanos) -> SimOrder:
        number = len(self._index) + 1
        assert request.side, "expected a side: the form was checked"
        assert request.type, "expected a type: the form was checked"
        assert request.time_in_force, "expected a time in force: the form was checked"
        return SimOrder(
            id=self._chance.uuid("order", number),
            client_order_id=request.client_order_id or self._chance.uuid("client", number),
            created_at_ns=now_ns,
            updated_at_ns=now_ns,
            submitted_at_ns=now_ns,
            asset_id=asset.id,
            symbol=asset.symbol,
            notional=request.notional,
            qty=request.qty,
            type=request.type,
            side=request.side,
            position_intent=intent,
            time_in_force=request.time_in_force,
            limit_price=request.limit_price,
            stop_price=request.stop_price,
            status="pending_new",
            extended_hours=request.extended_hours,
            expires_at_ns=_expiry(request.time_in_force, now_ns),
            source=request.source,
            sequence=number,
        )

    def _changed(self, old: SimOrder, change: OrderChange, now_ns: Nanos) -> SimOrder:
        number = len(self._index) + 1
        time_in_force = change.time_in_force or old.time_in_force
        return SimOrder(
            id=self._chance.uuid("order", number),
            client_order_id=change.client_order_id or self._chance.uuid("client", number),
            created_at_ns=old.created_at_ns,  # both share it (reference, appendix C)
            updated_at_ns=now_ns,
            submitted_at_ns=now_ns,
            replaces=old.id,
            asset_id=old.asset_id,
            symbol=old.symbol,
            qty=old.qty if change.qty is None else change.qty,
            type=old.type,
            side=old.side,
            position_intent=old.position_intent,
            time_in_force=time_in_force,
            limit_price=old.limit_price if change.limit_price is None else change.limit_price,
            stop_price=old.stop_price if change.stop_price is None else change.stop_price,
            status="pending_new",
            extended_hours=old.extended_hours,
            expires_at_ns=_expiry(time_in_force, now_ns),
            source=old.source,
            sequence=number,
            is_elected=old.is_elected,
        )

    def _check_purchase(self, order: SimOrder, now_ns: Nanos, *, instead_of: SimOrder | None = None) -> None:
        price = self._valuation.check_price(order, now_ns)
        if price is None:
            raise Refusal(403, 40310000, f"no price of {order.symbol} to check buying power with")
        order.check_price = price
        is_fractional = order.qty is None or not is_whole(order.qty)
        rules.check_purchase(
            cost_basis=reservation(order),
            buying_power=self._valuation.buying_power(now_ns, without=instead_of),
            is_fractional=is_fractional,
        )

    def _check_sale(self, order: SimOrder, *, instead_of: SimOrder | None = None) -> None:
        price = self._valuation.last_price(order.symbol)
        order.check_price = order.limit_price or order.stop_price or price or ZERO
        held_qty, holders = self._valuation.held_qty(order.symbol)
        if instead_of is not None:
            held_qty -= instead_of.remaining()
            holders = [holder for holder in holders if holder.id != instead_of.id]
        rules.check_sale(
            order,
            wanted=order.remaining(),
            position_qty=self._books.qty(order.symbol),
            holders=holders,
            held=held_qty,
            shorting_enabled=self._settings.shorting_enabled,
        )


def _expiry(time_in_force: str, now_ns: Nanos) -> int | None:
    """When an order ends by itself: good till cancelled after about 90 days, everything else with its session."""
    if time_in_force == "gtc":
        last_day = new_york_date(now_ns + GTC_DAYS * _DAY_NS)
        return new_york_ns(last_day, 16)
    session = calendar.session_closing_after(now_ns)
    return session.close_ns if session else None
