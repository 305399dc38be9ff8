"""The embedded exchange under load: orders over REST, answers at a steady rate, a busy market, a week's memory."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

from benchmarks.bench import Bench, Goal, Unavailable
from benchmarks.children import ENVIRONMENT, ROOT, Shared, answer_of, own_python

SYMBOLS = 100
SERVER_CORE, CLIENT_CORE = 0, 1
START_SECONDS_MAX = 30.0
STEADY_PER_SECOND = 200
EXCHANGE_FLAGS = (
    *("--listen", "127.0.0.1:0", "--speed", "1", "--start", "2024-06-03T10:00"),
    *("--rate-limit", "0", "--cash", "1000000000"),
)

ORDERS = "orders granted over REST, a second"
BARE = "floor: aiohttp answering the same bytes, a second"
P99 = "answer p99 at 200 orders a second, ms"
BARE_P99 = "floor: aiohttp's answer p99 at 200 a second, ms"
PLAYED = "messages generated and matched, a second"
GENERATED = "floor: messages generated alone, a second"
GROWTH = "growth of resident memory from the second day to the fifth, MiB"
RESIDENT = "resident memory after a week, MiB"
KEPT = "the same growth with 780 orders a day, for each order, KiB"


def symbol_names(count: int = SYMBOLS) -> list[str]:
    """Names that nobody trades: AAAA, AAAB, …"""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [f"AA{letters[at // 26]}{letters[at % 26]}" for at in range(count)]


@contextmanager
def serving(command: list[str], folder: Path) -> Iterator[str]:
    """A server in a process of its own, on one core; yields its URL, which it leaves in exchange.json."""
    pinned = ["taskset", "-c", str(SERVER_CORE), *command]
    with subprocess.Popen(pinned, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as child:
        try:
            yield _url_in(folder, child)
        finally:
            child.terminate()
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()


def _url_in(folder: Path, child: subprocess.Popen[bytes]) -> str:
    info = folder / "exchange.json"
    deadline_s = monotonic() + START_SECONDS_MAX
    while not info.exists():
        if child.poll() is not None or monotonic() > deadline_s:
            raise Unavailable("the exchange did not start")
        sleep(0.02)
    found: dict[str, Any] = json.loads(info.read_text())
    return str(found["url"])


def loaded(command: list[str], folder: Path) -> dict[str, Any]:
    """What the load on one server answers."""
    if (os.cpu_count() or 1) < 2:
        raise Unavailable("needs two cores: one for the exchange, one for its clients")
    with serving(command, folder) as url:
        client = ["taskset", "-c", str(CLIENT_CORE), own_python(), "-m", "benchmarks.exchange_load", url]
        return answer_of([*client, str(STEADY_PER_SECOND)])


def run_load() -> dict[str, float]:
    with TemporaryDirectory() as name:
        flags = (*EXCHANGE_FLAGS, "--symbols", ",".join(symbol_names()), "--state-dir", name)
        exchange = loaded([own_python(), "main.py", "exchange", *flags], Path(name))
    with TemporaryDirectory() as name:
        floor = loaded([own_python(), "-m", "benchmarks.exchange_floor", name], Path(name))
    return {
        "orders_per_second": exchange["orders_per_second"],
        "p99_ms": exchange["p99_ms"],
        "bare_per_second": floor["orders_per_second"],
        "bare_p99_ms": floor["p99_ms"],
    }


def benches() -> tuple[Bench, ...]:
    load = Shared(run_load)
    played = Shared(lambda: answer_of([own_python(), "-m", "benchmarks.exchange_work", "play"]))
    week = Shared(lambda: answer_of([own_python(), "-m", "benchmarks.exchange_work", "quiet-week"]))
    busy = Shared(lambda: answer_of([own_python(), "-m", "benchmarks.exchange_work", "busy-week"]))
    return (
        Bench(
            name="exchange-orders",
            title="The exchange: orders over REST, 32 in flight, 100 symbols, 50 resting orders, journal on, one core",
            unit="as named",
            contenders={
                ORDERS: load.measure("orders_per_second"),
                BARE: load.measure("bare_per_second"),
                P99: load.measure("p99_ms"),
                BARE_P99: load.measure("bare_p99_ms"),
            },
            goals=(
                Goal(says="orders a second", of=ORDERS, bound=2_000, is_met_by="at least"),
                Goal(says="of a server without any work", of=ORDERS, to=BARE),
                Goal(says="answer p99", of=P99, bound=20.0),
            ),
        ),
        Bench(
            name="exchange-market",
            title="The exchange: market data generated and matched in process, 100 symbols, 50 resting orders",
            unit="as named",
            contenders={PLAYED: played.measure("played"), GENERATED: played.measure("generated")},
            goals=(
                Goal(says="messages a second", of=PLAYED, bound=200_000, is_met_by="at least"),
                Goal(says="of generating alone", of=PLAYED, to=GENERATED),
            ),
        ),
        Bench(
            name="exchange-week",
            title="The exchange: memory over a simulated week of the default world",
            unit="as named",
            contenders={
                GROWTH: week.measure("growth_mib"),
                RESIDENT: week.measure("resident_mib"),
                KEPT: busy.measure("kept_kib"),
            },
            goals=(Goal(says="flat: growth over three days", of=GROWTH, bound=8.0),),
            rounds=1,
        ),
    )
