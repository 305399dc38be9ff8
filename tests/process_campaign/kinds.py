"""The kinds of a campaign: each does one thing to a daemon that trades, and lets the chain judge what is left."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from quant_trading_system.core.failpoints import NAMES
from quant_trading_system.persistence.lease import TTL_S
from tests.process_campaign import judges
from tests.process_campaign.full_disks import fill_the_database, fill_the_disk
from tests.process_campaign.runs import ORDERED_STOP_SECONDS_MAX, REFUSED, Chain, Run
from tests.process_campaign.scripts import FIRST_STARTS, LATCHING, RENEWING, run_failpoint
from tests.process_campaign.stage import (
    READY_SECONDS_MAX,
    signal_group,
    wait_ended,
    wait_ready,
    wait_until,
)
from tests.support.stores import kill

START_SECONDS_TYPICAL = 1.5
WHILE_STARTING = (
    "step.configuration.entered",
    "step.observability.entered",
    "lease.after_take",
    "step.database.entered",
    "step.redis.entered",
    "recovery.before_load",
    "recovery.after_load",
    "trade_stream.listening",
    "reconciler.after_positions",
    "reconciler.before_tell",
    "reconciler.after_tell",
    "first_pass.before",
    "first_pass.after",
    "step.broker.entered",
    "step.risk.entered",
    "step.strategies.entered",
    "step.market_data.entered",
)
STOPS_SECONDS_MAX = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`wanted`: how many runs of each subject make a whole campaign (faults.md, figures 7 and 8)."""

    play: Callable[[Chain, Run], None]
    subjects: tuple[str, ...]
    wanted: int
    world_runs: int = 24
    """How many runs a world takes, mixed with other kinds that take as many."""
    closes: bool = True
    """Whether a last daemon of the world has to agree with the exchange to the cent; one that is killed cannot."""


def at_random(chain: Chain, run: Run) -> None:
    """`kill -9` at any instant: one in six during the start, else while it trades."""
    rng = run.rng
    if rng.random() < 1 / 6:
        daemon = chain.stage.start()
        time.sleep(rng.uniform(0.0, START_SECONDS_TYPICAL))
        run.is_trading = "\nREADY in" in daemon.output
    else:
        daemon = chain.begin(run)
        time.sleep(rng.uniform(0.0, 1.5))
    daemon.kill()
    chain.end(run)


def five_times_in_recovery(chain: Chain, run: Run) -> None:
    """A death while it trades, then five during the recoveries from it."""
    first = chain.begin(run)
    time.sleep(run.rng.uniform(0.2, 0.8))
    first.kill()
    for name in run.rng.sample(WHILE_STARTING, 5):
        daemon = chain.stage.start(name)
        code = wait_ended(daemon, READY_SECONDS_MAX)
        if code != -signal.SIGKILL:
            run.reached = False
            run.note = f"{name} was not reached: {code}"
            daemon.end()
    chain.end(run)


def stand_still(chain: Chain, run: Run) -> None:
    """SIGSTOP and SIGCONT: it goes on, or stops in order; either way its books agree afterwards."""
    daemon = chain.begin(run)
    time.sleep(run.rng.uniform(0.1, 0.8))
    pause_s = run.rng.uniform(0.2, 3.0) if run.subject == "short" else run.rng.uniform(TTL_S + 0.5, TTL_S + 3.0)
    signal_group(daemon, signal.SIGSTOP)
    time.sleep(pause_s)
    signal_group(daemon, signal.SIGCONT)
    run.violations += chain.goes_on(daemon, f"after {pause_s:.1f} s of standing still")
    daemon.kill()
    chain.end(run)


