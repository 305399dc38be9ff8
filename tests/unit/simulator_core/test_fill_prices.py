"""What a fill against a quote costs, and how long it takes: the touch, impact beyond it, improvement, latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path
from statistics import mean

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.events import SimBar
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.instants import NANOS_PER_MS
from quant_trading_system.simulator.journal import Journal
from quant_trading_system.simulator.latency import Latency
from quant_trading_system.simulator.market.source import DAY, BarSpan
from quant_trading_system.simulator.schedule import Action
from quant_trading_system.simulator.settings import FillSettings, Hop, LatencySettings
from tests.support.scripted_market import ScriptedMarket
from tests.unit.simulator_core.desk_script import NEVER_PARTIAL, OPEN_NS, Floor, buy, sell

VOLUME = 1_000_000.0  # shares of a day
DEVIATION = 0.02  # of a daily log return


class MarketWithHistory(ScriptedMarket):
    """Days of known volume, whose closes go up and down by the deviation in turns."""

    def bars(self, symbol: str, span: BarSpan, start_ns: int, end_ns: int) -> Sequence[SimBar]:
        del end_ns
        if span != DAY:
            return []
        closes = [100.0 * (1.0202013400267558 if place % 2 else 1.0) for place in range(21)]  # e to the 0.02
        return [SimBar(symbol, c, c, c, c, VOLUME, start_ns + place, 10, c) for place, c in enumerate(closes)]


def venue(journal: Journal | None = None, **fills: float) -> Floor:
    """An exchange on a market with history; large orders are within its means."""
    floor = Floor(NEVER_PARTIAL)
    floor.market = MarketWithHistory(("AAPL", "MSFT"), start_ns=Nanos(OPEN_NS))
    settings = replace(NEVER_PARTIAL, cash=D(10_000_000), fills=FillSettings(**fills))
    floor.exchange = Exchange(settings=settings, market=floor.market, journal=journal)
    floor.quote(99.99, 100.01, ask_size=1_000, bid_size=1_000)
    floor.trade(100.00)
    return floor


def prices(floor: Floor, order) -> list[D]:
    floor.told()
    return [event.price for event in floor.events if event.order.id == order.id and event.price is not None]


def test_an_order_that_the_displayed_size_covers_pays_the_touch():
    floor = venue()
    order = floor.submit(buy(qty="1000"))
    floor.wait()
    assert prices(floor, order) == [D("100.01")]


def test_what_goes_beyond_costs_the_square_root_of_its_share_of_a_day():
    floor = venue(impact_permanent=0.0)
    order = floor.submit(buy(qty="11000"))
    floor.wait()
    floor.quote(99.99, 100.01, ask_size=10_000)
    fraction = DEVIATION * (10_000 / VOLUME) ** 0.5
    assert fraction == pytest.approx(0.002)
    assert prices(floor, order) == [D("100.01"), D("100.21")]


def test_a_sell_gets_less_by_the_same_law_and_the_coefficient_scales_it():
    floor = venue(impact_permanent=0.0, impact_temporary=0.5)
    floor.hold(11_000)
    floor.quote(99.99, 100.01, bid_size=1_000)
    order = floor.submit(sell(qty="11000"))
    floor.wait()
    floor.quote(99.99, 100.01, bid_size=10_000)
    assert prices(floor, order) == [D("99.99"), D("99.89")]


def test_impact_never_goes_beyond_the_limit():
    floor = venue(impact_permanent=0.0)
    order = floor.submit(buy(qty="11000", type="limit", limit_price="100.05"))
    floor.wait()
    floor.quote(99.99, 100.01, ask_size=10_000)
    assert prices(floor, order) == [D("100.01"), D("100.05")]


def test_a_large_order_moves_the_price_for_those_that_follow_on_its_side_and_that_decays():
    floor = venue(impact_temporary=0.0, impact_permanent=1.0, impact_half_life_seconds=600.0)
    floor.submit(buy(qty="51000"))
    floor.wait()
    floor.quote(99.99, 100.01, ask_size=50_000)
    moved = DEVIATION * 50_000 / VOLUME
    assert moved == pytest.approx(0.001)
    floor.quote(99.99, 100.01)
    next_one = floor.submit(buy(qty="10"))
    floor.wait()
    other_side = floor.submit(sell(qty="10"))
    floor.wait()
    assert (prices(floor, next_one), prices(floor, other_side)) == ([D("100.11")], [D("99.99")])
    floor.wait(600)
    later = floor.submit(buy(qty="10"))
    floor.wait()
    floor.quote(99.99, 100.01)
    assert prices(floor, later) == [D("100.06")]


def test_a_restart_goes_on_with_the_price_that_was_moved(tmp_path: Path):
    floor = venue(Journal(tmp_path / "journal"), impact_temporary=0.0, impact_permanent=1.0)
    floor.submit(buy(qty="51000"))
    floor.wait()
    floor.quote(99.99, 100.01, ask_size=50_000)
    market = MarketWithHistory(("AAPL", "MSFT"), start_ns=Nanos(OPEN_NS))
    floor.market, floor.exchange = (
        market,
        Exchange(settings=floor.exchange.settings, market=market, journal=Journal(tmp_path / "journal")),
    )
    floor.quote(99.99, 100.01)
    floor.trade(100.00)
    order = floor.submit(buy(qty="10"))
    floor.wait()
    assert prices(floor, order) == [D("100.11")]


def test_without_history_there_is_no_impact():
    floor = Floor(cash=D(10_000_000))
    order = floor.submit(buy(qty="5000"))
    floor.wait()
    floor.quote(99.99, 100.01, ask_size=4_000)
    assert prices(floor, order) == [D("100.01"), D("100.01")]


def test_price_improvement_is_inside_the_spread_and_as_frequent_as_it_is_said():
    floor = Floor(replace(NEVER_PARTIAL, fills=FillSettings(improvement_probability=0.4)))
    paid: list[D] = []
    for _ in range(150):
        floor.quote(99.90, 100.10, bid_size=1e6, ask_size=1e6)
        order = floor.submit(buy(qty="1"))
        floor.wait()
        paid += prices(floor, order)
    improved = [price for price in paid if price != D("100.1")]
    assert 40 <= len(improved) <= 80
    assert all(D("100.00") <= price < D("100.1") for price in improved), "at most half of the spread"
    assert len(set(improved)) > 30


def delays_ms(hop: Hop, count: int = 4_000) -> list[float]:
    latency = Latency(LatencySettings(cancel=hop), Chance(5))
    return [latency.delay_ns(Action.CANCEL, number) / NANOS_PER_MS for number in range(count)]


def test_latency_is_exponential_or_lognormal_around_its_mean_and_within_its_bounds():
    exponential = delays_ms(Hop(mean_ms=20.0, min_ms=0.001, max_ms=10_000.0))
    lognormal = delays_ms(Hop(mean_ms=20.0, min_ms=0.001, max_ms=10_000.0, log_deviation=0.5))
    assert mean(exponential) == pytest.approx(20, rel=0.06)
    assert mean(lognormal) == pytest.approx(20, rel=0.06)
    assert sum(delay < 5 for delay in exponential) > 700, "an exponential draw is often short"
    assert sum(delay < 5 for delay in lognormal) < 60, "a lognormal one hardly ever"
    bounded = delays_ms(Hop(mean_ms=20.0, min_ms=10.0, max_ms=30.0))
    assert (min(bounded), max(bounded)) == (10, 30)


def test_each_hop_has_its_own_latency():
    slow = LatencySettings(cancel=Hop(mean_ms=400.0, min_ms=300.0, max_ms=900.0))
    floor = Floor(latency=slow)
    order = floor.submit(buy(type="limit", limit_price="90"))
    floor.wait(0.2)
    assert order.status == "new"
    floor.exchange.cancel(order.id)
    floor.wait(0.29)
    assert order.status == "pending_cancel"
    floor.wait(0.7)
    assert order.status == "canceled"
    assert order.canceled_at_ns is not None
    assert order.canceled_at_ns - order.submitted_at_ns < NANOS_PER_SECOND * 2
