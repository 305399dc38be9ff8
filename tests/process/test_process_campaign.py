"""The short part of the process campaigns, and that their judges see what is wrong: each is shown a tampered book."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from quant_trading_system.core.failpoints import NAMES
from tests.process_campaign import judges
from tests.process_campaign import totals as kept
from tests.process_campaign.books import Ledger, Order, OrderRow, Rows, read_snapshot, to_ledger
from tests.process_campaign.kinds import KINDS
from tests.process_campaign.runs import Chain, Run
from tests.process_campaign.schedule import Job, World, next_jobs, to_worlds
from tests.process_campaign.scripts import SCRIPTS
from tests.process_campaign.stage import Stage
from tests.process_campaign.totals import Totals
from tests.process_campaign.worker import run_world
from tests.support.daemon_process import ROOT, exchange_ledger
from tests.support.stores import Servers, short_folder

TRADING = (
    "gateway.after_intent_commit",
    "http.after_bytes",
    "gateway.before_answer",
    "writer.inside_batch",
    "trade_stream.update_told",
)
STARTING = ("recovery.after_load", "reconciler.before_tell")


def play(servers: Servers, folder: Path, *jobs: tuple[str, str]) -> list[Run]:
    """Every run of one world, the last comparison of the books with them."""
    over: list[Run] = []
    world = World(number=1, jobs=tuple(Job(kind=kind, subject=subject, seed=1) for kind, subject in jobs))
    run_world(world, servers, lambda run, _world, _folder: over.append(run), folder)
    assert len(over) == len(jobs) + all(KINDS[kind].closes for kind, _ in jobs)
    return over


def broken(runs: list[Run]) -> list[tuple[str, list[str]]]:
    return [(f"{run.kind} {run.subject}", run.violations) for run in runs if run.violations]


@pytest.mark.fault("F1")
@pytest.mark.fault("F2")
@pytest.mark.fault("F3")
@pytest.mark.invariant("I1")
@pytest.mark.invariant("I2")
@pytest.mark.invariant("I30")
def test_killed_at_any_instant_and_at_failpoints_nothing_is_doubled_lost_or_invented(servers, tmp_path):
    jobs = [("random", "any instant")] * 3 + [("failpoint", name) for name in TRADING + STARTING]
    runs = play(servers, tmp_path, *jobs)
    assert broken(runs) == []
    assert [run.subject for run in runs if run.kind == "failpoint" and not run.reached] == []
    assert any(run.in_flight for run in runs)


@pytest.mark.fault("E11")
@pytest.mark.invariant("I9")
def test_killed_while_the_latch_is_engaged_the_next_daemon_still_is_killed(servers, tmp_path):
    assert broken(play(servers, tmp_path, ("latch", "latch.engage.after_file"))) == []


@pytest.mark.fault("K2")
@pytest.mark.fault("H2")
@pytest.mark.invariant("I25")
def test_a_leader_that_stood_still_past_its_lease_sends_nothing_once_another_took_over(servers, tmp_path):
    assert broken(play(servers, tmp_path, ("takeover", "paused leader"))) == []


@pytest.mark.fault("K1")
@pytest.mark.invariant("I25")
def test_of_two_daemons_on_one_database_one_comes_up_and_one_is_refused(servers, tmp_path):
    assert broken(play(servers, tmp_path, ("two", "one database"))) == []


# the judges see

Judge = Callable[[Ledger, Rows], list[str]]


def by_rows(judge: Callable[[Rows, Ledger], list[str]]) -> Judge:
    return lambda ledger, rows: judge(rows, ledger)


@pytest.fixture(scope="module")
def world(servers: Servers) -> Iterator[Stage]:
    """A world in which a daemon traded and died."""
    with short_folder() as folder:
        stage = Stage(servers, folder, seed=2)
        try:
            daemon = Chain(stage).begin(Run(kind="random", subject="", seed=1))
            daemon.wait_for(lambda: len(daemon.get("fills")["fills"]) >= 3, "three fills")
            daemon.kill()
            yield stage
        finally:
            stage.end()


def test_the_books_that_are_judged_hold_orders_intents_and_fills(world):
    ledger, rows = world.ledger(), world.rows()
    assert ledger.orders
    assert rows.intents
    assert rows.booked
    assert rows.instance
    assert judges.find_duplicates(ledger) == judges.find_unstored(ledger, rows) == []
    assert judges.find_unbalanced(rows) == []


OTHER_SYMBOL = (
    """UPDATE intents SET payload = convert_to(replace(convert_from(payload, 'UTF8'), '"buy"', '"sell"'), 'UTF8')"""
)
ANOTHER_ID = "UPDATE orders SET client_order_id = client_order_id || 'x' WHERE status = 'FILLED'"
TAMPERINGS: dict[str, tuple[Judge, str]] = {
    "DELETE FROM intents": (judges.find_unstored, "not stored"),
    OTHER_SYMBOL: (judges.find_unstored, "other bytes"),
    "DELETE FROM fills": (judges.find_lost_fills, "lost"),
    "UPDATE fills SET quantity = quantity + 1": (by_rows(judges.find_invented_fills), "invented"),
    "UPDATE positions SET quantity = quantity + 1": (lambda _ledger, rows: judges.find_unbalanced(rows), "unbalanced"),
    ANOTHER_ID: (by_rows(judges.find_phantoms), "phantom"),
    "UPDATE orders SET strategy = 'external'": (judges.find_unclaimed, "unclaimed"),
    "DELETE FROM orders": (judges.find_unclaimed, "unclaimed"),
}


@pytest.mark.parametrize("statement", TAMPERINGS)
def test_a_tampered_database_is_reported(world, statement):
    judge, says = TAMPERINGS[statement]
    found = judge(world.ledger(), world.servers.runner.run(read_tampered(world.dsn, statement)))
    assert found
    assert all(text.startswith(says) for text in found)


async def read_tampered(dsn: str, statement: str) -> Rows:
    """The rows as they would be after the statement; the database itself stays as it was."""
    connection = await asyncpg.connect(dsn)
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
        return await read_snapshot(connection)
    finally:
        await transaction.rollback()
        await connection.close()


def test_a_tampered_ledger_is_reported(world):
    answer = exchange_ledger(world.exchange.url)
    rows = world.rows()
    again = {**answer, "orders": [*answer["orders"], {**answer["orders"][0], "id": "another"}]}
    assert judges.find_duplicates(to_ledger(again))
    gone = {**answer, "orders": [], "executions": []}
    assert judges.find_phantoms(rows, to_ledger(gone))
    assert judges.find_invented_fills(rows, to_ledger(gone))
    more = {**answer, "executions": [*answer["executions"], answer["executions"][0]]}
    assert judges.find_lost_fills(to_ledger(more), rows)


def a_ledger(**changes: Any) -> Ledger:
    order = Order(
        broker_order_id="b", client_order_id="qts-1", status="filled", filled=Decimal(5), created_at="", sent={}
    )
    fields: dict[str, Any] = {
        "orders": (order,),
        "executed": {"b": Decimal(5)},
        "positions": {"KO": Decimal(5)},
        "cash": Decimal(10),
    }
    return Ledger(**{**fields, **changes})


def test_small_differences_are_reported_each_by_its_judge():
    live = OrderRow(broker_order_id="b", status="WORKING", filled=Decimal(6))
    assert "6 shares filled, and 5" in judges.find_phantoms(Rows(instance="", orders={"qts-1": live}), a_ledger())[0]
    other = OrderRow(broker_order_id="c", status="WORKING", filled=Decimal(0))
    assert "calls it b" in judges.find_phantoms(Rows(instance="", orders={"qts-1": other}), a_ledger())[0]
    unknown = OrderRow(broker_order_id=None, status="UNKNOWN", filled=Decimal(0))
    assert judges.find_phantoms(Rows(instance="", orders={"qts-2": unknown}), a_ledger()) == []
    assert "twice" in judges.find_invented_fills(Rows(instance="", repeated_fills=("b",)), a_ledger())[0]
    assert judges.find_unequal(Rows(instance="", positions={"KO": Decimal(5)}), Decimal(10), a_ledger()) == []
    assert "cash 9" in judges.find_unequal(Rows(instance="", positions={"KO": Decimal(5)}), Decimal(9), a_ledger())[0]
    assert "KO 4" in judges.find_unequal(Rows(instance="", positions={"KO": Decimal(4)}), Decimal(10), a_ledger())[0]
    before = Rows(instance="", epochs={"qts-1": 1})
    after = Rows(instance="", epochs={"qts-1": 1, "qts-2": 2, "qts-3": 1})
    assert judges.find_stale_writers(before, after, 2) == [
        "stale writer: qts-3 was stored under epoch 1, after epoch 2 was taken"
    ]


# the campaign adds up


def test_every_failpoint_has_a_script_and_a_place_in_the_schedule():
    planned = {subject for name in ("failpoint", "first-start", "latch", "restore") for subject in KINDS[name].subjects}
    assert planned == set(SCRIPTS) == set(NAMES)


def test_the_furthest_behind_goes_first_and_runs_add_up_to_a_whole_campaign():
    totals = Totals(commit="x")
    wanted = sum(kind.wanted * len(kind.subjects) for kind in KINDS.values())
    jobs = next_jobs(totals, wanted, list(KINDS))
    assert {(job.kind, job.subject) for job in jobs[:150]} >= {(k, s) for k in KINDS for s in KINDS[k].subjects}
    for name, kind in KINDS.items():
        for subject in kind.subjects:
            seeds = [job.seed for job in jobs if (job.kind, job.subject) == (name, subject)]
            assert seeds == list(range(kind.wanted))
    worlds = to_worlds(jobs, 5)
    assert sorted(map(str, (job for world in worlds for job in world.jobs))) == sorted(map(str, jobs))
    for world in worlds:
        assert len({KINDS[job.kind].world_runs for job in world.jobs}) == 1


def test_totals_of_a_commit_go_on_where_they_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "FOLDER", tmp_path)
    totals = kept.load("abc")
    good = Run(kind="random", subject="any instant", seed=0, is_trading=True, in_flight=True, ready_s=1.2, active_s=1.3)
    totals.add(good, world=1, kept="")
    totals.add(Run(kind="failpoint", subject="x", seed=3, reached=False, violations=["lost: 5"]), world=2, kept="k")
    kept.save(totals)
    again = kept.load("abc")
    assert msgspec.to_builtins(again) == msgspec.to_builtins(totals)
    assert (again.of("random", "any instant").done, again.of("failpoint", "x").missed) == (1, 1)
    said = kept.summary(again)
    assert "p50 1300 ms" in said
    assert "FAILED failpoint 'x' seed 3 world 2" in said
    assert kept.is_ready_in_time(again)
    again.add(Run(kind="random", subject="any instant", seed=1, ready_s=6.0, active_s=6.0), world=1, kept="")
    assert not kept.is_ready_in_time(again)


def test_the_command_refuses_what_it_does_not_know():
    ended = subprocess.run(
        [sys.executable, "-m", "tests.process_campaign", "--kinds", "nonsense"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 2
    assert "--kinds takes random, failpoint" in ended.stderr
