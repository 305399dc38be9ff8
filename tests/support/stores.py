"""Real servers for tests: one PostgreSQL and one Valkey a session, a fresh database for each test.

Decides that a test's database is a copy of a migrated template (some 40 ms), and that servers which a test kills are
its own, not the session's. `tests/process/conftest.py` hands the fixtures on.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import asyncpg
import pytest

from quant_trading_system.core.records import (
    AlertRecord,
    AuditRecord,
    CorrectionRecord,
    DecisionRecord,
    DriftRecord,
    EntryRecord,
    EquityRecord,
    FillRecord,
    GuardRecord,
    LockRecord,
    OrderRecord,
    PositionRecord,
    ReconciliationRecord,
    Record,
)
from quant_trading_system.core.types import (
    BrokerOrderId,
    ClientOrderId,
    ExecutionId,
    MonoNanos,
    Nanos,
    OrderType,
    Severity,
    Side,
    StrategyId,
    Symbol,
    TimeInForce,
    TradingState,
)
from quant_trading_system.core.values import Allocation, Approved, ControlResult, OrderIntent
from quant_trading_system.persistence import schema
from quant_trading_system.persistence.database import Database
from quant_trading_system.persistence.embedded import EmbeddedPostgres, EmbeddedValkey
from quant_trading_system.persistence.server_process import EmbeddedServer

Result = TypeVar("Result")
TEMPLATE = "qts_template"
NOON_NS = 1_381_161_600_000_000_000  # 2013-10-07T16:00:00Z
_numbers = itertools.count(1)


class Servers:
    """The session's servers, driven by one event loop that is not the tests'."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.postgres = EmbeddedPostgres(folder / "pg")
        self.valkey = EmbeddedValkey(folder / "vk")

    def start(self) -> None:
        self.runner.run(self._start())

    def stop(self) -> None:
        self.runner.run(self._stop())
        self.runner.close()

    def new_database(self) -> str:
        """A database with the schema at head and not one row; returns its DSN."""
        name = f"t{next(_numbers)}"
        self.runner.run(self._admin(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))
        return self.dsn(name)

    def copy_database(self, dsn: str) -> str:
        """What a backup of this moment would be restored to; nobody may be connected. Returns its DSN."""
        name = f"t{next(_numbers)}"
        source = dsn.partition("@/")[2].partition("?")[0]
        self.runner.run(self._admin(f"CREATE DATABASE {name} TEMPLATE {source}"))
        return self.dsn(name)

    def empty_database(self) -> str:
        """A database without a schema."""
        name = f"t{next(_numbers)}"
        self.runner.run(self._admin(f"CREATE DATABASE {name}"))
        return self.dsn(name)

    def dsn(self, name: str) -> str:
        return f"postgresql://alphatrade@/{name}?host={quote(str(self.postgres.folder))}"

    async def _start(self) -> None:
        await self.postgres.start()
        await self.valkey.start()
        await self._admin(f"CREATE DATABASE {TEMPLATE}")
        await schema.upgrade(self.dsn(TEMPLATE))

    async def _stop(self) -> None:
        """PostgreSQL at once: nobody reads these databases again, and to write all of them down can take minutes."""
        await self.valkey.stop()
        if self.postgres.pid is not None:
            os.kill(self.postgres.pid, signal.SIGQUIT)
        await self.postgres.stop()

    async def _admin(self, statement: str) -> None:
        connection = await asyncpg.connect(self.dsn("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def kill(server: EmbeddedServer) -> None:
    """End a server's process as a crash would."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with short_folder() as folder:
        started = Servers(folder)
        started.start()
        yield started
        started.stop()


@pytest.fixture
def dsn(servers: Servers) -> str:
    return servers.new_database()


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """A folder whose socket paths are short, for servers that a test starts and kills itself."""
    with short_folder() as folder:
        yield folder


@contextmanager
def short_folder() -> Iterator[Path]:
    """A temporary folder that an unprivileged account can pass through."""
    with tempfile.TemporaryDirectory(prefix="qts") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def on_database(dsn: str, script: Callable[[Database], Awaitable[Result]]) -> Result:
    """Run a script with a connected `Database` on a real event loop."""

    async def run() -> Result:
        async with connected(dsn) as db:
            return await script(db)

    return asyncio.run(run())


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Database]:
    db = Database(dsn)
    await db.connect()
    try:
        yield db
    finally:
        await db.close()


async def query(db: Database, statement: str, *arguments: object) -> list[dict[str, Any]]:
    async with db.session() as connection:
        return [dict(row) for row in await connection.fetch(statement, *arguments)]


def an_intent(number: int = 1, **changes: Any) -> OrderIntent:
    fields: dict[str, Any] = {
        "client_order_id": ClientOrderId(f"qts-abcdefgh-1a2b-momentum-{to_base36(number)}"),
        "strategy": StrategyId("momentum"),
        "symbol": Symbol("IBM"),
        "side": Side.BUY,
        "quantity": Decimal("12.5"),
        "order_type": OrderType.LIMIT,
        "limit_price": Decimal("182.13"),
        "stop_price": None,
        "time_in_force": TimeInForce.DAY,
        "reference_price": Decimal("182.05"),
        "declared_notional_usd": Decimal("2275.625"),
        "allocations": (Allocation(StrategyId("momentum"), Decimal("12.5")),),
        "decision_id": f"d{number}",
        "decided_ns": Nanos(NOON_NS + number),
        "decided_mono_ns": MonoNanos(1),
        "reason": "moving averages crossed",
    }
    return OrderIntent(**{**fields, **changes})


def an_approved(number: int = 1, **changes: Any) -> Approved:
    return Approved(
        intent=an_intent(number, **changes),
        limits_version="v1",
        reduces_exposure=False,
        approved_mono_ns=MonoNanos(2),
    )


def to_base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
    return text or "0"


STAMPED: dict[str, Any] = {"venue_ns": Nanos(NOON_NS), "seen_ns": Nanos(NOON_NS + 7)}


def an_order(**changes: Any) -> OrderRecord:
    fields: dict[str, Any] = {
        **STAMPED,
        "client_order_id": ClientOrderId("qts-abcdefgh-1a2b-momentum-1"),
        "broker_order_id": BrokerOrderId("b-1"),
        "strategy": StrategyId("momentum"),
        "symbol": Symbol("IBM"),
        "side": Side.BUY,
        "quantity": Decimal("12.5"),
        "order_type": "limit",
        "limit_price": Decimal("182.13"),
        "stop_price": None,
        "time_in_force": "day",
        "status": "WORKING",
        "broker_status": "new",
        "filled_quantity": Decimal(0),
        "filled_value_usd": Decimal(0),
        "reason": "",
        "decision_id": "d1",
        "reference_price": Decimal("182.05"),
        "allocations": (Allocation(StrategyId("momentum"), Decimal("12.5")),),
        "created_ns": Nanos(NOON_NS),
        "sent_ns": Nanos(NOON_NS + 1),
        "acknowledged_ns": None,
        "is_final": False,
    }
    return OrderRecord(**{**fields, **changes})


def a_fill(**changes: Any) -> FillRecord:
    fields: dict[str, Any] = {
        **STAMPED,
        "execution_id": ExecutionId("e-1"),
        "broker_order_id": BrokerOrderId("b-1"),
        "client_order_id": ClientOrderId("qts-abcdefgh-1a2b-momentum-1"),
        "symbol": Symbol("IBM"),
        "side": Side.BUY,
        "quantity": Decimal("2.5"),
        "price": Decimal("182.1234"),
        "cumulative_quantity": Decimal("2.5"),
        "realised_usd": Decimal(0),
        "allocations": (Allocation(StrategyId("momentum"), Decimal("2.5")),),
        "source": "stream",
        "slippage_bps": Decimal("4.03"),
    }
    return FillRecord(**{**fields, **changes})


def a_decision(**changes: Any) -> DecisionRecord:
    control = ControlResult(control="P10", name="order value", passed=True, measured="2275", limit="5000", usage=0.455)
    fields: dict[str, Any] = {
        **STAMPED,
        "decision_id": "d1",
        "strategy": StrategyId("momentum"),
        "symbol": Symbol("IBM"),
        "outcome": "approved",
        "reason": "moving averages crossed",
        "side": Side.BUY,
        "quantity": Decimal("12.5"),
        "limit_price": Decimal("182.13"),
        "reference_price": Decimal("182.05"),
        "client_order_id": ClientOrderId("qts-abcdefgh-1a2b-momentum-1"),
        "limits_version": "v1",
        "controls": (control,),
        "inputs": {"sma_10": 182.01, "sma_30": 181.5},
    }
    return DecisionRecord(**{**fields, **changes})


def a_correction(**changes: Any) -> CorrectionRecord:
    """The venue took half of the fill of `a_fill` back."""
    told = a_fill()
    fields: dict[str, Any] = {
        **STAMPED,
        "broker_order_id": told.broker_order_id,
        "cumulative_quantity": told.cumulative_quantity,
        "execution_id": told.execution_id,
        "client_order_id": told.client_order_id,
        "symbol": told.symbol,
        "side": told.side,
        "quantity": told.quantity / 2,
        "price": told.price,
        "executed_ns": told.venue_ns,
        "cash_usd": told.quantity / 2 * told.price * told.side.sign,
        "realised_usd": Decimal(0),
        "allocations": told.allocations,
        "source": "broker",
        "reason": "the broker has other numbers",
    }
    return CorrectionRecord(**{**fields, **changes})


def an_entry(**changes: Any) -> EntryRecord:
    fields: dict[str, Any] = {
        **STAMPED,
        "kind": "income",
        "reference": "20261121000000000::dividend",
        "symbol": Symbol("IBM"),
        "quantity": Decimal(0),
        "price": Decimal(0),
        "cash_usd": Decimal("4.17"),
        "parts": (),
        "text": "DIV CDIV cash dividend",
    }
    return EntryRecord(**{**fields, **changes})


def a_position(**changes: Any) -> PositionRecord:
    fields: dict[str, Any] = {
        **STAMPED,
        "strategy": StrategyId("momentum"),
        "symbol": Symbol("IBM"),
        "quantity": Decimal("2.5"),
        "cost_usd": Decimal("455.3085"),
        "realised_usd": Decimal("-1.25"),
    }
    return PositionRecord(**{**fields, **changes})


def an_equity(**changes: Any) -> EquityRecord:
    fields: dict[str, Any] = {
        **STAMPED,
        "equity_usd": Decimal("100000.12"),
        "cash_usd": Decimal("99544.8115"),
        "day_pnl_usd": Decimal("0.12"),
        "drawdown_ratio": Decimal("0.0001"),
        "gross_exposure_usd": Decimal("455.3085"),
    }
    return EquityRecord(**{**fields, **changes})


def a_guard(**changes: Any) -> GuardRecord:
    fields: dict[str, Any] = {
        **STAMPED,
        "session_date": "2013-10-07",
        "day_start_equity_usd": Decimal(100_000),
        "high_water_mark_usd": Decimal("100000.12"),
        "session_high_usd": Decimal("100000.12"),
        "equity_floor_usd": Decimal(50_000),
        "first_equity_usd": None,
        "incidents": 2,
        "state": TradingState.REDUCING,
        "causes": (("daily_loss_soft", "1.02 % of 1 %"),),
    }
    return GuardRecord(**{**fields, **changes})


def one_of_each() -> list[Record]:
    """One record of every type there is."""
    return [
        a_decision(),
        an_order(),
        a_fill(),
        a_correction(),
        an_entry(),
        a_position(),
        an_equity(),
        a_guard(),
        LockRecord(**STAMPED, kind="symbol", key="BAC", reason="drift seen twice", is_locked=True),
        DriftRecord(**STAMPED, kind="quantity_gap", symbol=Symbol("BAC"), ours="0", brokers="5", action="lock"),
        ReconciliationRecord(**STAMPED, result="clean", duration_s=0.125, drifts=0, reason="grid"),
        AuditRecord(**STAMPED, actor="ana", action="pause", reason="lunch", outcome="accepted", details={"x": "1"}),
        AlertRecord(**STAMPED, severity=Severity.WARNING, code="drift", text="BAC differs", context={"symbol": "BAC"}),
    ]
