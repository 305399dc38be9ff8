"""What the database knew comes back whole: orders, books, executions, cash, guards, locks, the next id."""

from __future__ import annotations

from decimal import Decimal

import pytest

from quant_trading_system.core.events import Restored
from quant_trading_system.core.records import LockRecord, PositionRecord
from quant_trading_system.core.types import MonoNanos, Nanos, Side
from quant_trading_system.persistence.database import Database
from quant_trading_system.persistence.history import History
from quant_trading_system.persistence.intents import IntentStore
from quant_trading_system.persistence.lease import Lease
from quant_trading_system.persistence.recovery import load_restored
from quant_trading_system.persistence.writer import BehindWriter
from tests.support.stores import (
    NOON_NS,
    STAMPED,
    a_decision,
    a_fill,
    a_guard,
    a_position,
    an_approved,
    an_equity,
    an_order,
    on_database,
    one_of_each,
)


async def restored(db: Database) -> Restored:
    return await load_restored(db, stamps={"venue_ns": Nanos(1), "seen_ns": Nanos(2), "mono_ns": MonoNanos(3)})


async def write(db: Database, *records) -> None:
    writer = BehindWriter(db)
    writer.put_all(records)
    assert await writer.flush(5.0)


def test_an_empty_database_is_a_first_start(dsn: str):
    async def script(db: Database) -> None:
        found = await restored(db)
        assert found.is_first_start
        assert (found.orders, found.books, found.known_executions, found.locks) == ((), (), (), ())
        assert (found.cash_usd, found.guards, found.next_sequence, found.last_stop_ns) == (None, None, 1, None)

    on_database(dsn, script)


@pytest.mark.requirement("R163")
@pytest.mark.requirement("R037")
@pytest.mark.fault("F6")
def test_everything_that_must_survive_comes_back(dsn: str):
    async def script(db: Database) -> None:
        await write(db, *one_of_each())
        found = await restored(db)
        (order,) = found.orders
        assert (order.client_order_id, order.status, order.quantity) == (
            an_order().client_order_id,
            "WORKING",
            Decimal("12.5"),
        )
        assert order.allocations == an_order().allocations
        (book,) = found.books
        assert (book.strategy, book.quantity, book.cost_usd) == ("momentum", Decimal("2.5"), Decimal("455.3085"))
        assert found.known_executions == (("b-1", Decimal("2.5")),)
        assert found.cash_usd == Decimal("99544.8115")
        assert found.guards is not None
        assert found.guards.causes == a_guard().causes
        assert found.guards.high_water_mark_usd == Decimal("100000.12")
        assert found.locks == (("BAC", "drift seen twice"),)
        assert found.last_stop_ns == NOON_NS
        assert not found.is_first_start

    on_database(dsn, script)


@pytest.mark.invariant("I30")
def test_recovering_twice_is_recovering_once(dsn: str):
    async def script(db: Database) -> None:
        await write(db, *one_of_each())
        assert await restored(db) == await restored(db)

    on_database(dsn, script)


@pytest.mark.fault("F2")
def test_an_intent_whose_order_was_never_written_comes_back_as_unknown(dsn: str):
    async def script(db: Database) -> None:
        lease = Lease(db, "A")
        epoch = await lease.acquire()
        for number in (1, 2):
            await IntentStore(db).commit(an_approved(number), payload=b"{}", epoch=epoch)
        await write(db, an_order(status="FILLED", is_final=True))
        found = await restored(db)
        assert [(order.client_order_id, order.status) for order in found.orders] == [
            (an_approved(2).intent.client_order_id, "UNKNOWN")
        ]
        assert found.orders[0].limit_price == Decimal("182.13")
        await lease.release()

    on_database(dsn, script)


@pytest.mark.invariant("I3")
def test_no_id_is_ever_given_out_twice(dsn: str):
    async def script(db: Database) -> None:
        lease = Lease(db, "A")
        epoch = await lease.acquire()
        await IntentStore(db).commit(an_approved(41), payload=b"{}", epoch=epoch)
        assert (await restored(db)).next_sequence == 42
        dropped = an_approved(99).intent.client_order_id
        await write(db, an_order(client_order_id=dropped, status="DROPPED", is_final=True))
        await write(db, an_order(client_order_id="somebody-else-zzzz", strategy="external"))
        assert (await restored(db)).next_sequence == 100
        await lease.release()

    on_database(dsn, script)


def test_final_orders_stay_where_they_are_and_others_open_ones_come_back(dsn: str):
    async def script(db: Database) -> None:
        await write(
            db,
            an_order(client_order_id="a", is_final=True, status="FILLED"),
            an_order(client_order_id="b", strategy="external"),
        )
        assert [order.client_order_id for order in (await restored(db)).orders] == ["b"]

    on_database(dsn, script)


