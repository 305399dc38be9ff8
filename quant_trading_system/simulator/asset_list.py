"""The assets of one world, found by symbol, id or CUSIP. Decides which forms of a name are understood (reference 5.3).

Inside the exchange a pair of coins is "BTC/USD"; clients may write BTCUSD.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.refusals import asset_not_found


class AssetList:
    """Assets by symbol, and what else they are called."""

    def __init__(self, assets: Mapping[str, SimAsset]) -> None:
        self.by_symbol: dict[str, SimAsset] = dict(assets)
        self._symbol_of: dict[str, str] = {}
        for asset in self.by_symbol.values():
            self._name(asset)

    def symbol(self, name: str) -> str:
        """The symbol that is meant; what nobody knows stays as it is."""
        return name if name in self.by_symbol else self._symbol_of.get(name, name)

    def find(self, name: str) -> SimAsset:
        """An asset by any of its names.

        Raises:
            Refusal: 404.
        """
        asset = self.by_symbol.get(self.symbol(name))
        if asset is None:
            raise asset_not_found(name)
        return asset

    def rename(self, old_symbol: str, new_symbol: str) -> None:
        """Let an asset go on under a new symbol, with its id; the old symbol becomes inactive."""
        old, new = self.by_symbol[old_symbol], self.by_symbol[new_symbol]
        for asset in (
            msgspec.structs.replace(new, id=old.id),
            msgspec.structs.replace(old, id=new.id, status="inactive", tradable=False),
        ):
            self.by_symbol[asset.symbol] = asset
            self._name(asset)

    def _name(self, asset: SimAsset) -> None:
        self._symbol_of[asset.id] = asset.symbol
        if "/" in asset.symbol:
            self._symbol_of[asset.symbol.replace("/", "")] = asset.symbol
