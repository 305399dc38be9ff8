"""What the kernel says of processes that are not our children. Decides nothing but that a zombie is not alive."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from quant_trading_system.core.errors import OperatorError


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    return started_ticks(pid) is not None


def started_ticks(pid: int) -> int | None:
    """When a process started, in ticks since boot: with the pid, its identity. None where it is gone."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if after_name[0] in "ZX" else int(after_name[19])


def command_line(pid: int) -> list[str]:
    """A process' arguments, empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def send_signal(pid: int, sign: signal.Signals) -> None:
    """Signal a process; one that is gone already is no failure.

    Raises:
        OperatorError: it belongs to somebody else.
    """
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise OperatorError(f"process {pid} is not ours to stop", fix=f"end it: kill {pid}") from error


def how_it_ended(code: int | None) -> str:
    """A return code in words."""
    if code is None:
        return "running"
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
