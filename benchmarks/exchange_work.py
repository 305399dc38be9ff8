"""The exchange in process: `play` a busy market with resting orders, or a week. Prints one JSON object."""

from __future__ import annotations

import gc
import json
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.exchange import symbol_names
from quant_trading_system.core.types import NANOS_PER_MINUTE, Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.instants import new_york_ns
from quant_trading_system.simulator.journal import Journal
from quant_trading_system.simulator.market.generated import GeneratedMarket
from quant_trading_system.simulator.requests import OrderRequest
from quant_trading_system.simulator.settings import ExchangeSettings

FIRST_DAY = date(2024, 6, 3)
OPEN_NS = new_york_ns(FIRST_DAY, 9, 30)
RESTING = 50
PLAYED_MINUTES = 15
ACTIVITY = 4.0  # of a symbol: about 260 messages a minute, so that 100 symbols are a busy feed
WEEK_SESSIONS = 5
STEPS_PER_SESSION = 78  # five minutes each
ORDERS_PER_STEP = 10
PAGE_BYTES = 4_096


def limit_order(symbol: str, price: str, side: str = "buy") -> OrderRequest:
    return OrderRequest.from_body(
        {"symbol": symbol, "qty": "1", "side": side, "type": "limit", "time_in_force": "gtc", "limit_price": price}
    )


def market_order(symbol: str, side: str) -> OrderRequest:
    return OrderRequest.from_body(
        {"symbol": symbol, "qty": "1", "side": side, "type": "market", "time_in_force": "day"}
    )


def new_market(symbols: list[str], activity: float | None) -> GeneratedMarket:
    return GeneratedMarket(seed=1, start_ns=OPEN_NS, symbols=symbols, activity=activity)


def generated_per_second() -> float:
    """Messages of the market alone."""
    market = new_market(symbol_names(), ACTIVITY)
    market.begin(OPEN_NS)
    for _ in market.events_until(Nanos(OPEN_NS + NANOS_PER_MINUTE)):
        pass  # the day is drawn
    began_s = time.perf_counter()
    count = sum(1 for _ in market.events_until(Nanos(OPEN_NS + PLAYED_MINUTES * NANOS_PER_MINUTE)))
    return count / (time.perf_counter() - began_s)


def played_per_second() -> float:
    """Messages through the exchange, with orders resting near and far in half of the symbols."""
    exchange = Exchange(
        settings=ExchangeSettings(start_ns=OPEN_NS, seed=1, cash=Decimal(10**9)),
        market=new_market(symbol_names(), ACTIVITY),
        journal=None,
    )
    exchange.advance(Nanos(OPEN_NS + NANOS_PER_MINUTE))
    for number, symbol in enumerate(symbol_names()[:RESTING]):
        trade = exchange.market.latest_trade(symbol)
        assert trade is not None, f"{symbol}: expected a trade in the first minute"
        exchange.submit(limit_order(symbol, f"{trade.price * (0.5 + 0.1 * (number % 5)):.2f}"))
    exchange.take_market_events()
    count, seconds = 0, 0.0
    for minute in range(2, PLAYED_MINUTES + 1):
        began_s = time.perf_counter()
        until_ns = Nanos(OPEN_NS + minute * NANOS_PER_MINUTE)
        while exchange.now_ns < until_ns:
            exchange.advance(until_ns)
            count += len(exchange.take_market_events())
        seconds += time.perf_counter() - began_s
    return count / seconds


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * PAGE_BYTES / 1024**2


def week(orders_per_step: int) -> list[float]:
    """Five sessions of buying and selling; MiB of resident memory at the end of each."""
    resident: list[float] = []
    with TemporaryDirectory() as folder:
        market = GeneratedMarket(seed=1, start_ns=OPEN_NS)
        exchange = Exchange(
            settings=ExchangeSettings(start_ns=OPEN_NS, seed=1, cash=Decimal(10**7)),
            market=market,
            journal=Journal(Path(folder) / "journal"),
        )
        names = [symbol for symbol in market.symbols if "/" not in symbol]
        for session in calendar.sessions_between(FIRST_DAY, date(2024, 6, 30))[:WEEK_SESSIONS]:
            for step in range(STEPS_PER_SESSION):
                until_ns = session.open_ns + (session.close_ns - session.open_ns) * (step + 1) // STEPS_PER_SESSION
                for number in range(orders_per_step):
                    symbol = names[(step // 2 * orders_per_step + number) % len(names)]
                    exchange.submit(market_order(symbol, "buy" if step % 2 == 0 else "sell"))
                while exchange.now_ns < until_ns:
                    exchange.advance(Nanos(until_ns))
                    exchange.take_market_events()
                    exchange.take_order_events()
            gc.collect()
            resident.append(resident_mib())
        exchange.close()
    return resident


def quiet_week() -> dict[str, float]:
    resident = week(0)
    return {"growth_mib": resident[-1] - resident[1], "resident_mib": resident[-1]}


def busy_week() -> dict[str, float]:
    """What is kept of an order for as long as the exchange runs: its clients may ask for it at any time."""
    resident = week(ORDERS_PER_STEP)
    orders = (WEEK_SESSIONS - 2) * STEPS_PER_SESSION * ORDERS_PER_STEP
    return {"kept_kib": (resident[-1] - resident[1]) * 1024 / orders}


def play() -> dict[str, float]:
    return {"generated": generated_per_second(), "played": played_per_second()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"play": play, "quiet-week": quiet_week, "busy-week": busy_week}[sys.argv[1]]()) + "\n")
