"""A day on the floor: from bar to books, and the reasons not to send an order."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec import structs

from quant_trading_system.core.clock import to_new_york
from quant_trading_system.core.events import ClockSeen, Stopping
from quant_trading_system.core.records import AuditRecord, GuardRecord, PositionRecord
from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, Direction, Nanos, Side, Symbol
from quant_trading_system.risk.limits import RiskLimits
from tests.support.floor import MOMENTUM, OPEN, REVERSION, SYMBOL, Floor, failed, scripted_floor

MSFT = Symbol("MSFT")
RISING = [100 + 0.04 * minute + (0.08 if minute % 2 else -0.08) for minute in range(45)]
CLOSE = Nanos(OPEN + 390 * NANOS_PER_MINUTE)
NEXT_OPEN = Nanos(OPEN + 24 * 60 * NANOS_PER_MINUTE)
SMALL_CAPITAL = Decimal(8_000)  # both strategies' orders together stay below the limit of one order


# from bar to books


@pytest.mark.requirement("R122")
@pytest.mark.requirement("R123")
@pytest.mark.invariant("I12")
@pytest.mark.invariant("I18")
def test_a_rising_market_is_bought_and_the_books_equal_the_exchanges_to_the_cent():
    floor = Floor()
    floor.start()
    floor.bars(RISING)
    assert floor.books() == {"momentum": Decimal(46)}
    floor.must_agree()
    floor.advance(30, price=103.5)
    view, account = floor.engine.view(), floor.exchange.account()
    held = view.positions[0]
    assert view.money.equity_usd == account.equity
    assert held.unrealized_usd == held.quantity * (Decimal("103.5") - held.average_entry_price)
    assert view.money.day_pnl_usd == account.equity - Decimal(100_000)


@pytest.mark.requirement("R171")
@pytest.mark.invariant("I6")
def test_an_order_can_be_followed_from_its_signal_through_every_control_to_its_fill():
    floor = Floor()
    floor.start()
    floor.bars(RISING)
    decision, fill = floor.decisions[0], floor.fills[0]
    order = next(row for row in floor.order_rows if row.is_final)
    assert decision.outcome == "approved"
    assert set(decision.inputs) >= {"fast", "slow", "rsi", "close"}
    assert len(decision.controls) == len({result.name for result in decision.controls}) == 31
    assert failed(decision) == set()
    assert decision.limits_version == floor.sent[0].limits_version
    assert (decision.decision_id, decision.client_order_id) == (order.decision_id, order.client_order_id)
    assert (fill.client_order_id, fill.broker_order_id) == (order.client_order_id, order.broker_order_id)


@pytest.mark.requirement("R124")
@pytest.mark.requirement("R149")
@pytest.mark.invariant("I12")
def test_two_strategies_that_want_the_same_share_one_order_and_their_books_sum_to_the_position():
    floor = scripted_floor(capital_usd=SMALL_CAPITAL)
    floor.scripts[REVERSION].wish(SYMBOL, Direction.LONG)
    floor.decide(Direction.LONG)
    floor.advance(1)
    assert [approved.intent.strategy for approved in floor.sent] == ["net"]
    assert floor.books() == {"momentum": Decimal(20), "mean_reversion": Decimal(20)}
    assert floor.positions() == {SYMBOL: Decimal(40)}
    floor.must_agree()


@pytest.mark.requirement("R124")
@pytest.mark.invariant("I12")
def test_a_shared_order_that_fills_in_parts_is_split_so_that_the_books_sum_after_every_part():
    floor = scripted_floor(capital_usd=SMALL_CAPITAL, partial_fill_probability=1.0)
    floor.scripts[REVERSION].wish(SYMBOL, Direction.LONG)
    floor.decide(Direction.LONG)
    floor.advance(2)
    assert len(floor.fills) > 1
    books: dict[str, Decimal] = {}
    total = Decimal(0)
    for record in floor.records:
        if isinstance(record, PositionRecord):
            books[record.strategy] = record.quantity
    for fill in floor.fills:
        total += fill.quantity
        assert sum(part.quantity for part in fill.allocations) == fill.quantity
    assert sum(books.values()) == total == Decimal(40)
    assert books == {"momentum": Decimal(20), "mean_reversion": Decimal(20)}
    floor.must_agree()


@pytest.mark.requirement("R124")
@pytest.mark.requirement("R149")
def test_opposite_wishes_meet_inside_at_the_mid_and_nothing_goes_to_the_exchange():
    floor = scripted_floor()
    floor.decide(Direction.LONG)
    floor.advance(1)
    floor.scripts[REVERSION].wish(SYMBOL, Direction.LONG)
    floor.decide(Direction.EXIT)
    floor.advance(5)
    assert floor.books() == {"mean_reversion": Decimal(47)}
    assert len(floor.posted) == 1
    crosses = [row for row in floor.records if isinstance(row, AuditRecord) and row.action == "internal_cross"]
    assert [(row.details["quantity"], row.details["price"]) for row in crosses] == [("47", "100.0")]
    floor.must_agree()


@pytest.mark.requirement("R122")
@pytest.mark.requirement("R124")
def test_an_exit_sells_what_its_own_strategy_holds_and_realises_what_the_exchange_paid():
    floor = scripted_floor()
    floor.decide(Direction.LONG)
    floor.advance(1)
    floor.decide(Direction.LONG, strategy=REVERSION)
    floor.advance(1)
    floor.decide(Direction.EXIT, price=101.0)
    floor.advance(1)
    assert floor.books() == {"mean_reversion": Decimal(47)}
    bought, _, sold = floor.fills
    assert sold.realised_usd == (sold.price - bought.price) * 47
    assert floor.engine.view().strategies[0].realized_usd == sold.realised_usd > 0
    floor.must_agree()


def test_a_bar_is_judged_once_whether_a_print_or_the_clock_closed_it():
    floor = scripted_floor()
    floor.advance(200)
    floor.prints = False
    floor.advance(200)
    starts = [bar.start_ns for bar in floor.scripts[MOMENTUM].bars]
    assert starts == sorted(set(starts))
    assert len(starts) == 3


# what time does to a wish


def test_an_entry_that_did_not_happen_in_five_minutes_is_forgotten():
    floor = scripted_floor()
    floor.spoil = lambda quote: structs.replace(quote, bid_price=0.0)
    floor.decide(Direction.LONG)
    floor.advance(420)
    refused = [decision for decision in floor.decisions if decision.outcome == "refused"]
    span_s = (refused[-1].venue_ns - refused[0].venue_ns) / NANOS_PER_SECOND
    assert 200 < span_s <= 300
    floor.spoil = lambda quote: quote
    floor.advance(180)
    assert floor.posted == []
    assert floor.positions() == {}


def test_an_order_that_rests_too_long_is_cancelled_and_decided_anew_under_another_id():
    floor = scripted_floor()
    floor.buy_resting()
    floor.advance(18)
    assert [order.status for order in floor.live] == ["WORKING"]
    floor.advance(2)
    assert floor.live == ()
    assert floor.status_of(floor.sent[0]) == "CANCELED"
    floor.advance(60)
    assert len({approved.intent.client_order_id for approved in floor.sent}) == len(floor.posted) == 2
    assert floor.books() == {"momentum": Decimal(47)}
    floor.must_agree()


@pytest.mark.requirement("R028")
@pytest.mark.requirement("R219")
def test_a_dry_run_records_every_decision_and_sends_nothing():
    floor = scripted_floor(is_dry_run=True)
    floor.decide(Direction.LONG)
    floor.advance(90)
    assert {decision.outcome for decision in floor.decisions} == {"dry_run"}
    assert floor.decisions[0].quantity == Decimal(47)
    assert (floor.sent, floor.posted, floor.order_rows) == ([], [], [])
    assert floor.exchange.orders() == []


def test_short_means_flat_while_shorts_are_off():
    floor = scripted_floor()
    floor.decide(Direction.SHORT)
    assert floor.decisions == []
    floor.decide(Direction.LONG)
    floor.advance(1)
    floor.decide(Direction.SHORT)
    floor.advance(90)
    assert [(approved.intent.side, approved.intent.quantity) for approved in floor.sent] == [
        (Side.BUY, Decimal(47)),
        (Side.SELL, Decimal(47)),
    ]
    assert floor.positions() == {}
    floor.must_agree()


@pytest.mark.requirement("R231")
def test_strategies_use_no_more_than_the_capital_they_were_given():
    floor = scripted_floor(capital_usd=SMALL_CAPITAL)
    floor.decide(Direction.LONG)
    floor.advance(1)
    assert floor.positions() == {SYMBOL: Decimal(20)}  # half of 8,000 is its share, half of that is 15 % volatility
    whole = scripted_floor(capital_usd=Decimal(10_000_000))
    whole.decide(Direction.LONG)
    whole.advance(1)
    assert whole.engine.view().money.capital_usd == whole.engine.view().money.equity_usd


# a strategy that fails


def test_a_strategy_that_raises_is_switched_off_the_others_trade_on_and_a_person_switches_it_on_again():
    floor = scripted_floor()
    floor.scripts[MOMENTUM].error = ZeroDivisionError("a mean of nothing")
    floor.decide(Direction.LONG, strategy=REVERSION)
    floor.advance(1)
    assert floor.books() == {"mean_reversion": Decimal(47)}
    off = next(view for view in floor.engine.view().strategies if view.strategy == MOMENTUM)
    assert not off.is_enabled
    assert "a mean of nothing" in off.disabled_reason
    assert floor.alerted("strategy_disabled")

    floor.scripts[MOMENTUM].error = None
    floor.decide(Direction.LONG)
    floor.advance(1)
    assert floor.books() == {"mean_reversion": Decimal(47)}
    assert not floor.ask("enable", reason="", strategy=MOMENTUM).accepted
    assert floor.ask("enable", reason="the feed was fixed", strategy=MOMENTUM).accepted
    floor.decide(Direction.LONG)
    floor.advance(1)
    assert floor.books() == {"mean_reversion": Decimal(47), "momentum": Decimal(47)}


# the session


@pytest.mark.control("P5")
@pytest.mark.invariant("I23")
def test_nothing_is_entered_before_0935_or_after_1550():
    floor = scripted_floor(start_ns=OPEN)
    floor.decide(Direction.LONG)
    floor.advance(360)
    evening = scripted_floor(start_ns=Nanos(CLOSE - 14 * NANOS_PER_MINUTE))
    for _ in range(12):
        evening.decide(Direction.LONG)
        evening.advance(1)
        evening.decide(Direction.EXIT)
        evening.advance(1)
        if len(evening.fills) == 2:
            break
    evening.decide(Direction.LONG, strategy=REVERSION)
    evening.advance(120)
    assert [failed(decision) for decision in floor.decisions[:-1]] == [{"session"}] * (len(floor.decisions) - 1)
    entered = [to_new_york(approved.intent.decided_ns) for approved in floor.sent]
    assert [f"{at:%H:%M}" for at in entered] == ["09:35"]
    assert {f"{to_new_york(each.intent.decided_ns):%H:%M}" for each in evening.sent} <= {"15:48", "15:49"}
    assert all("session" in failed(each) for each in evening.decisions if each.outcome == "refused")
    assert evening.decisions[-1].outcome == "refused"


@pytest.mark.control("P5")
@pytest.mark.invariant("I23")
def test_a_broker_whose_clock_says_closed_outweighs_the_calendar():
    floor = scripted_floor()
    floor.advance(125)

    def tell_closed() -> None:
        reading = floor.exchange_clock()
        closed = structs.replace(reading, is_open=False, next_open_ns=NEXT_OPEN)
        floor.tell(ClockSeen(reading=closed, **floor.stamps()))

    floor.tell_clock = tell_closed  # type: ignore[method-assign]
    floor.advance(10)
    floor.decide(Direction.LONG)
    assert failed(floor.decisions[0]) == {"session"}
    assert floor.posted == []


def test_the_guards_day_begins_anew_with_the_session_and_day_orders_end_with_the_old_one():
    floor = scripted_floor(start_ns=Nanos(CLOSE - 14 * NANOS_PER_MINUTE))
    floor.decide(Direction.LONG)
    floor.advance(1)
    floor.advance(30, price=99.0)
    first = floor.engine.view()
    assert first.money.day_pnl_usd is not None
    assert first.money.day_pnl_usd < 0
    floor.skip_to(CLOSE + NANOS_PER_MINUTE)
    floor.skip_to(NEXT_OPEN + NANOS_PER_SECOND)
    floor.advance(30)
    guards = [record for record in floor.records if isinstance(record, GuardRecord)]
    assert (guards[0].session_date, guards[-1].session_date) == ("2026-01-06", "2026-01-07")
    assert floor.engine.view().money.day_pnl_usd == Decimal(0)
    assert guards[-1].high_water_mark_usd == Decimal(100_000)  # a drawdown outlives the day
    floor.must_agree()


@pytest.mark.requirement("R034")
@pytest.mark.fault("H7")
def test_stopping_cancels_what_is_open_and_decides_nothing_more():
    floor = scripted_floor()
    floor.buy_resting()
    floor.tell(Stopping(reason="SIGTERM", **floor.stamps()))
    floor.advance(1)
    assert floor.live == ()
    assert floor.exchange.orders() == []
    asked = len(floor.decisions)
    floor.scripts[REVERSION].wish(SYMBOL, Direction.LONG)
    floor.advance(180)
    assert len(floor.decisions) == asked
    assert floor.positions() == {}


@pytest.mark.requirement("R092")
@pytest.mark.control("P15")
def test_a_symbol_that_prints_and_is_never_quoted_is_refused_for_want_of_a_quote():
    floor = scripted_floor(symbols=(SYMBOL, MSFT))
    floor.spoil = lambda quote: structs.replace(quote, bid_price=0.0, ask_price=0.0) if quote.symbol == MSFT else quote
    floor.decide(Direction.LONG, symbol=MSFT)
    floor.decide(Direction.LONG)
    floor.advance(1)
    assert "market_data" in failed(floor.decisions[0])
    assert "no quote of MSFT" in floor.decisions[0].reason
    assert floor.positions() == {SYMBOL: Decimal(47)}


def test_limits_of_an_order_cut_the_step_and_the_next_bar_goes_on_from_there():
    limits = RiskLimits(position_size_usd_max=Decimal(12_000))
    classes = {kind: structs.replace(each, order_value_usd=Decimal(2_000)) for kind, each in limits.classes.items()}
    floor = scripted_floor(limits=structs.replace(limits, classes=classes))
    floor.decide(Direction.LONG)
    floor.advance(180)
    assert [approved.intent.quantity for approved in floor.sent] == [Decimal(19), Decimal(19)]
    assert floor.positions() == {SYMBOL: Decimal(38)}  # the nine that are left are worth less than 1 % of the equity
    floor.must_agree()
