"""The process dies at any moment: the next one knows what was, finds what happened meanwhile, and doubles nothing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from msgspec import structs

from quant_trading_system.core.events import LatchSeen
from quant_trading_system.core.records import GuardRecord
from quant_trading_system.core.types import Direction, Latch, Nanos, Store, Symbol, TradingState
from quant_trading_system.risk.limits import RiskLimits
from tests.support.floor import MOMENTUM, MORNING, OPEN, REVERSION, SYMBOL, Floor, failed, scripted_floor

MSFT = Symbol("MSFT")
TIGHT_DAY = RiskLimits(daily_loss_soft_fraction=Decimal("0.0003"), daily_loss_hard_fraction=Decimal("0.001"))


def holding_floor(limits: RiskLimits | None = None, *, symbols: tuple[str, ...] = (SYMBOL,)) -> Floor:
    """A floor on which momentum holds 47 AAPL, bought at 100.01."""
    floor = scripted_floor(limits=limits, symbols=symbols)
    floor.decide(Direction.LONG)
    floor.advance(1)
    assert floor.books() == {"momentum": Decimal(47)}
    return floor


def guards(floor: Floor) -> GuardRecord:
    return [record for record in floor.records if isinstance(record, GuardRecord)][-1]


def crash_while_killed(floor: Floor) -> None:
    floor.ask("kill", operator="alice", reason="stop it")


def crash_while_paused(floor: Floor) -> None:
    floor.ask("pause", operator="alice", reason="lunch")


def crash_after_a_loss(floor: Floor) -> None:
    floor.advance(2, price=97.0)


@pytest.mark.requirement("R053")
@pytest.mark.fault("E7")
@pytest.mark.invariant("I9")
@pytest.mark.invariant("I19")
@pytest.mark.parametrize(
    ("halt", "cause"),
    [(crash_while_killed, "kill"), (crash_while_paused, "paused"), (crash_after_a_loss, "daily_loss_hard")],
)
def test_what_stopped_trading_still_does_after_a_restart(halt: Callable[[Floor], None], cause: str):
    floor = holding_floor(TIGHT_DAY)
    halt(floor)
    state = floor.state()
    heir = floor.crash(down_seconds=5)
    heir.start()
    heir.advance(30)
    assert cause in heir.causes
    assert heir.state() is state is not TradingState.ACTIVE
    heir.decide(Direction.LONG, strategy=REVERSION, price=heir.prices[SYMBOL])
    assert "trading_state" in failed(heir.decisions[-1])
    assert heir.posted == []


@pytest.mark.fault("E7")
@pytest.mark.parametrize(("start_ns", "waits"), [(MORNING, False), (OPEN, True)])
def test_a_restart_within_a_session_knows_the_days_loss_in_its_first_second(start_ns: Nanos, waits: bool):
    """Soon after the open the pass of the start may have come before the day's prices: another one is waited for."""
    floor = scripted_floor(start_ns=start_ns)
    floor.advance(60)
    heir = floor.crash(down_seconds=1)
    heir.start()
    passes = heir.engine.view().reconciliations
    heir.advance(1)
    assert (heir.engine.view().money.day_loss_ratio is None) is waits
    assert heir.engine.view().reconciliations - passes == waits
    heir.advance(1)
    assert heir.engine.view().money.day_loss_ratio == 0


@pytest.mark.requirement("R063")
@pytest.mark.fault("E7")
@pytest.mark.invariant("I19")
def test_a_restart_keeps_the_marks_that_losses_are_measured_from():
    floor = holding_floor()
    floor.advance(20, price=104.0)
    floor.advance(20, price=101.0)
    before = floor.engine.view()
    heir = floor.crash(down_seconds=5)
    heir.start()
    heir.advance(16)
    after = heir.engine.view()
    assert after.money.drawdown_ratio == before.money.drawdown_ratio
    assert after.money.intraday_drawdown_ratio == before.money.intraday_drawdown_ratio
    assert before.money.drawdown_ratio is not None
    assert before.money.drawdown_ratio > 0
    assert after.money.day_pnl_usd == before.money.day_pnl_usd
    assert after.money.equity_floor_usd == before.money.equity_floor_usd
    assert guards(heir).high_water_mark_usd == guards(floor).high_water_mark_usd == Decimal("100187.53")
    assert guards(heir).session_date == guards(floor).session_date


@pytest.mark.fault("F3")
@pytest.mark.invariant("I19")
def test_a_crash_before_the_guards_were_restored_leaves_what_the_last_process_stored():
    floor = holding_floor()
    floor.advance(20, price=101.0)
    heir = floor.crash(down_seconds=5)
    latch = LatchSeen(store=Store.REDIS, latch=Latch.ENGAGED, reason="kill", **heir.stamps())
    heir.tell(latch)  # steps 3 and 4 of a start come before the engine is told what the database knew
    assert not [record for record in heir.records if isinstance(record, GuardRecord)]
    heir.start()
    heir.advance(2)
    assert guards(heir).session_date == guards(floor).session_date
    assert guards(heir).high_water_mark_usd == guards(floor).high_water_mark_usd


