"""One world of the campaign: a database, an exchange, a state directory, and the daemons that live and die in it.

Servers belong to the worker and are kept up across worlds; a world is used for a few dozen runs and then left, so that
its books stay small and a day's limits do not end its trading.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from quant_trading_system.persistence.instance import TOKEN_FILE_NAME
from quant_trading_system.persistence.latch_file import FILE_NAME, LatchFile
from tests.process_campaign.books import Ledger, Rows, read_rows, to_ledger
from tests.support.daemon_process import HTTP_SECONDS_MAX, DaemonProcess, ExchangeProcess, exchange_ledger
from tests.support.stores import Servers

SPEED = 240  # a venue minute, and with it a bar of every symbol, in a quarter of a second
SYMBOLS = "AAPL,AMZN,CRM,JPM,KO,META,MSFT,QQQ,SPY,WMT,XOM,GOOGL"
LATENCIES = {
    "latency.acknowledge.mean_ms": 8_000,
    "latency.acknowledge.max_ms": 30_000,
    "latency.fill.mean_ms": 30_000,
    "latency.fill.max_ms": 120_000,
    "latency.cancel.mean_ms": 12_000,
    "latency.cancel.max_ms": 60_000,
}
"""In venue time, 240 times as fast as ours: an order lives some 150 ms, so that most deaths meet one in flight."""
CONFIGURATION = """
[portfolio]
capital_usd = 4000
[data]
warm_up_bars = 40
[risk]
exit_cooldown_minutes = 1
daily_loss_soft_fraction = 0.049
daily_loss_hard_fraction = 0.05
turnover_fraction_max = 5
orders_per_minute_max = 100
orders_per_hour_max = 2000
orders_per_day_max = 10000
orders_per_minute_per_strategy_max = 50
incidents_per_session_max = 10
session_start_offset_minutes = 0
session_end_offset_minutes = 0
[[strategies]]
id = "reverting"
kind = "mean_reversion"
weight = 0.5
sizing = "fixed_fraction"
parameters = { window = 6, entry = 0.5, exit = 0.1, cooldown_bars = 2 }
[[strategies]]
id = "following"
kind = "momentum"
weight = 0.5
sizing = "fixed_fraction"
parameters = { fast = 2, slow = 5, rsi = 3, oversold = 50, overbought = 50, strength_min = 0.0, cooldown_bars = 2 }
"""
READY_SECONDS_MAX = 30.0
COPY_SECONDS_MAX = 10.0
POLL_S = 0.01


class Stage:
    """Starts daemons, reads both sides' books, does to the servers what a kind asks for."""

    def __init__(self, servers: Servers, folder: Path, *, seed: int) -> None:
        self.servers = servers
        self.folder = folder
        self.seed = seed
        self.logs: list[Path] = []
        self.daemons: list[DaemonProcess] = []
        (folder / "campaign.toml").write_text(CONFIGURATION)
        self.state = folder / "s"
        self.dsn = servers.new_database()
        self.exchange = self._exchange("127.0.0.1:0")

    def _exchange(self, listen: str) -> ExchangeProcess:
        tuning = [part for name, value in LATENCIES.items() for part in ("--set", f"{name}={value}")]
        return ExchangeProcess(
            self.folder / "exchange",
            *("--speed", str(SPEED), "--seed", str(self.seed), "--rate-limit", "0", "--symbols", SYMBOLS, *tuning),
            listen=listen,
        )

    def restart_exchange(self) -> None:
        """Kill the exchange and start it again on its books, at the same address."""
        self.exchange.kill()
        self.exchange = self._exchange(self.exchange.url.removeprefix("http://"))

    def empty_exchange(self) -> None:
        """Another exchange at the same address, which knows no order yet."""
        self.exchange.kill()
        shutil.rmtree(self.folder / "exchange")
        self.exchange = self._exchange(self.exchange.url.removeprefix("http://"))

    def begin_anew(self, dsn: str) -> None:
        """Another database and another state directory on the same exchange, which must know no order yet."""
        self.dsn = dsn
        self.state = self.folder / f"s{len(self.logs)}"

    def copy_state(self) -> Path:
        """Another state directory that knows the same database, with the same latch: as on a second machine."""
        other = self.folder / f"s{len(self.logs)}"
        other.mkdir(mode=0o700)
        self.copy_state_to(other)
        return other

    def copy_state_to(self, other: Path) -> None:
        for name in (TOKEN_FILE_NAME, FILE_NAME):
            if (self.state / name).exists():
                shutil.copyfile(self.state / name, other / name)

    # daemons

    def start(self, failpoint: str = "", *, state: Path | None = None) -> DaemonProcess:
        """A daemon on this world; `failpoint` as `QTS_FAILPOINT` takes it."""
        log = self.folder / f"daemon-{len(self.logs):03}.log"
        self.logs.append(log)
        daemon = DaemonProcess(
            state or self.state,
            *("--exchange", self.exchange.url, "--config", str(self.folder / "campaign.toml")),
            log=log,
            environ={
                "QTS__DATABASE__URL": self.dsn,
                "QTS__REDIS__URL": self.servers.valkey.url,
                "QTS_FAILPOINT": failpoint,
            },
        )
        self.daemons.append(daemon)
        return daemon

    def end(self) -> None:
        for daemon in self.daemons:
            daemon.end()
        self.exchange.end()

    # what both sides say

    def ledger(self) -> Ledger:
        return to_ledger(exchange_ledger(self.exchange.url))

    def rows(self) -> Rows:
        return self.servers.runner.run(read_rows(self.dsn))

    def end_lease_session(self) -> None:
        """PostgreSQL ends the session that holds the lease's lock, as an administrator would."""
        self.on_database(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )

    def back_up(self) -> str:
        """A copy of the database as it is now, once the sessions of a daemon that died are gone; its DSN."""
        name = urlsplit(self.dsn).path.removeprefix("/")
        copy = f"{name}_{len(self.logs)}"
        statement = f"CREATE DATABASE {copy} TEMPLATE {name}"
        wait_until(lambda: self._has_copied(statement), COPY_SECONDS_MAX)
        return self.servers.dsn(copy)

    def _has_copied(self, statement: str) -> bool:
        try:
            self.servers.runner.run(_execute(self.servers.dsn("postgres"), statement))
        except asyncpg.ObjectInUseError:
            return False
        return True

    def on_database(self, statement: str) -> None:
        self.servers.runner.run(_execute(self.dsn, statement))

    def latch_file(self, state: Path | None = None) -> str:
        return str(LatchFile((state or self.state) / FILE_NAME).read()[0].value)


