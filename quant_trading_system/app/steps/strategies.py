"""Step 7: instruments known, strategies built, warm-up known. There are no models to serve yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quant_trading_system.app.inbox import Lane
from quant_trading_system.app.instruments import read_instruments
from quant_trading_system.app.parts import Parts
from quant_trading_system.app.stamps import stamps
from quant_trading_system.core.errors import ExitCode, OperatorError, TemporaryFailure, VenueError
from quant_trading_system.core.events import InstrumentsSeen
from quant_trading_system.core.failpoints import failpoint


@asynccontextmanager
async def strategies(parts: Parts) -> AsyncIterator[str]:
    """Ask the broker about every symbol; refuse symbols it does not know.

    Raises:
        OperatorError: a configured symbol is unknown to the broker.
        TemporaryFailure: the broker does not answer.
    """
    try:
        instruments, unknown = await read_instruments(parts)
    except VenueError as error:
        raise TemporaryFailure(f"the asset list cannot be read: {error}") from error
    if unknown:
        raise OperatorError(
            f"universe.symbols: the broker does not know {', '.join(unknown)}",
            fix="correct --symbols or universe.symbols",
            exit_code=ExitCode.CONFIGURATION,
        )
    parts.inbox.put(InstrumentsSeen(instruments=instruments, **stamps(parts.clock)), Lane.OPERATOR)
    view = parts.engine.view()
    names = ", ".join(f"{each.strategy} ({each.kind})" for each in view.strategies)
    failpoint("step.strategies.entered")
    yield f"{names} on {len(instruments)} symbols · no models"
    failpoint("step.strategies.left")
