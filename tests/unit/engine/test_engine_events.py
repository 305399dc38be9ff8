"""What the engine makes of single events: which it knows, what its pictures show, what it refuses at the wire."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec import structs

from quant_trading_system.core.events import Event, LeaseSeen, QuoteSeen, TimerFired, TradeSeen
from quant_trading_system.core.records import EquityRecord
from quant_trading_system.core.types import NANOS_PER_SECOND, Direction, MonoNanos, Symbol
from quant_trading_system.core.values import Approved
from quant_trading_system.risk.limits import RiskLimits
from tests.support.floor import MOMENTUM, SYMBOL, Floor, scripted_floor


class WireTrade(TradeSeen, frozen=True, gc=False, kw_only=True):
    """As an adapter makes it: a class of its own."""

    tape: str = ""


class Unheard(Event, frozen=True, kw_only=True):
    """An event no part of the engine listens to."""


def ready_floor() -> Floor:
    """A floor whose next order is approved and waits at the gateway."""
    floor = scripted_floor()
    floor.holds_gateway = True
    floor.decide(Direction.LONG)
    return floor


def waiting_order(floor: Floor) -> Approved:
    return floor._gateway[0]


def last_quote(floor: Floor) -> QuoteSeen:
    return next(event for event in reversed(floor.told) if isinstance(event, QuoteSeen))


def test_an_adapters_own_class_of_an_event_is_handled_as_the_event_it_extends():
    floor = scripted_floor()
    floor.prints = False
    for _ in range(130):
        floor.advance(1)
        at = last_quote(floor)
        stamps = {"venue_at": at.venue_at, "seen_ns": at.seen_ns, "mono_ns": at.mono_ns}
        floor.tell(WireTrade(symbol=SYMBOL, price=100.0, size=1.0, **stamps))  # type: ignore[arg-type]
    assert [bar.trades for bar in floor.scripts[MOMENTUM].bars] == [60]


def test_an_event_nobody_knows_is_a_bug_and_is_not_swallowed():
    floor = scripted_floor()
    with pytest.raises(TypeError, match="Unheard"):
        floor.tell(Unheard(**floor.stamps()))


def test_a_timer_nobody_knows_is_a_bug():
    floor = scripted_floor()
    with pytest.raises(ValueError, match="unknown timer 'minute'"):
        floor.tell(TimerFired(name="minute", **floor.stamps()))


def test_market_data_of_a_symbol_nobody_listed_asks_for_nothing():
    floor = scripted_floor()
    floor.advance(1)
    before = floor.engine.state_hash()
    assert list(floor.engine.handle(structs.replace(last_quote(floor), symbol=Symbol("ELSE")))) == []
    assert floor.engine.state_hash() == before


# the re-check in the loop step of the write


@pytest.mark.invariant("I9")
def test_at_the_wire_an_order_passes_while_nothing_has_changed():
    floor = ready_floor()
    assert floor.engine.refusal_before_write(waiting_order(floor), mono_ns=floor.mono_ns) is None


@pytest.mark.control("P2")
@pytest.mark.fault("K2")
@pytest.mark.invariant("I25")
@pytest.mark.parametrize(("held", "left_s"), [(False, 10.0), (True, 1.9), (True, -5.0)])
def test_at_the_wire_a_lease_that_is_lost_or_too_short_refuses(held: bool, left_s: float):
    floor = ready_floor()
    deadline = MonoNanos(floor.mono_ns + int(left_s * NANOS_PER_SECOND))
    floor.tell(LeaseSeen(held=held, epoch=1, deadline_mono_ns=deadline, **floor.stamps()))
    refusal = floor.engine.refusal_before_write(waiting_order(floor), mono_ns=floor.mono_ns)
    assert refusal is not None
    assert "lease" in refusal


@pytest.mark.fault("K5")
def test_at_the_wire_an_order_that_was_judged_by_other_limits_is_refused():
    floor = ready_floor()
    other = structs.replace(waiting_order(floor), limits_version="another")
    refusal = floor.engine.refusal_before_write(other, mono_ns=floor.mono_ns)
    assert refusal is not None
    assert "limits changed" in refusal


@pytest.mark.invariant("I11")
def test_at_the_wire_a_kill_stops_what_raises_exposure_and_lets_pass_what_reduces_it():
    floor = ready_floor()
    floor.ask("kill")
    order = waiting_order(floor)
    assert floor.engine.refusal_before_write(order, mono_ns=floor.mono_ns) is not None
    reducing = structs.replace(order, reduces_exposure=True)
    assert floor.engine.refusal_before_write(reducing, mono_ns=floor.mono_ns) is None


@pytest.mark.requirement("R098")
@pytest.mark.control("P15")
def test_before_a_retry_every_control_is_asked_again_as_if_the_order_did_not_exist():
    floor = ready_floor()
    order = waiting_order(floor)
    assert floor.engine.refusal_before_retry(order) is None  # it is not its own duplicate, nor uses its own money
    floor.quotes = False
    floor.advance(62)
    refusal = floor.engine.refusal_before_retry(order)
    assert refusal is not None
    assert "P15" in refusal


# pictures


@pytest.mark.invariant("I5")
def test_an_order_counts_as_exposure_from_its_approval_on():
    floor = ready_floor()
    view = floor.engine.view()
    assert view.gross_exposure_usd == 47 * Decimal(100)
    assert view.money.own_buying_power_usd == Decimal(100_000) - 47 * Decimal("100.03")
    assert floor.engine.live_orders == 1


@pytest.mark.invariant("I5")
def test_an_order_that_would_reduce_counts_with_the_position_it_may_leave_untouched():
    floor = scripted_floor()
    floor.decide(Direction.LONG)
    floor.advance(1)
    floor.holds_gateway = True
    floor.decide(Direction.EXIT)
    assert floor.engine.view().gross_exposure_usd == 47 * Decimal(100)


def test_the_equity_curve_gets_a_point_every_fifteen_seconds():
    floor = scripted_floor()
    floor.advance(151)
    points = [record for record in floor.records if isinstance(record, EquityRecord)]
    assert 10 <= len(points) <= 12
    assert {point.equity_usd for point in points} == {Decimal(100_000)}


def test_the_view_names_every_limit_with_its_use():
    floor = scripted_floor(limits=RiskLimits(positions_max=4))
    floor.decide(Direction.LONG)
    floor.advance(1)
    usage = {limit.name: limit.usage for limit in floor.engine.view().limits}
    assert usage["positions"] == 0.25


def test_looking_changes_nothing():
    floor = scripted_floor()
    floor.decide(Direction.LONG)
    before = floor.engine.state_hash()
    floor.engine.view()
    floor.engine.self_test()
    assert floor.engine.state_hash() == before
