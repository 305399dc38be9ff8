"""Step 2: logs, metrics and the HTTP server up; a test alert accepted by every channel."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from quant_trading_system.app.parts import Parts
from quant_trading_system.app.port import Port, distribution_version
from quant_trading_system.app.record_log import RecordLog
from quant_trading_system.core.errors import ExitCode, OperatorError
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.dashboard.hub import EventHub
from quant_trading_system.dashboard.routes import make_app
from quant_trading_system.dashboard.serve import serving
from quant_trading_system.observability.alerts import Alerts
from quant_trading_system.observability.health import ENGINE, LOOP, Health
from quant_trading_system.observability.logs import configure, get_logger, log_uncaught
from quant_trading_system.observability.metrics import Metrics
from quant_trading_system.observability.webhook import Neutral, Webhook
from quant_trading_system.persistence.files import write_atomically

LOOP_BEAT_PERIOD_S = 1.0
DAEMON_FILE = "daemon.json"
ALERTS_FLUSH_SECONDS_MAX = 1.0


@asynccontextmanager
async def observability(parts: Parts) -> AsyncIterator[str]:
    """Configure logs, open the HTTP server, try the alert channels."""
    settings = parts.settings
    parts.logs = configure(
        level=settings.logging.level,
        format=settings.logging.format,
        stream=sys.stderr,
        context={"mode": parts.mode.value, "run_id": f"{parts.clock.wall_ns():x}"},
    )
    secrets = [parts.control_token]
    if parts.keys is not None:
        secrets += [parts.keys.key_id, parts.keys.secret_key]
    for secret in secrets:
        parts.logs.redactor.register(secret)
    parts.log = get_logger("daemon")
    parts.record_log = RecordLog(get_logger("engine"))
    sys.excepthook = log_uncaught
    parts.metrics = Metrics(version=distribution_version(), mode=parts.mode.value)
    parts.health = Health(parts.clock.mono_ns)
    parts.health.heartbeat("start")
    parts.port = Port(
        mode=parts.mode,
        clock=parts.clock,
        inbox=parts.inbox,
        report=parts.report,
        health=parts.health,
        metrics=parts.metrics,
    )
    parts.alerts = _alerts(parts)
    result = await parts.alerts.test()
    if result != "ok":
        raise OperatorError(
            f"the alert webhook refused a test alert: {result}",
            fix="correct alerts.webhook_url, or unset it",
            exit_code=ExitCode.CONFIGURATION,
        )
    parts.supervisor.start("alerts", parts.alerts.run, owner="observability", is_critical=False)
    parts.supervisor.start("loop-beat", lambda: _beat(parts), owner="observability", is_critical=False)
    async with _http(parts):
        failpoint("step.observability.entered")
        try:
            yield f"http://{parts.http_address}/ · logs {settings.logging.level}"
        finally:
            await parts.alerts.flush(ALERTS_FLUSH_SECONDS_MAX)
    failpoint("step.observability.left")


async def _beat(parts: Parts) -> None:
    """Show life for as long as no engine does: while the daemon starts, and while it stands by."""
    while True:
        parts.health.heartbeat(LOOP)
        if parts.health.age_s(ENGINE) is None and parts.notifier.watchdog_interval_s is not None:
            parts.notifier.watchdog()
        await asyncio.sleep(LOOP_BEAT_PERIOD_S)


def _alerts(parts: Parts) -> Alerts:
    settings = parts.settings.alerts
    assert parts.metrics is not None, "metrics come before alerts"
    neutral = Neutral(lambda: _known_symbols(parts), lambda: parts.account_number) if settings.neutral else None
    return Alerts(
        parts.clock,
        webhook=None if settings.webhook_url is None else Webhook(settings.webhook_url.get_secret_value()),
        neutral=neutral,
        source={"mode": parts.mode.value},
        on_sent=parts.metrics.on_alert_sent,
    )


def _known_symbols(parts: Parts) -> list[str]:
    view = parts.port.view()
    return [] if view is None else [str(data.symbol) for data in view.data]


@asynccontextmanager
async def _http(parts: Parts) -> AsyncIterator[None]:
    """Listen, and write the address where the CLI finds it."""
    host, _, port = parts.settings.http.listen.rpartition(":")
    bare = host.strip("[]")
    parts.hub = EventHub()
    app = make_app(
        parts.port, token=parts.control_token, allowed_hosts={bare, "localhost", "127.0.0.1", "::1"}, hub=parts.hub
    )
    async with serving(app, host=bare, port=int(port)) as bound:
        parts.http_address = f"{host}:{bound}"
        content = {"http": parts.http_address, "pid": os.getpid(), "mode": parts.mode.value}
        write_atomically(parts.state_dir / DAEMON_FILE, msgspec.json.encode(content) + b"\n")
        yield
