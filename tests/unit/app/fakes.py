"""The edge as a test needs it: a broker and stores that do what they are told, and note what was done to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from quant_trading_system.adapters.alpaca import answers
from quant_trading_system.adapters.alpaca.cancel import CancelReply
from quant_trading_system.adapters.alpaca.limits import Lane as RequestLane
from quant_trading_system.adapters.alpaca.orders import payload
from quant_trading_system.app.inbox import Inbox
from quant_trading_system.core.broker import Activity, BrokerAccount, BrokerOrder, BrokerPosition, Execution
from quant_trading_system.core.errors import Unavailable
from quant_trading_system.core.events import AnyEvent
from quant_trading_system.core.types import BrokerOrderId, ClientOrderId, Latch, MonoNanos, Nanos, Store
from quant_trading_system.core.values import Approved, OrderIntent
from quant_trading_system.persistence.errors import StoreUnavailable
from quant_trading_system.persistence.latch_file import LatchFile
from tests.unit.adapters.builders import intent, order_body

ACCOUNT = BrokerAccount(
    account_number="PA1",
    status="ACTIVE",
    cash_usd=Decimal(100_000),
    equity_usd=Decimal(100_000),
    last_equity_usd=Decimal(100_000),
    buying_power_usd=Decimal(200_000),
    multiplier=Decimal(2),
    blocked=False,
    shorting_enabled=False,
)


def approved(number: int = 1, *, reduces_exposure: bool = False) -> Approved:
    """The gate's yes to a buy of ten AAPL."""
    return Approved(
        intent=intent(client_order_id=ClientOrderId(f"acct-inst-mom-{number}")),
        limits_version="v1",
        reduces_exposure=reduces_exposure,
        approved_mono_ns=MonoNanos(0),
    )


def shown(number: int = 1, **changes: Any) -> BrokerOrder:
    """The broker's picture of that order."""
    return answers.parse_order(order_body(client_order_id=f"acct-inst-mom-{number}", **changes))


def drain(inbox: Inbox) -> list[AnyEvent]:
    """Everything that waits above market data."""
    events = []
    while (event := inbox.take_control()) is not None:
        events.append(event)
    return events


class Journal:
    """What happened, in order, with the loop's second."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.at_s: list[float] = []

    def note(self, line: str) -> None:
        self.lines.append(line)
        self.at_s.append(asyncio.get_running_loop().time())


class ScriptedOrderClient:
    """Answers each POST by the next line of its script: an order, an error, or something to wait for.

    The first `connect_failures_left` attempts end before their first byte, as a refused connection does.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.script: list[BrokerOrder | Exception | Callable[[], Any]] = []
        self.bytes_sent: list[bytes] = []
        self.lanes: list[RequestLane] = []
        self.connect_failures_left = 0
        self.answer_seconds = 0.05

    async def submit(
        self, intent: OrderIntent, *, before_write: Callable[[], None] | None, lane: RequestLane
    ) -> BrokerOrder:
        self.lanes.append(lane)
        await asyncio.sleep(0.01)  # the connection is made
        if self.connect_failures_left:
            self.connect_failures_left -= 1
            self._journal.note("no connection")
            raise Unavailable("connection refused")
        assert before_write is not None, "orders are looked at once more before they leave"
        before_write()
        self.bytes_sent.append(payload(intent))
        self._journal.note("bytes")
        await asyncio.sleep(self.answer_seconds)
        answer = self.script.pop(0) if self.script else shown()
        if callable(answer):
            answer = await answer()
            assert isinstance(answer, BrokerOrder | Exception)
        if isinstance(answer, Exception):
            raise answer
        return answer


class ScriptedIntents:
    """Commits in twenty milliseconds, or fails as told."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.error: Exception | None = None
        self.stored: dict[str, tuple[bytes, int]] = {}
        self.commit_seconds = 0.02

    async def commit(self, approved: Approved, *, payload: bytes, epoch: int) -> None:
        await asyncio.sleep(self.commit_seconds)
        if self.error is not None:
            raise self.error
        self.stored[approved.intent.client_order_id] = (payload, epoch)
        self._journal.note("committed")


class Checks:
    """The engine's two questions."""

    def __init__(self) -> None:
        self.before_write: str | None = None
        self.before_retry: str | None = None
        self.asked_before_retry = 0

    def refusal_before_write(self, approved: Approved, *, mono_ns: int) -> str | None:
        del approved, mono_ns
        return self.before_write

    def refusal_before_retry(self, approved: Approved) -> str | None:
        del approved
        self.asked_before_retry += 1
        return self.before_retry


