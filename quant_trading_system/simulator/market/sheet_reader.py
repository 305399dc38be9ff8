"""Reads a session's sheet aloud: trades, quotes and bars as they are told by a moment. Decides what is known when."""

from __future__ import annotations

from collections import OrderedDict

import msgspec
import numpy as np

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator.events import SimBar, SimQuote, SimTrade
from quant_trading_system.simulator.instants import new_york_ns
from quant_trading_system.simulator.market.auction_prints import as_opening, closing_prints
from quant_trading_system.simulator.market.draws import Ints
from quant_trading_system.simulator.market.listing import Listing
from quant_trading_system.simulator.market.minute_draw import DrawnTrades, Minutes, draw
from quant_trading_system.simulator.market.mishaps import UPDATED_AFTER_NS, Mishap, MishapRates, chosen, mishap_of
from quant_trading_system.simulator.market.session_sheet import CENTS, SessionSheet

PRICE_DECIMALS = 6
MINUTES_CACHED_MAX = 64  # whose mishaps are known; a minute is asked for when it is told, when it ends and once more
AT_FIRST = -1  # a moment at which nothing has been put right


class SheetReader:
    """One session of some symbols.

    Args:
        listing: of the sheet's symbols.
    """

    def __init__(self, seed: int, sheet: SessionSheet, listing: Listing, rates: MishapRates) -> None:
        self.sheet = sheet
        self._seed = seed
        self._listing = listing
        self._rates = rates
        self._mishaps: OrderedDict[int, list[Mishap]] = OrderedDict()

    def read(self, first: int, end: int, *, now_ns: int) -> tuple[list[SimTrade], list[SimQuote]]:
        """Trades and quotes of a range of minutes, as they are told at a moment; not sorted."""
        rows = self.sheet.drawable(first, end)
        drawn, quotes = draw(rows)
        trades = self._listing.trades(drawn, rows.owner, extended=self.sheet.is_extended(rows))
        dressed = self._with_auctions(rows, drawn, trades, first <= self.sheet.close_minute < end)
        for minute in range(first, end):
            for mishap in self.mishaps(minute):
                _befall(dressed, mishap, now_ns)
        return dressed, self._listing.quotes(quotes, rows.owner)

    def mishaps(self, minute: int) -> list[Mishap]:
        """What happens to prints of one minute, by symbol."""
        sheet = self.sheet
        if not sheet.is_regular(minute) or minute == sheet.open_minute or not self._rates.total:
            return []
        if minute not in self._mishaps:
            rows = sheet.drawable(minute, minute + 1)
            found = (
                mishap_of(rows.rows(np.array([row])), self._listing, self._rates) for row in chosen(rows, self._rates)
            )
            self._mishaps[minute] = [mishap for mishap in found if mishap is not None]
            if len(self._mishaps) > MINUTES_CACHED_MAX:
                self._mishaps.popitem(last=False)
        return self._mishaps[minute]

    def minute_bars(self, minute: int) -> list[SimBar]:
        """The bars of a minute as they are told at its end, of all symbols that traded."""
        places = np.flatnonzero(self.sheet.trades[:, minute] > 0)
        bars = self._bars(places, np.full(len(places), minute))
        excess = {mishap.symbol: mishap for mishap in self.mishaps(minute)}
        return [_first_told(bar, excess.get(bar.symbol)) for bar in bars] if excess else bars

    def updated_bars(self, minute: int) -> list[SimBar]:
        """The bars of a minute that late prints, corrections and cancels have changed, as they are now."""
        symbols = [mishap.symbol for mishap in self.mishaps(minute)]
        places = np.array([self.sheet.symbols.index(symbol) for symbol in symbols], dtype=np.int64)
        return self._bars(places, np.full(len(places), minute))

    def bars(self, place: int, first: int, end: int, *, now_ns: int) -> list[SimBar]:
        """One symbol's bars of a range of ended minutes, as they are told at a moment."""
        minutes = first + np.flatnonzero(self.sheet.trades[place, first:end] > 0)
        bars = self._bars(np.full(len(minutes), place), minutes)
        last = min(end, self.sheet.close_minute) - 1
        if bars and first <= last and now_ns < self.sheet.begin_of(last + 1) + UPDATED_AFTER_NS:
            symbol, begin_ns = self.sheet.symbols[place], self.sheet.begin_of(last)
            for mishap in self.mishaps(last):
                if mishap.symbol == symbol:
                    bars = [_first_told(bar, mishap) if bar.ts_ns == begin_ns else bar for bar in bars]
        return bars

    def last_traded(self, place: int, end: int) -> int | None:
        """The last minute before one in which a symbol traded."""
        minutes = np.flatnonzero(self.sheet.trades[place, : max(0, end)] > 0)
        return int(minutes[-1]) if len(minutes) else None

    def running_days(self, minute: int) -> list[SimBar]:
        """The day's bars as they are told at the end of a minute of regular hours."""
        sheet = self.sheet
        so_far = slice(sheet.open_minute, minute + 1)
        volume = sheet.volume[:, so_far].sum(axis=1)
        typical = (sheet.high[:, so_far] + sheet.low[:, so_far] + sheet.close[:, so_far]) / 3.0
        paid = (typical * sheet.volume[:, so_far]).sum(axis=1)
        bars = _made(
            sheet.symbols,
            (
                sheet.open[:, sheet.open_minute],
                sheet.high[:, so_far].max(axis=1),
                sheet.low[:, so_far].min(axis=1),
                sheet.close[:, minute],
            ),
            volume,
            np.full(len(volume), new_york_ns(sheet.session.day)),
            sheet.trades[:, so_far].sum(axis=1),
            paid / volume,
        )
        excess = {mishap.symbol: mishap for mishap in self.mishaps(minute)}
        return [_first_told(bar, excess.get(bar.symbol)) for bar in bars] if excess else bars

    def _bars(self, places: Ints, minutes: Ints) -> list[SimBar]:
        sheet = self.sheet
        high, low, close = (column[places, minutes] for column in (sheet.high, sheet.low, sheet.close))
        return _made(
            tuple(sheet.symbols[place] for place in places.tolist()),
            (sheet.open[places, minutes], high, low, close),
            sheet.volume[places, minutes],
            sheet.begin_ns + minutes * NANOS_PER_MINUTE,
            sheet.trades[places, minutes],
            (high + low + close) / 3.0,
        )

    def _with_auctions(
        self, rows: Minutes, drawn: DrawnTrades, trades: list[SimTrade], has_close: bool
    ) -> list[SimTrade]:
        """The trades with the opening prints marked, and the closing ones added."""
        official: list[SimTrade] = []
        for row in np.flatnonzero(rows.opening > 0).tolist():
            place = int(np.searchsorted(drawn.row, row))
            trades[place], after = as_opening(trades[place])
            official.append(after)
        if has_close:
            for place in range(len(self.sheet.symbols)):
                official.extend(closing_prints(self._seed, self.sheet, place))
        return [*trades, *official] if official else trades


