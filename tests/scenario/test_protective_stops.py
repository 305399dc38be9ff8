"""Where a strategy declares a protective stop, the broker holds one equal to the position, whatever happens to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
import pytest

from quant_trading_system.core.clock import to_nanos
from quant_trading_system.core.events import AnyEvent, Stopping
from quant_trading_system.core.types import Direction, StrategyId
from quant_trading_system.core.values import Approved
from quant_trading_system.risk.limits import RiskLimits
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.order_index import OrderQuery
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.refusals import Refusal
from tests.support.floor import MOMENTUM, REVERSION, SYMBOL, Floor, scripted_floor

FRACTION = Decimal("0.02")
STOPS = {MOMENTUM: FRACTION}
BOTH = {MOMENTUM: FRACTION, REVERSION: Decimal("0.03")}
LIMIT_S = 5
Submit = Callable[[], SimOrder]


def guarded_floor(stops: dict[StrategyId, Decimal] | None = None, **options: object) -> Floor:
    """A floor on which momentum holds 47 AAPL, bought near 100.01, with its stop at the broker."""
    floor = scripted_floor(protective_stops=stops or STOPS, **options)  # type: ignore[arg-type]
    floor.decide(Direction.LONG)
    floor.advance(2)
    assert floor.books()["momentum"] == Decimal(47)
    return floor


def open_orders(floor: Floor) -> list[SimOrder]:
    return floor.exchange.orders(OrderQuery(status="open", limit=500))


def stop_of(floor: Floor) -> SimOrder:
    """The one open order at the broker, which is a stop."""
    (stop,) = open_orders(floor)
    assert stop.type == "stop"
    return stop


def held(floor: Floor) -> tuple[Decimal, ...]:
    """Shares that stops at the broker would sell."""
    return tuple(order.remaining() for order in open_orders(floor) if order.type == "stop")


def must_be_guarded(floor: Floor, quantity: int) -> None:
    assert held(floor) == (Decimal(quantity),)
    assert floor.broker_positions() == {SYMBOL: Decimal(quantity)}
    assert floor.engine.are_stops_in_place
    floor.must_agree()


# the ordinary life


@pytest.mark.control("P34")
@pytest.mark.control("P9")
def test_an_entry_brings_its_stop_along_for_the_day():
    floor = guarded_floor()
    body = msgspec.json.decode(floor.posted[0])
    assert body["order_class"] == "oto"
    assert body["time_in_force"] == "day"
    assert Decimal(body["stop_loss"]["stop_price"]) == Decimal("98.00")
    stop = stop_of(floor)
    assert (stop.status, stop.side, stop.qty, stop.stop_price) == ("new", "sell", Decimal(47), Decimal("98.00"))
    assert len(floor.posted) == 1
    must_be_guarded(floor, 47)


def test_a_strategy_that_declares_none_has_none():
    floor = scripted_floor(protective_stops={REVERSION: FRACTION})
    floor.decide(Direction.LONG)
    floor.advance(30)
    assert "order_class" not in msgspec.json.decode(floor.posted[0])
    assert open_orders(floor) == []


@pytest.mark.control("P34")
def test_a_stop_that_is_touched_closes_the_position_and_its_strategy_waits():
    floor = guarded_floor()
    floor.advance(5, price=97.5)
    assert floor.positions() == {} == floor.broker_positions()
    assert open_orders(floor) == []
    assert floor.scripts[MOMENTUM].stopped_out == [SYMBOL]
    assert floor.alerted("stop_executed")
    decided = len(floor.decisions)
    floor.advance(120, price=97.5)
    assert len(floor.decisions) == decided, "what was wanted before the stop is not wanted any more"
    assert len(floor.posted) == 1
    floor.decide(Direction.LONG, price=97.5)
    assert [result.name for result in floor.decisions[-1].controls if not result.passed] == ["exit_cooldown"]
    floor.must_agree()


@pytest.mark.fault("B6")
@pytest.mark.invariant("I11")
def test_an_exit_waits_for_the_end_of_the_stop_and_sells_what_is_held():
    floor = guarded_floor()
    floor.decide(Direction.EXIT)
    floor.advance(3)
    waits = [decision.outcome for decision in floor.decisions if decision.outcome in ("waits", "approved")]
    assert waits == ["approved", "waits", "approved"]
    assert floor.positions() == {} == floor.broker_positions()
    assert open_orders(floor) == []
    assert not [alert for alert in floor.alerts if alert.severity == "critical"]
    floor.must_agree()


@pytest.mark.control("P34")
def test_adding_replaces_the_stop_by_one_for_all_shares():
    floor = guarded_floor(BOTH)
    floor.decide(Direction.LONG, strategy=REVERSION)
    floor.advance(5)
    books = floor.books()
    assert set(books) == {"momentum", "mean_reversion"}
    must_be_guarded(floor, int(sum(books.values())))
    stop = stop_of(floor)
    assert stop.time_in_force == "gtc"
    assert stop.stop_price is not None
    assert stop.stop_price > Decimal("97.9"), "of two declared losses the smaller one counts"


def test_of_two_strategies_only_what_the_declaring_one_holds_is_guarded():
    floor = guarded_floor(STOPS)
    floor.decide(Direction.LONG, strategy=REVERSION)
    floor.advance(5)
    assert held(floor) == (Decimal(47),)
    assert floor.broker_positions()[SYMBOL] > Decimal(47)
    floor.advance(5, price=97.0)
    assert floor.books().get("momentum") is None
    assert floor.books()["mean_reversion"] > 0
    floor.must_agree()


@pytest.mark.control("P9")
def test_before_the_day_ends_a_stop_that_outlives_it_takes_over():
    floor = guarded_floor()
    session = floor.engine._desk.session()
    assert session.window_end_ns is not None
    floor.skip_to(session.window_end_ns - 5_000_000_000)
    floor.reconcile()
    assert stop_of(floor).time_in_force == "day"
    floor.advance(10)
    assert stop_of(floor).time_in_force == "gtc"
    must_be_guarded(floor, 47)


# things that go wrong


@pytest.mark.fault("B3")
@pytest.mark.control("P34")
def test_an_entry_that_fills_in_part_is_cut_short_and_its_shares_get_a_stop_in_time():
    floor = scripted_floor(protective_stops=STOPS)

    def post(approved: Approved, submit: Submit) -> AnyEvent:
        floor.quote(100.9, 101.1)
        return floor.answer(approved, submit)

    floor.on_post = post
    floor.decide(Direction.LONG)
    floor.on_post = None
    (entry,) = [order for order in open_orders(floor) if order.type == "limit"]
    floor.exchange.fill_out_of_the_blue(entry.id, qty=Decimal(20))
    floor.advance(LIMIT_S, price=101.0)
    must_be_guarded(floor, 20)
    assert floor.alerted("stop_missing") == []


@pytest.mark.fault("B6")
@pytest.mark.control("P34")
def test_a_stop_that_cannot_be_placed_in_time_is_said_and_the_position_sold():
    floor = guarded_floor()
    refused: list[str] = []

    def post(approved: Approved, submit: Submit) -> AnyEvent:
        if approved.intent.order_type != "stop":
            return floor.answer(approved, submit)

        def refuse() -> SimOrder:
            refused.append(approved.intent.client_order_id)
            raise Refusal(403, 40310000, "insufficient qty available for order (requested: 47, available: 0)")

        return floor.answer(approved, refuse)

    floor.on_post = post
    floor.exchange.cancel(stop_of(floor).id)
    floor.advance(LIMIT_S + 3)
    assert len(refused) >= 3
    assert len(floor.alerted("stop_missing")) == 1
    assert floor.positions() == {} == floor.broker_positions()
    floor.must_agree()


@pytest.mark.control("P34")
def test_a_stop_that_somebody_cancels_is_placed_anew():
    floor = guarded_floor()
    floor.exchange.cancel(stop_of(floor).id)
    floor.advance(2)
    assert stop_of(floor).time_in_force == "gtc"
    must_be_guarded(floor, 47)


@pytest.mark.fault("B4")
@pytest.mark.invariant("I11")
def test_while_the_cancel_of_a_stop_is_stuck_nothing_is_sold_twice():
    floor = guarded_floor()
    floor.exchange.cancels_stuck = True
    floor.decide(Direction.EXIT)
    floor.advance(40)
    assert len(floor.posted) == 1
    assert floor.alerted("cancel_late")
    assert floor.alerted("stop_missing")
    floor.exchange.cancels_stuck = False
    floor.advance(5)
    assert floor.positions() == {} == floor.broker_positions()
    floor.must_agree()


@pytest.mark.invariant("I11")
@pytest.mark.fault("E3")
def test_a_stop_and_an_exit_are_never_both_at_the_broker():
    floor = guarded_floor()
    most: list[Decimal] = []
    tell = floor.tell

    def watch(event: AnyEvent) -> None:
        tell(event)
        sells = [order.remaining() for order in open_orders(floor) if order.side == "sell" and order.status != "held"]
        most.append(sum(sells, Decimal(0)) - floor.broker_positions().get(SYMBOL, Decimal(0)))

    floor.tell = watch  # type: ignore[method-assign]
    floor.decide(Direction.EXIT)
    floor.advance(5)
    assert max(most) <= 0


# stops outlive what happens to the daemon


def test_the_kill_switch_leaves_stops_alone():
    floor = guarded_floor()
    floor.ask("kill", operator="alice", reason="stop it")
    floor.advance(30)
    must_be_guarded(floor, 47)
    assert floor.alerted("positions_without_stop") == []


def test_the_kill_switch_cancels_stops_where_that_is_wished_and_names_what_is_left_bare():
    floor = guarded_floor(kill_cancels_stops=True)
    floor.ask("kill", operator="alice", reason="stop it")
    floor.advance(30)
    assert open_orders(floor) == []
    assert f"{SYMBOL} 47" in floor.alerted("positions_without_stop")[0].text


@pytest.mark.fault("H7")
def test_an_ordered_stop_leaves_stops_alone_and_does_not_wait_for_them():
    floor = guarded_floor()
    floor.tell(Stopping(reason="SIGTERM", **floor.stamps()))
    floor.advance(5)
    assert floor.engine.live_orders == 0
    assert floor.engine.are_stops_in_place
    must_be_guarded(floor, 47)


@pytest.mark.fault("F6")
@pytest.mark.parametrize("steps_lost", [0, 1, 2, 3])
def test_after_a_crash_the_stop_is_known_as_ours_and_kept(steps_lost: int):
    floor = guarded_floor()
    stop = stop_of(floor)
    heir = floor.crash(down_seconds=3, steps_lost=steps_lost)
    heir.start()
    heir.advance(30)
    assert stop_of(heir).id == stop.id
    must_be_guarded(heir, 47)
    assert heir.alerted("external_order") == []
    heir.advance(5, price=97.0)
    assert heir.positions() == {}
    heir.must_agree()


@pytest.mark.fault("F1")
@pytest.mark.fault("A2")
def test_an_entry_whose_answer_was_lost_with_the_process_keeps_its_leg():
    floor = scripted_floor(protective_stops=STOPS)

    def post(_approved: Approved, submit: Submit) -> None:
        submit()

    floor.on_post = post
    floor.decide(Direction.LONG)
    heir = floor.crash(down_seconds=5)
    heir.start()
    heir.advance(30)
    must_be_guarded(heir, 47)
    assert heir.books() == {"momentum": Decimal(47)}
    assert len(open_orders(heir)) == 1


def test_where_the_limit_of_p34_is_set_shorter_it_is_kept():
    floor = guarded_floor(limits=RiskLimits(protective_stop_seconds_max=2.0))
    floor.on_post = lambda approved, submit: (
        None if approved.intent.order_type == "stop" else floor.answer(approved, submit)
    )
    floor.exchange.cancel(stop_of(floor).id)
    floor.advance(4)
    assert floor.alerted("stop_missing")


# corporate actions


def overnight_split(floor: Floor, *, new: int, old: int = 1) -> SimOrder:
    """The shares are split over the night; the daemon reconciles before the next open. Returns the stop of before."""
    floor.market.announce(
        CorporateAction(
            id="split",
            kind="forward_split" if new > old else "reverse_split",
            symbol=str(SYMBOL),
            ex_date=date(2026, 1, 7),
            process_date=date(2026, 1, 7),
            old_rate=Decimal(old),
            new_rate=Decimal(new),
        )
    )
    morning = to_nanos(datetime(2026, 1, 7, 14, 30, tzinfo=UTC))
    session_end = floor.engine._desk.session().window_end_ns
    assert session_end is not None
    floor.skip_to(session_end)
    floor.advance(10)
    before = stop_of(floor)
    assert before.time_in_force == "gtc"
    floor.prices[SYMBOL] = 100.0 * old / new
    floor.skip_to(morning - 300 * 1_000_000_000)
    floor.reconcile()
    floor.advance(20)
    return before


@pytest.mark.fault("D9")
@pytest.mark.invariant("I12")
@pytest.mark.parametrize("ratio", [2, 3, 7, 50])
def test_after_a_split_over_the_night_the_stop_is_placed_anew_in_the_new_shares_before_the_open(ratio: int):
    floor = guarded_floor()
    before = overnight_split(floor, new=ratio)
    stop = stop_of(floor)
    assert stop.id != before.id
    assert stop.qty == 47 * ratio
    assert stop.stop_price is not None
    assert abs(stop.stop_price - Decimal(98) / ratio) <= Decimal("0.02")
    assert floor.positions() == {SYMBOL: Decimal(47 * ratio)} == floor.broker_positions()
    floor.skip_to(to_nanos(datetime(2026, 1, 7, 14, 35, tzinfo=UTC)))
    floor.advance(60)
    assert floor.broker_positions() == {SYMBOL: Decimal(47 * ratio)}, "nothing is sold at the open"


@pytest.mark.fault("D10")
def test_after_a_reverse_split_to_a_fraction_what_is_left_is_guarded_in_whole_shares():
    floor = guarded_floor()
    overnight_split(floor, new=1, old=10)
    stop = stop_of(floor)
    assert stop.qty == Decimal(4)
    assert stop.stop_price is not None
    assert stop.stop_price > Decimal(970)


@pytest.mark.fault("D9")
def test_a_stop_of_before_a_corporate_action_is_placed_anew_even_where_it_fits():
    floor = guarded_floor()
    before = stop_of(floor)
    for listener in floor.engine._desk.share_changes:
        listener(SYMBOL, Decimal(2))
    floor.advance(3)
    assert stop_of(floor).id != before.id
    must_be_guarded(floor, 47)