@pytest.mark.requirement("R036")
@pytest.mark.requirement("R037")
@pytest.mark.fault("F6")
@pytest.mark.invariant("I30")
def test_a_restart_keeps_books_targets_locks_and_disabled_strategies():
    floor = holding_floor(symbols=(SYMBOL, MSFT))
    floor.scripts[REVERSION].error = ValueError("broken")
    floor.decide(Direction.LONG, symbol=MSFT)
    floor.advance(1)
    heir = floor.crash(down_seconds=30)
    heir.start()
    heir.advance(130)
    assert heir.posted == []  # what is held stays wanted
    assert heir.books() == heir.books(MSFT) == {"momentum": Decimal(47)}
    off = {view.strategy for view in heir.engine.view().strategies if not view.is_enabled}
    assert off == {REVERSION}
    heir.decide(Direction.LONG, strategy=REVERSION)
    assert heir.posted == []
    heir.decide(Direction.EXIT)
    heir.advance(1)
    assert heir.positions() == {MSFT: Decimal(47)}
    heir.must_agree()


@pytest.mark.requirement("R037")
@pytest.mark.fault("F1")
@pytest.mark.invariant("I2")
@pytest.mark.invariant("I15")
def test_an_order_that_filled_while_nobody_listened_is_found_booked_and_said_before_trading():
    floor = scripted_floor()
    order = floor.buy_resting()
    floor.quote(99.9, 100.0)
    floor.prices[SYMBOL] = 100.0
    heir = floor.crash(down_seconds=60)
    heir.start()
    assert heir.books() == {"momentum": Decimal(47)}
    assert heir.status_of(order) == "FILLED"
    assert any("missing fill AAPL" in line for line in heir.engine.recovery_report())
    heir.advance(120)
    assert heir.posted == []
    heir.must_agree()


@pytest.mark.fault("F1")
@pytest.mark.invariant("I1")
@pytest.mark.invariant("I2")
@pytest.mark.invariant("I12")
@pytest.mark.invariant("I30")
@pytest.mark.parametrize("steps_lost", range(8))
@pytest.mark.parametrize("moment", ["before the answer", "after the fill"])
def test_a_crash_that_loses_the_last_rows_loses_no_share_and_doubles_none(moment: str, steps_lost: int):
    floor = holding_floor()
    floor.scripts[REVERSION].wish(SYMBOL, Direction.LONG)
    if moment == "before the answer":
        floor.on_post = lambda _approved, submit: (submit(), None)[1]
    floor.next_bar()
    if moment == "after the fill":
        floor.advance(1)
    heir = floor.crash(down_seconds=1, steps_lost=steps_lost)
    heir.start()
    heir.advance(35)
    assert heir.books() == {"momentum": Decimal(47), "mean_reversion": Decimal(47)}, heir.engine.recovery_report()
    assert heir.live == ()
    assert heir.posted == []
    heir.must_agree()


@pytest.mark.fault("F1")
@pytest.mark.invariant("I3")
@pytest.mark.invariant("I4")
def test_an_intent_that_was_stored_and_never_sent_is_asked_about_and_its_id_is_not_used_again():
    floor = scripted_floor()
    floor.on_post = lambda _approved, _submit: None  # the process dies in the middle of the write
    floor.decide(Direction.LONG)
    heir = floor.crash(down_seconds=1, steps_lost=2)
    heir.start()
    assert heir.engine.unknown_orders == 1
    heir.advance(120)
    assert heir.status_of(floor.sent[0]) == "DROPPED"
    heir.decide(Direction.LONG)
    heir.advance(1)
    (anew,) = heir.sent
    assert anew.intent.client_order_id != floor.sent[0].intent.client_order_id
    assert heir.books() == {"momentum": Decimal(47)}
    heir.must_agree()


@pytest.mark.fault("F3")
@pytest.mark.invariant("I30")
def test_crashing_again_and_again_while_recovering_ends_like_recovering_once():
    floor = scripted_floor()
    floor.buy_resting()
    floor.quote(99.9, 100.0)
    floor.prices[SYMBOL] = 100.0
    heir = floor.crash(down_seconds=10)
    heir.start()
    once = heir.books()
    for _ in range(4):
        heir = heir.crash(down_seconds=1)
        heir.start()
    assert heir.books() == once == {"momentum": Decimal(47)}
    heir.must_agree()


@pytest.mark.fault("F6")
@pytest.mark.invariant("I10")
def test_a_lock_for_drift_stands_after_a_restart_and_ends_by_passes_that_agree_while_another_lock_stays():
    floor = holding_floor(symbols=(SYMBOL, MSFT))
    heir = floor.crash(down_seconds=5)
    assert heir._restored is not None
    locks = ((SYMBOL, "drift: quantity_gap, ours 46, the broker's 47"), (MSFT, "by a person"))
    heir._restored = structs.replace(heir._restored, locks=locks)
    heir.start()
    heir.advance(30)
    assert set(heir.engine.view().locks) == {SYMBOL, MSFT}
    heir.advance(320)
    assert set(heir.engine.view().locks) == {MSFT}


def test_a_first_start_has_nothing_to_recover():
    floor = scripted_floor()
    assert floor.engine.recovery_report() == []
    assert floor.scripts[MOMENTUM].holdings == []
