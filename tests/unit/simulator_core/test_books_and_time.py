"""The books are the same however finely time is cut, and whoever watches, over days, nights and a weekend."""

from __future__ import annotations

import gc
import random
from datetime import date
from decimal import Decimal

import pytest

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.instants import new_york_ns
from quant_trading_system.simulator.market.both import BothMarkets
from quant_trading_system.simulator.market.crypto import CryptoMarket
from quant_trading_system.simulator.market.generated import GeneratedMarket
from quant_trading_system.simulator.market.mishaps import MishapRates
from quant_trading_system.simulator.market.source import MINUTE
from quant_trading_system.simulator.settings import ExchangeSettings
from tests.unit.simulator_core.desk_script import order_request

FRIDAY = date(2026, 11, 20)
MONDAY = date(2026, 11, 23)
START_NS = new_york_ns(FRIDAY, 15, 30)
END_NS = new_york_ns(MONDAY, 10)
RATES = MishapRates(late=0.05, corrected=0.05, canceled=0.05)


def exchange_of(symbols=("AAPL", "JPM", "XOM")):
    equities = GeneratedMarket(seed=5, start_ns=START_NS, symbols=symbols, rates=RATES)
    crypto = CryptoMarket(seed=5, start_ns=START_NS, pairs=("BTC/USD", "ETH/USD"))
    return Exchange(
        settings=ExchangeSettings(start_ns=START_NS, seed=5, cash=Decimal(1_000_000)),
        market=BothMarkets(equities, crypto),
        journal=None,
    )


def near(exchange, symbol, times):
    trade = exchange.market.latest_trade(symbol)
    return f"{trade.price * times:.2f}"


def orders_of(exchange):
    """When, in minutes after the start, and what is sent."""

    def order(symbol, qty, side="buy", type_="market", *, limit=None, stop=None, tif="day", **fields):
        prices = {"limit_price": limit, "stop_price": stop}
        given = {name: near(exchange, symbol, times) for name, times in prices.items() if times is not None}
        return {"symbol": symbol, "qty": qty, "side": side, "type": type_, "time_in_force": tif, **given, **fields}

    return [
        (0, lambda: order("AAPL", "50")),
        (3, lambda: order("JPM", "30", type_="limit", limit=1.0)),
        (9, lambda: order("BTC/USD", "0.5", tif="gtc")),
        (11, lambda: order("XOM", "20", tif="cls")),
        (20, lambda: order("AAPL", "10", "sell", "stop", stop=0.99, tif="gtc")),
        (40, lambda: order("JPM", "10", type_="limit", limit=1.001, extended_hours=True)),
        (200, lambda: order("ETH/USD", "2", type_="limit", limit=0.999, tif="gtc")),
        (900, lambda: order("BTC/USD", "0.1", "sell", tif="ioc")),
        (3_900, lambda: order("XOM", "5", tif="opg")),
    ]


def play(exchange, until_ns, cuts, watches):
    """Advance in steps that `cuts` draws, with an audience that comes and goes."""
    while exchange.now_ns < until_ns:
        step_ns = min(cuts(), until_ns - exchange.now_ns)
        target_ns = exchange.now_ns + step_ns
        while exchange.now_ns < target_ns:
            exchange.advance(Nanos(target_ns))
            exchange.take_market_events()
        if watches:
            exchange.view_extended_hours(watches.random() < 0.5)
            exchange.view_crypto(watches.random() < 0.2)


def books_after(cuts, watches=None):
    exchange = exchange_of()
    for minute, make in orders_of(exchange):
        play(exchange, START_NS + minute * NANOS_PER_MINUTE, cuts, watches)
        exchange.submit(order_request(**make()))
    play(exchange, END_NS, cuts, watches)
    return exchange.ledger()


@pytest.fixture(scope="module")
def whole():
    return books_after(lambda: END_NS)


def test_something_of_every_kind_happens(whole):
    traded = {(execution["symbol"], execution["side"]) for execution in whole["executions"]}
    assert {("AAPL", "buy"), ("JPM", "buy"), ("BTC/USD", "buy"), ("XOM", "buy"), ("BTC/USD", "sell")} <= traded


@pytest.mark.parametrize("seed", [1, 2])
def test_books_do_not_depend_on_how_time_is_cut(whole, seed):
    cut = random.Random(seed)
    steps = [1, NANOS_PER_SECOND // 7, NANOS_PER_SECOND, 61 * NANOS_PER_SECOND, 3_601 * NANOS_PER_SECOND]
    assert books_after(lambda: cut.choice(steps) * cut.randrange(1, 9))["hash"] == whole["hash"]


def test_books_do_not_depend_on_who_watches(whole):
    watches = random.Random(3)
    assert books_after(lambda: watches.randrange(1, 40) * NANOS_PER_MINUTE, watches)["hash"] == whole["hash"]


def kept_by_markets():
    """How many objects of the market's modules are alive."""
    gc.collect()
    modules = (getattr(type(thing), "__module__", "") for thing in gc.get_objects())
    return sum(str(module).startswith("quant_trading_system.simulator.market.") for module in modules)


def test_a_market_that_is_played_for_days_keeps_a_few_things_for_each_symbol_and_day():
    market = GeneratedMarket(seed=1, start_ns=new_york_ns(MONDAY, 9, 30), symbols=("AAPL", "JPM"), activity=0.3)
    market.begin(Nanos(new_york_ns(MONDAY, 9, 30)))
    kept = []
    for session in calendar.sessions_between(MONDAY, date(2026, 12, 4)):
        for _ in market.events_until(session.post_market_end_ns):
            pass
        for symbol in market.symbols:
            market.bars(symbol, MINUTE, new_york_ns(MONDAY), session.post_market_end_ns)
        kept.append(kept_by_markets())
    assert len(kept) == 9
    assert kept[-1] - kept[1] <= 7 * 2 * 5, "a day, a sheet, its reader and its listing for each symbol"
