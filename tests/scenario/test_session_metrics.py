"""The metrics of a real session: every number is moved by the engine and the exchange, none by the test."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec import structs
from prometheus_client import CollectorRegistry

from quant_trading_system.app.timed_strategy import TimedStrategy
from quant_trading_system.core.events import OrderUpdated
from quant_trading_system.core.types import Direction, StrategyId, TradingState
from quant_trading_system.observability.metrics import Metrics
from quant_trading_system.simulator.refusals import Refusal
from tests.support.floor import MOMENTUM, SYMBOL, Floor, scripted_floor

BUY = {"side": "buy", "type": "limit"}


class Gauges:
    """What a scraper would see of a floor."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, version="0", mode="sim")
        self._counted = 0

    def scrape(self, floor: Floor) -> None:
        """Tell the metrics what the daemon would have told them since the last scrape."""
        for record in floor.records[self._counted :]:
            self.metrics.on_record(record)
        self._counted = len(floor.records)
        self.metrics.observe_view(floor.engine.view())

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def gauges() -> Gauges:
    return Gauges()


def refuse(floor: Floor) -> None:
    """Let the exchange refuse the next orders as Alpaca refuses for want of money."""

    def answer(approved, submit):
        del submit

        def broken():
            raise Refusal(403, 40310000, "insufficient buying power")

        return floor.answer(approved, broken)

    floor.on_post = answer


@pytest.mark.requirement("R176")
def test_orders_are_counted_as_submitted_filled_and_rejected_with_the_brokers_code(gauges):
    floor = scripted_floor()
    floor.decide(Direction.LONG)
    floor.advance(1)
    gauges.scrape(floor)
    assert gauges.value("qts_orders_total", **BUY, outcome="submitted") == len(floor.posted) == 1
    assert gauges.value("qts_orders_total", **BUY, outcome="filled") == 1
    assert gauges.value("qts_orders_total", **BUY, outcome="rejected") is None
    refuse(floor)
    floor.decide(Direction.EXIT)
    floor.advance(1)
    gauges.scrape(floor)
    sold = {"side": "sell", "type": "limit"}
    assert gauges.value("qts_orders_total", **sold, outcome="rejected") == 1
    assert gauges.value("qts_order_rejections_total", reason="403 40310000") == 1


@pytest.mark.requirement("R176")
def test_decisions_are_counted_by_strategy_outcome_and_the_control_that_refused(gauges):
    floor = scripted_floor()
    floor.spoil = lambda quote: structs.replace(quote, bid_price=0.0)
    floor.decide(Direction.LONG)
    gauges.scrape(floor)
    refused = gauges.value("qts_decisions_total", strategy=MOMENTUM, outcome="refused", reason="P13")
    assert refused == len(floor.decisions) == 1
    floor.spoil = lambda quote: quote
    floor.decide(Direction.LONG)
    gauges.scrape(floor)
    assert gauges.value("qts_decisions_total", strategy=MOMENTUM, outcome="approved", reason="") == 1


@pytest.mark.requirement("R177")
def test_acknowledgement_and_fill_are_timed_from_the_moment_an_order_left(gauges):
    floor = scripted_floor()
    late: list[OrderUpdated] = []

    def hold_back(update: OrderUpdated) -> list[OrderUpdated]:
        late.append(update)
        return []

    floor.filter_update = hold_back
    floor.decide(Direction.LONG)
    floor.advance(3)
    floor.filter_update = lambda update: [update]
    for update in late:
        floor.tell(structs.replace(update, **floor.stamps()))
    gauges.scrape(floor)
    assert gauges.value("qts_order_ack_seconds_count") == 1
    assert gauges.value("qts_order_ack_seconds_sum") == pytest.approx(0.0)
    assert gauges.value("qts_order_fill_seconds_count") == 1
    assert gauges.value("qts_order_fill_seconds_sum") == pytest.approx(3.0)


@pytest.mark.requirement("R177")
def test_every_evaluation_of_a_strategy_is_timed(gauges):
    floor = scripted_floor()
    scripts = floor.scripts
    timed = {id_: TimedStrategy(script, gauges.metrics.on_strategy_evaluation) for id_, script in scripts.items()}
    floor.engine._desk.strategies.update(timed)
    floor.next_bar()
    floor.next_bar()
    assert gauges.value("qts_strategy_evaluation_seconds_count", strategy=MOMENTUM) == len(scripts[MOMENTUM].bars) == 2
    scripts[StrategyId("momentum")].error = ValueError("no")
    floor.next_bar(strategy=StrategyId("mean_reversion"))
    assert gauges.value("qts_strategy_evaluation_seconds_count", strategy=MOMENTUM) == 3, "a failure is timed too"


