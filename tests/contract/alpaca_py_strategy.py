"""A small strategy as a user of alpaca-py would write it, with nothing but alpaca-py. Decides who is bought, and when.

It holds what has risen over its last bars and nothing else: one resting order for a symbol at a time, at the touch,
given up for a better one at the next look; at the end of the day everything is cancelled and sold.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from alpaca.data.requests import StockBarsRequest, StockLatestQuoteRequest
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.enums import OrderSide, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import GetOrdersRequest, LimitOrderRequest

BARS = 15
SHARES = 100
FLAT_BEFORE_CLOSE = timedelta(minutes=20)


class Momentum:
    """Look at the market when told to; orders go out from there.

    Args:
        trading: alpaca-py's TradingClient.
        data: its StockHistoricalDataClient.
        symbols: what it may hold.
    """

    def __init__(self, trading: Any, data: Any, symbols: list[str]) -> None:
        self._trading = trading
        self._data = data
        self._symbols = symbols

    def look(self) -> None:
        """Trade on what is known now."""
        clock = self._trading.get_clock()
        if not clock.is_open:
            return
        if clock.next_close - clock.timestamp <= FLAT_BEFORE_CLOSE:
            self._flatten()
            return
        rising = self._rising(clock.timestamp)
        held = {position.symbol: int(position.qty) for position in self._trading.get_all_positions()}
        for order in self._trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN)):
            self._trading.cancel_order_by_id(order.id)
            rising.pop(order.symbol, None)  # until the cancel is through
        quotes = self._data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=self._symbols))
        for symbol in sorted(rising.keys() & quotes.keys()):
            is_rising = rising[symbol]
            if is_rising and symbol not in held:
                self._order(symbol, OrderSide.BUY, SHARES, quotes[symbol].ask_price)
            elif not is_rising and held.get(symbol, 0) > 0:
                self._order(symbol, OrderSide.SELL, held[symbol], quotes[symbol].bid_price)

    def _rising(self, now: datetime) -> dict[str, bool]:
        """Whether each symbol with enough bars stands higher than it did on their average."""
        wanted = StockBarsRequest(
            symbol_or_symbols=self._symbols,
            timeframe=TimeFrame.Minute,
            start=now - timedelta(minutes=2 * BARS),
            end=now,
        )
        closes = {
            symbol: [bar.close for bar in bars] for symbol, bars in self._data.get_stock_bars(wanted).data.items()
        }
        return {
            symbol: values[-1] > sum(values[-BARS:]) / BARS for symbol, values in closes.items() if len(values) >= BARS
        }

    def _order(self, symbol: str, side: OrderSide, qty: int, price: float) -> None:
        self._trading.submit_order(
            LimitOrderRequest(
                symbol=symbol, qty=qty, side=side, time_in_force=TimeInForce.DAY, limit_price=round(price, 2)
            )
        )

    def _flatten(self) -> None:
        self._trading.cancel_orders()
        if self._trading.get_all_positions():
            self._trading.close_all_positions(cancel_orders=True)
