"""The broker's clock: read often enough to notice a skipped night, and left to age where it cannot be read."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from quant_trading_system.adapters.alpaca.http import Reply
from quant_trading_system.app.edge import Edge
from quant_trading_system.app.inbox import Inbox
from quant_trading_system.app.venue import VenueWatch, anchor_clock
from quant_trading_system.core.broker import ClockReading
from quant_trading_system.core.errors import Unavailable
from quant_trading_system.core.events import ClockSeen
from quant_trading_system.core.types import NANOS_PER_SECOND, Mode, Nanos
from tests.support.virtual_loop import run_virtual
from tests.unit.adapters.builders import START_NS, LoopClock
from tests.unit.app.fakes import drain


class AnchoredClock(LoopClock):
    """Remembers what it was told, and runs at that speed."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: list[tuple[int, int, float]] = []
        self.speed = 1.0

    def anchor(self, venue_ns: int, *, mono_ns: int, speed: float) -> None:
        self.anchors.append((venue_ns, mono_ns, speed))
        self.speed = speed


class Venue:
    """A broker's clock and the exchange's own words about it, and the parts of the daemon that listen."""

    def __init__(self, *, mode: Mode = Mode.SIM) -> None:
        self.body = b'{"speed": 60.0, "finished": false, "market": "synthetic"}'
        self.error: Exception | None = None
        self.read_seconds = 0.1
        self.clock_reads = 0
        self.stops: list[str] = []
        self.log_lines: list[str] = []
        self.parts: Any = SimpleNamespace(
            clock=AnchoredClock(),
            edge=Edge(),
            read=SimpleNamespace(clock=self.read_clock),
            http=SimpleNamespace(request=self.request),
            mode=mode,
            port=SimpleNamespace(band=""),
            inbox=Inbox(),
            is_ready=True,
            supervisor=SimpleNamespace(beat=lambda _name, _for_s: None),
            request_stop=self.stops.append,
            log=SimpleNamespace(debug=lambda event, **_keys: self.log_lines.append(event)),
        )

    async def read_clock(self) -> ClockReading:
        self.clock_reads += 1
        await asyncio.sleep(self.read_seconds)
        if self.error is not None:
            raise self.error
        now = Nanos(START_NS + 7 * NANOS_PER_SECOND)
        return ClockReading(venue_ns=now, is_open=True, next_open_ns=now, next_close_ns=now)

    async def request(self, method: str, path: str, **_keys: object) -> Reply:
        assert (method, path) == ("GET", "/simulator/v1/clock")
        return Reply(status=200, body=self.body, headers={})

    def watch(self, seconds: float) -> list[ClockSeen]:
        async def main() -> None:
            running = asyncio.create_task(VenueWatch(self.parts).run())
            await asyncio.sleep(seconds)
            running.cancel()

        run_virtual(main())
        return [event for event in drain(self.parts.inbox) if isinstance(event, ClockSeen)]


def test_in_sim_venue_time_is_anchored_in_the_middle_of_the_request_at_the_exchanges_speed():
    venue = Venue()
    reading = run_virtual(anchor_clock(venue.parts))
    assert venue.parts.clock.anchors == [(reading.venue_ns, 50_000_000, 60.0)]
    assert venue.parts.port.band == "SYNTHETIC"


@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.LIVE])
@pytest.mark.fault("H1")
@pytest.mark.invariant("I33")
def test_outside_sim_venue_time_is_the_brokers_too_and_nobody_is_asked_for_a_speed(mode: Mode):
    venue = Venue(mode=mode)
    venue.body = b"not asked"
    reading = run_virtual(anchor_clock(venue.parts))
    assert venue.parts.clock.anchors == [(reading.venue_ns, 50_000_000, 1.0)]


def test_an_answer_that_took_several_tries_was_stamped_near_its_end():
    venue = Venue(mode=Mode.PAPER)
    venue.read_seconds = 21.0
    reading = run_virtual(anchor_clock(venue.parts))
    assert venue.parts.clock.anchors == [(reading.venue_ns, 20_750_000_000, 1.0)]


def test_an_exchange_that_does_not_say_how_fast_it_runs_is_unavailable():
    venue = Venue()
    venue.body = b"<html>"
    with pytest.raises(Unavailable):
        run_virtual(anchor_clock(venue.parts))


@pytest.mark.parametrize(("is_ready", "stops"), [(True, 1), (False, 0)])
def test_the_end_of_a_recording_stops_a_daemon_that_was_ready(is_ready: bool, stops: int):
    venue = Venue()
    venue.body = b'{"speed": 60.0, "finished": true}'
    venue.parts.is_ready = is_ready
    run_virtual(anchor_clock(venue.parts))
    assert len(venue.stops) == stops


def test_a_fast_venue_is_asked_every_venue_minute_and_a_real_one_every_fifteen_seconds():
    fast = Venue()
    fast.read_seconds = 0.0
    fast.parts.clock.speed = 60.0
    assert len(fast.watch(60.5)) == 60
    real = Venue(mode=Mode.PAPER)
    real.read_seconds = 0.0
    assert len(real.watch(61)) == 4


def test_a_clock_that_cannot_be_read_is_not_told_as_if_it_had_been():
    venue = Venue()
    venue.error = Unavailable("500")
    assert venue.watch(60) == []
    assert set(venue.log_lines) == {"clock_not_read"}
    venue.error = None
    assert venue.watch(60)
