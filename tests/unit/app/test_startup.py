"""The eight steps: entered in order, left in reverse, a failure names its step and keeps its exit code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from quant_trading_system.app.startup import StartupFailed, StartupReport, Step, serve
from quant_trading_system.core.errors import ExitCode, SafetyRefusal
from tests.support.virtual_loop import run_virtual


class Recorder:
    """Steps that write down when they are entered and left."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def step(self, number: int, name: str, *, error: Exception | None = None, seconds: float = 0.0) -> Step:
        @asynccontextmanager
        async def enter() -> AsyncIterator[str]:
            await asyncio.sleep(seconds)
            if error is not None:
                raise error
            self.events.append(f"enter {name}")
            try:
                yield f"{name} is ready"
            finally:
                self.events.append(f"leave {name}")

        return Step(number=number, name=name, timeout_s=5.0, enter=enter)


def run(steps: list[Step], recorder: Recorder) -> StartupReport:
    report = StartupReport()

    async def until_stopped() -> None:
        recorder.events.append("trade")

    run_virtual(serve(steps, report=report, on_step=lambda entry: None, serve_until_stopped=until_stopped))
    return report


@pytest.mark.requirement("R032")
@pytest.mark.requirement("R031")
def test_steps_are_entered_in_order_and_left_in_reverse():
    recorder = Recorder()
    report = run([recorder.step(1, "one"), recorder.step(2, "two", seconds=1.5)], recorder)
    assert recorder.events == ["enter one", "enter two", "trade", "leave two", "leave one"]
    assert report.is_done
    assert [(step.state, step.detail) for step in report.steps] == [
        ("ready", "one is ready"),
        ("ready", "two is ready"),
    ]


@pytest.mark.requirement("R027")
def test_a_step_that_fails_leaves_the_earlier_ones_and_keeps_its_exit_code():
    recorder = Recorder()
    refusal = SafetyRefusal("the lease is held", fix="stop the other daemon")
    steps = [recorder.step(1, "one"), recorder.step(2, "two", error=refusal), recorder.step(3, "three")]
    with pytest.raises(StartupFailed, match=r"step 2/3 two: the lease is held") as caught:
        run(steps, recorder)
    assert caught.value.exit_code is ExitCode.SAFETY
    assert caught.value.fix == "stop the other daemon"
    assert recorder.events == ["enter one", "leave one"]


def test_a_step_that_is_not_ready_in_time_fails_the_start():
    recorder = Recorder()
    with pytest.raises(StartupFailed, match="slow: not ready within 5 s") as caught:
        run([recorder.step(1, "slow", seconds=6.0)], recorder)
    assert caught.value.exit_code is ExitCode.TIMEOUT
