"""Signs of life: heartbeats, the loop's lag, and what systemd is told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path

import pytest

from quant_trading_system.observability.health import Health
from quant_trading_system.observability.loop_lag import LoopLag
from quant_trading_system.observability.systemd import Notifier
from tests.support.virtual_loop import run_virtual

SECOND = 1_000_000_000


class Mono:
    def __init__(self) -> None:
        self.now_ns = 5 * SECOND

    def __call__(self) -> int:
        return self.now_ns


def test_the_daemon_lives_while_the_engine_loop_advances():
    mono = Mono()
    health = Health(mono)
    health.heartbeat("engine")
    mono.now_ns += 9 * SECOND
    assert health.livez()[0]
    mono.now_ns += 2 * SECOND
    is_alive, detail = health.livez()
    assert not is_alive
    assert "11.0 s" in detail


def test_another_heart_does_not_keep_a_stalled_engine_alive():
    mono = Mono()
    health = Health(mono)
    health.heartbeat("engine")
    mono.now_ns += 30 * SECOND
    health.heartbeat("loop")
    assert not health.livez()[0]
    assert health.ages_s() == {"engine": 30.0, "loop": 0.0}


def test_before_the_engine_runs_the_event_loop_decides():
    mono = Mono()
    health = Health(mono)
    assert health.livez()[0]
    mono.now_ns += 60 * SECOND
    assert not health.livez()[0]
    health.heartbeat("loop")
    assert health.livez()[0]


def test_a_stall_is_one_late_sample():
    async def scenario() -> LoopLag:
        loop = asyncio.get_running_loop()
        stalled_ns = 0

        def mono_ns() -> int:
            return int(loop.time() * SECOND) + stalled_ns

        lag = LoopLag(mono_ns, period_s=0.1)
        async with asyncio.timeout(5):
            async with asyncio.TaskGroup() as group:
                sampler = group.create_task(lag.run())
                await asyncio.sleep(1.05)
                stalled_ns = SECOND // 2  # half a second passed in which the loop did nothing
                await asyncio.sleep(1)
                sampler.cancel()
        return lag

    lag = run_virtual(scenario())
    assert lag.max_s == pytest.approx(0.5, abs=0.06)
    assert lag.quantile_s(0.5) == pytest.approx(0, abs=1e-6)
    assert lag.take_worst_s() == lag.max_s
    assert lag.take_worst_s() == 0
    assert lag.latest_s == pytest.approx(0, abs=1e-6)


def test_the_lag_window_is_bounded_and_every_sample_is_told():
    async def scenario() -> tuple[LoopLag, list[float]]:
        loop = asyncio.get_running_loop()
        told: list[float] = []
        lag = LoopLag(lambda: int(loop.time() * SECOND), on_sample=told.append, period_s=0.1, samples_max=5)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(lag.run(), 2.05)
        return lag, told

    lag, told = run_virtual(scenario())
    assert len(told) == 20
    assert lag.quantile_s(0.99) < 1e-6


@pytest.fixture(params=["path", "abstract"])
def notified(request, tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        name = str(tmp_path / "notify") if request.param == "path" else f"@qts-test-{os.getpid()}"
        receiver.bind(name if request.param == "path" else "\0" + name[1:])
        receiver.setblocking(False)
        yield name, lambda: receiver.recv(4_096).decode()


def test_systemd_hears_ready_status_watchdog_and_stopping(notified):
    name, received = notified
    notifier = Notifier({"NOTIFY_SOCKET": name})
    assert notifier.is_active
    assert notifier.ready("paper · 12 positions")
    assert received() == "READY=1\nSTATUS=paper · 12 positions"
    assert notifier.status("data\n0.4 s")
    assert received() == "STATUS=data 0.4 s"
    assert notifier.watchdog()
    assert received() == "WATCHDOG=1"
    assert notifier.extend_timeout(2.5)
    assert received() == "EXTEND_TIMEOUT_USEC=2500000"
    assert notifier.stopping()
    assert received() == "STOPPING=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "relative"}])
def test_without_a_socket_nothing_is_told(environ):
    notifier = Notifier(environ)
    assert not notifier.is_active
    assert not notifier.ready()
    assert notifier.failures == 0


def test_a_socket_that_is_gone_is_counted_and_stops_nothing(tmp_path: Path):
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert not notifier.watchdog()
    assert notifier.failures == 1


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "20000000"}, 10.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}, 10.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_of_what_systemd_allows(environ, expected):
    assert Notifier(environ).watchdog_interval_s == expected


def test_a_long_status_is_cut_at_a_whole_character(notified):
    name, received = notified
    Notifier({"NOTIFY_SOCKET": name}).status("é" * 500)
    assert received() == "STATUS=" + "é" * 128
