"""What is lost on a stream is found by comparing, and a comparison that fails proves nothing."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from msgspec import structs

from quant_trading_system.core.broker import BrokerPosition
from quant_trading_system.core.events import (
    BrokerSnapshot,
    OrderUpdated,
    SnapshotFailed,
    StreamDown,
    StreamUp,
)
from quant_trading_system.core.records import DriftRecord, ReconciliationRecord
from quant_trading_system.core.types import Direction, Side, Stream, Symbol, TradingState
from quant_trading_system.simulator.activities import FillActivity
from quant_trading_system.simulator.requests import OrderRequest
from tests.support.floor import REVERSION, SYMBOL, Floor, failed, scripted_floor

MSFT = Symbol("MSFT")
PERIOD_S = 16
QUIET_S = 300


def without_fills(update: OrderUpdated) -> list[OrderUpdated]:
    return [] if update.execution is not None else [update]


def holding_floor(**arguments: object) -> Floor:
    """A floor on which momentum holds 47 AAPL, bought at 100.01."""
    floor = scripted_floor(**arguments)  # type: ignore[arg-type]
    floor.decide(Direction.LONG)
    floor.advance(1)
    assert floor.books() == {"momentum": Decimal(47)}
    return floor


def external_market_order(side: str, quantity: int) -> OrderRequest:
    return OrderRequest(symbol=SYMBOL, qty=Decimal(quantity), side=side, type="market", time_in_force="day")


def drifts(floor: Floor) -> list[DriftRecord]:
    return [record for record in floor.records if isinstance(record, DriftRecord)]


def incidents(floor: Floor) -> int:
    return floor.engine._desk.guards.incidents


def passes(floor: Floor) -> list[ReconciliationRecord]:
    return [record for record in floor.records if isinstance(record, ReconciliationRecord)]


# C1, C2: frames that never came


@pytest.mark.requirement("R115")
@pytest.mark.requirement("R117")
@pytest.mark.fault("C1")
@pytest.mark.invariant("I15")
def test_a_fill_whose_frame_was_dropped_is_found_by_the_next_pass_with_the_brokers_own_numbers():
    floor = scripted_floor()
    floor.filter_update = without_fills
    floor.decide(Direction.LONG)
    floor.advance(PERIOD_S)
    assert floor.books() == {"momentum": Decimal(47)}
    (fill,) = floor.fills
    (told,) = floor.exchange.activities()
    assert isinstance(told, FillActivity)
    assert (fill.source, fill.execution_id, fill.price) == ("activity", told.id, told.execution.price)
    assert "missing_fill" in {drift.kind for drift in drifts(floor)}
    floor.must_agree()


@pytest.mark.fault("C5")
@pytest.mark.invariant("I13")
def test_a_fill_that_was_found_by_comparing_and_is_then_told_by_the_stream_counts_once():
    floor = scripted_floor()
    held_back: list[OrderUpdated] = []

    def hold_back(update: OrderUpdated) -> list[OrderUpdated]:
        held_back.append(update)
        return without_fills(update)

    floor.filter_update = hold_back
    floor.decide(Direction.LONG)
    floor.advance(PERIOD_S)
    for update in held_back:
        floor.tell(update)
    floor.advance(PERIOD_S)
    assert len(floor.fills) == 1
    floor.must_agree()


@pytest.mark.requirement("R121")
@pytest.mark.fault("C2")
@pytest.mark.control("P4")
@pytest.mark.invariant("I15")
@pytest.mark.parametrize("gap_s", [1, 30, 90, 600])
def test_fills_during_a_gap_of_the_stream_are_known_before_anything_new_is_sent(gap_s: int):
    floor = scripted_floor(symbols=(SYMBOL, MSFT))
    floor.filter_update = lambda _update: ()
    floor.decide(Direction.LONG)
    floor.tell(StreamDown(stream=Stream.TRADE_UPDATES, reason="reset by peer", **floor.stamps()))
    floor.reconciles = False
    floor.advance(gap_s)
    floor.scripts[REVERSION].wish(MSFT, Direction.LONG)
    floor.advance(61)
    refused = [decision for decision in floor.decisions if decision.symbol == MSFT]
    assert refused
    assert all("reconciliation" in failed(decision) for decision in refused)
    assert floor.positions() == {}

    floor.reconciles = True
    floor.filter_update = lambda update: [update]
    sent = len(floor.sent)
    floor.tell(StreamUp(stream=Stream.TRADE_UPDATES, **floor.stamps()))
    assert floor.books() == {"momentum": Decimal(47)}  # at once, not at the next slot of the grid
    assert len(floor.sent) == sent
    floor.must_agree()


@pytest.mark.requirement("R121")
@pytest.mark.fault("C2")
def test_a_stream_gap_that_lasts_is_an_incident_and_one_that_heals_soon_is_none():
    floor = scripted_floor()
    floor.tell(StreamDown(stream=Stream.TRADE_UPDATES, reason="reset by peer", **floor.stamps()))
    assert floor.state() is TradingState.REDUCING  # at once: the state says what the gate does
    floor.advance(40)
    assert floor.causes == {"trade_updates_down"}
    assert incidents(floor) == 0
    floor.tell(StreamUp(stream=Stream.TRADE_UPDATES, **floor.stamps()))
    assert floor.state() is TradingState.ACTIVE  # the pass that is asked for at once was clean
    floor.advance(10)
    assert floor.causes == set()
    floor.tell(StreamDown(stream=Stream.TRADE_UPDATES, reason="reset by peer", **floor.stamps()))
    floor.advance(47)
    assert floor.causes == {"trade_updates_down"}
    assert incidents(floor) == 1
    floor.tell(StreamUp(stream=Stream.TRADE_UPDATES, **floor.stamps()))
    assert floor.state() is TradingState.ACTIVE


@pytest.mark.requirement("R121")
@pytest.mark.fault("C2")
def test_a_stream_that_is_back_ends_nothing_before_a_pass_that_began_after_it():
    floor = scripted_floor()
    floor.tell(StreamDown(stream=Stream.TRADE_UPDATES, reason="reset by peer", **floor.stamps()))
    floor.reconciles = False
    floor.tell(StreamUp(stream=Stream.TRADE_UPDATES, **floor.stamps()))
    floor.advance(5)
    assert floor.state() is TradingState.REDUCING
    floor.reconciles = True
    floor.advance(PERIOD_S)
    assert floor.state() is TradingState.ACTIVE


# C3: frames that came twice, late, or in another order


def frames_of_an_order() -> tuple[Floor, list[OrderUpdated]]:
    """A floor that was told nothing of its order yet, and everything the stream had to say about it."""
    floor = scripted_floor(partial_fill_probability=1.0)
    frames: list[OrderUpdated] = []

    def keep(update: OrderUpdated) -> list[OrderUpdated]:
        frames.append(update)
        return []

    floor.filter_update = keep
    floor.decide(Direction.LONG)
    floor.reconciles = False
    floor.advance(3)
    assert len(frames) >= 4
    assert floor.fills == []
    return floor, frames


@pytest.mark.requirement("R102")
@pytest.mark.requirement("R233")
@pytest.mark.fault("C3")
@pytest.mark.invariant("I13")
@pytest.mark.parametrize("seed", range(40))
def test_frames_that_are_doubled_and_in_any_order_leave_the_same_books(seed: int):
    floor, frames = frames_of_an_order()
    shuffled = frames + frames[seed % len(frames) :]
    random.Random(seed).shuffle(shuffled)
    for frame in shuffled:
        floor.tell(frame)
    assert floor.books() == {"momentum": Decimal(47)}, f"seed {seed}"
    assert floor.status_of(floor.sent[0]) == "FILLED"
    assert floor.live == ()
    assert floor.engine.view().locks == {}
    floor.must_agree()


@pytest.mark.fault("C3")
@pytest.mark.invariant("I13")
def test_frames_of_before_a_restart_change_nothing_after_it():
    floor = scripted_floor(partial_fill_probability=1.0)
    frames: list[OrderUpdated] = []

    def keep(update: OrderUpdated) -> list[OrderUpdated]:
        frames.append(update)
        return [update]

    floor.filter_update = keep
    floor.decide(Direction.LONG)
    floor.advance(3)
    heir = floor.crash()
    heir.start()
    for frame in frames:
        heir.tell(frame)
    heir.advance(60)
    assert heir.fills == []
    assert heir.books() == {"momentum": Decimal(47)}
    heir.must_agree()


# B1: cancels and fills that race


@pytest.mark.fault("B1")
@pytest.mark.invariant("I4")
@pytest.mark.invariant("I13")
def test_a_cancel_that_comes_after_the_fill_leaves_a_filled_order_and_orders_nothing_again():
    floor = scripted_floor()
    order = floor.buy_resting()

    def fill_first() -> None:
        floor.quote(99.99, 100.01)
        floor.now_ns = type(floor.now_ns)(floor.now_ns + 1_000_000)
        floor.exchange.advance(floor.now_ns)

    floor.before_cancel = fill_first
    floor.ask("pause", cancel="true")
    floor.before_cancel = lambda: None
    assert floor.cancelled == [order.intent.client_order_id]
    floor.advance(2)
    assert floor.status_of(order) == "FILLED"
    floor.ask("resume")
    floor.advance(120)
    assert len(floor.posted) == len(floor.fills) == 1
    floor.must_agree()


@pytest.mark.fault("B1")
@pytest.mark.invariant("I13")
def test_a_fill_that_overtakes_an_accepted_cancel_is_booked():
    floor = scripted_floor()
    order = floor.buy_resting()
    floor.ask("pause", cancel="true")
    assert floor.status_of(order) == "CANCELING"
    floor.quote(99.99, 100.01)
    floor.pass_ms(500)
    assert floor.status_of(order) == "FILLED"
    assert floor.books() == {"momentum": Decimal(47)}
    floor.must_agree()


# C8: passes that prove nothing


@pytest.mark.fault("C8")
@pytest.mark.invariant("I16")
def test_a_pass_that_failed_changes_nothing_and_is_said():
    floor = holding_floor()
    before = floor.engine.state_hash()
    floor.tell(SnapshotFailed(reason="GET /v2/positions: 500", **floor.stamps()))
    assert floor.engine.state_hash() == before
    assert floor.alerted("reconciliation_failed")
    assert passes(floor)[-1].result == "failed"


@pytest.mark.requirement("R119")
@pytest.mark.fault("C8")
@pytest.mark.invariant("I16")
def test_one_empty_page_is_not_read_as_flat():
    floor = holding_floor()
    floor.filter_snapshot = lambda snapshot: structs.replace(
        snapshot, positions=(), executions=(), open_orders=(), closed_orders=()
    )
    floor.reconcile()
    assert floor.books() == {"momentum": Decimal(47)}
    floor.filter_snapshot = lambda snapshot: snapshot
    floor.advance(60)
    assert floor.books() == {"momentum": Decimal(47)}
    assert floor.engine.view().locks == {}
    assert len(floor.posted) == 1
    floor.must_agree()


@pytest.mark.fault("C8")
@pytest.mark.invariant("I16")
def test_a_picture_that_is_older_than_the_last_fill_is_discarded():
    floor = scripted_floor()
    floor.decide(Direction.LONG)
    old = floor.snapshot()
    floor.advance(2)
    good = floor.engine.view().reconciliation_age_s
    floor.tell(old)
    assert floor.books() == {"momentum": Decimal(47)}
    assert passes(floor)[-1].result == "discarded"
    assert floor.engine.view().reconciliation_age_s == good
    floor.must_agree()


@pytest.mark.requirement("R121")
@pytest.mark.fault("C8")
@pytest.mark.fault("G1")
@pytest.mark.control("P4")
@pytest.mark.invariant("I17")
def test_without_a_good_pass_for_45_seconds_nothing_new_is_entered_exits_pass_and_it_ends_by_itself():
    floor = holding_floor()
    floor.reconciles = False
    floor.advance(47)
    assert floor.state() is TradingState.REDUCING
    assert floor.causes == {"reconciliation_age"}
    floor.decide(Direction.LONG, strategy=REVERSION)
    assert "reconciliation" in failed(floor.decisions[-1])
    assert len(floor.posted) == 1
    floor.scripts[REVERSION].wish(SYMBOL, Direction.EXIT)
    floor.decide(Direction.EXIT)
    floor.advance(1)
    assert floor.positions() == {}

    floor.reconciles = True
    floor.advance(PERIOD_S)
    assert floor.state() is TradingState.REDUCING  # quiet for 300 s first
    floor.advance(QUIET_S)
    assert floor.state() is TradingState.ACTIVE
    floor.must_agree()


# what the broker has and we do not, and the reverse


@pytest.mark.fault("C6")
@pytest.mark.invariant("I16")
def test_a_position_that_was_there_before_us_is_adopted_said_and_left_alone():
    earlier = holding_floor()
    floor = Floor(exchange=earlier.exchange, market=earlier.market, start_ns=earlier.now_ns, is_scripted=True)
    floor.filter_snapshot = lambda snapshot: structs.replace(snapshot, closed_orders=(), executions=())  # of before
    floor.start()
    assert floor.books() == {"external": Decimal(47)}
    assert floor.alerted("external_position")
    floor.decide(Direction.EXIT)
    floor.advance(120)
    assert (floor.sent, floor.cancelled) == ([], [])
    assert floor.engine.view().gross_exposure_usd == 47 * Decimal(100)


@pytest.mark.requirement("R119")
@pytest.mark.fault("C6")
@pytest.mark.invariant("I16")
def test_a_position_out_of_nowhere_is_adopted_at_its_second_sighting_and_not_traded():
    floor = scripted_floor()
    phantom = BrokerPosition(
        symbol=SYMBOL,
        asset_id="a",
        quantity=Decimal(30),
        average_entry_price=Decimal(99),
        current_price=Decimal(100),
    )
    floor.filter_snapshot = lambda snapshot: structs.replace(snapshot, positions=(phantom,))
    floor.reconcile()
    assert floor.positions() == {}
    floor.advance(2 * PERIOD_S)
    assert floor.books() == {"external": Decimal(30)}
    assert floor.alerted("external_position")
    floor.advance(120)
    assert floor.sent == []


@pytest.mark.requirement("R118")
@pytest.mark.requirement("R119")
@pytest.mark.fault("C7")
@pytest.mark.control("P6")
@pytest.mark.invariant("I16")
@pytest.mark.parametrize("shown", [0, 20, -50, 90])
def test_a_drift_waits_for_a_second_sighting_then_the_broker_is_right_and_the_symbol_locked(shown: int):
    floor = holding_floor()

    def show(snapshot: BrokerSnapshot) -> BrokerSnapshot:
        (position,) = snapshot.positions
        changed = structs.replace(position, quantity=Decimal(shown))
        return structs.replace(snapshot, positions=(changed,) if shown else ())

    floor.filter_snapshot = show
    floor.reconcile()
    assert floor.positions() == {SYMBOL: Decimal(47)}
    floor.advance(2 * PERIOD_S)
    assert floor.positions() == ({SYMBOL: Decimal(shown)} if shown else {})
    assert "drift" in floor.engine.view().locks[SYMBOL]
    assert any(alert.code.startswith("drift_") for alert in floor.alerts)
    assert len(floor.posted) == 1
    assert floor.cancelled == []
    if shown >= 0:  # to buy back what is short would reduce
        floor.decide(Direction.LONG, strategy=REVERSION)
        assert "symbol_lock" in failed(floor.decisions[-1])
        assert len(floor.posted) == 1


@pytest.mark.requirement("R118")
def test_a_locked_symbol_is_unlocked_by_a_person_with_a_reason():
    floor = holding_floor(symbols=(SYMBOL, MSFT))
    floor.filter_snapshot = lambda snapshot: structs.replace(
        snapshot, positions=tuple(structs.replace(each, quantity=Decimal(45)) for each in snapshot.positions)
    )
    floor.advance(2 * PERIOD_S)
    floor.filter_snapshot = lambda snapshot: snapshot
    floor.advance(2 * PERIOD_S)
    assert floor.books() == {"momentum": Decimal(45), "external": Decimal(2)}
    assert not floor.ask("unlock", symbol=SYMBOL, reason="").accepted
    assert not floor.ask("unlock", symbol=MSFT).accepted
    assert floor.ask("unlock", symbol=SYMBOL, reason="the broker corrected it").accepted
    floor.decide(Direction.LONG, strategy=REVERSION)
    assert floor.decisions[-1].outcome == "approved"


@pytest.mark.invariant("I4")
def test_a_locked_symbol_stays_locked_while_the_fate_of_its_order_is_unknown():
    floor = holding_floor()
    (position,) = floor.snapshot().positions
    one_less = structs.replace(position, quantity=position.quantity - 1)
    floor.filter_snapshot = lambda snapshot: structs.replace(snapshot, positions=(one_less,))
    floor.advance(2 * PERIOD_S)
    floor.on_post = lambda approved, _submit: floor.in_doubt(approved)
    floor.answers_lookups = False
    floor.decide(Direction.EXIT)
    answer = floor.ask("unlock", symbol=SYMBOL, reason="it looks fine")
    assert not answer.accepted
    assert "fate is unknown" in answer.text
    assert SYMBOL in floor.engine.view().locks


@pytest.mark.fault("C11")
@pytest.mark.invariant("I5")
@pytest.mark.invariant("I12")
def test_what_the_owner_buys_in_the_brokers_app_counts_in_the_limits_and_belongs_to_no_strategy():
    floor = holding_floor()
    floor.exchange.external_order(external_market_order("buy", 25))
    floor.advance(2)
    assert floor.books() == {"momentum": Decimal(47), "external": Decimal(25)}
    assert floor.alerted("external_order")
    assert floor.engine.view().gross_exposure_usd == 72 * Decimal(100)
    floor.decide(Direction.EXIT)
    floor.advance(1)
    assert floor.books() == {"external": Decimal(25)}
    assert [order.intent.side for order in floor.sent] == [Side.BUY, Side.SELL]
    floor.must_agree()


@pytest.mark.fault("C11")
@pytest.mark.invariant("I5")
def test_an_order_of_the_owner_that_rests_is_found_by_comparing_and_counts_as_exposure():
    floor = scripted_floor()
    floor.filter_update = lambda _update: ()
    resting = structs.replace(external_market_order("buy", 25), type="limit", limit_price=Decimal(90))
    floor.exchange.external_order(resting)
    floor.advance(PERIOD_S)
    assert [(order.strategy, order.quantity) for order in floor.live] == [("external", Decimal(25))]
    assert floor.engine.view().gross_exposure_usd == 25 * Decimal(100)
    floor.advance(60)
    assert floor.cancelled == []  # it is not ours to cancel
