"""The exchange as a program: flags, one line of talk, state that survives a kill, ordered stop."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
START_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 10.0
KEYS = {"APCA-API-KEY-ID": "PKSIM", "APCA-API-SECRET-KEY": "sim"}


def command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "quant_trading_system.cli", "exchange", "--listen", "127.0.0.1:0", *flags]


@contextlib.contextmanager
def started(state: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the exchange on a free port until the block ends; yields the process and its URL."""
    info = state / "exchange.json"
    info.unlink(missing_ok=True)
    process = subprocess.Popen(
        command("--state-dir", str(state), *flags), cwd=REPOSITORY, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline_s = time.monotonic() + START_SECONDS_MAX
        while not info.exists():
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < deadline_s, f"expected the exchange to listen within {START_SECONDS_MAX} s"
            time.sleep(0.01)
        yield process, json.loads(info.read_text())["url"]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=STOP_SECONDS_MAX)


def call(url: str, method: str = "GET", body: Any = None) -> Any:
    request = urllib.request.Request(url, method=method, headers=KEYS, data=json.dumps(body).encode() if body else None)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def refused(*flags: str) -> tuple[int, str]:
    done = subprocess.run(command(*flags), cwd=REPOSITORY, capture_output=True, text=True, timeout=START_SECONDS_MAX)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.returncode, done.stderr


GENERATED = ("--start", "2024-06-03T09:31", "--seed", "7", "--symbols", "AAPL,SPY", "--speed", "0.001")


def test_a_killed_exchange_goes_on_with_its_books_its_orders_and_its_time(tmp_path):
    with started(tmp_path, *GENERATED) as (process, url):
        order = {"symbol": "AAPL", "qty": "3", "side": "buy", "type": "market", "time_in_force": "day"}
        call(f"{url}/v2/orders", "POST", order)
        call(f"{url}/simulator/v1/clock", "POST", {"step_seconds": 60})
        resting = {**order, "symbol": "SPY", "type": "limit", "limit_price": "1", "time_in_force": "gtc"}
        acknowledged = call(f"{url}/v2/orders", "POST", {**resting, "client_order_id": "rests"})
        before = call(f"{url}/simulator/v1/ledger")
        process.kill()
        process.wait(timeout=STOP_SECONDS_MAX)
    with started(tmp_path, "--speed", "0.001") as (_, url):
        after = call(f"{url}/simulator/v1/ledger")
        assert after["executions"] == before["executions"]
        assert (after["cash"], after["positions"]) == (before["cash"], before["positions"])
        found = call(f"{url}/v2/orders:by_client_order_id?client_order_id=rests")
        assert found["id"] == acknowledged["id"]
        assert call(f"{url}/v2/clock")["timestamp"] >= "2024-06-03T09:32:00"
        call(f"{url}/simulator/v1/clock", "POST", {"step_seconds": 5})
        assert call(f"{url}/v2/orders:by_client_order_id?client_order_id=rests")["status"] == "new"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_stops_in_order_on_a_signal(tmp_path, number):
    with started(tmp_path, *GENERATED, "--key-id", "PKMINE", "--secret-key", "hush") as (process, url):
        info = json.loads((tmp_path / "exchange.json").read_text())
        assert (info["pid"], info["speed"]) == (process.pid, 0.001)
        os.kill(process.pid, number)
        _, said = process.communicate(timeout=STOP_SECONDS_MAX)
    assert process.returncode == 0
    assert len(said.splitlines()) == 1
    for word in (url, "PKMINE", "hush", "SYNTHETIC", "2024-06-03T09:31:00-04:00"):
        assert word in said
    assert not (tmp_path / "exchange.json").exists()


def test_a_fault_plan_from_a_file_is_in_force_from_the_start(tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"faults": [{"kind": "error_503", "where": "GET /v2/account", "at": 1}], "seed": 1}))
    with started(tmp_path / "state", *GENERATED, "--faults", str(plan)) as (_, url):
        with pytest.raises(urllib.error.HTTPError) as caught:
            call(f"{url}/v2/account")
        assert caught.value.code == 503
        assert call(f"{url}/v2/account")["status"] == "ACTIVE"


