"""How assets are written (reference 5.3). Decides which fields are for equities and which for pairs of coins."""

from __future__ import annotations

from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.numbers import plain
from quant_trading_system.simulator.server.order_wire import Json


def asset_json(asset: SimAsset) -> Json:
    """An asset; `easy_to_borrow` is announced to go, and alpaca-py 0.44 still requires it."""
    is_coin = asset.asset_class == "crypto"
    written: Json = {
        "id": asset.id,
        "class": asset.asset_class,
        "exchange": asset.exchange,
        "symbol": asset.symbol,
        "name": asset.name,
        "status": asset.status,
        "tradable": asset.tradable,
        "marginable": asset.marginable,
        "maintenance_margin_requirement": asset.margin_requirement,
        "margin_requirement_long": str(asset.margin_requirement),
        "margin_requirement_short": str(asset.margin_requirement),
        "shortable": asset.shortable,
        "easy_to_borrow": asset.easy_to_borrow,
    }
    if not is_coin:
        written["borrow_status"] = asset.borrow_status
    written["fractionable"] = asset.fractionable
    written["attributes"] = list(asset.attributes)
    for name, step in (
        ("min_order_size", asset.min_order_size),
        ("min_trade_increment", asset.min_trade_increment),
        ("price_increment", asset.price_increment),
    ):
        if step is not None:
            written[name] = plain(step)
    return written
