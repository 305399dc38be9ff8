"""Step 6: limits within ceilings, guards and latch restored, one violating order per control refused by the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from quant_trading_system.app.parts import Parts
from quant_trading_system.app.settings import to_limits
from quant_trading_system.core.errors import SafetyRefusal, TemporaryFailure
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.persistence.errors import StoreUnavailable
from quant_trading_system.persistence.limits_store import record_limits


async def _record_limits(parts: Parts, version: str) -> None:
    """Keep the set of limits under its version, so that a decision's record can be read years later.

    Raises:
        TemporaryFailure: the database does not take it.
    """
    content = msgspec.json.encode(to_limits(parts.settings))
    try:
        await record_limits(parts.database, version=version, content=content)
    except StoreUnavailable as error:
        raise TemporaryFailure(f"the limits cannot be recorded: {error.detail}") from error


@asynccontextmanager
async def risk(parts: Parts) -> AsyncIterator[str]:
    """Try the real gate with one order per control that must be refused by that control.

    Raises:
        SafetyRefusal: one of them passed.
    """
    tried, passed = parts.engine.self_test()
    if passed:
        raise SafetyRefusal(
            f"the gate lets violating orders pass: {', '.join(passed)}",
            fix="do not trade with this build; report it",
        )
    view = parts.engine.view()
    await _record_limits(parts, view.limits_version)
    causes = "; ".join(f"{cause.cause}: {cause.detail}" for cause in view.causes)
    failpoint("step.risk.entered")
    yield f"{tried} controls refuse · limits {view.limits_version} · {view.state}{f' ({causes})' if causes else ''}"
    failpoint("step.risk.left")
