"""How market events become messages of the streams (reference 9.4): every kind, in the form of its asset class."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import assert_never

from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.events import (
    MarketEvent,
    SimBar,
    SimCancelError,
    SimCorrection,
    SimImbalance,
    SimLuld,
    SimOrderbook,
    SimQuote,
    SimStatus,
    SimTrade,
)
from quant_trading_system.simulator.server.data_frames import (
    BarMessage,
    CancelErrorMessage,
    CorrectionMessage,
    CryptoQuoteMessage,
    CryptoTradeMessage,
    Encoding,
    ImbalanceMessage,
    Level,
    LuldMessage,
    MarketMessage,
    OrderbookMessage,
    QuoteMessage,
    Stamp,
    StatusMessage,
    TradeMessage,
)
from quant_trading_system.simulator.server.feeds import channel_of, is_pair
from quant_trading_system.simulator.server.practice import PRACTICE_SYMBOL

QUOTE_CONDITIONS = ["R"]  # regular, two-sided
QUOTE_EXCHANGE = "V"  # IEX; recorded quotes do not say whose they were
_TAPES = {"NYSE": "A", "NASDAQ": "C"}
_REGIONAL_TAPE = "B"


def whole(value: float) -> float | int:
    """A size as Alpaca writes it: without a fraction where it has none."""
    number = int(value)
    return number if number == value else value


class MarketWire:
    """Writes market events; knows on which tape each symbol is reported."""

    def __init__(self, assets: Mapping[str, SimAsset]) -> None:
        self._tapes = {symbol: _TAPES.get(asset.exchange, _REGIONAL_TAPE) for symbol, asset in assets.items()}
        self._tapes[PRACTICE_SYMBOL] = "C"

    def tape(self, symbol: str) -> str:
        return self._tapes.get(symbol, _REGIONAL_TAPE)

    def message(self, event: MarketEvent) -> MarketMessage:
        """The event on its way to the streams; it is written when a client wants it."""
        return MarketMessage(channel_of(event), event.symbol, partial(self._write, event))

    def _write(self, event: MarketEvent, encoding: Encoding) -> object:
        stamp, tape = encoding.stamp(event.ts_ns), self.tape(event.symbol)
        match event:
            case SimQuote():
                return _quote(event, stamp, tape)
            case SimTrade():
                return _trade(event, stamp, tape)
            case SimBar():
                return _bar(event, stamp)
            case SimOrderbook():
                return _orderbook(event, stamp)
            case SimStatus():
                texts = (event.code, event.message, event.reason_code, event.reason_message)
                return StatusMessage("s", event.symbol, *texts, stamp, tape)
            case SimLuld():
                return LuldMessage("l", event.symbol, event.limit_up, event.limit_down, event.indicator, stamp, tape)
            case SimCorrection():
                return _correction(event, stamp, tape)
            case SimCancelError():
                return _cancel_error(event, stamp, tape)
            case SimImbalance():
                return ImbalanceMessage("i", event.symbol, event.price, stamp, tape)
            case _:
                assert_never(event)


def _trade(event: SimTrade, stamp: Stamp, tape: str) -> object:
    symbol, size = event.symbol, whole(event.size)
    if is_pair(symbol):
        return CryptoTradeMessage("t", symbol, event.price, size, stamp, event.trade_id, event.taker_side)
    return TradeMessage("t", symbol, event.trade_id, event.exchange, event.price, size, event.conditions, stamp, tape)


def _quote(event: SimQuote, stamp: Stamp, tape: str) -> object:
    symbol, bid_size, ask_size = event.symbol, whole(event.bid_size), whole(event.ask_size)
    if is_pair(symbol):
        return CryptoQuoteMessage("q", symbol, event.bid_price, bid_size, event.ask_price, ask_size, stamp)
    return QuoteMessage(
        "q",
        symbol,
        QUOTE_EXCHANGE,
        event.bid_price,
        bid_size,
        QUOTE_EXCHANGE,
        event.ask_price,
        ask_size,
        QUOTE_CONDITIONS,
        stamp,
        tape,
    )


def _bar(event: SimBar, stamp: Stamp) -> object:
    return BarMessage(
        event.kind,
        event.symbol,
        event.open,
        event.high,
        event.low,
        event.close,
        whole(event.volume),
        stamp,
        event.trade_count,
        event.vwap,
    )


def _orderbook(event: SimOrderbook, stamp: Stamp) -> object:
    bids, asks = ([Level(price, size) for price, size in side] for side in (event.bids, event.asks))
    return OrderbookMessage("o", event.symbol, stamp, bids, asks, event.is_reset)


def _correction(event: SimCorrection, stamp: Stamp, tape: str) -> object:
    return CorrectionMessage(
        "c",
        event.symbol,
        event.exchange,
        event.original_id,
        event.original_price,
        whole(event.original_size),
        event.original_conditions,
        event.corrected_id,
        event.corrected_price,
        whole(event.corrected_size),
        event.corrected_conditions,
        stamp,
        tape,
    )


def _cancel_error(event: SimCancelError, stamp: Stamp, tape: str) -> object:
    size = whole(event.size)
    return CancelErrorMessage(
        "x", event.symbol, event.trade_id, event.exchange, event.price, size, event.action, stamp, tape
    )
