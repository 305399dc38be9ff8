"""Decides which parts of the market are played: crypto and the hours around the session only where somebody is there.

An order counts from the moment it is sent; that the last one is gone is noticed at the next bell. Prices depend on
none of this.
"""

from __future__ import annotations

from collections.abc import Iterable

from quant_trading_system.simulator.market.source import MarketSource
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.sessions import CRYPTO


class Attendance:
    """Viewers and orders, for one market."""

    def __init__(self, market: MarketSource) -> None:
        self._market = market
        self._crypto_is_viewed = self._crypto_is_traded = False
        self._extended_is_viewed, self._extended_is_traded = True, False

    def view_crypto(self, is_viewed: bool) -> None:
        """Whether a stream of crypto is listened to."""
        self._crypto_is_viewed = is_viewed
        self._tell()

    def view_extended_hours(self, is_viewed: bool) -> None:
        """Whether the hours before the open and after the close are looked at; a clock that skips them says no."""
        self._extended_is_viewed = is_viewed
        self._tell()

    def expect(self, order: SimOrder) -> None:
        """An order is there."""
        if order.asset_class == CRYPTO or order.extended_hours:
            self._crypto_is_traded = self._crypto_is_traded or order.asset_class == CRYPTO
            self._extended_is_traded = self._extended_is_traded or order.extended_hours
            self._tell()

    def recount(self, orders: Iterable[SimOrder]) -> None:
        """Look who is still there."""
        self._crypto_is_traded = self._extended_is_traded = False
        for order in orders:
            self._crypto_is_traded = self._crypto_is_traded or order.asset_class == CRYPTO
            self._extended_is_traded = self._extended_is_traded or order.extended_hours
        self._tell()

    def _tell(self) -> None:
        self._market.set_crypto_audience(
            self._crypto_is_viewed or self._crypto_is_traded, is_streamed=self._crypto_is_viewed
        )
        self._market.set_extended_audience(self._extended_is_viewed or self._extended_is_traded)
