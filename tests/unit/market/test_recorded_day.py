"""Bars built from a recorded day's prints are those its vendor built, as far as the prints say what they are."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from quant_trading_system.core.clock import to_nanos
from quant_trading_system.core.events import TradeSeen
from quant_trading_system.core.types import Symbol
from quant_trading_system.market.state import Market

DATA = Path(__file__).resolve().parents[4] / "shared" / "market_data"
DAY = "20131007"
END_OF_TIME_NS = 2**62


def read(kind: str, symbol: str) -> Iterator[dict[str, str]]:
    with gzip.open(DATA / kind / symbol / f"{DAY}.csv.gz", "rt", encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


@pytest.mark.skipif(not DATA.exists(), reason="the recorded market data are not here")
@pytest.mark.parametrize("name", ["IBM", "BAC"])
def test_bars_of_a_recorded_day_agree_with_the_vendors(name):
    symbol = Symbol(name)
    market = Market(symbols=[symbol], reference_symbol=None, indicators=(), history_bars=1_000)
    for row in read("trades", name):
        venue_at = datetime.fromisoformat(row["timestamp"])
        market.on_trade(TradeSeen(symbol, venue_at, price=float(row["price"]), size=float(row["size"])))
    market.on_time(END_OF_TIME_NS, 0)
    ours = {bar.start_ns: bar for bar in market.bars(symbol)}
    theirs = {to_nanos(datetime.fromisoformat(row["timestamp"])): row for row in read("minute_bars", name)}
    assert ours.keys() == theirs.keys()
    assert (market.late_prints, market.rejected_prints) == (0, 0)
    same_volume = sum(ours[at].volume == float(row["volume"]) for at, row in theirs.items())
    assert same_volume >= 0.95 * len(theirs)
    for at, row in theirs.items():
        # The files carry no sale conditions, so a print that moves no official price moves ours, by little.
        for column in ("open", "high", "low", "close"):
            assert getattr(ours[at], column) == pytest.approx(float(row[column]), rel=0.005)
