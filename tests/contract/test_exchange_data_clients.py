"""alpaca-py 0.44, unmodified: every call of its data clients gets real content, or for options Alpaca's refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import Adjustment, CorporateActionsType, DataFeed, MostActivesBy
from alpaca.data.historical import (
    CryptoHistoricalDataClient,
    NewsClient,
    OptionHistoricalDataClient,
    ScreenerClient,
    StockHistoricalDataClient,
)
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.requests import (
    CorporateActionsRequest,
    CryptoBarsRequest,
    CryptoLatestBarRequest,
    CryptoLatestOrderbookRequest,
    CryptoLatestQuoteRequest,
    CryptoLatestTradeRequest,
    CryptoQuoteRequest,
    CryptoSnapshotRequest,
    CryptoTradesRequest,
    MarketMoversRequest,
    MostActivesRequest,
    NewsRequest,
    OptionBarsRequest,
    OptionChainRequest,
    OptionLatestQuoteRequest,
    OptionLatestTradeRequest,
    OptionSnapshotRequest,
    OptionTradesRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.instants import new_york_ns
from quant_trading_system.simulator.server.testing import RunningExchange, running_exchange
from tests.support.scripted_market import ScriptedMarket
from tests.support.scripted_venue import scripted_exchange

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # alpaca-py imports websockets.legacy
]

KEYS = ("PKSIM", "sim")
OPEN = datetime(2024, 6, 3, 13, 30, tzinfo=UTC)
BOTH = ["AAPL", "SPY"]
PAIR = "BTC/USD"
CONTRACT = "AAPL241220C00300000"
WRITTEN = Path(__file__).read_text(encoding="utf-8")


async def ask(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Make a blocking call in a thread: the exchange runs in this one."""
    return await asyncio.to_thread(call, *arguments, **named)


@asynccontextmanager
async def open_market() -> AsyncIterator[RunningExchange]:
    async with running_exchange(symbols=(*BOTH, PAIR, "ETH/USD")) as exchange:
        await exchange.step(240)
        yield exchange


async def test_the_stock_client_reads_history():
    async with open_market() as exchange:
        client = StockHistoricalDataClient(*KEYS, url_override=exchange.url)
        bars = await ask(
            client.get_stock_bars,
            StockBarsRequest(
                symbol_or_symbols=BOTH, timeframe=TimeFrame(2, TimeFrameUnit.Minute), start=OPEN,
                adjustment=Adjustment.ALL, feed=DataFeed.SIP, asof="2024-06-03",
            ),
        )  # fmt: skip
        trades = await ask(client.get_stock_trades, StockTradesRequest(symbol_or_symbols=BOTH, start=OPEN))
        quotes = await ask(client.get_stock_quotes, StockQuotesRequest(symbol_or_symbols="AAPL", start=OPEN, limit=150))
    assert [len(bars[symbol]) for symbol in BOTH] == [3, 3]  # two whole ones and the forming one
    assert bars["AAPL"][0].timestamp == OPEN
    in_bars = [trade for trade in trades["AAPL"] if "Q" not in trade.conditions]  # an official open is no trade
    assert sum(bar.trade_count for bar in bars["AAPL"]) == len(in_bars) > 40
    assert trades["SPY"][0].price > 0
    assert len(quotes["AAPL"]) == 150
    assert all(quote.bid_price < quote.ask_price for quote in quotes["AAPL"])
    assert bars.df.shape[0] == 6


async def test_the_stock_client_reads_the_latest_values():
    async with open_market() as exchange:
        client = StockHistoricalDataClient(*KEYS, url_override=exchange.url)
        trade = await ask(client.get_stock_latest_trade, StockLatestTradeRequest(symbol_or_symbols=BOTH))
        quote = await ask(client.get_stock_latest_quote, StockLatestQuoteRequest(symbol_or_symbols=BOTH))
        bar = await ask(client.get_stock_latest_bar, StockLatestBarRequest(symbol_or_symbols=BOTH))
        snapshot = await ask(client.get_stock_snapshot, StockSnapshotRequest(symbol_or_symbols=BOTH))
    for symbol in BOTH:
        assert snapshot[symbol].latest_trade == trade[symbol]
        assert snapshot[symbol].latest_quote == quote[symbol]
        assert snapshot[symbol].minute_bar == bar[symbol]
        assert snapshot[symbol].daily_bar.volume >= bar[symbol].volume > 0
        assert snapshot[symbol].previous_daily_bar.timestamp < snapshot[symbol].daily_bar.timestamp


async def test_the_crypto_client_needs_no_key_and_reads_history():
    async with open_market() as exchange:
        client = CryptoHistoricalDataClient(url_override=exchange.url)
        bars = await ask(
            client.get_crypto_bars,
            CryptoBarsRequest(
                symbol_or_symbols=[PAIR, "ETH/USD"], timeframe=TimeFrame.Hour, start=datetime(2024, 6, 2, tzinfo=UTC)
            ),
        )
        trades = await ask(client.get_crypto_trades, CryptoTradesRequest(symbol_or_symbols=PAIR, start=OPEN))
        quotes = await ask(client.get_crypto_quotes, CryptoQuoteRequest(symbol_or_symbols=PAIR, start=OPEN))
    assert len(bars[PAIR]) == len(bars["ETH/USD"]) == 38  # from midnight of Greenwich to the running hour
    assert trades[PAIR]
    assert quotes[PAIR][0].bid_price < quotes[PAIR][0].ask_price


