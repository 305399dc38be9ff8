"""How market data is written: the messages of the streams and the rows of the history interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.events import MarketEvent, SimBar, SimQuote, SimStatus, SimTrade
from quant_trading_system.simulator.server.data_frames import (
    BarMessage,
    Encoding,
    MarketMessage,
    QuoteMessage,
    StatusMessage,
    TradeMessage,
)
from quant_trading_system.simulator.server.stamps import stamp_text

Json = dict[str, object]

TRADE_CONDITIONS = ["@"]  # regular sale
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

    def tape(self, symbol: str) -> str:
        return self._tapes.get(symbol, _REGIONAL_TAPE)

    def message(self, event: MarketEvent) -> MarketMessage:
        """The event on its way to the streams; it is written when a client wants it."""
        match event:
            case SimTrade():
                return MarketMessage("trades", event.symbol, self._trade(event))
            case SimQuote():
                return MarketMessage("quotes", event.symbol, self._quote(event))
            case SimBar():
                return MarketMessage("bars", event.symbol, _bar(event))
            case SimStatus():
                return MarketMessage("statuses", event.symbol, self._status(event))
            case _:
                raise AssertionError(f"no way to write {event!r} yet")

    def trade_row(self, trade: SimTrade) -> Json:
        return {
            "t": stamp_text(trade.ts_ns),
            "x": trade.exchange,
            "p": trade.price,
            "s": whole(trade.size),
            "c": TRADE_CONDITIONS,
            "i": trade.trade_id,
            "z": self.tape(trade.symbol),
        }

    def quote_row(self, quote: SimQuote) -> Json:
        return {
            "t": stamp_text(quote.ts_ns),
            "ax": QUOTE_EXCHANGE,
            "ap": quote.ask_price,
            "as": whole(quote.ask_size),
            "bx": QUOTE_EXCHANGE,
            "bp": quote.bid_price,
            "bs": whole(quote.bid_size),
            "c": QUOTE_CONDITIONS,
            "z": self.tape(quote.symbol),
        }

    def _trade(self, event: SimTrade) -> Callable[[Encoding], object]:
        def make(encoding: Encoding) -> object:
            return TradeMessage(
                "t",
                event.symbol,
                event.trade_id,
                event.exchange,
                event.price,
                whole(event.size),
                TRADE_CONDITIONS,
                encoding.stamp(event.ts_ns),
                self.tape(event.symbol),
            )

        return make

    def _quote(self, event: SimQuote) -> Callable[[Encoding], object]:
        def make(encoding: Encoding) -> object:
            return QuoteMessage(
                "q",
                event.symbol,
                QUOTE_EXCHANGE,
                event.bid_price,
                whole(event.bid_size),
                QUOTE_EXCHANGE,
                event.ask_price,
                whole(event.ask_size),
                QUOTE_CONDITIONS,
                encoding.stamp(event.ts_ns),
                self.tape(event.symbol),
            )

        return make

    def _status(self, event: SimStatus) -> Callable[[Encoding], object]:
        def make(encoding: Encoding) -> object:
            return StatusMessage(
                "s",
                event.symbol,
                event.code,
                event.message,
                event.reason_code,
                event.reason_message,
                encoding.stamp(event.ts_ns),
                self.tape(event.symbol),
            )

        return make


def _bar(event: SimBar) -> Callable[[Encoding], object]:
    def make(encoding: Encoding) -> object:
        return BarMessage(
            "b",
            event.symbol,
            event.open,
            event.high,
            event.low,
            event.close,
            whole(event.volume),
            encoding.stamp(event.ts_ns),
            event.trade_count,
            event.vwap,
        )

    return make


def bar_row(bar: SimBar) -> Json:
    return {
        "t": stamp_text(bar.ts_ns),
        "o": bar.open,
        "h": bar.high,
        "l": bar.low,
        "c": bar.close,
        "v": whole(bar.volume),
        "n": bar.trade_count,
        "vw": bar.vwap,
    }
