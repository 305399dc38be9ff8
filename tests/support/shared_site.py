"""An exchange, a database and a Redis, and daemons that share them, each behind a proxy that remembers what it sent."""

from __future__ import annotations

from pathlib import Path

from tests.support.daemon_process import DaemonProcess, ExchangeProcess
from tests.support.recording_proxy import RecordingProxy

SPEED = 240


def resting_flags(seconds: float) -> tuple[str, ...]:
    """Flags of an exchange that lets nearly every order rest so long before it trades: a test that looks finds one."""
    most_ms = seconds * SPEED * 1_000
    return "--set", f"latency.fill.max_ms={most_ms}", "--set", f"latency.fill.mean_ms={100 * most_ms}"


class SharedSite:
    """Starts daemons by name of their state directory; `end` ends everything."""

    def __init__(self, folder: Path, dsn: str, redis_url: str, *exchange_flags: str) -> None:
        self.folder = folder
        self.environ = {"QTS__DATABASE__URL": dsn, "QTS__REDIS__URL": redis_url}
        self.exchange = ExchangeProcess(folder / "exchange", "--speed", str(SPEED), "--seed", "3", *exchange_flags)
        self.daemons: list[DaemonProcess] = []
        self.proxies: list[RecordingProxy] = []

    def start(
        self, name: str, *flags: str, environ: dict[str, str] | None = None, log: str | None = None
    ) -> DaemonProcess:
        self.proxies.append(RecordingProxy(self.exchange.url))
        daemon = DaemonProcess(
            self.folder / name,
            "--exchange",
            self.proxies[-1].url,
            *flags,
            log=None if log is None else self.folder / log,
            environ={**self.environ, **(environ or {})},
        )
        self.daemons.append(daemon)
        return daemon

    def end(self) -> None:
        for daemon in self.daemons:
            daemon.end()
        self.exchange.end()
        for proxy in self.proxies:
            proxy.close()
