"""How market data is written in answers: the rows of history, latest values and snapshots. Decides nothing.

Structs, not dicts: a page holds up to ten thousand rows, and these are made and encoded in half the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
from aiohttp import web

from quant_trading_system.simulator.events import SimBar, SimOrderbook, SimQuote, SimTrade
from quant_trading_system.simulator.market.source import DayAuctions
from quant_trading_system.simulator.server.market_wire import QUOTE_CONDITIONS, QUOTE_EXCHANGE, whole
from quant_trading_system.simulator.server.stamps import stamp_text

DATA_JSON_TYPE = "application/json"  # without a charset, unlike the trading interface (reference 1.3)


class TradeRow(msgspec.Struct, frozen=True, gc=False):
    t: str
    x: str
    p: float
    s: float | int
    c: Sequence[str]
    i: int
    z: str
    u: str | msgspec.UnsetType = msgspec.UNSET  # what became of it: canceled, incorrect, corrected


class QuoteRow(msgspec.Struct, frozen=True, gc=False):
    t: str
    ax: str
    ap: float
    # "as" on the wire
    ask_size: float | int = msgspec.field(name="as")
    bx: str
    bp: float
    bs: float | int
    c: Sequence[str]
    z: str


class BarRow(msgspec.Struct, frozen=True, gc=False):
    t: str
    o: float
    h: float
    l: float  # noqa: E741 - the key on the wire
    c: float
    v: float | int
    n: int
    vw: float


class CryptoTradeRow(msgspec.Struct, frozen=True, gc=False):
    t: str
    p: float
    s: float
    tks: str
    i: int


class CryptoQuoteRow(msgspec.Struct, frozen=True, gc=False):
    t: str
    bp: float
    bs: float
    ap: float
    ask_size: float = msgspec.field(name="as")


class TapeOf(Protocol):
    """Knows on which tape a symbol is reported."""

    def tape(self, symbol: str) -> str: ...


def trade_row(trade: SimTrade, tapes: TapeOf) -> TradeRow:
    return TradeRow(
        stamp_text(trade.ts_ns),
        trade.exchange,
        trade.price,
        whole(trade.size),
        trade.conditions,
        trade.trade_id,
        tapes.tape(trade.symbol),
        trade.update or msgspec.UNSET,
    )


def quote_row(quote: SimQuote, tapes: TapeOf) -> QuoteRow:
    return QuoteRow(
        stamp_text(quote.ts_ns),
        QUOTE_EXCHANGE,
        quote.ask_price,
        whole(quote.ask_size),
        QUOTE_EXCHANGE,
        quote.bid_price,
        whole(quote.bid_size),
        QUOTE_CONDITIONS,
        tapes.tape(quote.symbol),
    )


def bar_row(bar: SimBar) -> BarRow:
    return BarRow(
        stamp_text(bar.ts_ns), bar.open, bar.high, bar.low, bar.close, whole(bar.volume), bar.trade_count, bar.vwap
    )


def crypto_trade_row(trade: SimTrade) -> CryptoTradeRow:
    return CryptoTradeRow(stamp_text(trade.ts_ns), trade.price, trade.size, trade.taker_side, trade.trade_id)


def crypto_quote_row(quote: SimQuote) -> CryptoQuoteRow:
    return CryptoQuoteRow(stamp_text(quote.ts_ns), quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size)


def orderbook_json(book: SimOrderbook) -> dict[str, object]:
    """A whole book as it stands."""
    return {
        "a": [{"p": price, "s": size} for price, size in book.asks],
        "b": [{"p": price, "s": size} for price, size in book.bids],
        "t": stamp_text(book.ts_ns),
    }


def auction_day_json(auctions: DayAuctions) -> dict[str, object]:
    return {
        "d": auctions.day.isoformat(),
        "o": [_auction_print(trade) for trade in auctions.opening],
        "c": [_auction_print(trade) for trade in auctions.closing],
    }


def _auction_print(trade: SimTrade) -> dict[str, object]:
    return {
        "t": stamp_text(trade.ts_ns),
        "x": trade.exchange,
        "p": trade.price,
        "s": whole(trade.size),
        "c": trade.conditions[0],
    }


def data_answer(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), headers={"Content-Type": DATA_JSON_TYPE})
