"""The rows of market-data files. Nothing here decides anything."""

from __future__ import annotations

from datetime import date

import msgspec


class TradeRow(msgspec.Struct, frozen=True, gc=False):
    """One trade. Price in USD, size in shares."""

    timestamp_ns: int
    price: float
    size: float
    exchange: str = ""


class QuoteRow(msgspec.Struct, frozen=True, gc=False):
    """Best bid and offer. Prices in USD, sizes in shares; a crossed quote is legal, feeds do send them."""

    timestamp_ns: int
    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float


class BarRow(msgspec.Struct, frozen=True, gc=False):
    """One bar, stamped with its beginning; a daily bar with New York midnight, as Alpaca stamps it.

    `trade_count` and `vwap` are None where the file does not say.
    """

    timestamp_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trade_count: int | None = None
    vwap: float | None = None


class FactorRow(msgspec.Struct, frozen=True, gc=False):
    """What bars up to a day, from the row before on, are multiplied with to be comparable with the newest ones.

    A row's day is the last session before something happened; `reference_price` is that session's close in USD.
    """

    until: date
    price_factor: float  # of dividends
    split_factor: float
    reference_price: float
