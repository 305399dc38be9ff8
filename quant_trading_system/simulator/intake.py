"""Decides whether a request becomes an order: the rules, asked with what the account and the market say right now."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

import msgspec

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator import change_rules, rules, trading_rules
from quant_trading_system.simulator.account import equity_of
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.configurations import Permissions
from quant_trading_system.simulator.ledger import Books
from quant_trading_system.simulator.numbers import ZERO, cut_to, is_multiple, is_whole, plain, shares_down
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.order_making import make_legs, make_order, make_replacement
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.refusals import (
    forbidden,
    insufficient_qty,
    invalid,
    position_not_found,
    unprocessable,
)
from quant_trading_system.simulator.requests import OrderChange, OrderRequest
from quant_trading_system.simulator.reservations import reservation
from quant_trading_system.simulator.rulebook import Rulebook
from quant_trading_system.simulator.valuation import Valuation

_PERCENT = Decimal(100)
_ONE_SHARE = Decimal(1)

Wish = TypeVar("Wish", OrderRequest, OrderChange)


class Intake:
    """Turns granted requests into orders that nobody has seen yet; refuses the others."""

    def __init__(
        self,
        *,
        rulebook: Rulebook,
        permissions: Permissions,
        chance: Chance,
        find_asset: Callable[[str], SimAsset | None],
        is_halted: Callable[[str], bool],
        index: OrderIndex,
        books: Books,
        valuation: Valuation,
    ) -> None:
        self._rulebook = rulebook
        self._permissions = permissions
        self._chance = chance
        self._find_asset = find_asset
        self._is_halted = is_halted
        self._index = index
        self._books = books
        self._valuation = valuation

    def admit(self, request: OrderRequest, now_ns: Nanos) -> list[SimOrder]:
        """Check a new order; the answer is the order and its legs.

        Raises:
            Refusal: with Alpaca's status, code and text.
        """
        request = self._adapted(request)
        rules.check_form(request)
        self._permissions.check_order(is_fractional=rules.is_fractional(request))
        asset = self._find_asset(request.symbol or "")
        if asset is None:
            raise unprocessable(f'asset "{request.symbol}" not found')
        rules.check_for_asset(request, asset, judges_leg_ticks=not self._rulebook.cuts_sub_penny)
        self._check_client_id(request.client_order_id)
        rules.check_window(request.time_in_force or "", now_ns)
        trading_rules.check_halt(request.type or "", asset.symbol, is_halted=self._is_halted(asset.symbol))
        intent = trading_rules.check_intent(request, position_qty=self._books.qty(asset.symbol))
        market_price = self._valuation.last_price(asset.symbol)
        order = make_order(
            request,
            asset,
            intent=intent,
            market_price=market_price,
            number=len(self._index) + 1,
            chance=self._chance,
            now_ns=now_ns,
        )
        trading_rules.check_legs(request, base_price=_base_price(request, market_price))
        if order.type != "trailing_stop":  # its stop is behind the market by construction
            trading_rules.check_stop(is_buy=order.is_buy, stop_price=order.stop_price, market_price=market_price)
        self._check_trading(order, asset, now_ns)
        return [order, *make_legs(order, request, chance=self._chance)]

    def admit_replacement(self, old: SimOrder, change: OrderChange, now_ns: Nanos) -> SimOrder:
        """Check a change of an open order; the answer is the order that will replace it.

        Raises:
            Refusal: with Alpaca's status, code and text.
        """
        change = self._adapted(change)
        change_rules.check_replace(old, change)
        asset = self._find_asset(old.symbol)
        assert asset is not None, f"order {old.id}: expected the asset {old.symbol}"
        new = make_replacement(old, change, number=len(self._index) + 1, chance=self._chance, now_ns=now_ns)
        if new.type == "trailing_stop":
            rules.check_trail(new.type, is_buy=new.is_buy, price=new.trail_price, percent=new.trail_percent)
            if change.limit_price is not None or change.stop_price is not None:
                raise invalid("trailing stop orders require no stop or limit price")
        else:
            rules.check_prices(new.type, limit_price=new.limit_price, stop_price=new.stop_price)
            rules.check_tick("limit_price", new.limit_price, asset)
            rules.check_tick("stop_price", new.stop_price, asset)
        self._check_client_id(change.client_order_id)
        if change.stop_price is not None and not new.is_elected:
            market_price = self._valuation.last_price(new.symbol)
            trading_rules.check_stop(is_buy=new.is_buy, stop_price=new.stop_price, market_price=market_price)
        if old.status != "held":  # a held leg holds nothing: its sibling does
            self._check_trading(new, asset, now_ns, instead_of=old)
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
        wanted = _part(size, qty=qty, percentage=percentage)
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
        asset = self._find_asset(symbol)
        is_crypto = asset is not None and asset.asset_class == "crypto"
        return OrderRequest(
            symbol=symbol, qty=wanted, side=side, type="market", time_in_force="gtc" if is_crypto else "day"
        )

    def _adapted(self, wish: Wish) -> Wish:
        """The request as the rulebook reads it."""
        if not self._rulebook.cuts_sub_penny:
            return wish
        cut = {name: rules.cut_to_tick(getattr(wish, name)) for name in ("limit_price", "stop_price")}
        return msgspec.structs.replace(wish, **cut)

    def _check_client_id(self, client_order_id: str | None) -> None:
        if client_order_id is None or not self._index.has_client_id(client_order_id):
            return
        if self._rulebook.frees_client_ids and not self._index.get_by_client_id(client_order_id).is_open:
            return
        raise invalid("client_order_id must be unique")

    def _check_trading(
        self, order: SimOrder, asset: SimAsset, now_ns: Nanos, *, instead_of: SimOrder | None = None
    ) -> None:
        """Ask what the account and its other orders allow; sets the price that the order is reserved at."""
        open_orders = self._index.open_of(order.symbol)
        if self._rulebook.protects_pattern_day_traders and asset.asset_class == "us_equity":
            trading_rules.check_day_trades(
                order,
                day_trades=self._books.day_trades,
                last_equity=self._valuation.last_equity,
                would_day_trade=self._books.would_day_trade(order.symbol, order.side),
                check=self._permissions.configurations.pdt_check,
            )
        trading_rules.check_wash_trade(order, open_orders)
        trading_rules.check_opening(order, open_orders)
        if asset.min_order_size is not None and order.qty is not None and order.qty < asset.min_order_size:
            raise forbidden(f"order qty must be >= minimal qty of order {plain(asset.min_order_size)}")
        price = self._valuation.check_price(order, now_ns)
        if order.position_intent == "sell_to_open":
            trading_rules.check_short(order, asset, refusal=self._valuation.refuse_short(now_ns))
        needs_price = order.qty is None or order.type == "trailing_stop" or not order.is_closing
        if price is None and needs_price:
            raise forbidden(f"no price of {order.symbol} to check the order with")
        order.check_price = price or ZERO
        if order.is_closing:
            self._check_closing(order, instead_of)
        else:
            self._check_opening(order, now_ns, instead_of)

    def _check_opening(self, order: SimOrder, now_ns: Nanos, instead_of: SimOrder | None) -> None:
        cost_basis = reservation(order)
        trading_rules.check_cost(order, cost_basis=cost_basis)
        held = self._valuation.margins(now_ns)
        gross_usd = held.long_market_value - held.short_market_value
        trading_rules.check_exposure(gross_usd=gross_usd, equity_usd=equity_of(self._books.cash, held))
        trading_rules.check_power(
            order,
            cost_basis=cost_basis,
            power=self._valuation.power_for(order, now_ns, without=instead_of),
            is_replacement=instead_of is not None,
        )

    def _check_closing(self, order: SimOrder, instead_of: SimOrder | None) -> None:
        held_qty, holders = self._valuation.held_qty(order.symbol)
        if instead_of is not None:
            held_qty -= instead_of.remaining()
            holders = [holder for holder in holders if holder.id != instead_of.id]
        position_qty = self._books.qty(order.symbol)
        trading_rules.check_closing(order, position_qty=position_qty, holders=holders, held=held_qty)
        if order.notional is not None:
            order.qty_cap = abs(position_qty) - held_qty


def _base_price(request: OrderRequest, market_price: Decimal | None) -> Decimal | None:
    """USD that legs are compared with: where the position will begin, or for an OCO, where it stands."""
    if request.type == "limit" and request.order_class != "oco":
        return request.limit_price
    return market_price


def _part(size: Decimal, *, qty: Decimal | None, percentage: Decimal | None) -> Decimal:
    """How much of a position to close; of whole shares a percentage is whole shares (reference 3.1)."""
    if qty is not None and percentage is not None:
        raise invalid("only one of qty or percentage is accepted")
    if qty is not None:
        rules.check_qty(qty)
        return shares_down(qty)
    if percentage is None:
        return size
    if not ZERO < percentage <= _PERCENT:
        raise invalid("percentage must be between 0 and 100")
    wanted = shares_down(size * percentage / _PERCENT)
    if is_whole(size) and not is_multiple(wanted, _ONE_SHARE):
        wanted = cut_to(wanted, _ONE_SHARE)
    rules.check_qty(wanted)
    return wanted