def lose_the_lease_while_standing(chain: Chain, run: Run) -> None:
    """A second daemon takes over and trades while the first stands still; woken, that one sends no byte (K2)."""
    stage = chain.stage
    first = chain.begin(run)
    time.sleep(run.rng.uniform(0.1, 0.8))
    signal_group(first, signal.SIGSTOP)
    # The broker gives an account one market-data stream, and ends that of a client which answers no ping.
    cut = {"kind": "disconnect_stream", "where": "stream:market_data", "count": 1}
    stage.exchange.post("faults", {"faults": [cut], "seed": run.seed})
    time.sleep(TTL_S + 0.3)
    stage.exchange.post("faults", {"faults": [], "seed": run.seed})
    second = stage.start(state=stage.copy_state())
    if wait_ready(second, time.monotonic()) is None:
        run.violations.append(f"takeover: the second ended with {second.popen.returncode}: {second.output[-400:]}")
    time.sleep(run.rng.uniform(0.0, 1.0))
    before = stage.rows()
    signal_group(first, signal.SIGCONT)
    code = wait_ended(first, STOPS_SECONDS_MAX)
    if code is None:
        run.violations.append(f"takeover: the former leader still runs {STOPS_SECONDS_MAX:.0f} s after it woke up")
        first.kill()
    run.note = f"the former leader ended with {code}"
    run.violations += judges.find_stale_writers(before, stage.rows(), before.epoch)
    second.kill()
    chain.end(run)


def lose_postgres(chain: Chain, run: Run) -> None:
    """PostgreSQL is stopped or killed and started again under the daemon."""
    stage = chain.stage
    daemon = chain.begin(run)
    time.sleep(run.rng.uniform(0.1, 0.8))
    server = stage.servers.postgres

    async def away() -> None:
        if run.subject == "stop":
            await server.stop()
        else:
            kill(server)
            await server.wait_died()
            await server.stop()  # gives the folder back

    stage.servers.runner.run(away())
    time.sleep(run.rng.uniform(0.0, 3.0))
    if run.rng.random() < 0.3:
        daemon.kill()
    stage.servers.runner.run(server.start())
    if daemon.popen.poll() is None:
        run.violations += chain.goes_on(daemon, "after PostgreSQL came back")
        daemon.kill()
    chain.end(run)


def lose_redis(chain: Chain, run: Run) -> None:
    """Redis is wiped, filled with nonsense, or killed and started again: nothing in it is authority."""
    stage = chain.stage
    daemon = chain.begin(run)
    time.sleep(run.rng.uniform(0.1, 0.8))
    server = stage.servers.valkey
    if run.subject == "kill":

        async def die() -> None:
            kill(server)
            await server.wait_died()
            await server.stop()  # gives the folder back

        stage.servers.runner.run(die())
        time.sleep(run.rng.uniform(0.0, 2.0))
        stage.servers.runner.run(server.start())
    else:
        stage.servers.runner.run(wipe(server.url, with_nonsense=run.subject == "nonsense"))
    run.violations += chain.goes_on(daemon, f"after Redis: {run.subject}")
    daemon.kill()
    chain.end(run)


async def wipe(url: str, *, with_nonsense: bool) -> None:
    """FLUSHALL; or every key replaced by one of another type."""
    from redis.asyncio import Redis

    client = Redis.from_url(url)
    try:
        keys = [key async for key in client.scan_iter()]
        await client.flushall()
        if with_nonsense:
            for key in keys:
                await client.rpush(key, "nonsense")
    finally:
        await client.aclose()


def jump_the_wall_clock(chain: Chain, run: Run) -> None:
    """The wall clock jumps ahead or back while it trades: no order, cancel or expiry comes of it (I33)."""
    seconds = {"hour ahead": 3_600, "hour back": -3_600, "days ahead": 172_800, "days back": -172_800, "second": 1.5}
    hit = run.rng.randint(5, 60)
    daemon = chain.begin(run, f"engine_loop.before_effects:{hit}=wall:{seconds[run.subject]}")
    time.sleep(run.rng.uniform(0.5, 2.0))
    if daemon.popen.poll() is not None:
        run.violations.append(f"wall clock: ended with {daemon.popen.returncode}: {daemon.output[-400:]}")
    daemon.kill()
    chain.end(run)