async def test_the_crypto_client_reads_the_latest_values():
    async with open_market() as exchange:
        client = CryptoHistoricalDataClient(*KEYS, url_override=exchange.url)
        trade = await ask(client.get_crypto_latest_trade, CryptoLatestTradeRequest(symbol_or_symbols=PAIR))
        quote = await ask(client.get_crypto_latest_quote, CryptoLatestQuoteRequest(symbol_or_symbols=PAIR))
        bar = await ask(client.get_crypto_latest_bar, CryptoLatestBarRequest(symbol_or_symbols=PAIR))
        book = await ask(client.get_crypto_latest_orderbook, CryptoLatestOrderbookRequest(symbol_or_symbols=PAIR))
        snapshot = await ask(client.get_crypto_snapshot, CryptoSnapshotRequest(symbol_or_symbols=[PAIR]))
    assert snapshot[PAIR].latest_trade == trade[PAIR]
    assert snapshot[PAIR].latest_quote == quote[PAIR]
    assert snapshot[PAIR].minute_bar == bar[PAIR]
    assert snapshot[PAIR].previous_daily_bar.close > 0
    assert book[PAIR].bids[0].price == quote[PAIR].bid_price < book[PAIR].asks[0].price


async def test_the_news_client_reads_articles_page_by_page():
    async with open_market() as exchange:
        client = NewsClient(*KEYS, url_override=exchange.url)
        news = await ask(client.get_news, NewsRequest(symbols="AAPL", start=datetime(2024, 1, 2, tzinfo=UTC), limit=70))
    articles = news["news"]
    assert len({article.id for article in articles}) == len(articles) == 70
    assert all(article.symbols == ["AAPL"] and "SYNTHETIC" in article.headline for article in articles)


async def test_the_screener_client_reads_the_most_active_and_the_movers():
    async with open_market() as exchange:
        client = ScreenerClient(*KEYS, url_override=exchange.url)
        actives = await ask(client.get_most_actives, MostActivesRequest(by=MostActivesBy.TRADES, top=1))
        stocks = await ask(client.get_market_movers, MarketMoversRequest(market_type="stocks", top=5))
        crypto = await ask(client.get_market_movers, MarketMoversRequest(market_type="crypto"))
    assert len(actives.most_actives) == 1
    assert actives.most_actives[0].trade_count > 0
    assert {move.symbol for move in (*stocks.gainers, *stocks.losers)} == set(BOTH)
    assert {move.symbol for move in (*crypto.gainers, *crypto.losers)} == {PAIR, "ETH/USD"}


async def test_the_corporate_actions_client_reads_every_page():
    now_ns = Nanos(new_york_ns(date(2024, 6, 14), 12))
    market = ScriptedMarket(("AAA",), start_ns=now_ns)
    days = [date(2024, 5, day) for day in range(1, 31)]
    market.announce(
        *(
            CorporateAction(
                id=f"00000000-0000-4000-8000-{number:012d}", kind="cash_dividend", symbol="AAA", ex_date=day,
                process_date=day, cash=Decimal("0.125"), cusip="000000001",
            )
            for number, day in enumerate(days)
        ),
        CorporateAction(
            id="00000000-0000-4000-8000-999999999999", kind="forward_split", symbol="AAA", ex_date=days[0],
            process_date=days[0], old_rate=Decimal(1), new_rate=Decimal(4), cusip="000000001",
        ),
    )  # fmt: skip
    async with scripted_exchange(market, now_ns=now_ns) as exchange:
        client = CorporateActionsClient(*KEYS, url_override=exchange.url)
        request = CorporateActionsRequest(symbols=["AAA"], start=days[0], end=days[-1])
        every = await ask(client.get_corporate_actions, request)
        splits = await ask(
            client.get_corporate_actions,
            CorporateActionsRequest(types=[CorporateActionsType.FORWARD_SPLIT], start=days[0]),
        )
    assert [row.ex_date for row in every.data["cash_dividends"]] == days
    assert every.data["cash_dividends"][0].rate == 0.125
    assert [(row.old_rate, row.new_rate) for row in splits.data["forward_splits"]] == [(1.0, 4.0)]
    assert list(splits.data) == ["forward_splits"]


@pytest.mark.parametrize(
    ("method", "request_of"),
    [
        ("get_option_bars", lambda: OptionBarsRequest(symbol_or_symbols=CONTRACT, timeframe=TimeFrame.Day)),
        ("get_option_trades", lambda: OptionTradesRequest(symbol_or_symbols=CONTRACT)),
        ("get_option_latest_quote", lambda: OptionLatestQuoteRequest(symbol_or_symbols=CONTRACT)),
        ("get_option_latest_trade", lambda: OptionLatestTradeRequest(symbol_or_symbols=CONTRACT)),
        ("get_option_snapshot", lambda: OptionSnapshotRequest(symbol_or_symbols=CONTRACT)),
        ("get_option_chain", lambda: OptionChainRequest(underlying_symbol="AAPL")),
        ("get_option_exchange_codes", None),
    ],
)
async def test_every_call_of_the_option_client_is_refused_as_an_api_error(method, request_of):
    async with running_exchange() as exchange:
        client = OptionHistoricalDataClient(*KEYS, url_override=exchange.url)
        arguments = [request_of()] if request_of is not None else []
        with pytest.raises(APIError) as raised:
            await ask(getattr(client, method), *arguments)
    assert raised.value.status_code == 403


@pytest.mark.parametrize(
    "client",
    [StockHistoricalDataClient, CryptoHistoricalDataClient, NewsClient, ScreenerClient, CorporateActionsClient,
     OptionHistoricalDataClient],
)  # fmt: skip
async def test_no_call_of_a_client_is_left_out_here(client):
    own = {name for name in vars(client) if name.startswith("get_")}
    assert {name for name in own if name not in WRITTEN} == set()
