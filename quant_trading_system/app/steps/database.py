"""Step 3: PostgreSQL reachable or started, schema at head, instance known, single-writer lease taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from quant_trading_system.app.inbox import Lane
from quant_trading_system.app.parts import Parts
from quant_trading_system.app.port import distribution_version
from quant_trading_system.app.progress import Progress
from quant_trading_system.app.stamps import stamps
from quant_trading_system.app.standby import stand_by
from quant_trading_system.app.supervisor import BEAT_SECONDS_MAX
from quant_trading_system.core.events import LeaseSeen
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.types import NANOS_PER_SECOND, MonoNanos, Store
from quant_trading_system.persistence.embedded import EmbeddedPostgres
from quant_trading_system.persistence.history import History
from quant_trading_system.persistence.instance import check_instance, open_instance
from quant_trading_system.persistence.latch_file import FILE_NAME
from quant_trading_system.persistence.lease import Lease
from quant_trading_system.persistence.writer import BehindWriter

FLUSH_SECONDS_MAX = 6.0
FLUSH_SECONDS_MIN = 0.5
AFTER_FLUSH_SECONDS = 3.0  # of a stop: what leaving this step, and those before it, may take
TASKS_STOP_SECONDS_MAX = 0.5
LEASE_OWNER = "lease"


@asynccontextmanager
async def database(parts: Parts) -> AsyncIterator[str]:
    """Connect, take the lease, migrate; on the way down flush what waits and give the lease back."""
    async with AsyncExitStack() as stack:
        dsn, where = await _address(parts, stack)
        parts.database = parts.edge.open_database(dsn)
        await parts.database.connect()
        stack.push_async_callback(parts.database.close)
        has_schema = await parts.edge.has_schema(dsn)
        # What is not ours is refused before anything is changed in it: no schema made, no lease taken.
        await check_instance(parts.database, mode=parts.mode.value, state_folder=parts.state_dir, has_schema=has_schema)
        if not has_schema:
            await parts.edge.bring_to_head(dsn)
        parts.latch_file = parts.edge.make_latch_file(parts.state_dir / FILE_NAME)
        epoch = await _lead(parts, stack)
        # Only who leads may change the schema, and only then is an empty database his to begin.
        revision = await parts.edge.bring_to_head(dsn)
        parts.instance = await open_instance(
            parts.database,
            mode=parts.mode.value,
            version=distribution_version(),
            state_folder=parts.state_dir,
            latch=parts.latch_file,
            at_ns=parts.clock.wall_ns(),
            make_token=parts.edge.make_token,
            epoch_before=epoch - 1,
        )
        parts.lease.adopt_epoch(parts.instance.raised_epoch)
        parts.progress = Progress(parts)
        parts.port.history = History(parts.database)
        parts.writer = BehindWriter(
            parts.database,
            on_health=lambda is_up, detail: parts.tell_store(Store.DATABASE, is_up, detail),
            fence=lambda: parts.lease.epoch,
            on_stale=parts.lease.note_refused,
            on_overflow=lambda count, is_critical: _note_overflow(parts, count, is_critical),
            on_rejected=lambda record, detail: parts.log.error(
                "record_rejected", kind=type(record).__name__, detail=detail
            ),
            on_write_seconds=lambda seconds: _note_write(parts, seconds),
            now_s=lambda: parts.clock.mono_ns() / NANOS_PER_SECOND,
            name=parts.edge.writer_name,
            probe_period_s=parts.edge.periods.writer_probe_s,
            gather_s=parts.edge.periods.writer_gather_s,
            pulse=parts.supervisor.pulse("store-writer"),
        )
        parts.supervisor.start("store-writer", parts.writer.run, owner="database", beat_seconds_max=BEAT_SECONDS_MAX)
        stack.push_async_callback(parts.supervisor.stop, "database", timeout_s=TASKS_STOP_SECONDS_MAX)
        stack.push_async_callback(_flush, parts)
        failpoint("step.database.entered")
        yield f"{where} · schema {revision} · instance {parts.instance.token} · epoch {parts.lease.epoch}"
    failpoint("step.database.left")


async def _lead(parts: Parts, stack: AsyncExitStack) -> int:
    """Take the single-writer lease, at once or, as a standby, when its holder is gone; renew it from then on."""
    parts.lease = Lease(
        parts.database,
        parts.mode.value,
        on_change=lambda *args: _tell_lease(parts, *args),
        mono_ns=parts.clock.mono_ns,
        holder=parts.edge.holder,
        pid=parts.edge.pid,
        wait_allowed=lambda: parts.healer.wait_reopening(Store.DATABASE, "the connection of the lease was lost"),
        pulse=parts.supervisor.pulse("lease"),
    )
    epoch = await (stand_by(parts) if parts.settings.trade.is_standby else parts.lease.acquire())
    stack.push_async_callback(parts.lease.release)
    parts.supervisor.start("lease", parts.lease.run, owner=LEASE_OWNER, beat_seconds_max=BEAT_SECONDS_MAX)
    stack.push_async_callback(parts.supervisor.stop, LEASE_OWNER, timeout_s=TASKS_STOP_SECONDS_MAX)
    return epoch


async def _flush(parts: Parts) -> None:
    """Write what waits; what does not get written in time is said, for it will be missing after the next start."""
    failpoint("stop.before_flush")
    seconds = max(FLUSH_SECONDS_MIN, min(FLUSH_SECONDS_MAX, parts.stop_seconds_left() - AFTER_FLUSH_SECONDS))
    if not await parts.writer.flush(seconds):
        parts.log.error("records_not_stored", waiting=parts.writer.depth, waited_s=round(seconds, 1))
    parts.progress.write_last()


async def _address(parts: Parts, stack: AsyncExitStack) -> tuple[str, str]:
    url = parts.settings.database.url
    if url is not None:
        return url.get_secret_value(), "PostgreSQL by URL"
    server = EmbeddedPostgres(parts.state_dir / "postgres")
    dsn = await server.start()
    stack.push_async_callback(server.stop)
    parts.supervisor.start(
        "embedded-postgres",
        lambda: server.supervise(
            on_down=lambda detail: parts.tell_store(Store.DATABASE, False, detail),
            on_up=lambda: parts.tell_store(Store.DATABASE, True),
            wait_allowed=lambda detail: parts.healer.wait_server_restart(Store.DATABASE, detail),
            on_failed=lambda detail: parts.healer.note_not_reopened(Store.DATABASE, detail),
        ),
        owner="database",
    )
    return dsn, "PostgreSQL embedded"


def _tell_lease(parts: Parts, held: bool, epoch: int, deadline_mono_ns: MonoNanos) -> None:
    if held:
        parts.healer.note_reopened(Store.DATABASE, "connected again, and the lease is held")
    parts.inbox.put(
        LeaseSeen(held=held, epoch=epoch, deadline_mono_ns=deadline_mono_ns, **stamps(parts.clock)), Lane.OPERATOR
    )


def _note_overflow(parts: Parts, count: int, is_critical: bool) -> None:
    parts.log.error("store_overflow", dropped=count, critical=is_critical)
    if is_critical:
        parts.tell_store(Store.DATABASE, False, f"{count} records of orders or fills did not fit the store's queue")


def _note_write(parts: Parts, seconds: float) -> None:
    if parts.metrics is not None:
        parts.metrics.on_store_write("database", seconds)
