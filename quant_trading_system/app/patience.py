"""How long a start waits for a broker that answers badly. A definite no ends it at once; all else is asked again.

A real broker answers 429, 502 or a page of its proxy now and then; a start that gives up at the first of them would
leave the account without anybody who watches it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from quant_trading_system.adapters.alpaca.failures import Unreachable
from quant_trading_system.core.errors import Unavailable

ASK_AGAIN_S = 1.5
START_SECONDS_MAX = 25.0  # of the step's time; each step has more

Value = TypeVar("Value")


async def ask_patiently(read: Callable[[], Awaitable[Value]], *, seconds_max: float = START_SECONDS_MAX) -> Value:
    """What `read` answers, asked again while the broker cannot say.

    Raises:
        Refused: a definite no.
        Unavailable: no answer in `seconds_max`.
    """
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + seconds_max
    while True:
        try:
            return await read()
        except Unreachable:
            raise  # nobody is there: whoever started us should hear it at once
        except Unavailable:
            if loop.time() + ASK_AGAIN_S >= give_up_s:
                raise
        await asyncio.sleep(ASK_AGAIN_S)
