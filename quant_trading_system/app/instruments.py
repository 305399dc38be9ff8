"""What the broker and history say of each symbol: tradable, class, average volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quant_trading_system.app.patience import ask_patiently
from quant_trading_system.core.types import NANOS_PER_SECOND, InstrumentClass, Nanos, Symbol
from quant_trading_system.core.values import Bar, Instrument

if TYPE_CHECKING:
    from quant_trading_system.app.parts import Parts

AVERAGE_DAYS = 20  # control P6
CALENDAR_DAYS = 45  # holds at least twenty sessions
DAY_NS = 86_400 * NANOS_PER_SECOND


async def read_instruments(parts: Parts) -> tuple[tuple[Instrument, ...], list[Symbol]]:
    """Every symbol of the engine as an instrument, and those the broker does not know.

    Raises:
        VenueError: the broker does not answer.
    """
    symbols = parts.engine.symbols
    assets = {asset.symbol: asset for asset in await ask_patiently(parts.read.assets)}
    unknown = sorted(symbol for symbol in symbols if symbol not in assets)
    now_ns = parts.clock.venue_ns()
    since_ns = Nanos(now_ns - CALENDAR_DAYS * DAY_NS)
    daily = await ask_patiently(lambda: parts.read.bars(symbols, start_ns=since_ns, end_ns=now_ns, timeframe="1Day"))
    classes = parts.settings.universe.classes
    instruments = []
    for symbol in symbols:
        asset = assets.get(symbol)
        if asset is None:
            continue
        shares, usd = _averages(daily.get(symbol, []))
        instruments.append(
            Instrument(
                symbol=Symbol(symbol),
                asset_id=asset.asset_id,
                instrument_class=InstrumentClass(classes.get(symbol, InstrumentClass.STOCK)),
                tradable=asset.tradable,
                active=asset.status == "active",
                fractionable=asset.fractionable,
                shortable=asset.shortable,
                average_volume_shares=shares,
                average_volume_usd=usd,
            )
        )
    return tuple(instruments), unknown


def _averages(bars: list[Bar]) -> tuple[float | None, float | None]:
    """Mean volume of the last twenty full days, in shares and USD; None while there are fewer."""
    full = bars[-AVERAGE_DAYS:]
    if len(full) < AVERAGE_DAYS:
        return None, None
    shares = sum(bar.volume for bar in full) / AVERAGE_DAYS
    usd = sum(bar.volume * bar.close for bar in full) / AVERAGE_DAYS
    return shares, usd
