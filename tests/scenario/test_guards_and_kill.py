"""What stops trading, who may start it again, and that none of it is forgotten when the process dies."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec import structs

from quant_trading_system.core.events import HealthSeen, LatchSeen, LeaseSeen, StoreSeen
from quant_trading_system.core.records import AuditRecord
from quant_trading_system.core.types import (
    NANOS_PER_MINUTE,
    NANOS_PER_SECOND,
    Direction,
    Latch,
    MonoNanos,
    Side,
    Store,
    Symbol,
    TradingState,
)
from quant_trading_system.risk.limits import RiskLimits
from quant_trading_system.simulator.requests import OrderRequest
from tests.support.floor import OPEN, REVERSION, SYMBOL, Floor, failed, scripted_floor

MSFT = Symbol("MSFT")
NEXT_OPEN = OPEN + 24 * 60 * NANOS_PER_MINUTE
# 47 shares move the equity by 47 dollars for each dollar of price: limits of a few hundredths of a percent are crossed.
TIGHT_DAY = RiskLimits(daily_loss_soft_fraction=Decimal("0.0003"), daily_loss_hard_fraction=Decimal("0.001"))
TIGHT_DRAWDOWN = RiskLimits(drawdown_soft_fraction=Decimal("0.0003"), drawdown_hard_fraction=Decimal("0.001"))
TIGHT_INTRADAY = RiskLimits(
    intraday_drawdown_soft_fraction=Decimal("0.0003"), intraday_drawdown_hard_fraction=Decimal("0.001")
)
FLOOR_99_950 = RiskLimits(equity_floor_usd=Decimal(99_950))
TIGHT_FIELDS = [
    pytest.param(TIGHT_DAY, "daily_loss", id="daily loss", marks=pytest.mark.requirement("R062")),
    pytest.param(TIGHT_DRAWDOWN, "drawdown", id="drawdown", marks=pytest.mark.requirement("R063")),
    pytest.param(TIGHT_INTRADAY, "intraday_drawdown", id="intraday drawdown"),
]


def holding_floor(limits: RiskLimits | None = None, *, symbols: tuple[str, ...] = (SYMBOL,)) -> Floor:
    """A floor on which momentum holds 47 AAPL, bought at 100.01."""
    floor = scripted_floor(limits=limits, symbols=symbols)
    floor.decide(Direction.LONG)
    floor.advance(1)
    assert floor.books() == {"momentum": Decimal(47)}
    return floor


def audits(floor: Floor, action: str) -> list[AuditRecord]:
    return [record for record in floor.records if isinstance(record, AuditRecord) and record.action == action]


# losses


@pytest.mark.control("P29")
@pytest.mark.control("P30")
@pytest.mark.invariant("I19")
@pytest.mark.parametrize(("limits", "cause"), TIGHT_FIELDS)
def test_a_soft_loss_stops_entries_at_the_next_second_and_lets_exits_pass(limits: RiskLimits, cause: str):
    floor = holding_floor(limits)
    floor.advance(1, price=99.3)
    assert floor.causes == {f"{cause}_soft"}
    assert floor.state() is TradingState.REDUCING
    floor.decide(Direction.LONG, strategy=REVERSION, price=99.3)
    assert {"trading_state", cause.removeprefix("intraday_")} <= failed(floor.decisions[-1])
    floor.decide(Direction.EXIT, price=99.3)
    floor.advance(1)
    assert floor.positions() == {}
    floor.must_agree()


@pytest.mark.control("P29")
@pytest.mark.control("P30")
@pytest.mark.invariant("I11")
@pytest.mark.invariant("I19")
@pytest.mark.parametrize(("limits", "cause"), TIGHT_FIELDS)
def test_a_hard_loss_halts_until_a_person_resets_whatever_the_price_does_next(limits: RiskLimits, cause: str):
    floor = holding_floor(limits)
    floor.advance(1, price=97.0)
    assert f"{cause}_hard" in floor.causes
    assert floor.state() is TradingState.HALTED
    assert floor.alerted("trading_halted")
    assert audits(floor, f"{cause}_hard")
    floor.advance(60, price=100.5)
    floor.skip_to(NEXT_OPEN + 10 * NANOS_PER_MINUTE)
    floor.advance(60)
    assert floor.state() is TradingState.HALTED
    floor.decide(Direction.LONG, strategy=REVERSION, price=100.5)
    assert "trading_state" in failed(floor.decisions[-1])
    assert floor.ask("reset", operator="alice", reason="the loss was looked at").accepted
    assert floor.state() is TradingState.ACTIVE
    floor.decide(Direction.LONG, strategy=REVERSION, price=100.5)
    floor.advance(1)
    assert floor.books() == {"momentum": Decimal(47), "mean_reversion": Decimal(47)}


@pytest.mark.requirement("R062")
def test_a_soft_loss_of_the_day_ends_with_the_next_session():
    floor = holding_floor(TIGHT_DAY)
    floor.advance(10, price=99.3)
    assert floor.causes == {"daily_loss_soft"}
    floor.advance(60, price=100.0)
    assert floor.causes == {"daily_loss_soft"}
    floor.skip_to(NEXT_OPEN + NANOS_PER_SECOND)
    floor.advance(5)
    assert floor.causes == set()


@pytest.mark.requirement("R059")
def test_an_amount_in_dollars_halts_where_the_fraction_would_not_yet():
    floor = holding_floor(RiskLimits(daily_loss_hard_usd=Decimal(100)))
    floor.advance(2, price=98.0)
    assert floor.state() is TradingState.ACTIVE
    floor.advance(2, price=97.8)
    assert floor.causes == {"daily_loss_hard"}


@pytest.mark.requirement("R064")
@pytest.mark.control("P41")
def test_equity_below_its_floor_halts_and_cannot_be_reset_while_it_is_below():
    floor = holding_floor(FLOOR_99_950)
    floor.advance(2, price=98.5)
    assert floor.causes == {"equity_floor"}
    floor.decide(Direction.LONG, strategy=REVERSION, price=98.5)
    assert "equity_floor" in failed(floor.decisions[-1])
    answer = floor.ask("reset", operator="alice", reason="try")
    assert not answer.accepted
    assert "floor" in answer.text
    floor.advance(2, price=100.0)
    assert floor.state() is TradingState.HALTED
    assert floor.ask("reset", operator="alice", reason="the price is back").accepted
    assert floor.state() is TradingState.ACTIVE


@pytest.mark.requirement("R052")
def test_the_fourth_incident_of_a_session_halts():
    floor = scripted_floor()
    floor.advance(2)
    for _ in range(3):
        floor.tell(StoreSeen(store=Store.REDIS, is_up=False, detail="gone", **floor.stamps()))
        assert floor.state() is TradingState.REDUCING
        floor.tell(StoreSeen(store=Store.REDIS, is_up=True, **floor.stamps()))
        floor.advance(10)
        assert floor.state() is TradingState.ACTIVE
    floor.tell(StoreSeen(store=Store.REDIS, is_up=False, detail="gone", **floor.stamps()))
    floor.tell(StoreSeen(store=Store.REDIS, is_up=True, **floor.stamps()))
    assert floor.causes == {"incidents"}
    assert floor.state() is TradingState.HALTED


# the kill switch


@pytest.mark.requirement("R043")
@pytest.mark.requirement("R049")
@pytest.mark.requirement("R051")
@pytest.mark.control("P1")
@pytest.mark.invariant("I9")
def test_the_kill_command_cancels_everything_engages_every_store_and_nothing_is_entered_after_it():
    floor = scripted_floor(symbols=(SYMBOL, MSFT))
    resting = floor.buy_resting()
    foreign = OrderRequest(
        symbol=MSFT, qty=Decimal(5), side="buy", type="limit", limit_price=Decimal(50), time_in_force="day"
    )
    floor.exchange.external_order(foreign)
    floor.advance(1)
    assert floor.ask("kill", operator="alice", reason="it looks wrong").accepted
    floor.advance(1)
    assert floor.cancelled_everything
    assert floor.exchange.orders() == []  # ours and the owner's
    assert floor.status_of(resting) == "CANCELED"
    assert set(floor.engine.view().latches.values()) == {"ENGAGED"}
    assert floor.state() is TradingState.HALTED
    assert [(row.actor, row.reason) for row in audits(floor, "kill")] == [
        ("alice", "it looks wrong"),
        ("guards", "alice: it looks wrong"),
    ]
    posted = len(floor.posted)
    floor.decide(Direction.LONG, symbol=MSFT)
    assert {"kill_latch", "trading_state"} <= failed(floor.decisions[-1])
    floor.advance(300)
    assert len(floor.posted) == posted
    floor.must_agree()


@pytest.mark.requirement("R049")
@pytest.mark.invariant("I9")
def test_a_kill_cancels_everything_and_halts_though_no_store_takes_the_latch():
    floor = scripted_floor()
    floor.buy_resting()
    floor.takes_latch = False
    floor.ask("kill")
    assert floor.cancelled_everything == ["kill switch"]
    floor.advance(1)
    assert floor.exchange.orders() == []
    assert floor.state() is TradingState.HALTED


@pytest.mark.control("P1")
@pytest.mark.fault("E9")
@pytest.mark.invariant("I9")
def test_an_order_that_was_approved_before_the_kill_and_not_sent_yet_never_leaves():
    floor = scripted_floor()
    floor.holds_gateway = True
    floor.decide(Direction.LONG)
    assert [order.status for order in floor.live] == ["READY"]
    floor.ask("kill")
    floor.holds_gateway = False
    floor.advance(1)
    assert floor.posted == []
    row = floor.order_rows[-1]
    assert (row.status, row.reason) == ("DROPPED", "kill latch is not clear in every store")


@pytest.mark.control("P2")
@pytest.mark.fault("K2")
@pytest.mark.invariant("I25")
def test_an_order_that_was_approved_while_the_lease_lasted_never_leaves_after_it():
    floor = scripted_floor()
    floor.holds_gateway = True
    floor.decide(Direction.LONG)
    deadline = MonoNanos(floor.mono_ns + NANOS_PER_SECOND)
    floor.tell(LeaseSeen(held=True, epoch=1, deadline_mono_ns=deadline, **floor.stamps()))
    floor.keeps_lease = False
    floor.holds_gateway = False
    floor.advance(1)
    assert floor.posted == []
    assert "lease" in floor.order_rows[-1].reason
    floor.decide(Direction.LONG, strategy=REVERSION)
    assert "lease" in failed(floor.decisions[-1])


@pytest.mark.invariant("I11")
def test_after_a_kill_a_position_can_still_be_closed_and_never_turns():
    floor = holding_floor()
    floor.ask("kill")
    floor.decide(Direction.EXIT)
    floor.advance(1)
    assert [order.intent.side for order in floor.sent] == [Side.BUY, Side.SELL]
    assert floor.positions() == {}
    floor.must_agree()


@pytest.mark.requirement("R044")
@pytest.mark.requirement("R045")
@pytest.mark.control("P1")
@pytest.mark.invariant("I9")
@pytest.mark.parametrize("store", list(Store))
def test_one_store_that_says_engaged_is_enough_to_cancel_everything_and_to_halt(store: Store):
    floor = scripted_floor()
    floor.buy_resting()
    floor.tell(LatchSeen(store=store, latch=Latch.ENGAGED, reason="the watchdog", **floor.stamps()))
    floor.advance(1)
    assert floor.cancelled_everything == ["the watchdog"]
    assert floor.exchange.orders() == []
    assert floor.causes == {"kill"}
    floor.decide(Direction.LONG, strategy=REVERSION)
    first = floor.decisions[-1].controls[0]
    assert (first.name, first.passed) == ("kill_latch", False)


@pytest.mark.requirement("R046")
@pytest.mark.requirement("R057")
@pytest.mark.control("P1")
@pytest.mark.invariant("I10")
@pytest.mark.parametrize("latch", [Latch.MISSING, Latch.UNREADABLE])
@pytest.mark.parametrize("store", list(Store))
def test_a_latch_that_is_missing_or_unreadable_in_any_store_blocks_as_if_engaged(store: Store, latch: Latch):
    floor = holding_floor()
    floor.tell(LatchSeen(store=store, latch=latch, **floor.stamps()))
    floor.decide(Direction.LONG, strategy=REVERSION)
    assert "kill_latch" in failed(floor.decisions[-1])
    assert len(floor.posted) == 1
    assert floor.cancelled_everything == []
    floor.tell(LatchSeen(store=store, latch=Latch.CLEAR, **floor.stamps()))
    floor.decide(Direction.LONG, strategy=REVERSION)
    floor.advance(1)
    assert floor.books() == {"momentum": Decimal(47), "mean_reversion": Decimal(47)}


@pytest.mark.requirement("R046")
@pytest.mark.invariant("I10")
def test_before_any_store_has_spoken_nothing_may_be_entered():
    floor = Floor(is_scripted=True, start_ns=scripted_floor().now_ns)
    spoken = floor.tell

    def mute(event: object) -> None:
        if not isinstance(event, LatchSeen):
            spoken(event)  # type: ignore[arg-type]

    floor.tell = mute  # type: ignore[method-assign]
    floor.start()
    floor.decide(Direction.LONG)
    assert "kill_latch" in failed(floor.decisions[-1])


# a person resets


@pytest.mark.requirement("R043")
def test_a_reset_needs_a_name_and_a_reason_and_says_so():
    floor = scripted_floor()
    assert "nothing is latched" in floor.ask("reset", operator="alice", reason="just so").text
    floor.ask("kill")
    assert not floor.ask("reset", operator="", reason="fine").accepted
    assert not floor.ask("reset", operator="alice", reason=" ").accepted
    assert floor.state() is TradingState.HALTED
    assert floor.ask("reset", operator="alice", reason="it was a drill").accepted
    assert floor.state() is TradingState.ACTIVE
    assert set(floor.engine.view().latches.values()) == {"CLEAR"}
    assert [row.outcome.split(":")[0] for row in audits(floor, "reset")] == ["refused"] * 3 + ["accepted"]
    floor.decide(Direction.LONG)
    floor.advance(1)
    assert floor.positions() == {SYMBOL: Decimal(47)}


@pytest.mark.invariant("I9")
def test_a_reset_is_refused_while_the_fate_of_an_order_is_unknown():
    floor = scripted_floor()
    floor.on_post = lambda approved, _submit: floor.in_doubt(approved)
    floor.answers_lookups = False
    floor.decide(Direction.LONG)
    floor.ask("kill")
    answer = floor.ask("reset", operator="alice", reason="go on")
    assert not answer.accepted
    assert "fate" in answer.text
    floor.answers_lookups = True
    floor.advance(120)
    assert floor.ask("reset", operator="alice", reason="the order never arrived").accepted


@pytest.mark.invariant("I9")
@pytest.mark.parametrize("trouble", ["no pass for 46 s", "a difference waits for its second sighting"])
def test_a_reset_is_refused_without_a_clean_reconciliation(trouble: str):
    floor = holding_floor()
    floor.ask("kill")
    if trouble == "no pass for 46 s":
        floor.reconciles = False
        floor.advance(46)
    else:
        moved = structs.replace(floor.snapshot().positions[0], quantity=Decimal(40))
        floor.filter_snapshot = lambda snapshot: structs.replace(snapshot, positions=(moved,))
        floor.reconcile()
    answer = floor.ask("reset", operator="alice", reason="go on")
    assert not answer.accepted
    assert "clean reconciliation" in answer.text
    assert floor.state() is TradingState.HALTED


# other commands


def test_a_pause_lets_only_reducing_orders_pass_until_it_is_lifted():
    floor = holding_floor()
    floor.buy_resting(strategy=REVERSION)
    assert floor.ask("pause", reason="lunch").accepted
    assert [order.status for order in floor.live] == ["WORKING"]  # entries are cancelled only if asked
    assert floor.ask("pause", reason="lunch", cancel="true").accepted
    floor.advance(1)
    assert floor.live == ()
    floor.decide(Direction.LONG, strategy=REVERSION)
    assert "trading_state" in failed(floor.decisions[-1])
    floor.decide(Direction.EXIT)
    floor.advance(1)
    assert floor.positions() == {}
    assert floor.ask("resume").accepted
    assert not floor.ask("resume").accepted
    assert floor.state() is TradingState.ACTIVE


@pytest.mark.requirement("R049")
def test_cancel_all_cancels_everything_at_the_broker_and_trading_goes_on():
    floor = scripted_floor(symbols=(SYMBOL, MSFT))
    floor.buy_resting()
    answer = floor.ask("cancel-all", reason="a clean table")
    assert answer.accepted
    assert "1 orders" in answer.text
    floor.advance(1)
    assert floor.exchange.orders() == []
    assert floor.live == ()
    assert floor.state() is TradingState.ACTIVE


@pytest.mark.requirement("R054")
@pytest.mark.invariant("I40")
@pytest.mark.parametrize(
    ("command", "operator", "reason", "said"),
    [
        ("explode", "alice", "x", "unknown command"),
        ("kill", "", "x", "operator"),
        ("kill", "a" * 65, "x", "operator"),
        ("kill", "alice", "x" * 501, "reason"),
        ("enable", "alice", "x", "no strategy"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_audited_and_changes_nothing(
    command: str, operator: str, reason: str, said: str
):
    floor = scripted_floor()
    before = floor.engine.state_hash()
    answer = floor.ask(command, operator=operator, reason=reason)
    assert not answer.accepted
    assert said in answer.text
    assert floor.engine.state_hash() == before
    assert audits(floor, command)[-1].outcome.startswith("refused")


# stores and health


@pytest.mark.invariant("I10")
def test_a_database_that_is_gone_halts_and_its_return_ends_it_without_a_person():
    floor = holding_floor()
    floor.tell(StoreSeen(store=Store.DATABASE, is_up=False, detail="connection refused", **floor.stamps()))
    assert floor.state() is TradingState.HALTED
    floor.decide(Direction.LONG, strategy=REVERSION)
    assert "trading_state" in failed(floor.decisions[-1])
    floor.tell(StoreSeen(store=Store.DATABASE, is_up=True, **floor.stamps()))
    assert floor.state() is TradingState.ACTIVE


def test_a_redis_that_is_gone_stops_entries_only():
    floor = holding_floor()
    floor.tell(StoreSeen(store=Store.REDIS, is_up=False, detail="connection refused", **floor.stamps()))
    assert floor.state() is TradingState.REDUCING
    floor.decide(Direction.LONG, strategy=REVERSION)
    assert "trading_state" in failed(floor.decisions[-1])
    floor.decide(Direction.EXIT)
    floor.advance(1)
    assert floor.positions() == {}


@pytest.mark.control("P35")
@pytest.mark.control("P36")
@pytest.mark.parametrize(
    ("measured", "cause"),
    [
        ({"loop_lag_s": 0.3}, "loop_lag"),
        ({"clock_skew_s": -1.2}, "clock_skew"),
        ({"commit_p99_s": 0.2}, "commit_latency"),
        ({"disk_free_bytes": 1_000}, "disk"),
    ],
)
def test_a_sick_process_takes_no_new_risk_until_it_was_well_for_five_minutes(measured: dict[str, float], cause: str):
    floor = scripted_floor()
    well: dict[str, float] = {name: 10**12 if cause == "disk" else 0 for name in measured}
    floor.tell(HealthSeen(**measured, **floor.stamps()))  # type: ignore[arg-type]
    assert floor.causes == {cause}
    floor.decide(Direction.LONG)
    assert "trading_state" in failed(floor.decisions[-1])
    floor.tell(HealthSeen(**well, **floor.stamps()))  # type: ignore[arg-type]
    floor.advance(298)
    assert floor.causes == {cause}
    floor.advance(3)
    assert floor.state() is TradingState.ACTIVE


@pytest.mark.invariant("I11")
@pytest.mark.parametrize("trouble", ["paused", "killed", "the strategy is off"])
def test_an_entry_that_may_not_happen_does_not_swallow_another_strategys_exit(trouble: str):
    floor = holding_floor()
    if trouble == "the strategy is off":
        floor.spoil = lambda quote: structs.replace(quote, bid_price=0.0)
        floor.decide(Direction.LONG, strategy=REVERSION)
        floor.spoil = lambda quote: quote
        floor.scripts[REVERSION].error = ValueError("broken")
    else:
        floor.ask("pause" if trouble == "paused" else "kill")
        floor.scripts[REVERSION].wish(SYMBOL, Direction.LONG)
    floor.decide(Direction.EXIT)
    floor.advance(1)
    assert floor.positions() == {}
    assert audits(floor, "internal_cross") == []
    floor.must_agree()


@pytest.mark.invariant("I28")
def test_dropped_market_data_allows_reducing_alone():
    floor = scripted_floor()
    floor.tell(HealthSeen(dropped_messages=7, **floor.stamps()))
    assert "inbox_overflow" in {each.cause for each in floor.engine.view().causes}
    assert floor.state() is TradingState.REDUCING
