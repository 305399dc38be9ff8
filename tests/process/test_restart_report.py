"""Things happen while the daemon is down; the next start tells them, and its books hold them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quant_trading_system.persistence.database import Database
from tests.support.daemon_process import DaemonProcess, ExchangeProcess, exchange_ledger
from tests.support.stores import Servers, on_database, query, short_folder

SIGN_OF_LIFE_EVERY_S = 4.0  # a renewal of the lease each three seconds, on a busy machine


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


def stored_causes(dsn: str) -> str:
    """What keeps the last daemon from trading, as a restart would read it."""
    found: list[dict[str, Any]] = []

    async def script(db: Database) -> None:
        found.extend(await query(db, "SELECT causes::text AS causes FROM guards ORDER BY id DESC LIMIT 1"))

    on_database(dsn, script)
    return str(found[0]["causes"])


def bought(exchange: ExchangeProcess, symbol: str) -> list[dict[str, Any]]:
    return [row for row in exchange_ledger(exchange.url)["executions"] if row["symbol"] == symbol]


@pytest.mark.requirement("R037")
@pytest.mark.fault("F1")
@pytest.mark.fault("C11")
@pytest.mark.invariant("I12")
@pytest.mark.timeout(240)
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
        first.wait_for(lambda: "paused" in stored_causes(dsn), "the pause stored")
        first.kill()
        died_s = time.monotonic()
        stranger = {"symbol": "XOM", "qty": "3", "side": "buy", "type": "market", "time_in_force": "day"}
        exchange.post("external-order", stranger)
        while not any(not row["client_order_id"].startswith("qts-") for row in bought(exchange, "XOM")):
            time.sleep(0.1)
        time.sleep(2.0)  # eight venue minutes
        began_s = time.monotonic()
        second = DaemonProcess(state, "--exchange", exchange.url, log=folder / "second.log", environ=environ)
        second.wait_ready()
        restart = second.get("status")["restart"]
        lines = restart["lines"]
        assert began_s - died_s <= restart["down_seconds"] <= time.monotonic() - died_s + SIGN_OF_LIFE_EVERY_S
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
