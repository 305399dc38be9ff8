"""What each minute of the generated market says. Decides the order.

First come the bars of the minute before and the day's so far, then bands and imbalances, notices of late and wrong
prints, quotes, trades: of what is said at one moment, the earlier kind is told first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

import msgspec

from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.events import (
    DAILY_BAR,
    MINUTE_BAR,
    UPDATED_BAR,
    MarketEvent,
    SimBar,
    SimQuote,
    SimTrade,
)
from quant_trading_system.simulator.market.auction_prints import imbalances
from quant_trading_system.simulator.market.listing import Part, Script
from quant_trading_system.simulator.market.luld import bands_of_session
from quant_trading_system.simulator.market.mishaps import UPDATED_AFTER_NS
from quant_trading_system.simulator.market.session_sheet import CENTS, SessionSheet
from quant_trading_system.simulator.market.sheet_reader import AT_FIRST, SheetReader
from quant_trading_system.simulator.market.source import QUIET_AFTER_CLOSE_NS, QUIET_BEFORE_OPEN_NS


def script_of(reader: SheetReader, first: int, end: int, *, bands: Sequence[MarketEvent]) -> Script:
    """Everything that is said in a range of minutes.

    Args:
        bands: of the whole session.
    """
    sheet = reader.sheet
    begin_ns, end_ns = sheet.begin_of(first), sheet.begin_of(end)
    parts: list[Part] = []
    for minute in range(max(0, first - 1), min(end, sheet.minutes)):
        if minute < end - 1:
            parts.extend(_bars_of(reader, minute))
        parts.extend(_mishaps_of(reader, minute))
    parts.append(_stamped(event for event in bands if begin_ns <= event.ts_ns < end_ns))
    if first < sheet.minutes:
        trades, quotes = reader.read(first, min(end, sheet.minutes), now_ns=AT_FIRST)
        parts.append(_stamped(quotes))
        parts.append(_stamped(trades))
    script = Script([part for part in parts if part[0]], end_ns, begin_ns=begin_ns)
    if not (sheet.is_regular(first) and sheet.is_regular(end - 1)):
        script.is_quiet = [_is_quiet(sheet.session, event) for event in script.events]
    return script


def _is_quiet(session: Session, event: MarketEvent) -> bool:
    """Whether only those hear it who watch the hours outside the session; a little before and after it all do."""
    if isinstance(event, SimBar):
        return event.kind == MINUTE_BAR and not session.open_ns <= event.ts_ns <= session.close_ns
    if not isinstance(event, SimTrade | SimQuote):
        return False
    return not session.open_ns - QUIET_BEFORE_OPEN_NS <= event.ts_ns < session.close_ns + QUIET_AFTER_CLOSE_NS


def bands_and_imbalances(
    seed: int, sheet: SessionSheet, last_close: Callable[[str, date], float | None]
) -> list[MarketEvent]:
    """A session's price bands and imbalance messages, in order of time."""
    said: list[MarketEvent] = []
    regular = slice(sheet.open_minute, sheet.close_minute)
    for place, symbol in enumerate(sheet.symbols):
        previous = last_close(symbol, sheet.session.day)
        middle = (sheet.high[place, regular] + sheet.low[place, regular] + sheet.close[place, regular]) / 3.0
        opening = int(sheet.open[place, sheet.open_minute]) / CENTS
        said.extend(
            bands_of_session(
                symbol,
                sheet.session,
                (middle / CENTS).tolist(),
                opening=opening,
                previous_close=opening if previous is None else previous,
            )
        )
        said.extend(imbalances(seed, sheet, place))
    return sorted(said, key=lambda event: event.ts_ns)


def _bars_of(reader: SheetReader, minute: int) -> list[Part]:
    """What is said of a minute when it ends."""
    end_ns = reader.sheet.begin_of(minute + 1)
    bars = reader.minute_bars(minute)
    parts: list[Part] = [(bars, [end_ns] * len(bars))]
    if reader.sheet.is_regular(minute):
        days = [msgspec.structs.replace(bar, kind=DAILY_BAR) for bar in reader.running_days(minute)]
        parts.append((days, [end_ns] * len(days)))
    return parts


def _mishaps_of(reader: SheetReader, minute: int) -> list[Part]:
    """What is said thereafter of prints that were late or wrong."""
    mishaps = reader.mishaps(minute)
    if not mishaps:
        return []
    updated = [msgspec.structs.replace(bar, kind=UPDATED_BAR) for bar in reader.updated_bars(minute)]
    said_ns = reader.sheet.begin_of(minute + 1) + UPDATED_AFTER_NS
    return [
        ([mishap.notice for mishap in mishaps], [mishap.noticed_ns for mishap in mishaps]),
        (updated, [said_ns] * len(updated)),
    ]


def _stamped(events: Iterable[MarketEvent]) -> Part:
    told = list(events)
    return told, [event.ts_ns for event in told]
