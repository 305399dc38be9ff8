"""One worker: its own servers, one world after the other. Decides what is kept of a run that failed."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.process_campaign.kinds import KINDS
from tests.process_campaign.runs import Chain, Run
from tests.process_campaign.schedule import Job, World
from tests.process_campaign.stage import Stage
from tests.support.stores import Servers, short_folder

_ending = threading.Event()
"""Set where the campaign is interrupted: the run under way is finished, and nothing is left behind."""

Report = Callable[[Run, int, str], None]
"""Told of each run that is over: the run, the number of its world, where what is left of it is kept."""


def serve(wanted: Any, over: Any, keep: Path) -> None:
    """A worker process: worlds from one queue until it is told None, runs that are over into the other."""

    def report(run: Run, world: int, folder: str) -> None:
        over.put((run, world, folder))

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then asks us to end
    signal.signal(signal.SIGTERM, lambda *_: _ending.set())
    # Every start of a daemon would compile the package anew where the environment forbids to keep what was compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(keep.parent / "compiled")
    try:
        work(lambda: None if _ending.is_set() else wanted.get(), report, keep)
    finally:
        over.put(None)


def work(take: Callable[[], World | None], report: Report, keep: Path) -> None:
    """Run worlds until there is none left."""
    world = take()
    while world is not None:
        with short_folder() as folder:
            servers = Servers(folder)
            servers.start()
            try:
                while world is not None and run_world(world, servers, report, keep):
                    world = take()
                if world is not None:
                    world = take()  # servers that a world left in an unknown state are not used again
            finally:
                servers.stop()


def run_world(world: World, servers: Servers, report: Report, keep: Path) -> bool:
    """Run one world; a run that cannot be judged fails, and ends it. Returns whether it came to its end."""
    with short_folder() as folder:
        stage = Stage(servers, folder, seed=world.number)
        chain = Chain(stage)
        run = Run(kind="close", subject="", seed=world.number)
        try:
            for job in world.jobs:
                if _ending.is_set():
                    return False
                run = _to_run(job)
                began_s = time.monotonic()
                KINDS[run.kind].play(chain, run)
                run.took_s = time.monotonic() - began_s
                _tell(chain, world, report, keep)
            if all(KINDS[job.kind].closes for job in world.jobs):
                run = Run(kind="close", subject="books agree", seed=world.number)
                run.violations += chain.close()
                chain.over.append(run)
            elif chain.waiting:
                run.violations += chain.recover()
        except Exception as error:  # border: whatever went wrong is this run's failure, with its logs kept
            run.violations.append(f"not judged: {error!r:.2000}")
            run.violations += traceback.format_exc().splitlines()[-12:]
            chain.over += [run, *chain.waiting]
            return False
        finally:
            _tell(chain, world, report, keep)
            stage.end()
    return True


def _to_run(job: Job) -> Run:
    return Run(kind=job.kind, subject=job.subject, seed=job.seed)


def _tell(chain: Chain, world: World, report: Report, keep: Path) -> None:
    over, chain.over = chain.over, []
    for run in over:
        report(run, world.number, _keep(chain.stage, run, world, keep) if run.violations else "")


def _keep(stage: Stage, run: Run, world: World, keep: Path) -> str:
    """Logs of every daemon of the world so far, and both sides' books."""
    words = "-".join((run.kind, run.subject, str(run.seed), f"world{world.number}")).replace(" ", "_")
    folder = keep / words
    folder.mkdir(parents=True, exist_ok=True)
    for log in (*stage.logs, stage.folder / "exchange.log"):
        if log.exists():
            shutil.copyfile(log, folder / log.name)
    for name, read in (("ledger", stage.ledger), ("rows", stage.rows)):
        try:
            (folder / f"{name}.txt").write_text(str(read()))
        except Exception as error:  # border: what can be kept is kept, the failure is reported in any case
            (folder / f"{name}.txt").write_text(repr(error))
    return str(folder)
