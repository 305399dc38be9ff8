"""What /readyz answers: one line for each thing that trading needs, true of the engine at that moment."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from quant_trading_system.app.edge import Edge
from quant_trading_system.app.watch import Watch
from quant_trading_system.core.events import LatchSeen, StoreSeen, StreamDown
from quant_trading_system.core.types import NANOS_PER_MINUTE, Latch, Nanos, Store, Stream
from tests.support.floor import OPEN, Floor, scripted_floor

CLOSE = Nanos(OPEN + 390 * NANOS_PER_MINUTE)


class Probe:
    """The checks of a daemon whose engine is the floor's."""

    def __init__(self, floor: Floor) -> None:
        self.parts: Any = SimpleNamespace(
            engine=floor.engine,
            is_ready=True,
            port=SimpleNamespace(),
            edge=Edge(),
            clock=SimpleNamespace(mono_ns=lambda: floor.mono_ns),
            metrics=SimpleNamespace(set_loop_lag=lambda _seconds: None),
            settings=SimpleNamespace(data=SimpleNamespace(silence_seconds_max=15.0)),
        )
        self._watch = Watch(self.parts)  # type: ignore[arg-type]

    def failing(self) -> set[str]:
        """Names of what is not well."""
        checks = self.parts.port.read_checks()
        assert self._watch.ready_checks() == checks, "the port asks the watch"
        return {check.name for check in checks if not check.ok}


def stop_answering(floor: Floor) -> None:
    floor.reconciles = False
    floor.advance(61)


def cut_a_stream(floor: Floor) -> None:
    floor.tell(StreamDown(stream=Stream.TRADE_UPDATES, reason="cut", **floor.stamps()))


def fall_silent(floor: Floor) -> None:
    floor.quotes = floor.prints = False
    floor.advance(16)


def lose_redis(floor: Floor) -> None:
    floor.tell(StoreSeen(store=Store.REDIS, is_up=False, detail="gone", **floor.stamps()))


def lose_a_copy_of_the_latch(floor: Floor) -> None:
    floor.tell(LatchSeen(store=Store.REDIS, latch=Latch.MISSING, **floor.stamps()))


def kill(floor: Floor) -> None:
    assert floor.ask("kill").accepted


@pytest.mark.requirement("R033")
@pytest.mark.requirement("R040")
@pytest.mark.parametrize(
    ("happens", "named"),
    [
        (stop_answering, {"reconciled"}),
        (cut_a_stream, {"streams"}),
        pytest.param(fall_silent, {"data_fresh"}, marks=pytest.mark.requirement("R128")),
        (lose_redis, {"stores"}),
        (lose_a_copy_of_the_latch, {"kill_latch"}),
        (kill, {"kill_latch", "not_halted"}),
    ],
)
def test_each_thing_that_trading_needs_is_named_when_it_is_missing(happens: Callable[[Floor], None], named: set[str]):
    floor = scripted_floor()
    floor.advance(5)
    probe = Probe(floor)
    assert probe.failing() == set()
    happens(floor)
    assert probe.failing() == named


@pytest.mark.requirement("R033")
def test_while_it_starts_or_stops_nothing_else_makes_it_ready():
    floor = scripted_floor()
    floor.advance(5)
    probe = Probe(floor)
    probe.parts.is_ready = False
    assert probe.failing() == {"started"}


def test_silence_is_no_reason_while_the_market_is_closed():
    floor = scripted_floor()
    floor.skip_to(CLOSE + NANOS_PER_MINUTE)
    floor.quotes = floor.prints = False
    floor.advance(60)
    assert Probe(floor).failing() == set()
