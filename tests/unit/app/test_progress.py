"""How far the database had come, as the state directory remembers it: whole, whoever writes it when."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from quant_trading_system.app import progress
from quant_trading_system.persistence.high_water import HighWater, read_high_water, write_high_water

WAITED_SECONDS_MAX = 10.0


@pytest.mark.fault("F13")
def test_a_stop_that_writes_while_a_thread_still_does_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lease = SimpleNamespace(epoch=3)
    instance = SimpleNamespace(token="abcdefgh", former=(), restored="")
    parts: Any = SimpleNamespace(
        lease=lease,
        instance=instance,
        writer=SimpleNamespace(depth=0),
        clock=SimpleNamespace(wall_ns=lambda: 7),
        state_dir=tmp_path,
    )
    writing, may_go_on = threading.Event(), threading.Event()
    under_way: list[int] = []
    most: list[int] = []

    def write_slowly(folder: Path, mark: HighWater) -> None:
        under_way.append(mark.epoch)
        most.append(len(under_way))
        writing.set()
        assert may_go_on.wait(WAITED_SECONDS_MAX)
        write_high_water(folder, mark)
        under_way.remove(mark.epoch)

    monkeypatch.setattr(progress, "write_high_water", write_slowly)
    marks = progress.Progress(parts)
    first = threading.Thread(target=marks.write)
    first.start()
    assert writing.wait(WAITED_SECONDS_MAX)
    lease.epoch = 4
    last = threading.Thread(target=marks.write)
    last.start()
    last.join(0.2)
    may_go_on.set()
    first.join(WAITED_SECONDS_MAX)
    last.join(WAITED_SECONDS_MAX)
    assert most == [1, 1]
    mark = read_high_water(tmp_path)
    assert mark is not None
    assert mark.epoch == 4