@pytest.mark.requirement("R107")
@pytest.mark.requirement("R178")
def test_what_a_fill_cost_against_the_price_it_was_decided_on_is_recorded_and_measured(gauges):
    floor = scripted_floor()

    def after_a_move(approved, submit):
        floor.quote(99.93, 99.95)
        return floor.answer(approved, submit)

    floor.on_post = after_a_move
    floor.decide(Direction.LONG)
    floor.on_post = None
    floor.advance(1)
    (bought,) = floor.fills
    assert bought.price == Decimal("99.95")
    assert bought.slippage_bps == Decimal("-5.00")  # five hundredths of a percent better than the mid of 100
    floor.decide(Direction.EXIT)
    floor.advance(1)
    sold = floor.fills[-1]
    assert (sold.price, sold.slippage_bps) == (Decimal("99.99"), Decimal("1.00"))
    gauges.scrape(floor)
    assert gauges.value("qts_slippage_bps_count") == 2
    below = {bound: gauges.value("qts_slippage_bps_bucket", le=bound) for bound in ("-10.0", "-5.0", "0.0", "1.0")}
    assert below == {"-10.0": 0, "-5.0": 1, "0.0": 1, "1.0": 2}


@pytest.mark.requirement("R179")
def test_the_age_of_data_of_what_is_held_grows_while_its_symbol_is_silent(gauges):
    floor = scripted_floor()
    gauges.scrape(floor)
    assert gauges.value("qts_market_data_age_seconds", symbol=SYMBOL) is None
    floor.decide(Direction.LONG)
    floor.advance(1)
    floor.quotes = floor.prints = False
    floor.advance(7)
    gauges.scrape(floor)
    assert gauges.value("qts_market_data_age_seconds", symbol=SYMBOL) == pytest.approx(7.0, abs=1.0)


@pytest.mark.requirement("R180")
def test_risk_gauges_are_those_of_the_account_at_the_exchange(gauges):
    floor = scripted_floor()
    floor.decide(Direction.LONG)
    floor.advance(1)
    floor.advance(20, price=99.0)
    gauges.scrape(floor)
    account = floor.exchange.account()
    held = float(floor.broker_positions()[SYMBOL]) * 99.0
    assert gauges.value("qts_equity_usd") == float(account.equity)
    assert gauges.value("qts_cash_usd") == float(account.cash)
    assert gauges.value("qts_day_pnl_usd") == float(account.equity - 100_000)
    assert gauges.value("qts_gross_exposure_ratio") == pytest.approx(held / float(account.equity), rel=1e-4)
    assert gauges.value("qts_top_position_ratio") == pytest.approx(held / float(account.equity), rel=1e-4)
    assert gauges.value("qts_drawdown_ratio") == pytest.approx(float(100_000 - account.equity) / 100_000, rel=1e-2)
    assert gauges.value("qts_positions") == 1
    usage = gauges.value("qts_limit_usage_ratio", control="P29")
    assert usage == pytest.approx(float(100_000 - account.equity) / 2_000, rel=1e-3)


def test_an_order_of_unknown_fate_and_a_drift_show(gauges):
    floor = scripted_floor()
    floor.on_post = lambda approved, submit: floor.in_doubt(approved)
    floor.answers_lookups = False
    floor.decide(Direction.LONG)
    gauges.scrape(floor)
    assert gauges.value("qts_unknown_orders") == gauges.value("qts_open_orders") == 1
    assert gauges.value("qts_orders_total", **BUY, outcome="unknown") == 1
    runs = gauges.value("qts_reconciliation_runs_total", result="clean")
    floor.advance(15)
    gauges.scrape(floor)
    assert (gauges.value("qts_reconciliation_runs_total", result="clean") or 0) > (runs or 0)


def test_the_trading_state_and_the_kill_switch_show(gauges):
    floor = scripted_floor()
    gauges.scrape(floor)
    assert gauges.value("qts_trading_state", state="ACTIVE") == 1
    assert gauges.value("qts_kill_switch_engaged") == 0
    assert floor.ask("kill").accepted
    floor.advance(1)
    gauges.scrape(floor)
    assert floor.engine.view().state is TradingState.HALTED
    assert gauges.value("qts_trading_state", state="HALTED") == 1
    assert gauges.value("qts_kill_switch_engaged") == 1
