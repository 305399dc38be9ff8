"""An exchange, a database and a Redis, and daemons that share them, each behind a proxy that remembers what it sent."""

from __future__ import annotations

from pathlib import Path

from tests.support.daemon_process import DaemonProcess, ExchangeProcess
from tests.support.recording_proxy import RecordingProxy


class SharedSite:
    """Starts daemons by name of their state directory; `end` ends everything."""

    def __init__(self, folder: Path, dsn: str, redis_url: str) -> None:
        self.folder = folder
        self.environ = {"QTS__DATABASE__URL": dsn, "QTS__REDIS__URL": redis_url}
        self.exchange = ExchangeProcess(folder / "exchange", "--speed", "240", "--seed", "3")
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