def _befall(trades: list[SimTrade], mishap: Mishap, now_ns: int) -> None:
    """Put what a print is told as at a moment in its place."""
    final = mishap.final
    if final is not None:
        true_id = final.trade_id if mishap.original is None else mishap.original.trade_id
        place = next(
            place for place, trade in enumerate(trades) if trade.trade_id == true_id and trade.symbol == mishap.symbol
        )
        del trades[place]
    trades.extend(mishap.as_told(now_ns))


def _first_told(bar: SimBar, mishap: Mishap | None) -> SimBar:
    """A bar as it is told before a mishap is put right."""
    if mishap is None:
        return bar
    return msgspec.structs.replace(
        bar, volume=bar.volume + mishap.excess_volume, trade_count=bar.trade_count + mishap.excess_count
    )


def _made(
    symbols: tuple[str, ...],
    prices: tuple[Ints, Ints, Ints, Ints],
    volume: Ints,
    stamps: Ints,
    trades: Ints,
    mean: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> list[SimBar]:
    return list(
        map(
            SimBar,
            symbols,
            *((price / CENTS).tolist() for price in prices),
            volume.astype(np.float64).tolist(),
            stamps.tolist(),
            trades.tolist(),
            np.round(mean / CENTS, PRICE_DECIMALS).tolist(),
        )
    )
