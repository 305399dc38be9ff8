"""Everything a run of the daemon is made of, filled in step by step. Wires; decides nothing."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from quant_trading_system.app.clocks import SystemClock
from quant_trading_system.app.edge import Edge
from quant_trading_system.app.healing import Healer
from quant_trading_system.app.inbox import LANE_NAMES, Inbox, Lane
from quant_trading_system.app.options import TradeOptions
from quant_trading_system.app.report import SessionTally, build_report, write_report
from quant_trading_system.app.stamps import stamps
from quant_trading_system.app.startup import StartupReport
from quant_trading_system.core.clock import to_new_york
from quant_trading_system.core.errors import OperatorError
from quant_trading_system.core.events import StoreSeen
from quant_trading_system.core.records import AlertRecord, Record
from quant_trading_system.core.types import NANOS_PER_SECOND, Mode, Store
from quant_trading_system.core.views import EngineView
from quant_trading_system.observability.systemd import Notifier
from quant_trading_system.persistence.files import write_atomically

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from quant_trading_system.adapters.alpaca.credentials import Credentials
    from quant_trading_system.adapters.alpaca.hosts import Endpoints
    from quant_trading_system.adapters.alpaca.http import AlpacaHttp
    from quant_trading_system.adapters.alpaca.read import ReadClient
    from quant_trading_system.adapters.alpaca.trade_stream import TradeStream
    from quant_trading_system.app.exchange_process import ExchangeProcess
    from quant_trading_system.app.gateway import OrderGateway
    from quant_trading_system.app.kill_latch import KillLatch
    from quant_trading_system.app.performers import Performers
    from quant_trading_system.app.port import Port
    from quant_trading_system.app.progress import Progress
    from quant_trading_system.app.reconciler import Reconciler
    from quant_trading_system.app.record_log import RecordLog
    from quant_trading_system.app.restart_report import RestartTally
    from quant_trading_system.app.settings import BrokerKeys, Loaded, Settings
    from quant_trading_system.app.supervisor import Supervisor, TaskEnded
    from quant_trading_system.dashboard.hub import EventHub
    from quant_trading_system.engine.engine import Engine
    from quant_trading_system.observability.alerts import Alerts
    from quant_trading_system.observability.health import Health
    from quant_trading_system.observability.logs import LogSetup
    from quant_trading_system.observability.metrics import Metrics
    from quant_trading_system.persistence.database import Database
    from quant_trading_system.persistence.instance import Instance
    from quant_trading_system.persistence.latch_file import LatchFile
    from quant_trading_system.persistence.lease import Lease
    from quant_trading_system.persistence.redis_state import RedisState
    from quant_trading_system.persistence.tape import TapeWriter
    from quant_trading_system.persistence.writer import BehindWriter

RESTART_FILE = "restart.json"


@dataclass(slots=True, kw_only=True)
class Parts:
    """Attributes without a default appear as their step comes up; a step uses what earlier steps made."""

    options: TradeOptions
    clock: SystemClock
    inbox: Inbox
    report: StartupReport
    request_stop: Callable[[str], None]
    fail: Callable[[OperatorError], None]
    on_task_ended: Callable[[TaskEnded], None]
    edge: Edge = field(default_factory=Edge)
    notifier: Notifier = field(default_factory=lambda: Notifier(os.environ))
    tally: SessionTally = field(default_factory=SessionTally)
    rng: random.Random = field(default_factory=random.Random)
    """Jitter of retries and back-offs; nothing that is decided depends on it."""
    is_ready: bool = False
    is_engine_running: bool = False
    stop_by_ns: int | None = None
    """When a stop that was asked for must be over, in monotonic time."""
    healer: Healer = field(init=False)

    group: asyncio.TaskGroup = field(init=False)
    supervisor: Supervisor = field(init=False)
    # 1
    loaded: Loaded = field(init=False)
    state_dir: Path = field(init=False)
    control_token: str = field(init=False)
    # 2
    logs: LogSetup = field(init=False)
    log: FilteringBoundLogger = field(init=False)
    record_log: RecordLog = field(init=False)
    metrics: Metrics | None = None
    alerts: Alerts = field(init=False)
    health: Health = field(init=False)
    port: Port = field(init=False)
    hub: EventHub = field(init=False)
    http_address: str = ""
    # 3
    database: Database = field(init=False)
    instance: Instance = field(init=False)
    latch_file: LatchFile = field(init=False)
    lease: Lease = field(init=False)
    writer: BehindWriter = field(init=False)
    progress: Progress = field(init=False)
    restart: RestartTally | None = None
    # 4
    redis: RedisState = field(init=False)
    # 5
    exchange: ExchangeProcess | None = None
    endpoints: Endpoints = field(init=False)
    credentials: Credentials = field(init=False)
    http: AlpacaHttp = field(init=False)
    read: ReadClient = field(init=False)
    account_number: str = ""
    tape: TapeWriter = field(init=False)
    engine: Engine = field(init=False)
    trade_stream: TradeStream = field(init=False)
    gateway: OrderGateway = field(init=False)
    reconciler: Reconciler = field(init=False)
    latch: KillLatch = field(init=False)
    performers: Performers = field(init=False)

    @property
    def mode(self) -> Mode:
        return self.options.mode

    @property
    def settings(self) -> Settings:
        return self.loaded.settings

    @property
    def keys(self) -> BrokerKeys | None:
        return self.loaded.keys

    def stop_seconds_left(self) -> float:
        """Of a stop that was asked for; infinite where none was, as where a start failed."""
        return inf if self.stop_by_ns is None else (self.stop_by_ns - self.clock.mono_ns()) / NANOS_PER_SECOND

    # what many parts tell

    def tell_store(self, store: Store, is_up: bool, detail: str = "") -> None:
        self.inbox.put(StoreSeen(store=store, is_up=is_up, detail=detail, **stamps(self.clock)), Lane.ORDERS)

    def remember(self, record: Record) -> None:
        """One row of the engine: stored behind, logged, counted, shown; alerts go out."""
        self.writer.put(record)
        self.progress.keep(record)
        if self.restart is not None and self.restart.keep(record):
            self.keep_restart()
        self.record_log.write(record)
        self.tally.keep(record)
        self.port.keep(record)
        self.hub.publish_record(record)
        if self.metrics is not None:
            self.metrics.on_record(record)
        if isinstance(record, AlertRecord):
            self.alerts.send(record.severity, record.code, record.text, record.context)

    def keep_restart(self) -> None:
        """Keep the newest restart report where it is found when the daemon is down, and where the API reads it."""
        assert self.restart is not None, "there is a report to keep"
        self.port.restart = self.restart.report
        try:
            write_atomically(
                self.state_dir / RESTART_FILE, msgspec.json.format(msgspec.json.encode(self.restart.report)) + b"\n"
            )
        except OSError as error:
            self.log.error("restart_report_not_written", reason=str(error))

    def note_component_error(self, component: str) -> None:
        if self.metrics is not None:
            self.metrics.on_component_error(component)

    def __post_init__(self) -> None:
        self.healer = Healer(inbox=self.inbox, clock=self.clock, is_engine_running=lambda: self.is_engine_running)

    def note_healing(self, action: str, outcome: str) -> None:
        """Something that is no part of the daemon was mended: counted, and no matter of its budget."""
        if self.metrics is not None:
            self.metrics.healing(action, outcome)

    def note_dropped(self, lane: Lane, count: int) -> None:
        if self.metrics is not None:
            self.metrics.inc_inbox_dropped(LANE_NAMES[lane], count)

    # what a person reads

    def banner(self) -> str:
        """One line: mode, band, account, what is traded."""
        view = self.engine.view()
        equity = view.money.equity_usd
        band = f" · {self.port.band}" if self.port.band else ""
        dry = " · DRY RUN" if self.settings.trade.is_dry_run else ""
        money = "" if equity is None else f" · equity ${equity:,.2f}"
        return (
            f"{self.mode.upper()}{band}{dry} · account {self.account_number}{money} · "
            f"{len(view.strategies)} strategies · {len(view.data)} symbols · {view.state}"
        )

    def status_line(self) -> str:
        """For systemd STATUS and the process title of a log: one human line."""
        view: EngineView = self.engine.view()
        ages = [age for age in view.stream_last_message_age_s.values() if age is not None]
        data = f"data {min(ages):.1f} s" if ages else "no data yet"
        held = sum(1 for position in view.positions if position.quantity)
        return f"{self.mode} · {view.state} · {held} positions · {data} · {to_new_york(view.venue_ns):%H:%M} New York"

    def write_report(self, view: EngineView, stop_reason: str) -> None:
        """Write the session's report where `--output` asked for one."""
        path = self.settings.trade.output
        if path is None:
            return
        try:
            write_report(path, build_report(view, self.tally, account=self.account_number, stop_reason=stop_reason))
        except OperatorError as error:
            self.fail(error)
