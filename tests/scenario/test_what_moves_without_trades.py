"""Splits, dividends, transfers, busts: booked once, to the right books, and neither drift nor profit by mistake."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from msgspec import structs

from quant_trading_system.core.events import BrokerSnapshot, OrderUpdated
from quant_trading_system.core.records import CorrectionRecord, DriftRecord, EntryRecord, PositionRecord
from quant_trading_system.core.types import NANOS_PER_SECOND, Direction, Nanos, StrategyId, Symbol, TradingState
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.requests import OrderRequest
from tests.support.floor import MOMENTUM, REVERSION, SYMBOL, Floor, scripted_floor

MSFT = Symbol("MSFT")
TWO_PASSES_S = 32


def shared_floor(*, symbols: tuple[str, ...] = (SYMBOL,)) -> Floor:
    """Two strategies hold AAPL together: momentum 24, mean reversion 25, at 100.01."""
    floor = scripted_floor(symbols=symbols)
    floor.scripts[MOMENTUM].wish(SYMBOL, Direction.LONG)
    floor.scripts[REVERSION].wish(SYMBOL, Direction.LONG)
    floor.next_bar()
    floor.advance(2)
    for strategy in (MOMENTUM, REVERSION):
        floor.engine._desk.portfolio.set_target(
            strategy, SYMBOL, floor.engine._desk.ledger.book_quantity(strategy, SYMBOL)
        )
    assert floor.books() == {"mean_reversion": Decimal(25), "momentum": Decimal(24)}
    return floor


def split(old: int, new: int, *, kind: str = "forward_split") -> CorporateAction:
    return CorporateAction(
        id=f"{kind}-{new}-{old}",
        kind=kind,  # type: ignore[arg-type]
        symbol=SYMBOL,
        ex_date=date(2026, 1, 7),
        process_date=date(2026, 1, 7),
        old_rate=Decimal(old),
        new_rate=Decimal(new),
    )


def next_morning(floor: Floor) -> None:
    """The next session, before which the exchange turned its books."""
    floor.skip_to(floor.now_ns + 24 * 3_600 * NANOS_PER_SECOND)
    floor.advance(TWO_PASSES_S)


def drift_kinds(floor: Floor) -> set[str]:
    return {record.kind for record in floor.records if isinstance(record, DriftRecord)}


def entries(floor: Floor, kind: str) -> list[EntryRecord]:
    return [record for record in floor.records if isinstance(record, EntryRecord) and record.kind == kind]


def cash_agrees(floor: Floor) -> bool:
    return floor.engine.view().cash_usd == Decimal(str(floor.exchange.ledger()["cash"]))


# corporate actions


@pytest.mark.fault("D9")
@pytest.mark.fault("D10")
@pytest.mark.invariant("I12")
@pytest.mark.invariant("I24")
@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (1, 2, "forward_split"),
        (1, 50, "forward_split"),
        (1, 7, "forward_split"),
        (2, 3, "forward_split"),
        (10, 1, "reverse_split"),
        (30, 1, "reverse_split"),
        (100, 1, "reverse_split"),
    ],
)
def test_a_split_moves_every_book_in_proportion_and_their_sum_is_the_brokers(old: int, new: int, kind: str):
    floor = shared_floor()
    floor.exchange.announce(split(old, new, kind=kind))
    next_morning(floor)
    assert floor.positions() == floor.broker_positions()
    assert cash_agrees(floor)
    for book, before in (("momentum", 24), ("mean_reversion", 25)):
        exact = Decimal(before) * new / old
        assert abs(floor.books().get(book, Decimal(0)) - exact) < 1
    assert drift_kinds(floor) <= {"corporate_action"}
    assert len(entries(floor, "corporate_action")) >= 1
    assert len(floor.posted) == 1


@pytest.mark.fault("D9")
@pytest.mark.invariant("I24")
def test_after_a_split_the_symbol_is_frozen_until_a_later_pass_agrees():
    floor = shared_floor()
    floor.exchange.announce(split(1, 2))
    told: list[tuple[Symbol, Decimal]] = []
    floor.engine._desk.share_changes.append(lambda symbol, ratio: told.append((symbol, ratio)))
    floor.skip_to(floor.now_ns + 24 * 3_600 * NANOS_PER_SECOND)
    floor.reconcile()
    assert "corporate action" in floor.engine.view().locks[SYMBOL]
    assert told == [(SYMBOL, Decimal(2))]
    floor.advance(16)
    assert floor.engine.view().locks == {}
    assert floor.state() is not TradingState.HALTED


@pytest.mark.invariant("I18")
def test_a_split_earns_nothing_and_its_prices_are_told_in_the_new_shares():
    floor = shared_floor()
    before = floor.engine._desk.market.mark(SYMBOL)
    realised = floor.engine._desk.ledger.realised()
    bars = list(floor.engine._desk.market.bars(SYMBOL))
    floor.exchange.announce(split(1, 4))
    floor.quotes = floor.prints = False
    floor.skip_to(floor.now_ns + 24 * 3_600 * NANOS_PER_SECOND)
    floor.reconcile()
    desk = floor.engine._desk
    assert desk.ledger.realised() == realised
    assert before is not None
    assert desk.market.mark(SYMBOL) == pytest.approx(before / 4)
    assert bars
    assert {bar.close for bar in desk.market.bars(SYMBOL)} == {25.0}
    assert desk.ledger.average_price(SYMBOL) == Decimal("100.01") / 4


@pytest.mark.fault("D9")
@pytest.mark.invariant("I19")
def test_a_split_whose_prices_arrive_before_the_broker_is_read_is_no_loss():
    floor = shared_floor()
    floor.exchange.announce(split(1, 10))
    floor.reconciles = False
    floor.prices[SYMBOL] = 10.0  # the first prices of the morning
    floor.skip_to(floor.now_ns + 24 * 3_600 * NANOS_PER_SECOND)
    floor.advance(10)
    assert floor.positions() == {SYMBOL: Decimal(49)}
    assert floor.state() is not TradingState.HALTED
    floor.reconciles = True
    floor.advance(TWO_PASSES_S)
    assert floor.positions() == {SYMBOL: Decimal(490)}
    assert floor.causes <= {"reconciliation_age"}
    assert abs(floor.engine.view().money.day_pnl_usd or Decimal(0)) < 10


@pytest.mark.fault("D11")
@pytest.mark.invariant("I12")
def test_under_a_new_name_the_shares_stay_with_their_strategies():
    floor = shared_floor(symbols=(SYMBOL, MSFT))
    action = structs.replace(
        split(1, 1), id="renamed", kind="name_change", new_symbol=MSFT, old_rate=None, new_rate=None
    )
    floor.exchange.announce(action)
    next_morning(floor)
    assert floor.books() == {}
    assert floor.books(MSFT) == {"mean_reversion": Decimal(25), "momentum": Decimal(24)}
    assert floor.positions() == floor.broker_positions()
    assert drift_kinds(floor) == {"corporate_action"}


# flows


@pytest.mark.fault("D12")
@pytest.mark.invariant("I18")
@pytest.mark.invariant("I19")
def test_a_withdrawal_of_a_tenth_is_no_loss_and_a_deposit_no_profit():
    floor = shared_floor()
    floor.exchange.transfer(Decimal(-10_000))
    floor.advance(TWO_PASSES_S)
    money = floor.engine.view().money
    assert abs(money.day_pnl_usd or Decimal(0)) < 10
    assert floor.state() is TradingState.ACTIVE
    floor.exchange.transfer(Decimal(15_000))
    floor.advance(TWO_PASSES_S)
    assert abs(floor.engine.view().money.day_pnl_usd or Decimal(0)) < 10
    assert (floor.engine.view().money.drawdown_ratio or Decimal(0)) < Decimal("0.001")
    assert [entry.cash_usd for entry in entries(floor, "flow")] == [Decimal(-10_000), Decimal(15_000)]


@pytest.mark.fault("D12")
def test_a_fee_is_a_loss_and_a_dividend_a_profit_each_booked_once():
    floor = shared_floor()
    before = floor.engine.view().money.day_pnl_usd or Decimal(0)
    day = new_york_date(floor.exchange.now_ns)
    keeper = floor.exchange._bookkeeper
    keeper.enter("FEE", day, floor.exchange.now_ns, net_amount=Decimal(-7), cash=Decimal(-7), description="TAF")
    keeper.enter(
        "DIV", day, floor.exchange.now_ns, net_amount=Decimal(19), cash=Decimal(19), qty=Decimal(49), symbol=SYMBOL
    )
    floor.advance(4 * TWO_PASSES_S)
    assert (floor.engine.view().money.day_pnl_usd or Decimal(0)) - before == 12
    assert [entry.cash_usd for entry in (*entries(floor, "fee"), *entries(floor, "income"))] == [-7, 19]
    assert cash_agrees(floor)


@pytest.mark.fault("D12")
@pytest.mark.fault("F6")
@pytest.mark.invariant("I30")
def test_what_was_booked_before_a_restart_is_not_booked_again_and_what_came_meanwhile_is():
    floor = shared_floor()
    floor.exchange.transfer(Decimal(-3_000))
    floor.advance(TWO_PASSES_S)
    floor.exchange.transfer(Decimal(-2_000))
    heir = floor.crash(down_seconds=30)
    heir.start()
    heir.advance(TWO_PASSES_S)
    assert [entry.cash_usd for entry in entries(heir, "flow")] == [Decimal(-2_000)]
    assert abs(heir.engine.view().money.day_pnl_usd or Decimal(0)) < 10
    assert heir.state() is TradingState.ACTIVE
    assert cash_agrees(heir)


@pytest.mark.invariant("I19")
def test_cash_that_comes_without_a_word_is_no_profit_until_an_activity_explains_it():
    floor = shared_floor()
    hidden = {"late deposit"}
    floor.filter_snapshot = lambda shown: structs.replace(
        shown, activities=tuple(each for each in shown.activities if each.text not in hidden)
    )
    day = new_york_date(floor.exchange.now_ns)
    floor.exchange._bookkeeper.enter(
        "CSD", day, floor.exchange.now_ns, net_amount=Decimal(500), cash=Decimal(500), description="late deposit"
    )
    floor.advance(TWO_PASSES_S)
    assert cash_agrees(floor)
    assert floor.causes == {"drift"}
    assert abs(floor.engine.view().money.day_pnl_usd or Decimal(0)) < 10
    hidden.clear()
    floor.advance(TWO_PASSES_S)
    assert cash_agrees(floor)
    assert floor.engine._desk.ledger.cash.unexplained_usd == 0
    assert floor.engine._desk.ledger.cash.flows_usd == 500
    assert abs(floor.engine.view().money.day_pnl_usd or Decimal(0)) < 10


def test_before_the_first_look_at_the_account_its_activities_are_history():
    earlier = scripted_floor()
    earlier.exchange.transfer(Decimal(5_000))
    floor = Floor(exchange=earlier.exchange, market=earlier.market, start_ns=earlier.now_ns, is_scripted=True)
    floor.start()
    assert entries(floor, "flow") == []
    assert len(entries(floor, "anchor")) == 1
    assert cash_agrees(floor)


# busts, corrections, inferred fills


@pytest.mark.fault("C12")
@pytest.mark.invariant("I12")
def test_the_stored_book_of_a_bust_that_was_all_there_was_is_empty():
    floor = scripted_floor()
    floor.decide(Direction.LONG)
    floor.advance(2)
    execution = floor.exchange._books.executions[-1]
    floor.exchange.bust(execution.execution_id)
    floor.advance(TWO_PASSES_S)

    stored = [record for record in floor.records if isinstance(record, PositionRecord) and record.strategy == MOMENTUM]

    assert max(record.quantity for record in stored) > 0
    assert floor.books() == {}
    assert stored[-1].quantity == 0


def silent(_update: OrderUpdated) -> list[OrderUpdated]:
    return []


@pytest.mark.fault("C12")
@pytest.mark.invariant("I12")
@pytest.mark.invariant("I13")
@pytest.mark.parametrize("is_told", [True, False])
def test_an_execution_that_is_taken_back_leaves_books_cash_and_profit_as_if_it_had_never_been(is_told: bool):
    floor = shared_floor()
    if not is_told:
        floor.filter_update = silent
    (execution,) = floor.exchange._books.executions
    floor.exchange.bust(execution.execution_id)
    floor.advance(2 * TWO_PASSES_S)
    assert floor.books() == {}
    assert cash_agrees(floor)
    assert floor.engine._desk.ledger.realised() == 0
    assert drift_kinds(floor) == {"changed_execution"}
    assert floor.alerted("drift_changed_execution")
    assert "drift" in floor.engine.view().locks[SYMBOL] or is_told
    assert len(floor.posted) == 1
    (row,) = [record for record in floor.records if isinstance(record, CorrectionRecord)]
    assert (row.quantity, row.source) == (Decimal(0), "broker")


@pytest.mark.fault("C12")
@pytest.mark.fault("F6")
@pytest.mark.invariant("I30")
def test_a_correction_survives_a_restart_and_may_come_after_one():
    floor = shared_floor()
    (execution,) = floor.exchange._books.executions
    floor.exchange.correct(execution.execution_id, qty=execution.qty - 9)
    floor.advance(2 * TWO_PASSES_S)
    assert floor.positions() == floor.broker_positions() == {SYMBOL: Decimal(40)}
    heir = floor.crash()
    heir.start()
    heir.advance(TWO_PASSES_S)
    assert heir.positions() == {SYMBOL: Decimal(40)}
    assert drift_kinds(heir) == set()
    again = [each for each in heir.exchange._books.executions if each.qty > 0][-1]
    heir.exchange.correct(again.execution_id, price=Decimal("99.50"))
    heir.advance(2 * TWO_PASSES_S)
    assert drift_kinds(heir) == {"changed_execution", "status_gap"}  # the frame named an order that was forgotten
    assert set(heir.books()) == {"mean_reversion", "momentum"}
    assert cash_agrees(heir)
    assert heir.engine._desk.ledger.average_price(SYMBOL) == Decimal("99.5")


@pytest.mark.fault("C12")
@pytest.mark.invariant("I13")
def test_a_corrected_fill_that_is_told_with_the_quantity_of_another_is_told_from_it():
    floor = scripted_floor(partial_fill_probability=1.0)
    floor.decide(Direction.LONG)
    floor.advance(TWO_PASSES_S)
    first, *others = floor.exchange._books.executions
    assert others
    floor.exchange.correct(first.execution_id, price=first.price + Decimal("0.05"))
    told = floor.snapshot().executions
    assert len({fill.cumulative_quantity for fill in told}) < len(told)
    floor.advance(2 * TWO_PASSES_S)
    assert drift_kinds(floor) == {"changed_execution"}
    assert floor.positions() == floor.broker_positions() == {SYMBOL: Decimal(47)}
    assert cash_agrees(floor)


@pytest.mark.fault("C12")
@pytest.mark.fault("C8")
def test_a_pass_that_shows_less_filled_for_good_becomes_a_difference_and_passes_count_again():
    floor = shared_floor()
    floor.filter_update = silent
    (execution,) = floor.exchange._books.executions
    floor.exchange.bust(execution.execution_id)

    def with_old_stamp(shown: BrokerSnapshot) -> BrokerSnapshot:
        """The broker changes the order and not its stamp."""
        return structs.replace(
            shown,
            closed_orders=tuple(structs.replace(each, updated_ns=Nanos(1)) for each in shown.closed_orders),
        )

    floor.filter_snapshot = with_old_stamp
    floor.answers_lookups = False
    floor.advance(50)
    assert floor.books() == {"mean_reversion": Decimal(25), "momentum": Decimal(24)}  # it may be an older picture
    floor.advance(60)
    assert floor.books() == {}
    assert (floor.engine.view().reconciliation_age_s or 0.0) < 16


@pytest.mark.fault("C5")
@pytest.mark.fault("C1")
@pytest.mark.invariant("I13")
@pytest.mark.parametrize("partial", [0.0, 1.0])
def test_a_fill_that_only_the_status_tells_is_booked_to_its_strategy_and_the_real_one_counts_once(partial: float):
    floor = scripted_floor(partial_fill_probability=partial)
    floor.filter_update = silent
    floor.filter_snapshot = lambda shown: structs.replace(shown, executions=())
    floor.decide(Direction.LONG)
    floor.advance(2 * TWO_PASSES_S)
    assert floor.books() == {"momentum": Decimal(47)}
    assert {fill.source for fill in floor.fills} == {"inferred"}
    assert floor.live == ()
    floor.filter_snapshot = lambda shown: shown
    floor.advance(TWO_PASSES_S)
    assert floor.books() == {"momentum": Decimal(47)}
    assert floor.positions() == floor.broker_positions()
    assert cash_agrees(floor)
    assert floor.engine.view().locks == {}
    heir = floor.crash()
    heir.start()
    heir.advance(TWO_PASSES_S)
    assert heir.positions() == heir.broker_positions()
    assert drift_kinds(heir) == set()


# what is in flux, and how far back is read


@pytest.mark.fault("C9")
@pytest.mark.invariant("I15")
@pytest.mark.parametrize(("paid_usd", "believed_early"), [(Decimal(1_000), {}), (Decimal(0), {SYMBOL: Decimal(10)})])
def test_a_gap_that_a_working_order_may_explain_waits_longer_where_the_cash_moved_with_it(
    paid_usd: Decimal, believed_early: dict[Symbol, Decimal]
):
    floor = scripted_floor()
    resting = {"symbol": SYMBOL, "qty": Decimal(20), "side": "buy", "type": "limit", "time_in_force": "day"}
    floor.exchange.external_order(OrderRequest(**resting, limit_price=Decimal(50)))  # type: ignore[arg-type]
    floor.advance(1)
    floor.exchange._bookkeeper.enter(
        "JNLS",
        new_york_date(floor.exchange.now_ns),
        floor.exchange.now_ns,
        symbol=SYMBOL,
        position_qty=Decimal(10),
        position_cost=Decimal(1_000),
    )
    floor.filter_snapshot = lambda shown: structs.replace(
        shown, activities=(), account=structs.replace(shown.account, cash_usd=shown.account.cash_usd - paid_usd)
    )
    floor.advance(25)
    assert floor.positions() == believed_early
    floor.advance(30)
    assert floor.positions() == {SYMBOL: Decimal(10)}


@pytest.mark.requirement("R117")
def test_a_pass_that_reads_a_short_way_back_looks_for_the_reason_before_it_calls_it_drift():
    floor = shared_floor()
    floor.filter_update = silent
    (execution,) = floor.exchange._books.executions
    floor.advance(300)
    floor.exchange.bust(execution.execution_id)
    reached: list[int] = []

    def as_the_shell_reads(shown: BrokerSnapshot) -> BrokerSnapshot:
        since = floor.engine.reaches_back_ns or Nanos(0)
        reached.append(since)
        return structs.replace(
            shown,
            since_ns=since,
            executions=tuple(each for each in shown.executions if each.venue_ns > since),
            closed_orders=tuple(each for each in shown.closed_orders if each.submitted_ns > since),
        )

    floor.filter_snapshot = as_the_shell_reads
    floor.advance(15)
    assert drift_kinds(floor) == {"changed_execution"}
    assert min(reached) < floor.now_ns - 90 * 3_600 * NANOS_PER_SECOND < max(reached)
    floor.advance(TWO_PASSES_S)
    assert floor.books() == {}


# the owner trades


@pytest.mark.fault("C11")
@pytest.mark.invariant("I12")
def test_what_the_owner_sells_by_hand_stands_in_the_external_book_and_the_sum_is_the_brokers():
    floor = shared_floor()
    floor.exchange.close_position(SYMBOL)
    floor.advance(TWO_PASSES_S)
    assert floor.broker_positions() == floor.positions() == {}
    rows = {
        record.strategy: record.quantity
        for record in floor.records
        if isinstance(record, PositionRecord) and record.symbol == SYMBOL
    }
    assert rows == {REVERSION: Decimal(25), MOMENTUM: Decimal(24), StrategyId("external"): Decimal(-49)}
    assert sum(rows.values()) == 0
    assert len(floor.posted) == 1


@pytest.mark.fault("C11")
@pytest.mark.invariant("I11")
def test_a_strategy_whose_shares_the_owner_sold_leaves_them_to_the_external_book_and_never_sells_short():
    floor = shared_floor()
    floor.exchange.close_position(SYMBOL)
    floor.advance(TWO_PASSES_S)
    floor.scripts[REVERSION].wish(SYMBOL, Direction.EXIT)
    floor.scripts[MOMENTUM].wish(SYMBOL, Direction.EXIT)
    floor.next_bar()
    floor.advance(2)
    assert floor.broker_positions() == {}
    assert len(floor.posted) == 1
    held = {strategy: book.quantity for strategy, book in floor.engine._desk.ledger.books(SYMBOL).items()}
    assert set(held.values()) == {Decimal(0)}


@pytest.mark.fault("C2")
@pytest.mark.fault("C8")
@pytest.mark.fault("F6")
@pytest.mark.invariant("I19")
def test_a_first_pass_whose_activities_lack_the_fills_of_its_orders_takes_no_cash_for_a_flow():
    floor = scripted_floor()
    floor.filter_update = silent
    floor.decide(Direction.LONG)
    floor.pass_ms(500)
    assert floor.broker_positions() == {SYMBOL: Decimal(47)}
    assert floor.positions() == {}
    heir = floor.crash()
    heir.filter_snapshot = lambda shown: structs.replace(shown, executions=())
    heir.start()
    assert entries(heir, "cash_gap") == []
    heir.advance(TWO_PASSES_S)
    assert heir.books() == {"momentum": Decimal(47)}
    heir.filter_snapshot = lambda shown: shown
    heir.advance(TWO_PASSES_S)
    assert cash_agrees(heir)
    assert heir.books() == {"momentum": Decimal(47)}
    assert abs(heir.engine.view().money.day_pnl_usd or Decimal(0)) < 10


@pytest.mark.fault("C12")
@pytest.mark.fault("C8")
def test_a_list_of_executions_that_alone_lacks_one_takes_nothing_back():
    floor = shared_floor()
    floor.filter_snapshot = lambda shown: structs.replace(shown, executions=())
    floor.advance(3 * TWO_PASSES_S)
    assert drift_kinds(floor) == set()
    assert floor.books() == {"mean_reversion": Decimal(25), "momentum": Decimal(24)}
    assert floor.engine.view().locks == {}
