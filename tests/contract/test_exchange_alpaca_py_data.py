"""Every method of alpaca-py's historical clients gets from the exchange what Alpaca's market data gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import Adjustment, DataFeed
from alpaca.data.historical import CryptoHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.models import BarSet
from alpaca.data.requests import (
    CryptoBarsRequest,
    CryptoLatestBarRequest,
    CryptoLatestOrderbookRequest,
    CryptoLatestQuoteRequest,
    CryptoLatestTradeRequest,
    CryptoQuoteRequest,
    CryptoSnapshotRequest,
    CryptoTradesRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

from tests.contract.alpaca_py_support import Case, Desk, desk, public_methods

BELL = datetime(2024, 6, 3, 13, 30, tzinfo=UTC)
LATER = "2024-06-03T09:40:30"  # when every case asks; New York
STOCKS = ["AAPL", "SPY"]
COINS = ["BTC/USD", "ETH/USD"]

STOCK_CASES: dict[str, Case] = {}
COIN_CASES: dict[str, Case] = {}


def stock_case(function: Case) -> Case:
    """The case of the stock client's method that has the function's name."""
    STOCK_CASES[function.__name__.removeprefix("_")] = function
    return function


def coin_case(function: Case) -> Case:
    """The case of the crypto client's method that has the function's name."""
    COIN_CASES[function.__name__.removeprefix("_crypto_").removeprefix("_")] = function
    return function


def ask(case: Case) -> None:
    with desk() as at:
        at.exchange.jump_to(LATER)
        case(at)


@pytest.mark.parametrize("method", public_methods(StockHistoricalDataClient))
def test_every_method_for_stocks_gets_what_alpaca_gives(method: str):
    assert method in STOCK_CASES, f"expected a case for StockHistoricalDataClient.{method}"
    ask(STOCK_CASES[method])


@pytest.mark.parametrize("method", public_methods(CryptoHistoricalDataClient))
def test_every_method_for_crypto_gets_what_alpaca_gives(method: str):
    assert method in COIN_CASES, f"expected a case for CryptoHistoricalDataClient.{method}"
    ask(COIN_CASES[method])


def test_there_is_no_case_without_a_method():
    assert set(STOCK_CASES) == set(public_methods(StockHistoricalDataClient))
    assert set(COIN_CASES) == set(public_methods(CryptoHistoricalDataClient))


def minutes(symbols: list[str], request: type[Any], **more: Any) -> Any:
    return request(symbol_or_symbols=symbols, timeframe=TimeFrame.Minute, start=BELL, **more)


def is_bar(bar: Any) -> bool:
    return bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high


# --- stocks


@stock_case
def _get_stock_bars(at: Desk) -> None:
    bars = at.stocks.get_stock_bars(minutes(STOCKS, StockBarsRequest, feed=DataFeed.IEX, adjustment=Adjustment.ALL))
    assert set(bars.data) == set(STOCKS)
    assert bars["AAPL"][0].timestamp == BELL
    assert len(bars["AAPL"]) == 11  # the bar that is forming is one of them
    assert all(is_bar(bar) and bar.volume > 0 and bar.trade_count > 0 for bar in bars["SPY"])
    days = at.stocks.get_stock_bars(
        StockBarsRequest(symbol_or_symbols="SPY", timeframe=TimeFrame.Day, start=BELL - timedelta(days=31))
    )["SPY"]
    assert len(days) == 20  # of nineteen sessions since then, and the one that is forming
    assert {(day.timestamp.hour, day.timestamp.minute) for day in days} == {(4, 0)}
    fives = StockBarsRequest(symbol_or_symbols="SPY", timeframe=TimeFrame(5, TimeFrameUnit.Minute), start=BELL, limit=1)
    assert [bar.timestamp for bar in at.stocks.get_stock_bars(fives)["SPY"]] == [BELL]


@stock_case
def _get_stock_trades(at: Desk) -> None:
    trades = at.stocks.get_stock_trades(StockTradesRequest(symbol_or_symbols=STOCKS, start=BELL))
    assert set(trades.data) == set(STOCKS)
    stamps = [trade.timestamp for trade in trades["AAPL"]]
    assert stamps == sorted(stamps)
    assert all(trade.price > 0 and trade.size > 0 and trade.exchange for trade in trades["AAPL"])


@stock_case
def _get_stock_quotes(at: Desk) -> None:
    quotes = at.stocks.get_stock_quotes(StockQuotesRequest(symbol_or_symbols=STOCKS, start=BELL))
    assert all(0 < quote.bid_price < quote.ask_price for symbol in STOCKS for quote in quotes[symbol])


@stock_case
def _get_stock_latest_trade(at: Desk) -> None:
    trades = at.stocks.get_stock_trades(StockTradesRequest(symbol_or_symbols=STOCKS, start=BELL))
    latest = at.stocks.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols=STOCKS))
    assert {symbol: latest[symbol] for symbol in STOCKS} == {symbol: trades[symbol][-1] for symbol in STOCKS}


@stock_case
def _get_stock_latest_quote(at: Desk) -> None:
    quotes = at.stocks.get_stock_quotes(StockQuotesRequest(symbol_or_symbols=STOCKS, start=BELL))
    latest = at.stocks.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=STOCKS))
    assert {symbol: latest[symbol] for symbol in STOCKS} == {symbol: quotes[symbol][-1] for symbol in STOCKS}


@stock_case
def _get_stock_latest_bar(at: Desk) -> None:
    bars = at.stocks.get_stock_bars(minutes(STOCKS, StockBarsRequest))
    latest = at.stocks.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols=STOCKS))
    assert all(latest[symbol] in bars[symbol][-2:] for symbol in STOCKS)


@stock_case
def _get_stock_snapshot(at: Desk) -> None:
    snapshot = at.stocks.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=STOCKS))["SPY"]
    latest = at.stocks.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="SPY"))
    assert snapshot.latest_trade == latest["SPY"]
    assert snapshot.latest_quote.bid_price < snapshot.latest_quote.ask_price
    assert snapshot.previous_daily_bar.timestamp < snapshot.daily_bar.timestamp <= snapshot.minute_bar.timestamp


# --- crypto


@coin_case
def _get_crypto_bars(at: Desk) -> None:
    bars = at.crypto.get_crypto_bars(minutes(COINS, CryptoBarsRequest))
    assert set(bars.data) == set(COINS)
    assert all(is_bar(bar) for bar in bars["BTC/USD"])
    hours = CryptoBarsRequest(
        symbol_or_symbols="BTC/USD",
        timeframe=TimeFrame.Hour,
        start=BELL - timedelta(days=2, minutes=30),
        end=BELL - timedelta(minutes=30),
    )
    assert len(at.crypto.get_crypto_bars(hours)["BTC/USD"]) == 49  # a weekend has as many hours as any other days


@coin_case
def _get_crypto_trades(at: Desk) -> None:
    trades = at.crypto.get_crypto_trades(CryptoTradesRequest(symbol_or_symbols=COINS, start=BELL))
    assert trades["BTC/USD"]
    assert all(trade.price > 0 and trade.size > 0 for trade in trades["BTC/USD"])


@coin_case
def _get_crypto_quotes(at: Desk) -> None:
    quotes = at.crypto.get_crypto_quotes(CryptoQuoteRequest(symbol_or_symbols=COINS, start=BELL))
    assert all(0 < quote.bid_price < quote.ask_price for quote in quotes["ETH/USD"])


@coin_case
def _get_crypto_latest_trade(at: Desk) -> None:
    latest = at.crypto.get_crypto_latest_trade(CryptoLatestTradeRequest(symbol_or_symbols=COINS))
    assert {symbol: trade.symbol for symbol, trade in latest.items()} == {symbol: symbol for symbol in COINS}


@coin_case
def _get_crypto_latest_quote(at: Desk) -> None:
    quote = at.crypto.get_crypto_latest_quote(CryptoLatestQuoteRequest(symbol_or_symbols="BTC/USD"))["BTC/USD"]
    assert 0 < quote.bid_price < quote.ask_price


@coin_case
def _get_crypto_latest_bar(at: Desk) -> None:
    latest = at.crypto.get_crypto_latest_bar(CryptoLatestBarRequest(symbol_or_symbols=COINS))
    assert all(is_bar(latest[symbol]) for symbol in COINS)


@coin_case
def _get_crypto_latest_orderbook(at: Desk) -> None:
    book = at.crypto.get_crypto_latest_orderbook(CryptoLatestOrderbookRequest(symbol_or_symbols="BTC/USD"))["BTC/USD"]
    asks, bids = [level.price for level in book.asks], [level.price for level in book.bids]
    assert asks == sorted(asks)
    assert bids == sorted(bids, reverse=True)
    assert bids[0] < asks[0]


@coin_case
def _get_crypto_snapshot(at: Desk) -> None:
    snapshots = at.crypto.get_crypto_snapshot(CryptoSnapshotRequest(symbol_or_symbols=COINS))
    assert set(snapshots) == set(COINS)
    snapshot = snapshots["BTC/USD"]
    assert snapshot.latest_quote.bid_price < snapshot.latest_quote.ask_price
    assert snapshot.previous_daily_bar.timestamp < snapshot.daily_bar.timestamp


def test_crypto_history_needs_no_key():
    with desk() as at:
        stranger = CryptoHistoricalDataClient(url_override=at.exchange.url)
        quote = stranger.get_crypto_latest_quote(CryptoLatestQuoteRequest(symbol_or_symbols="BTC/USD"))
    assert "BTC/USD" in quote


# --- the plain verbs under all of these: data is only read, and what is not there is refused


@stock_case
def _get(at: Desk) -> None:
    assert at.stocks.get("/stocks/AAPL/trades/latest")["symbol"] == "AAPL"


@coin_case
def _crypto_get(at: Desk) -> None:
    assert "BTC/USD" in at.crypto.get("/crypto/us/latest/trades", {"symbols": "BTC/USD"})["trades"]


def refused(call: Any) -> None:
    with pytest.raises(APIError) as caught:
        call("/stocks/bars")
    assert caught.value.status_code in (404, 405)


for _verb in ("post", "put", "patch", "delete"):
    STOCK_CASES[_verb] = lambda at, verb=_verb: refused(getattr(at.stocks, verb))  # type: ignore[misc]
    COIN_CASES[_verb] = lambda at, verb=_verb: refused(getattr(at.crypto, verb))  # type: ignore[misc]


@stock_case
def _response_wrapper(at: Desk) -> None:
    raw = at.stocks.get("/stocks/bars", {"symbols": "AAPL", "timeframe": "1Min", "start": BELL.isoformat()})["bars"]
    assert at.stocks.response_wrapper(BarSet, raw)["AAPL"][0].timestamp == BELL


@coin_case
def _crypto_response_wrapper(at: Desk) -> None:
    raw = at.crypto.get("/crypto/us/latest/bars", {"symbols": "BTC/USD"})["bars"]
    wrapped = at.crypto.response_wrapper(BarSet, {symbol: [bar] for symbol, bar in raw.items()})
    assert is_bar(wrapped["BTC/USD"][0])
