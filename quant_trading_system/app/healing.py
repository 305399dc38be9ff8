"""Asks the engine before a part of the daemon is mended, and tells it what came of it. Decides nothing itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from quant_trading_system.app.inbox import Inbox, Lane
from quant_trading_system.app.stamps import stamps
from quant_trading_system.core.clock import Clock
from quant_trading_system.core.effects import AllowHealing
from quant_trading_system.core.events import HealingAsked, HealingEnded
from quant_trading_system.core.types import HealingAction, Store

ASK_AGAIN_S = 5.0  # after a refusal: a person's reset renews the budget

DONE, FAILED = "done", "failed"


class Healer:
    """The way from a broken part to the engine's budget and back.

    Args:
        is_engine_running: before it does nobody answers; then a mending is allowed and counted afterwards.
    """

    def __init__(self, *, inbox: Inbox, clock: Clock, is_engine_running: Callable[[], bool]) -> None:
        self._inbox = inbox
        self._clock = clock
        self._is_engine_running = is_engine_running
        self._asked: dict[tuple[HealingAction, str], asyncio.Future[bool]] = {}
        self._outages: dict[Store, bool] = {}
        """Stores that are away, and whether the server was started again for it."""
        self._turns = {store: asyncio.Lock() for store in Store}

    async def ask(self, action: HealingAction, target: str, reason: str) -> bool:
        """Whether `target` may be mended now."""
        self._inbox.put(HealingAsked(action=action, target=target, reason=reason, **stamps(self._clock)), Lane.OPERATOR)
        if not self._is_engine_running():
            return True
        key = (action, target)
        answer = self._asked.get(key)
        if answer is None or answer.done():
            answer = self._asked[key] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(answer)

    async def wait_allowed(self, action: HealingAction, target: str, reason: str) -> None:
        """Return when `target` may be mended: at once, or after a person renewed the budget."""
        while not await self.ask(action, target, reason):  # noqa: ASYNC110 - only a person's reset changes the answer
            await asyncio.sleep(ASK_AGAIN_S)

    def ended(self, action: HealingAction, target: str, outcome: str, detail: str) -> None:
        """Say what came of it: done or failed."""
        self._inbox.put(
            HealingEnded(action=action, target=target, outcome=outcome, detail=detail, **stamps(self._clock)),
            Lane.OPERATOR,
        )

    def on_answer(self, effect: AllowHealing) -> None:
        """The engine decided."""
        answer = self._asked.pop((effect.action, effect.target), None)
        if answer is not None and not answer.done():
            answer.set_result(effect.is_allowed)

    # stores: one outage is one re-opening, whether its server had to be started again or only the connections

    async def wait_server_restart(self, store: Store, detail: str) -> None:
        """Before an embedded server is started again. One that dies twice in an outage is started for another one."""
        async with self._turns[store]:
            if self._outages.get(store, True):
                await self.wait_allowed(HealingAction.STORE_REOPENING, store.value, detail)
            self._outages[store] = True

    async def wait_reopening(self, store: Store, detail: str) -> None:
        """Before a store is connected to again."""
        async with self._turns[store]:
            if store not in self._outages:
                await self.wait_allowed(HealingAction.STORE_REOPENING, store.value, detail)
                self._outages[store] = False

    def note_reopened(self, store: Store, detail: str) -> None:
        """The store is used again: its outage is over."""
        if self._outages.pop(store, None) is not None:
            self.ended(HealingAction.STORE_REOPENING, store.value, DONE, detail)

    def note_not_reopened(self, store: Store, detail: str) -> None:
        """An attempt failed; the next one is asked for anew."""
        self._outages.pop(store, None)
        self.ended(HealingAction.STORE_REOPENING, store.value, FAILED, detail)
