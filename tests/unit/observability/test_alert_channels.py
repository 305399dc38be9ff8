"""Alerts: said once, never waited for, and without private words where they leave the machine."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import Mapping

import pytest

from quant_trading_system.core.types import MonoNanos, Nanos, Severity
from quant_trading_system.observability.alerts import QUEUE_MAX, Alerts
from quant_trading_system.observability.logs import configure
from quant_trading_system.observability.webhook import Neutral, Webhook
from tests.support.virtual_loop import run_virtual

SECOND = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.mono = 0

    def wall_ns(self) -> Nanos:
        return Nanos(1_795_000_000 * SECOND)

    def venue_ns(self) -> Nanos:
        return Nanos(1_381_152_600 * SECOND)

    def mono_ns(self) -> MonoNanos:
        return MonoNanos(self.mono)


class Receiver(Webhook):
    """A webhook whose other end is this list."""

    def __init__(self, answer: str = "ok", *, seconds: float = 0.0) -> None:
        super().__init__("https://alerts.example/hook")
        self.answer = answer
        self.seconds = seconds
        self.received: list[Mapping[str, object]] = []

    async def post(self, payload: Mapping[str, object]) -> str:
        await asyncio.sleep(self.seconds)
        self.received.append(payload)
        return self.answer


@pytest.fixture
def stream() -> io.StringIO:
    made = io.StringIO()
    configure("info", "json", made, environ={})
    return made


def logged(stream: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def deliver(alerts: Alerts, seconds: float = 60) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(alerts.run(), seconds)


def test_an_alert_is_a_log_line_of_its_severity(stream):
    alerts = Alerts(Clock())
    alerts.send(Severity.CRITICAL, "trading_halted", "daily loss 2.1 %", {"cause": "daily_loss_hard"})
    (line,) = logged(stream)
    assert (line["event"], line["level"], line["code"]) == ("alert", "critical", "trading_halted")
    assert alerts.recent(5)[0].code == "trading_halted"


def test_the_same_alert_within_a_minute_is_said_once_and_counted(stream):
    clock = Clock()
    alerts = Alerts(clock)
    assert [alerts.send(Severity.WARNING, "feed_silent", "no data") for _ in range(5)] == [True] + [False] * 4
    assert alerts.send(Severity.WARNING, "feed_silent", "other text")
    clock.mono += 61 * SECOND
    assert alerts.send(Severity.WARNING, "feed_silent", "no data")
    assert alerts.recent(1)[0].context == {"repeated": "4"}
    assert len(logged(stream)) == 3


def test_an_alert_reaches_the_webhook_without_the_sender_waiting(stream):
    async def scenario() -> list[Mapping[str, object]]:
        receiver = Receiver(seconds=3)
        sent: list[tuple[str, str]] = []
        alerts = Alerts(Clock(), webhook=receiver, source={"mode": "sim"}, on_sent=lambda *what: sent.append(what))
        before = asyncio.get_running_loop().time()
        alerts.send(Severity.WARNING, "feed_silent", "no data for 15 s", {"stream": "iex"})
        assert asyncio.get_running_loop().time() == before
        await deliver(alerts)
        assert sent == [("log", "ok"), ("webhook", "ok")]
        return receiver.received

    (payload,) = run_virtual(scenario())
    assert payload["mode"] == "sim"
    assert payload["code"] == "feed_silent"
    assert payload["context"] == {"stream": "iex"}


def test_a_webhook_that_refuses_is_counted_and_said(stream):
    async def scenario() -> list[tuple[str, str]]:
        sent: list[tuple[str, str]] = []
        alerts = Alerts(Clock(), webhook=Receiver("refused: status 404"), on_sent=lambda *what: sent.append(what))
        alerts.send(Severity.WARNING, "feed_silent", "no data")
        await deliver(alerts)
        assert await alerts.test() == "refused: status 404"
        return sent

    assert ("webhook", "failed") in run_virtual(scenario())
    assert "alert_not_delivered" in stream.getvalue()


def test_a_slow_webhook_costs_the_oldest_alerts_never_memory(stream):
    async def scenario() -> tuple[int, list[Mapping[str, object]]]:
        receiver = Receiver()
        sent: list[tuple[str, str]] = []
        alerts = Alerts(Clock(), webhook=receiver, on_sent=lambda *what: sent.append(what))
        for number in range(QUEUE_MAX + 10):
            alerts.send(Severity.WARNING, "x", f"number {number}")
        await deliver(alerts)
        return sent.count(("webhook", "dropped")), receiver.received

    dropped, received = run_virtual(scenario())
    assert dropped == 10
    assert len(received) == QUEUE_MAX
    assert received[0]["text"] == "number 10"


def test_on_the_way_down_what_waits_is_delivered_or_counted(stream):
    async def scenario(seconds: float) -> int:
        alerts = Alerts(Clock(), webhook=Receiver(seconds=seconds))
        for number in range(3):
            alerts.send(Severity.WARNING, "x", f"number {number}")
        return await alerts.flush(timeout_s=1)

    assert run_virtual(scenario(0.1)) == 0
    assert run_virtual(scenario(0.7)) == 1


def test_without_a_webhook_the_test_alert_is_accepted_by_the_log(stream):
    assert run_virtual(Alerts(Clock()).test()) == "ok"
    assert logged(stream)[0]["code"] == "test"


@pytest.mark.requirement("R030")
def test_neutral_mode_hides_symbols_numbers_account_and_context(stream):
    async def scenario() -> str:
        receiver = Receiver()
        neutral = Neutral(lambda: ["IBM", "BRK.B"], lambda: "PA3XYZ")
        alerts = Alerts(Clock(), webhook=receiver, neutral=neutral)
        alerts.send(
            Severity.CRITICAL,
            "drift",
            "PA3XYZ: IBM has 1,250 shares at $187.50, BRK.B -3, owner carol",
            {"symbol": "IBM", "who": "carol"},
        )
        await deliver(alerts)
        return json.dumps(receiver.received)

    sent = run_virtual(scenario())
    for private in ("PA3XYZ", "IBM", "BRK", "1,250", "187", "carol"):
        assert private not in sent
    assert "drift" in sent
    assert "IBM" in stream.getvalue()


@pytest.mark.parametrize("url", ["http://alerts.example/x", "ftp://x", "alerts.example", ""])
def test_a_webhook_goes_over_https_or_stays_on_this_machine(url):
    with pytest.raises(ValueError, match="https"):
        Webhook(url)


def test_a_webhook_on_this_machine_may_be_plain_http():
    assert Webhook("http://127.0.0.1:9/x") is not None
