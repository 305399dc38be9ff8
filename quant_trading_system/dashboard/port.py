"""What the dashboard needs of the daemon, as a port the app implements. Decides nothing.

The dashboard knows `core` alone: the engine, the stores and the logs stand behind this protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from msgspec import Struct

from quant_trading_system.core.effects import Answer
from quant_trading_system.core.records import (
    AlertRecord,
    DecisionRecord,
    EquityRecord,
    FillRecord,
    OrderRecord,
    ReconciliationRecord,
)
from quant_trading_system.core.types import Mode, Nanos
from quant_trading_system.core.views import EngineView


class HistoryUnavailable(Exception):
    """The database cannot be asked now. Says why, for the log; the caller answers 503."""


class NotReady(Exception):
    """The engine does not take commands yet, or no more. The caller answers 503."""


class StartupStep(Protocol):
    """One of the eight steps: `state` is waiting, starting, ready or failed; `seconds` is its duration."""

    @property
    def number(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def state(self) -> str: ...
    @property
    def detail(self) -> str: ...


class Check(Protocol):
    """One precondition of being ready."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def detail(self) -> str: ...


class OrderState(Protocol):
    """One step of an order's life, as it was stored."""

    @property
    def status(self) -> str: ...
    @property
    def broker_status(self) -> str: ...
    @property
    def filled_quantity(self) -> Decimal: ...
    @property
    def reason(self) -> str: ...
    @property
    def venue_ns(self) -> Nanos: ...
    @property
    def seen_ns(self) -> Nanos: ...


class OrderStory(Struct, frozen=True, kw_only=True):
    """One order from signal to fill. `order` is its newest row; `states` are the steps to it, oldest first."""

    client_order_id: str
    decision: DecisionRecord | None
    states: Sequence[OrderState]
    fills: Sequence[FillRecord]
    order: OrderRecord | None = None


class DashboardPort(Protocol):
    """Everything the HTTP side may ask. Plain methods answer from memory; async ones may ask the database.

    The async reads raise HistoryUnavailable, `ask` raises NotReady or TimeoutError.
    """

    @property
    def mode(self) -> Mode: ...
    @property
    def account(self) -> str:
        """The broker's account number, "" until it is known."""
        ...

    @property
    def band(self) -> str:
        """What the mode band adds: SYNTHETIC or RECORDED in `sim`, else ""."""
        ...

    @property
    def exchange_url(self) -> str | None: ...
    @property
    def version(self) -> str: ...

    def view(self) -> EngineView | None:
        """The engine now; None until it runs."""
        ...

    def wall_ns(self) -> int: ...
    def startup(self) -> Sequence[StartupStep]: ...
    def livez(self) -> tuple[bool, str]: ...
    def ready_checks(self) -> Sequence[Check]: ...
    def metrics(self, accept: str) -> tuple[bytes, str]:
        """Exposition and its content type, as the Accept header asks."""
        ...

    def restart_report(self) -> Mapping[str, Any] | None:
        """What happened while the daemon was down, as plain values; None before the first pass agreed."""
        ...

    def alerts(self, limit: int) -> Sequence[AlertRecord]:
        """Newest first."""
        ...

    def reconciliations(self, limit: int) -> Sequence[ReconciliationRecord]:
        """Newest first."""
        ...

    async def decisions(
        self, *, symbol: str | None, at_ns: int | None, limit: int, order: str | None
    ) -> Sequence[DecisionRecord]:
        """Newest first; with `at_ns` those at or before that venue time; with `order` those that led to that order."""
        ...

    async def orders(self, *, symbol: str | None, limit: int) -> Sequence[OrderRecord]:
        """Newest row of each order, final ones too, newest first."""
        ...

    async def order_story(self, order_id: str) -> OrderStory | None:
        """By client order id, or the broker's; None where no such order is known."""
        ...

    async def fills(self, limit: int) -> Sequence[FillRecord]:
        """Newest first."""
        ...

    async def equity_curve(self, max_points: int) -> Sequence[EquityRecord]:
        """Oldest first, thinned to at most `max_points`."""
        ...

    async def ask(self, command: str, *, operator: str, reason: str, arguments: Mapping[str, str]) -> Answer:
        """Put a command before the engine and wait for its answer."""
        ...
