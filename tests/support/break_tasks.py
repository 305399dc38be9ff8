"""Run a script whose supervised tasks break: `break_tasks.py NAME:HOW,… SCRIPT ARGUMENT…`.

HOW is `ends`, `raises` or `hangs`; each named task runs as it should for a while first, and is broken once.
"""

from __future__ import annotations

import asyncio
import runpy
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

SOUND_S = 6.0
BETWEEN_S = 2.0


class Broken(Exception):
    """What a broken task raises."""


def break_once(run: Callable[[], Awaitable[None]], how: str, after_s: float) -> Callable[[], Awaitable[None]]:
    is_broken = False

    async def broken() -> None:
        nonlocal is_broken
        if is_broken:
            await run()
            return
        is_broken = True
        try:
            async with asyncio.timeout(after_s):
                await run()
        except TimeoutError:
            pass
        if how == "raises":
            raise Broken("for the test")
        if how == "hangs":
            await asyncio.Event().wait()

    return broken


def main() -> None:
    wanted = dict(part.split(":") for part in sys.argv[1].split(","))
    sys.argv = sys.argv[2:]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    from quant_trading_system.app.supervisor import Supervisor

    start = Supervisor.start

    def start_broken(self: Supervisor, name: str, run: Callable[[], Awaitable[None]], **how: Any) -> Any:
        if name in wanted:
            run = break_once(run, wanted[name], SOUND_S + BETWEEN_S * list(wanted).index(name))
        return start(self, name, run, **how)

    Supervisor.start = start_broken  # type: ignore[method-assign]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