class ScriptedRead:
    """A broker that is read: its books move, fail or hang as told."""

    def __init__(self) -> None:
        self.orders: list[BrokerOrder] = []
        self.error: Exception | None = None
        self.read_seconds = 0.01
        self.on_positions: Callable[[], None] = lambda: None
        self.asked: list[str] = []
        self.after_ns: list[int] = []
        self.activities_after_ns: list[int] = []
        self.requests = 0
        self.by_client_id: dict[str, BrokerOrder] = {}

    async def open_orders(self) -> Sequence[BrokerOrder]:
        await self._read("open_orders")
        return list(self.orders)

    async def positions(self) -> Sequence[BrokerPosition]:
        await self._read("positions")
        self.on_positions()
        return []

    async def account(self) -> BrokerAccount:
        await self._read("account")
        return ACCOUNT

    async def closed_orders(self, after_ns: Nanos) -> Sequence[BrokerOrder]:
        self.after_ns.append(after_ns)
        await self._read("closed_orders")
        return []

    async def executions(self, after_ns: Nanos) -> Sequence[Execution]:
        self.after_ns.append(after_ns)
        await self._read("executions")
        return []

    async def activities(self, after_ns: Nanos) -> Sequence[Activity]:
        self.activities_after_ns.append(after_ns)
        await self._read("activities")
        return []

    async def order_by_client_id(self, client_order_id: ClientOrderId) -> BrokerOrder | None:
        await self._read("order_by_client_id")
        return self.by_client_id.get(client_order_id)

    async def _read(self, name: str) -> None:
        self.asked.append(name)
        self.requests += 1
        await asyncio.sleep(self.read_seconds)
        if self.error is not None:
            raise self.error


class ScriptedCancels:
    """Takes cancels, or fails; cancel-all empties the broker's book after some tries."""

    def __init__(self, read: ScriptedRead) -> None:
        self._read = read
        self.error: Exception | None = None
        self.refuses = False
        self.cancelled: list[str] = []
        self.cancel_alls = 0
        self.works_at = 1

    async def cancel(
        self, broker_order_id: BrokerOrderId, *, before_write: Callable[[], None] | None = None
    ) -> CancelReply:
        await asyncio.sleep(0.01)
        if before_write is not None:
            before_write()
        if self.error is not None:
            raise self.error
        self.cancelled.append(broker_order_id)
        if self.refuses:
            return CancelReply(
                broker_order_id=broker_order_id, accepted=False, http_status=422, code=42210000, message="filled"
            )
        return CancelReply(broker_order_id=broker_order_id, accepted=True, http_status=204)

    async def cancel_all(self, *, before_write: Callable[[], None] | None = None) -> list[CancelReply]:
        await asyncio.sleep(0.01)
        if before_write is not None:
            before_write()
        self.cancel_alls += 1
        if self.error is not None and self.cancel_alls < self.works_at:
            raise self.error
        if self.cancel_alls >= self.works_at:
            self._read.orders.clear()
        return []


class ScriptedLatchStore:
    """One copy of the latch behind a server: it may be gone, hang, or hold nothing."""

    def __init__(self, store: Store, journal: Journal, *, latch: Latch = Latch.CLEAR) -> None:
        self._store = store
        self._journal = journal
        self.latch = latch
        self.is_up = True
        self.is_down = False
        self.hangs = False

    async def read(self) -> tuple[Latch, str]:
        await self._answer()
        return self.latch, "read"

    async def engage(self, operator: str, reason: str) -> None:
        await self._change(Latch.ENGAGED, f"{operator}: {reason}")

    async def clear(self, operator: str, reason: str) -> None:
        await self._change(Latch.CLEAR, f"{operator}: {reason}")

    async def read_latch(self) -> tuple[Latch, str]:
        return await self.read()

    async def write_latch(self, latch: Latch, reason: str) -> None:
        await self._change(latch, reason)

    async def _change(self, latch: Latch, reason: str) -> None:
        del reason
        await self._answer()
        self.latch = latch
        self._journal.note(f"{self._store} {latch}")

    async def _answer(self) -> None:
        await asyncio.sleep(3600 if self.hangs else 0.005)
        if self.is_down:
            raise StoreUnavailable(self._store, "connection refused")


class JournaledLatchFile(LatchFile):
    """A real latch file whose writes are noted, or refused by the disk."""

    def __init__(self, path: Path, journal: Journal) -> None:
        super().__init__(path)
        self.initialise()
        self._journal = journal
        self.is_full = False

    def engage(self, operator: str, reason: str, *, at_ns: int = 0) -> None:
        self._refuse_if_full()
        super().engage(operator, reason, at_ns=at_ns)
        self._journal.note(f"{Store.LATCH_FILE} {Latch.ENGAGED}")

    def clear(self, operator: str, reason: str, *, at_ns: int = 0) -> None:
        self._refuse_if_full()
        super().clear(operator, reason, at_ns=at_ns)
        self._journal.note(f"{Store.LATCH_FILE} {Latch.CLEAR}")

    def _refuse_if_full(self) -> None:
        if self.is_full:
            raise StoreUnavailable(Store.LATCH_FILE, "no space left on device")