def wait_ready(daemon: DaemonProcess, began_s: float, seconds_max: float = READY_SECONDS_MAX) -> float | None:
    """Seconds from `began_s` until the daemon said READY; None where it ended before."""
    while time.monotonic() - began_s < seconds_max:
        if "\nREADY in" in daemon.output:
            return time.monotonic() - began_s
        if daemon.popen.poll() is not None:
            return None
        time.sleep(POLL_S)
    raise AssertionError(f"neither READY nor ended within {seconds_max} s:\n{daemon.output[-4000:]}")


def wait_until(is_so: Callable[[], bool], seconds_max: float, period_s: float = 0.02) -> bool:
    """Whether it came to be so in time."""
    give_up_s = time.monotonic() + seconds_max
    while not is_so():
        if time.monotonic() > give_up_s:
            return False
        time.sleep(period_s)
    return True


def wait_ended(daemon: DaemonProcess, seconds_max: float) -> int | None:
    """The exit code, negative for a signal; None where it lives on."""
    wait_until(lambda: daemon.popen.poll() is not None, seconds_max)
    return daemon.popen.returncode


def wait_stopped(daemon: DaemonProcess, seconds_max: float) -> bool:
    """Whether the process stands still by SIGSTOP, or by its own failpoint, in time."""

    def stands() -> bool:
        try:
            return Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        except OSError:
            return False

    return wait_until(lambda: stands() or daemon.popen.poll() is not None, seconds_max) and stands()


def command(daemon: DaemonProcess, verb: str, reason: str = "campaign") -> int:
    """POST /api/v1/control/<verb>; the HTTP status, 0 where nobody answers."""
    token = (daemon.state_dir / "control.token").read_text().strip()
    address = json.loads((daemon.state_dir / "daemon.json").read_text())["http"]
    request = urllib.request.Request(
        f"http://{address}/api/v1/control/{verb}",
        data=json.dumps({"operator": "campaign", "reason": reason}).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=HTTP_SECONDS_MAX) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def status(daemon: DaemonProcess) -> dict[str, Any]:
    """GET /api/v1/status, {} where nobody answers."""
    try:
        return daemon.get("status")
    except (OSError, ValueError, AssertionError):
        return {}


def signal_group(daemon: DaemonProcess, number: int) -> None:
    """A signal to the process, if it still lives."""
    if daemon.popen.poll() is None:
        os.kill(daemon.pid, number)


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
