"""Opening and closing auctions of the generated market: prints, official prices, imbalances before them. Decides when.

The opening auction is the first trade of the first minute; the closing one comes within two seconds of the bell. Each
is followed by the listing exchange's official price, which repeats the print and counts in no bar.
"""

from __future__ import annotations

import msgspec

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND
from quant_trading_system.simulator.assets import listing_of
from quant_trading_system.simulator.conditions import (
    CLOSING,
    OFFICIAL_CLOSE,
    OFFICIAL_OPEN,
    OPENING,
    code_of,
    regular_of,
)
from quant_trading_system.simulator.events import SimImbalance, SimTrade
from quant_trading_system.simulator.market.draws import key_of
from quant_trading_system.simulator.market.minute_draw import TRADE_IDS_PER_MINUTE
from quant_trading_system.simulator.market.session_sheet import CENTS, SessionSheet

CLOSING_NS_MIN, CLOSING_NS_MAX = 50_000_000, 2_000_000_000
OFFICIAL_AFTER_NS = 1_000_000
OPENING_IMBALANCES_S = (120, 90, 60, 30, 15, 3)  # before the bell
CLOSING_IMBALANCES_S = (*range(600, 0, -60), 30, 10)  # from ten minutes before the bell, as NYSE and Nasdaq have it
IMBALANCE_CENTS_PER_MINUTE = 3  # an indicated price strays so far from the auction's, the farther the earlier


def as_opening(trade: SimTrade) -> tuple[SimTrade, SimTrade]:
    """The first trade of a session as the auction's print, and the official open."""
    regular, code = regular_of(trade.symbol), code_of(listing_of(trade.symbol))
    minute_end_id = trade.trade_id - trade.trade_id % TRADE_IDS_PER_MINUTE + TRADE_IDS_PER_MINUTE - 1
    printed = msgspec.structs.replace(trade, exchange=code, conditions=(regular, OPENING))
    official = msgspec.structs.replace(
        printed,
        ts_ns=printed.ts_ns + OFFICIAL_AFTER_NS,
        trade_id=minute_end_id,
        conditions=(regular, OFFICIAL_OPEN),
    )
    return printed, official


def closing_prints(seed: int, sheet: SessionSheet, place: int) -> tuple[SimTrade, SimTrade]:
    """The closing auction's print and the official close of one of the sheet's symbols."""
    symbol, session = sheet.symbols[place], sheet.session
    late_ns = CLOSING_NS_MIN + key_of(seed, "close", symbol, session.day) % (CLOSING_NS_MAX - CLOSING_NS_MIN)
    regular = regular_of(symbol)
    printed = SimTrade(
        symbol,
        int(sheet.close[place, sheet.close_minute]) / CENTS,
        float(sheet.days[place].closing_volume),
        session.close_ns + late_ns,
        code_of(listing_of(symbol)),
        sheet.close_minute * TRADE_IDS_PER_MINUTE + 1,
        (regular, CLOSING),
    )
    official = msgspec.structs.replace(
        printed,
        ts_ns=printed.ts_ns + OFFICIAL_AFTER_NS,
        trade_id=printed.trade_id + 1,
        conditions=(regular, OFFICIAL_CLOSE),
    )
    return printed, official


def imbalances(seed: int, sheet: SessionSheet, place: int) -> list[SimImbalance]:
    """The indications before both auctions, in order of time."""
    symbol, session = sheet.symbols[place], sheet.session
    opens = int(sheet.open[place, sheet.open_minute])
    closes = int(sheet.close[place, sheet.close_minute])
    said: list[SimImbalance] = []
    for bell_ns, cents, seconds in (
        (session.open_ns, opens, OPENING_IMBALANCES_S),
        (session.close_ns, closes, CLOSING_IMBALANCES_S),
    ):
        for before_s in seconds:
            stamp_ns = bell_ns - before_s * NANOS_PER_SECOND
            reach = 1 + IMBALANCE_CENTS_PER_MINUTE * before_s * NANOS_PER_SECOND // NANOS_PER_MINUTE
            strays = key_of(seed, "imbalance", symbol, stamp_ns) % (2 * reach + 1) - reach
            said.append(SimImbalance(symbol, max(1, cents + strays) / CENTS, stamp_ns))
    return said
