"""Run a script with a wall clock of its own: `run_at.py START_NS REAL_NS SPEED SCRIPT ARGUMENT…`.

`START_NS` is shown when the real clock shows `REAL_NS`; since then `SPEED` seconds pass in a real one, and in one of a
venue whose clock was read. The monotonic clock stays real, as it does on a machine whose wall clock is set.
"""

from __future__ import annotations

import runpy
import sys
import time
from pathlib import Path

_real_time_ns = time.time_ns


def main() -> None:
    start_ns, real_ns, speed = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])

    def time_ns() -> int:
        return start_ns + int((_real_time_ns() - real_ns) * speed)

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1_000_000_000
    sys.argv = sys.argv[4:]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    _speed_up_venues(speed)
    runpy.run_path(sys.argv[0], run_name="__main__")


def _speed_up_venues(speed: float) -> None:
    from quant_trading_system.app.clocks import SystemClock

    anchor = SystemClock.anchor

    def anchor_faster(self: SystemClock, venue_ns: int, *, mono_ns: int, **_: float) -> None:
        anchor(self, venue_ns, mono_ns=mono_ns, speed=speed)

    SystemClock.anchor = anchor_faster  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
