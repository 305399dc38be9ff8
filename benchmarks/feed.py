"""Rows 1 and 2: the feed from the socket to a typed event and on through the engine, in CPU per message."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench, Goal
from benchmarks.children import answer_of, feeding, own_python, peer_python

MESSAGES = 40_000
OURS = "the daemon's stream client"
ENGINE = "the daemon's stream client and engine.handle"
PEER = "peer: alpaca-py stream"
FLOOR = "floor: aiohttp and msgspec"
AT_LEAST: Any = {"is_met_by": "at least", "binds_later": True}


def measured(per_frame: int, *command: str) -> float:
    """CPU µs a message of the client `command PORT MESSAGES`."""
    with feeding("benchmarks.feeder", str(MESSAGES // per_frame), str(per_frame)) as port:
        return float(answer_of([*command, str(port), str(MESSAGES)])["us_per_message"])


def bench(per_frame: int, *, times_faster: float, engine_us_max: float) -> Bench:
    return Bench(
        name=f"feed-{per_frame}",
        title=f"Rows 1 and 2: feed, socket to typed event, then through the engine, msgpack, {per_frame} a frame",
        unit="µs of CPU a message",
        contenders={
            OURS: lambda: measured(per_frame, own_python(), "-m", "benchmarks.own_feed", "events"),
            ENGINE: lambda: measured(per_frame, own_python(), "-m", "benchmarks.own_feed", "engine"),
            FLOOR: lambda: measured(per_frame, own_python(), "-m", "benchmarks.receivers"),
            PEER: lambda: measured(per_frame, str(peer_python()), "benchmarks/peers/alpaca_feed.py"),
        },
        goals=(
            Goal(says="row 1: times faster than alpaca-py", of=PEER, to=OURS, bound=times_faster, **AT_LEAST),
            Goal(says="row 1: of the floor", of=OURS, to=FLOOR),
            Goal(says="row 2: through the engine, two strategies", of=ENGINE, bound=engine_us_max, binds_later=True),
            Goal(says="row 2: times faster than alpaca-py's decoding alone", of=PEER, to=ENGINE, bound=5.0, **AT_LEAST),
        ),
    )


def benches() -> tuple[Bench, ...]:
    return (bench(1, times_faster=12, engine_us_max=4.0), bench(10, times_faster=14, engine_us_max=2.5))
