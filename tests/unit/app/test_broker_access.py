"""How the daemon reaches the broker: with whose keys, with what is left of the minute, by whose clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from quant_trading_system.adapters.alpaca.limits import Lane, RequestBudget
from quant_trading_system.app.daemon import Daemon
from quant_trading_system.app.options import TradeOptions
from quant_trading_system.app.steps.broker_access import _open_http
from quant_trading_system.core.types import Mode
from tests.support.virtual_loop import run_virtual
from tests.unit.adapters.builders import LoopClock

PER_MINUTE, RESERVED = 40, 10


async def budget_of_a_process(state_dir: Path) -> RequestBudget:
    """What a daemon on this state directory is given."""
    budgets: list[RequestBudget] = []

    @asynccontextmanager
    async def make_http(*_where: object, budget: RequestBudget, **_how: object) -> Any:
        budgets.append(budget)
        yield SimpleNamespace()

    parts: Any = SimpleNamespace(
        settings=SimpleNamespace(
            broker=SimpleNamespace(requests_per_minute=PER_MINUTE, requests_reserved_per_minute=RESERVED)
        ),
        metrics=SimpleNamespace(on_request=None, set_breaker=None),
        keys=None,
        mode=Mode.SIM,
        edge=SimpleNamespace(make_http=make_http),
        endpoints=None,
        clock=LoopClock(),
        state_dir=state_dir,
        rng=None,
        log=None,
    )
    async with AsyncExitStack() as stack:
        await _open_http(parts, stack)
    return budgets[0]


@pytest.mark.invariant("I8")
def test_a_daemon_that_is_started_again_goes_on_in_the_minute_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def at_once(work: Callable[..., None], *arguments: Any) -> None:
        work(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", at_once)

    async def scenario() -> list[int]:
        left = []
        for _ in range(2):
            budget = await budget_of_a_process(tmp_path)
            left.append(budget.remaining)
            for _ in range(10):
                await budget.acquire(Lane.ORDER, 0.0)
        return left

    assert run_virtual(scenario()) == [PER_MINUTE, PER_MINUTE - 10]


@pytest.mark.fault("H1")
def test_before_the_broker_told_its_time_a_daemon_stamps_nothing_with_a_time_of_its_own():
    daemon = Daemon(TradeOptions(mode=Mode.PAPER))
    assert daemon._parts.clock.venue_ns() == 0
