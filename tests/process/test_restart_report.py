"""Things happen while the daemon is down; the next start tells them, and its books hold them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon_process import DaemonProcess, ExchangeProcess, exchange_ledger
from tests.support.stores import Servers, short_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


@pytest.mark.requirement("R037")
@pytest.mark.fault("F1")
@pytest.mark.fault("C11")
@pytest.mark.invariant("I12")
@pytest.mark.timeout(120)
def test_a_restart_tells_what_happened_while_the_daemon_was_down(folder: Path, dsn: str, servers: Servers):
    exchange = ExchangeProcess(folder / "exchange", "--speed", "240", "--seed", "3")
    environ = {"QTS__DATABASE__URL": dsn, "QTS__REDIS__URL": servers.valkey.url}
    state = folder / "s"
    first = second = DaemonProcess(state, "--exchange", exchange.url, environ=environ)
    try:
        first.wait_ready()
        assert first.get("status")["restart"]["lines"] == ["first start: nothing to recover"]
        first.wait_for(lambda: bool(first.get("fills")["fills"]), "a fill")
        assert first.ask("control", "pause", "--reason", "lunch").returncode == 0
        first.wait_for(lambda: "paused" in first.causes(), "the pause")
        time.sleep(0.5)  # rows are written behind within a tenth of a second
        first.kill()
        died_s = time.monotonic()
        stranger = {"symbol": "XOM", "qty": "3", "side": "buy", "type": "market", "time_in_force": "day"}
        exchange.post("external-order", stranger)
        time.sleep(2.0)  # eight venue minutes
        bought = [row for row in exchange_ledger(exchange.url)["executions"] if row["symbol"] == "XOM"]
        assert any(not row["client_order_id"].startswith("qts-") for row in bought)

        second = DaemonProcess(state, "--exchange", exchange.url, log=folder / "second.log", environ=environ)
        second.wait_ready()
        restart = second.get("status")["restart"]
        lines = restart["lines"]
        assert abs(restart["down_seconds"] - (time.monotonic() - died_s)) < 10.0
        assert lines[0].startswith("down for ")
        assert f"(pid {first.pid} on " in lines[0]
        assert any(line.startswith("still REDUCING: paused") for line in lines), lines
        assert any(line.startswith("traded by somebody else: buy 3 XOM at ") for line in lines), lines
        assert all(line in second.output for line in lines[:5])
        whole = second.get("reconciliation")["restart"]
        assert whole["lines"] == lines
        assert whole == json.loads((state / "restart.json").read_text())
        second.must_agree()
        assert second.stop() == 0
    finally:
        first.end()
        second.end()
        exchange.end()
