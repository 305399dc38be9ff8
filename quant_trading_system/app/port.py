"""What the dashboard and the API may ask of the daemon, answered from the engine, the stores and the logs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from typing import Any, NamedTuple

import msgspec
from msgspec import structs

from quant_trading_system.app.inbox import Inbox, Lane
from quant_trading_system.app.restart_report import RestartReport
from quant_trading_system.app.stamps import stamps
from quant_trading_system.app.startup import StartupReport, StepReport
from quant_trading_system.core.clock import Clock
from quant_trading_system.core.effects import Answer
from quant_trading_system.core.events import OperatorAsked
from quant_trading_system.core.records import (
    AlertRecord,
    DecisionRecord,
    EquityRecord,
    FillRecord,
    OrderRecord,
    ReconciliationRecord,
    Record,
)
from quant_trading_system.core.types import ClientOrderId, Mode, Nanos
from quant_trading_system.core.views import EngineView
from quant_trading_system.dashboard.port import HistoryUnavailable, NotReady, OrderStory
from quant_trading_system.observability.health import Health
from quant_trading_system.observability.metrics import Metrics
from quant_trading_system.persistence.errors import StoreUnavailable
from quant_trading_system.persistence.history import History
from quant_trading_system.persistence.history import OrderStory as StoredStory

KEPT_RECORDS = 500  # of each kind, in memory, newest last
ANSWER_SECONDS_MAX = 10.0
OPEN_REQUESTS_MAX = 100
ORDERS_SEARCHED_MAX = 5_000


class ReadyCheck(NamedTuple):
    """One precondition of /readyz."""

    name: str
    ok: bool
    detail: str


@cache
def distribution_version() -> str:
    """Version of the installed distribution, "0" in a bare checkout."""
    try:
        return package_version("alphatrade")
    except PackageNotFoundError:
        return "0.1.0"


class Port:
    """Implements `dashboard.port.DashboardPort`. Attributes left None are filled in as the steps come up."""

    def __init__(
        self, *, mode: Mode, clock: Clock, inbox: Inbox, report: StartupReport, health: Health, metrics: Metrics
    ) -> None:
        self.mode = mode
        self.account = ""
        self.band = ""
        self.exchange_url: str | None = None
        self.version = distribution_version()
        self.restart: RestartReport | None = None
        self.history: History | None = None
        self.read_view: Callable[[], EngineView | None] = lambda: None
        self.read_checks: Callable[[], Sequence[ReadyCheck]] = lambda: (ReadyCheck("started", False, "starting"),)
        self._clock = clock
        self._inbox = inbox
        self._report = report
        self._health = health
        self._metrics = metrics
        self._alerts: deque[AlertRecord] = deque(maxlen=KEPT_RECORDS)
        self._reconciliations: deque[ReconciliationRecord] = deque(maxlen=KEPT_RECORDS)
        self._orders: dict[ClientOrderId, OrderRecord] = {}
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._requests = 0

    # what the engine's effects bring

    def keep(self, record: Record) -> None:
        """Remember the newest alerts, reconciliations and orders: what is stored behind is not in the database yet."""
        if isinstance(record, AlertRecord):
            self._alerts.append(record)
        elif isinstance(record, ReconciliationRecord):
            self._reconciliations.append(record)
        elif isinstance(record, OrderRecord):
            self._orders.pop(record.client_order_id, None)
            self._orders[record.client_order_id] = record
            if len(self._orders) > KEPT_RECORDS:
                del self._orders[next(iter(self._orders))]

    def answer(self, answer: Answer) -> None:
        """Hand an answer to whoever waits for it."""
        waiting = self._waiting.pop(answer.request_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    # DashboardPort

    def view(self) -> EngineView | None:
        return self.read_view()

    def wall_ns(self) -> int:
        return self._clock.wall_ns()

    def startup(self) -> Sequence[StepReport]:
        return self._report.steps

    def livez(self) -> tuple[bool, str]:
        return self._health.livez()

    def ready_checks(self) -> Sequence[ReadyCheck]:
        return self.read_checks()

    def metrics(self, accept: str) -> tuple[bytes, str]:
        view = self.read_view()
        if view is not None:
            self._metrics.observe_view(view)
        return self._metrics.render(accept)

    def restart_report(self) -> Mapping[str, Any] | None:
        return None if self.restart is None else msgspec.to_builtins(self.restart)

    def alerts(self, limit: int) -> Sequence[AlertRecord]:
        return list(self._alerts)[::-1][:limit]

    def reconciliations(self, limit: int) -> Sequence[ReconciliationRecord]:
        return list(self._reconciliations)[::-1][:limit]

    async def decisions(
        self, *, symbol: str | None, at_ns: int | None, limit: int, order: str | None
    ) -> Sequence[DecisionRecord]:
        history = self._history()
        try:
            if order is not None:
                found = await history.decision_by_order(order)
                return [] if found is None else [found]
            return await history.decisions(symbol, at_ns=None if at_ns is None else Nanos(at_ns), limit=limit)
        except StoreUnavailable as error:
            raise HistoryUnavailable(str(error)) from error

    async def orders(self, *, symbol: str | None, limit: int) -> Sequence[OrderRecord]:
        history = self._history()
        try:
            found = await history.orders(limit if symbol is None else ORDERS_SEARCHED_MAX)
            return [order for order in self._newest(found) if symbol is None or order.symbol == symbol][:limit]
        except StoreUnavailable as error:
            raise HistoryUnavailable(str(error)) from error

    def _newest(self, stored: Sequence[OrderRecord]) -> list[OrderRecord]:
        """Stored orders with what the engine said of them since, the newest first."""
        rows = {order.client_order_id: order for order in stored} | self._orders
        return sorted(rows.values(), key=lambda order: order.created_ns, reverse=True)

    async def order_story(self, order_id: str) -> OrderStory | None:
        history = self._history()
        try:
            found = await history.order_story(order_id)
        except StoreUnavailable as error:
            raise HistoryUnavailable(str(error)) from error
        if found is None:
            return None
        return OrderStory(
            client_order_id=found.client_order_id,
            decision=found.decision,
            order=found.order,
            states=_states(found),
            fills=found.fills,
        )

    async def fills(self, limit: int) -> Sequence[FillRecord]:
        history = self._history()
        try:
            return await history.fills(limit)
        except StoreUnavailable as error:
            raise HistoryUnavailable(str(error)) from error

    async def equity_curve(self, max_points: int) -> Sequence[EquityRecord]:
        history = self._history()
        try:
            return await history.equity_curve(max_points=max_points)
        except StoreUnavailable as error:
            raise HistoryUnavailable(str(error)) from error

    async def ask(self, command: str, *, operator: str, reason: str, arguments: Mapping[str, str]) -> Answer:
        """Put a command into the operator lane and wait for the engine's answer.

        Raises:
            NotReady: the engine does not run, or too many requests wait.
            TimeoutError: no answer within `ANSWER_SECONDS_MAX`.
        """
        if self.read_view() is None or len(self._waiting) >= OPEN_REQUESTS_MAX:
            raise NotReady("the engine takes no commands now")
        self._requests += 1
        request_id = f"http-{self._requests}"
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        self._inbox.put(
            OperatorAsked(
                command=command,
                operator=operator,
                reason=reason,
                request_id=request_id,
                arguments=dict(arguments),
                **stamps(self._clock),
            ),
            Lane.OPERATOR,
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return await future
        finally:
            self._waiting.pop(request_id, None)

    def _history(self) -> History:
        if self.history is None:
            raise HistoryUnavailable("the database is not connected yet")
        return self.history


def _states(found: StoredStory) -> tuple[OrderRecord, ...]:
    """Every stored step of an order's life as a row of its own; the newest row alone where no step was stored."""
    if found.order is None:
        return ()
    steps = tuple(
        structs.replace(
            found.order,
            status=state.status,
            broker_status=state.broker_status,
            filled_quantity=state.filled_quantity,
            filled_value_usd=state.filled_value_usd,
            reason=state.reason,
            venue_ns=state.venue_ns,
            seen_ns=state.seen_ns,
        )
        for state in found.states
    )
    return steps or (found.order,)
