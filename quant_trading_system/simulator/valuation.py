"""What things are worth right now, by the market the exchange plays. Decides which price counts for what."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.account import (
    AccountState,
    Margins,
    PositionView,
    buying_power,
    margins,
    position_view,
    reserved_by,
)
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.holdings import held_by
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.ledger import Books, Position
from quant_trading_system.simulator.market.source import MarketSource
from quant_trading_system.simulator.matching import collar
from quant_trading_system.simulator.numbers import ZERO, exact
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.settings import ExchangeSettings


class Valuation:
    """Prices, margins and what is free, of one account."""

    def __init__(self, *, settings: ExchangeSettings, market: MarketSource, books: Books, index: OrderIndex) -> None:
        self._settings = settings
        self._market = market
        self._books = books
        self._index = index
        self.last_equity = settings.cash
        self.last_maintenance_margin = ZERO

    def last_price(self, symbol: str) -> Decimal | None:
        """USD of the last trade, else the last close known; None where the symbol has never traded."""
        trade = self._market.latest_trade(symbol)
        if trade is not None:
            return exact(trade.price)
        return None

    def current_price(self, symbol: str, now_ns: Nanos) -> Decimal | None:
        """USD a share that positions are valued at: last trade, else last close."""
        price = self.last_price(symbol)
        if price is not None:
            return price
        close = self._market.last_close(symbol, new_york_date(now_ns))
        return None if close is None else exact(close)

    def lastday_price(self, symbol: str, now_ns: Nanos) -> Decimal | None:
        close = self._market.last_close(symbol, new_york_date(now_ns))
        return None if close is None else exact(close)

    def margins(self, now_ns: Nanos) -> Margins:
        return margins(self._books, lambda symbol: self._price_of_held(symbol, now_ns))

    def buying_power(self, now_ns: Nanos, *, without: SimOrder | None = None) -> Decimal:
        """USD free for new orders; `without` leaves out an order that is to be replaced."""
        orders = [order for order in self._index.open() if without is None or order.id != without.id]
        return buying_power(
            multiplier=self._settings.multiplier,
            cash=self._books.cash,
            held=self.margins(now_ns),
            reserved=reserved_by(orders),
        )

    def check_price(self, order: SimOrder, now_ns: Nanos) -> Decimal | None:
        """USD a share that a buy is checked and reserved at (reference 2.13).

        The limit; for a stop, its collar; for a market order the ask of the running session, else the last price,
        with the collar that market buys have.
        """
        if order.limit_price is not None:
            return order.limit_price
        if order.stop_price is not None:
            return collar(order.stop_price)
        quote = self._market.latest_quote(order.symbol)
        session = calendar.session_at(now_ns)
        if quote is not None and session is not None and quote.ts_ns >= session.open_ns:
            return collar(exact(quote.ask_price))
        price = self.current_price(order.symbol, now_ns)
        return None if price is None else collar(price)

    def held_qty(self, symbol: str) -> tuple[Decimal, list[SimOrder]]:
        """Shares of a symbol that open sells hold, and which."""
        holders = [(order, held_by(order, self._index)) for order in self._index.open_of(symbol)]
        holding = [(order, qty) for order, qty in holders if qty > ZERO]
        return sum((qty for _, qty in holding), start=ZERO), [order for order, _ in holding]

    def account(self, now_ns: Nanos) -> AccountState:
        """The account as it stands."""
        held = self.margins(now_ns)
        reserved = reserved_by(self._index.open())
        free = held.equity - held.initial
        closed = calendar.session_closed_by(now_ns)
        return AccountState(
            account_number=self._settings.account_number,
            cash=self._books.cash,
            equity=held.equity,
            last_equity=self.last_equity,
            long_market_value=held.long_market_value,
            short_market_value=held.short_market_value,
            initial_margin=held.initial,
            maintenance_margin=held.maintenance,
            last_maintenance_margin=self.last_maintenance_margin,
            multiplier=self._settings.multiplier,
            buying_power=buying_power(
                multiplier=self._settings.multiplier, cash=self._books.cash, held=held, reserved=reserved
            ),
            regt_buying_power=max(ZERO, free * 2 - reserved),
            non_marginable_buying_power=max(ZERO, min(self._books.cash, free) - reserved),
            sma=max(ZERO, free),
            accrued_fees=self._books.fees,
            shorting_enabled=self._settings.shorting_enabled,
            balance_asof=closed.day if closed else new_york_date(now_ns),
            created_at_ns=self._settings.start_ns,
        )

    def position(self, position: Position, asset: SimAsset, now_ns: Nanos) -> PositionView:
        """One position at current prices."""
        price = self._price_of_held(position.symbol, now_ns)
        held, _ = self.held_qty(position.symbol)
        return position_view(
            position,
            asset_id=asset.id,
            exchange=asset.exchange,
            price=price,
            lastday_price=self.lastday_price(position.symbol, now_ns) or price,
            held_qty=held,
        )

    def _price_of_held(self, symbol: str, now_ns: Nanos) -> Decimal:
        price = self.current_price(symbol, now_ns)
        if price is not None:
            return price
        held = self._books.position(symbol)
        assert held is not None, f"{symbol}: expected a position or a price, found neither"
        return held.avg_entry_price