def start_two(chain: Chain, run: Run) -> None:
    """Two daemons at once: on one state directory, or on one database; one comes up, the other is refused (K1)."""
    stage = chain.stage
    other_state = stage.state if run.subject == "one state directory" else stage.copy_state()
    began_s = time.monotonic()
    first = stage.start()
    time.sleep(run.rng.choice((0.0, 0.0, 0.02, 0.2)))
    second = stage.start(state=other_state)
    wait_until(lambda: wait_ended(first, 0.0) is not None or wait_ended(second, 0.0) is not None, READY_SECONDS_MAX)
    codes = [first.popen.poll(), second.popen.poll()]
    if codes.count(REFUSED) != 1 or codes.count(None) != 1:
        run.violations.append(f"two daemons: ended with {codes}: {first.output[-300:]} | {second.output[-300:]}")
        first.end()
        second.end()
        chain.end(run)
        return
    winner = first if codes[0] is None else second
    chain.await_recovery(run, winner, began_s)
    time.sleep(run.rng.uniform(0.0, 0.5))
    winner.kill()
    chain.end(run)


def ask_to_stop(chain: Chain, run: Run) -> None:
    """SIGTERM, twice SIGTERM, or SIGINT twice, with orders under way."""
    daemon = chain.begin(run)
    time.sleep(run.rng.uniform(0.1, 1.0))
    number = signal.SIGINT if "SIGINT" in run.subject else signal.SIGTERM
    signal_group(daemon, number)
    if run.subject.startswith("two"):
        time.sleep(run.rng.uniform(0.0, 0.3))
        signal_group(daemon, number)
    code = wait_ended(daemon, ORDERED_STOP_SECONDS_MAX)
    if code is None:
        run.violations.append(f"stop: still running {ORDERED_STOP_SECONDS_MAX} s after it was asked")
        daemon.kill()
    elif code not in ((0, 130) if run.subject == "two SIGINT" else (0,)):
        run.violations.append(f"stop: ended with {code}: {daemon.output[-400:]}")
    chain.end(run)


IN_PLACE = tuple(name for name in NAMES if name not in FIRST_STARTS + LATCHING + RENEWING)
KINDS: dict[str, Kind] = {
    "random": Kind(play=at_random, subjects=("any instant",), wanted=1_000),
    "failpoint": Kind(play=run_failpoint, subjects=IN_PLACE, wanted=20),
    "first-start": Kind(play=run_failpoint, subjects=FIRST_STARTS, wanted=20, world_runs=6),
    "latch": Kind(play=run_failpoint, subjects=LATCHING, wanted=20, world_runs=1, closes=False),
    "restore": Kind(play=run_failpoint, subjects=RENEWING, wanted=20, world_runs=1, closes=False),
    "recovery": Kind(play=five_times_in_recovery, subjects=("five deaths",), wanted=20),
    "sigstop": Kind(play=stand_still, subjects=("short", "long"), wanted=100),
    "takeover": Kind(play=lose_the_lease_while_standing, subjects=("paused leader",), wanted=20),
    "postgres": Kind(play=lose_postgres, subjects=("stop", "kill"), wanted=100),
    "redis": Kind(play=lose_redis, subjects=("wipe", "nonsense", "kill"), wanted=34),
    "disk": Kind(play=fill_the_disk, subjects=("state directory",), wanted=50, world_runs=1, closes=False),
    "database-disk": Kind(play=fill_the_database, subjects=("its data",), wanted=20, world_runs=1, closes=False),
    "wall": Kind(
        play=jump_the_wall_clock,
        subjects=("hour ahead", "hour back", "days ahead", "days back", "second"),
        wanted=20,
    ),
    "two": Kind(play=start_two, subjects=("one state directory", "one database"), wanted=50),
    "stop": Kind(play=ask_to_stop, subjects=("SIGTERM", "two SIGTERM", "two SIGINT"), wanted=67),
}