def test_cash_counts_the_fills_after_the_last_equity_row(dsn: str):
    async def script(db: Database) -> None:
        before = a_fill(cumulative_quantity=Decimal(1), quantity=Decimal(1), price=Decimal(500))
        bought = a_fill(cumulative_quantity=Decimal(2), quantity=Decimal(2), price=Decimal(100))
        sold = a_fill(cumulative_quantity=Decimal(3), quantity=Decimal(1), price=Decimal(50), side=Side.SELL)
        await write(db, before, an_equity(cash_usd=Decimal(1_000)), bought)
        await write(db, sold)
        assert (await restored(db)).cash_usd == Decimal(850)

    on_database(dsn, script)


@pytest.mark.invariant("I19")
def test_the_newest_guards_count_and_their_history_stays(dsn: str):
    async def script(db: Database) -> None:
        await write(db, a_guard(incidents=1), a_guard(incidents=3, causes=(("operator", "pause"),)))
        found = (await restored(db)).guards
        assert found is not None
        assert (found.incidents, found.causes) == (3, (("operator", "pause"),))

    on_database(dsn, script)


def test_a_lock_that_was_lifted_does_not_come_back(dsn: str):
    async def script(db: Database) -> None:
        lock = LockRecord(**STAMPED, kind="symbol", key="BAC", reason="drift", is_locked=True)
        strategy = LockRecord(**STAMPED, kind="strategy", key="momentum", reason="rejects", is_locked=True)
        await write(db, lock, strategy)
        await write(db, LockRecord(**STAMPED, kind="symbol", key="BAC", reason="ana", is_locked=False))
        found = await restored(db)
        assert (found.locks, found.disabled_strategies) == ((), (("momentum", "rejects"),))

    on_database(dsn, script)


@pytest.mark.requirement("R163")
def test_books_of_every_strategy_come_back(dsn: str):
    async def script(db: Database) -> None:
        books: list[PositionRecord] = [a_position(), a_position(strategy="external", quantity=Decimal(-4))]
        await write(db, *books)
        assert {(book.strategy, book.quantity) for book in (await restored(db)).books} == {
            ("momentum", Decimal("2.5")), ("external", Decimal(-4)),
        }  # fmt: skip

    on_database(dsn, script)


@pytest.mark.requirement("R173")
def test_an_orders_story_runs_from_decision_to_fill(dsn: str):
    async def script(db: Database) -> None:
        lease = Lease(db, "A")
        epoch = await lease.acquire()
        await IntentStore(db).commit(an_approved(), payload=b"the bytes", epoch=epoch)
        await write(db, a_decision(), an_order(status="WORKING"), an_order(status="FILLED", is_final=True), a_fill())
        for order_id in ("qts-abcdefgh-1a2b-momentum-1", "b-1"):
            story = await History(db).order_story(order_id)
            assert story is not None
            assert story.decision == a_decision()
            assert story.intent is not None
            assert story.intent.payload == b"the bytes"
            assert [state.status for state in story.states] == ["WORKING", "FILLED"]
            assert story.fills == (a_fill(),)
        assert await History(db).order_story("never-heard-of") is None
        await lease.release()

    on_database(dsn, script)


def test_decisions_are_found_by_symbol_and_time(dsn: str):
    async def script(db: Database) -> None:
        early = a_decision(decision_id="early", venue_ns=Nanos(NOON_NS - 10), client_order_id=None)
        await write(db, early, a_decision(), a_decision(symbol="BAC", decision_id="other"))
        history = History(db)
        assert [one.decision_id for one in await history.decisions("IBM")] == ["d1", "early"]
        assert [one.decision_id for one in await history.decisions("IBM", at_ns=Nanos(NOON_NS - 5))] == ["early"]
        assert len(await history.decisions(limit=2)) == 2

    on_database(dsn, script)


def test_an_equity_curve_is_thinned_evenly_and_keeps_its_newest_point(dsn: str):
    async def script(db: Database) -> None:
        await write(db, *(an_equity(venue_ns=Nanos(number), equity_usd=Decimal(number)) for number in range(1_000)))
        curve = await History(db).equity_curve(max_points=100)
        assert len(curve) == 100
        assert curve[-1].equity_usd == Decimal(999)
        assert [one.venue_ns for one in curve] == sorted(one.venue_ns for one in curve)
        recent = await History(db).equity_curve(Nanos(990))
        assert [one.equity_usd for one in recent] == [Decimal(number) for number in range(990, 1_000)]

    on_database(dsn, script)
