"""The eight steps: each an async context manager with a name and a timeout, entered in order, left in reverse.

A step that fails stops the start with its reason, what to do, and an exit code; the steps before it are left in order.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field

from quant_trading_system.core.errors import ExitCode, OperatorError


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One part of the start. `enter` yields a sentence saying what is ready."""

    number: int
    name: str
    timeout_s: float
    enter: Callable[[], AbstractAsyncContextManager[str]]


@dataclass(slots=True, kw_only=True)
class StepReport:
    """What became of a step, for the console, `status` and the dashboard."""

    number: int
    name: str
    seconds: float = 0.0
    state: str = "waiting"
    detail: str = ""


@dataclass(slots=True)
class StartupReport:
    steps: list[StepReport] = field(default_factory=list)
    limit: asyncio.Timeout | None = None
    """Of the step that is being entered; a standby, which waits without end, moves it."""

    @property
    def is_done(self) -> bool:
        return bool(self.steps) and all(step.state == "ready" for step in self.steps)


class StartupFailed(OperatorError):
    """One step did not come up; those before it have been left again."""


async def serve(
    steps: Sequence[Step],
    *,
    report: StartupReport,
    on_step: Callable[[StepReport], None],
    serve_until_stopped: Callable[[], Awaitable[None]],
) -> None:
    """Enter the steps, run `serve_until_stopped`, leave the steps in reverse.

    Raises:
        StartupFailed: a step raised or took too long; the exit code is its cause's.
    """
    report.steps.extend(StepReport(number=step.number, name=step.name) for step in steps)
    async with AsyncExitStack() as stack:
        for step, entry in zip(steps, report.steps, strict=True):
            entry.state = "starting"
            started_s = time.monotonic()
            try:
                async with asyncio.timeout(step.timeout_s) as report.limit:
                    entry.detail = await stack.enter_async_context(step.enter())
            except TimeoutError as error:
                entry.state = "failed"
                raise StartupFailed(
                    f"step {step.number}/{len(steps)} {step.name}: not ready within {step.timeout_s:.0f} s",
                    fix="run `python main.py doctor`",
                    exit_code=ExitCode.TIMEOUT,
                ) from error
            except OperatorError as error:
                entry.state = "failed"
                raise StartupFailed(
                    f"step {step.number}/{len(steps)} {step.name}: {error.message}",
                    fix=error.fix,
                    exit_code=error.exit_code,
                ) from error
            except OSError as error:
                entry.state = "failed"
                raise _unusable(step, len(steps), error) from error
            entry.seconds = time.monotonic() - started_s
            entry.state = "ready"
            on_step(entry)
        await serve_until_stopped()


def _unusable(step: Step, steps: int, error: OSError) -> StartupFailed:
    """A file of the state directory that is in the way, or a system that refuses; said with its name."""
    return StartupFailed(
        f"step {step.number}/{steps} {step.name}: {error.filename or type(error).__name__}: {error.strerror or error}",
        fix="see that the state directory and what lies in it can be read and written, or give another --state-dir",
        exit_code=ExitCode.CONFIGURATION if error.filename else ExitCode.TEMPORARY,
    )