def test_faults_from_the_command_line_stand_behind_those_of_the_file(tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"faults": [{"kind": "latency", "where": "GET /never", "latency_ms": 5}], "seed": 1}))
    flags = ["--faults", str(plan), "--fault", "error_503@GET /v2/account:at=1", "--fault-seed", "9"]
    flags += ["--fault", "clock_skew:skew_seconds=7,scope=date", "--rate-limit-headers", "off", "--all-hours"]
    with started(tmp_path / "state", *GENERATED, *flags) as (_, url):
        told = call(f"{url}/simulator/v1/faults")
        assert [rule["kind"] for rule in told["faults"]] == ["latency", "error_503", "clock_skew"]
        assert told["seed"] == 9
        with pytest.raises(urllib.error.HTTPError) as caught:
            call(f"{url}/v2/account")
        assert caught.value.code == 503
        with urllib.request.urlopen(urllib.request.Request(f"{url}/v2/account", headers=KEYS), timeout=10) as answer:
            assert answer.headers["X-RateLimit-Limit"] is None


def test_a_deed_of_the_plan_is_not_done_again_after_a_restart(tmp_path):
    order = json.dumps({"symbol": "SPY", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"})
    flags = ("--fault", f"external_order:at_time=2024-06-03T09:32,order={order}")
    with started(tmp_path, *GENERATED, *flags) as (process, url):
        call(f"{url}/simulator/v1/clock", "POST", {"step_seconds": 120})
        assert len(call(f"{url}/simulator/v1/ledger")["executions"]) >= 1
        process.kill()
        process.wait(timeout=STOP_SECONDS_MAX)
    with started(tmp_path, "--speed", "0.001", *flags) as (_, url):
        call(f"{url}/simulator/v1/clock", "POST", {"step_seconds": 120})
        assert len(call(f"{url}/simulator/v1/ledger")["orders"]) == 1


def test_an_older_profile_and_a_paper_hosts_frames_are_flags(tmp_path):
    with started(tmp_path, *GENERATED, "--profile", "before-2026-07", "--trade-frames", "text") as (_, url):
        assert "daytrade_count" in call(f"{url}/v2/account")


def test_another_shape_on_an_old_state_directory_is_refused_by_the_name_of_its_option(tmp_path):
    with started(tmp_path, *GENERATED):
        pass
    for flags, option in (
        (("--seed", "8"), "--seed"),
        (("--cash", "5"), "--cash"),
        (("--start", "2024-06-04"), "--start"),
    ):
        code, said = refused("--state-dir", str(tmp_path), *flags)
        assert code == 4
        assert f"exchange: {option}: " in said


@pytest.mark.parametrize(
    ("flags", "code", "word"),
    [
        (("--speed", "0"), 2, "--speed"),
        (("--speed", "inf"), 2, "--speed"),
        (("--start", "tomorrow"), 2, "--start"),
        (("--cash", "-1"), 2, "--cash"),
        (("--seed", "x"), 2, "--seed"),
        (("--listen", "8090"), 2, "--listen"),
        (("--symbols", "a pl"), 2, "--symbols"),
        (("--profile", "modern"), 2, "--profile"),
        (("--rate-limit", "-1"), 2, "--rate-limit"),
        (("--key-id", "a b"), 2, "--key-id"),
        (("--fault", "gremlins"), 2, "--fault"),
        (("--fault", "latency:latency_ms=0"), 2, "latency_ms"),
        (("--fault-seed", "x"), 2, "--fault-seed"),
        (("--rate-limit-headers", "maybe"), 2, "--rate-limit-headers"),
        (("--trade-frames", "paper"), 2, "--trade-frames"),
        (("--client-ids", "never"), 2, "--client-ids"),
        (("--start", "1990-01-01"), 4, "--start"),
        (("--data", "/nowhere"), 4, "/nowhere: no such data directory"),
        (("--faults", "/nowhere"), 4, "/nowhere"),
    ],
)
def test_a_flag_that_makes_no_sense_ends_with_its_name_and_no_traceback(flags, code, word):
    found, said = refused(*flags)
    assert found == code
    assert word in said


def test_a_bad_recorded_row_ends_the_start_with_its_file_and_line(tmp_path):
    path = tmp_path / "data" / "trades" / "IBM" / "20131007.csv"
    path.parent.mkdir(parents=True)
    path.write_text("timestamp,price,size\n2013-10-07T13:30:00Z,181.5,100\n2013-10-07T19:30:00Z,zero,100\n")
    code, said = refused("--data", str(tmp_path / "data"), "--state-dir", str(tmp_path / "state"))
    assert code == 4
    assert "20131007.csv, line 3, price: expected a number, found 'zero'" in said
    assert not (tmp_path / "state" / "world.json").exists()
