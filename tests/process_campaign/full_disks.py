"""The kinds with a full disk: of the state directory, and of the database."""

from __future__ import annotations

import asyncio
import time

from quant_trading_system.persistence.embedded import EmbeddedPostgres
from tests.process_campaign.disk import DATABASE_MEGABYTES, SmallDisk, full_disk
from tests.process_campaign.runs import TEMPORARY, Chain, Run
from tests.process_campaign.scripts import engage
from tests.process_campaign.stage import status, wait_until


def fill_the_disk(chain: Chain, run: Run) -> None:
    """The state directory's disk is full at byte k: the daemon lives or ends cleanly, and the kill latch works."""
    stage = chain.stage
    with full_disk(stage.folder / f"disk{len(stage.logs)}", room=run.rng.randint(1, 200_000)) as disk:
        stage.copy_state_to(disk.folder)
        daemon = chain.begin(run, state=disk.folder)
        time.sleep(0.5)
        disk.fill(daemon.pid)
        time.sleep(run.rng.uniform(0.5, 2.0))
        code = daemon.popen.poll()
        run.note = f"{disk.way}, {'lives' if code is None else f'ended with {code}'}"
        if code is not None and code not in (4, TEMPORARY):
            run.violations.append(f"disk full: ended with {code}: {daemon.output[-400:]}")
        if code is None:
            engage(daemon, run)
            if not wait_until(lambda: stage.latch_file(disk.folder) == "ENGAGED", 5.0):
                run.violations.append(f"disk full: the latch file says {stage.latch_file(disk.folder)} after a kill")
        daemon.kill()
        disk.free()
        chain.end(run)
        (disk.folder / "KILL").unlink(missing_ok=True)
        again = Run(kind=run.kind, subject=run.subject, seed=run.seed)
        recovered = chain.begin(again, state=disk.folder)
        run.violations += again.violations
        causes = {cause["cause"] for cause in status(recovered).get("causes", [])}
        if code is None and "kill" not in causes:
            run.violations.append(f"disk full: the latch was engaged, and the next daemon has causes {sorted(causes)}")
        recovered.kill()


def fill_the_database(chain: Chain, run: Run) -> None:
    """PostgreSQL's disk is full at byte k: without an intent no order; with room again it goes on."""
    stage = chain.stage
    with full_disk(stage.folder / "database", room=run.rng.randint(0, 100_000), megabytes=DATABASE_MEGABYTES) as disk:
        if not isinstance(disk, SmallDisk):
            run.reached, run.note = False, "a full disk of the database needs the right to mount one"
            return
        server = EmbeddedPostgres(disk.folder)
        stage.begin_anew(stage.servers.runner.run(server.start()))
        try:
            daemon = chain.begin(run)
            time.sleep(run.rng.uniform(0.2, 1.0))
            disk.fill(daemon.pid)
            time.sleep(run.rng.uniform(1.0, 3.0))
            run.note = f"{status(daemon).get('trading_state')} while it was full"
            disk.free()
            stage.servers.runner.run(revive(server))
            run.violations += chain.goes_on(daemon, "after the database's disk had room again")
            daemon.kill()
            chain.end(run)
            again = Run(kind=run.kind, subject=run.subject, seed=run.seed)
            chain.begin(again).kill()
            run.violations += again.violations
        finally:
            stage.servers.runner.run(server.stop())


async def revive(server: EmbeddedPostgres) -> None:
    """Start it again where the full disk ended it."""
    try:
        await asyncio.wait_for(server.wait_died(), 1.0)
    except TimeoutError:
        return
    await server.stop()
    await server.start()
