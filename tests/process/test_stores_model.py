"""The same random histories through the real store code on the modelled database and on PostgreSQL must end equal.

Compared are every answer, every error, every committed row and what a restart would recover. A history is a list of
plain operations drawn from a seed; it runs twice, once a side.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from msgspec import Struct

from quant_trading_system.core.records import LockRecord, Record
from quant_trading_system.core.types import MonoNanos, Nanos
from quant_trading_system.core.types import Side as TradeSide
from quant_trading_system.persistence import batches
from quant_trading_system.persistence.database import Database
from quant_trading_system.persistence.history import History
from quant_trading_system.persistence.instance import bind_account, open_instance
from quant_trading_system.persistence.intents import IntentStore
from quant_trading_system.persistence.kill_store import KillStore
from quant_trading_system.persistence.latch_file import LatchFile
from quant_trading_system.persistence.lease import Lease
from quant_trading_system.persistence.lease_sessions import read_holder
from quant_trading_system.persistence.limits_store import read_limits, record_limits
from quant_trading_system.persistence.recovery import load_restored
from quant_trading_system.persistence.tables import metadata
from quant_trading_system.persistence.writer import BehindWriter
from tests.simulation.stores import DatabaseModel
from tests.simulation.stores.relations import relations
from tests.support import stores
from tests.support.stores import NOON_NS, an_approved, one_of_each
from tests.support.virtual_loop import run_virtual

HISTORIES = 8
STEPS = 34
STAMPS: Any = {"venue_ns": Nanos(1), "seen_ns": Nanos(2), "mono_ns": MonoNanos(3)}
MOMENTS = "TIMESTAMP WITH TIME ZONE"
TABLES = [name for name in sorted(metadata.tables) if name not in ("lease_beat", "writer_progress")]
Operation = tuple[str, Any]


def a_history(seed: int) -> list[Operation]:
    """Operations and what they are done with, drawn once for both sides."""
    rng = random.Random(seed)
    drawn: list[Operation] = [("instance", "sim"), ("lease", None)]
    kinds = ("intent", "intent", "records", "records", "records", "stale_records", "kill", "limits", "account", "story",
             "lease", "restored", "instance", "again", "odd_records")  # fmt: skip
    for _ in range(STEPS):
        kind = rng.choice(kinds)
        drawn.append((kind, DRAWS[kind](rng)))
    return [*drawn, ("restored", None), ("story", rng.randint(1, 6))]


def some_records(rng: random.Random) -> list[Record]:
    """A batch as the engine could put it: any kinds, any order, keys that meet again."""
    return [rng.choice(MAKERS)(rng) for _ in range(rng.choice((1, 2, 3, 4, 7, 12)))]


def odd_records(rng: random.Random) -> list[Record]:
    """A batch with one record that no column takes."""
    spoil = rng.choice((
        {"venue_ns": Nanos(2**63)}, {"seen_ns": Nanos(-(2**70))}, {"symbol": None}, {"reason": "\ud800"},
        {"is_final": None}, {"is_final": "yes"}, {"quantity": b"12"},
    ))  # fmt: skip
    listed = some_records(rng)
    listed.insert(rng.randint(0, len(listed)), stores.an_order(**an_order_of(rng), **spoil))
    return listed


def an_order_of(rng: random.Random) -> dict[str, Any]:
    number = rng.randint(1, 6)
    return {"client_order_id": an_approved(number).intent.client_order_id, "broker_order_id": f"b-{number}"}


def an_order(rng: random.Random) -> Record:
    return stores.an_order(
        **an_order_of(rng),
        strategy=rng.choice(("momentum", "external")),
        status=rng.choice(("WORKING", "PARTIAL", "FILLED")),
        is_final=rng.random() < 0.5,
        created_ns=Nanos(NOON_NS + rng.randint(0, 3) * 60_000_000_000_000),
        filled_quantity=Decimal(rng.randint(0, 1250)) / 100,
        limit_price=rng.choice((None, Decimal("182.13"))),
        stop_price=rng.choice((None, Decimal("1E+2"))),
        reason=rng.choice(("", "a \0 in it", "umlaut ü")),
    )


def a_fill(rng: random.Random) -> Record:
    return stores.a_fill(
        **an_order_of(rng),
        cumulative_quantity=Decimal(rng.choice(("1", "1.0", "2.5", "2.50", "4"))),
        source=rng.choice(("stream", "inferred", "activity")),
        side=TradeSide(rng.choice(("buy", "sell"))),
        quantity=Decimal(rng.randint(1, 100)) / 8,
        venue_ns=Nanos(NOON_NS - rng.randint(0, 40) * 86_400_000_000_000),
    )


def a_position(rng: random.Random) -> Record:
    return stores.a_position(
        strategy=rng.choice(("momentum", "mean_reversion")),
        symbol=rng.choice(("IBM", "BAC")),
        quantity=Decimal(rng.randint(-9, 9)),
    )


def a_lock(rng: random.Random) -> Record:
    return LockRecord(
        **stores.STAMPED,
        kind=rng.choice(("symbol", "strategy")),
        key=rng.choice(("IBM", "BAC")),
        reason="seen twice",
        is_locked=rng.random() < 0.6,
    )


def any_record(rng: random.Random) -> Record:
    return rng.choice(one_of_each())


def an_equity(rng: random.Random) -> Record:
    return stores.an_equity(cash_usd=Decimal(rng.randint(1, 10**7)) / 100, venue_ns=Nanos(NOON_NS + rng.randint(0, 99)))


MAKERS: tuple[Callable[[random.Random], Record], ...] = (
    an_order, an_order, a_fill, a_fill, a_position, a_lock, an_equity, any_record,
)  # fmt: skip
DRAWS: Mapping[str, Callable[[random.Random], Any]] = {
    "intent": lambda rng: (rng.randint(1, 6), rng.choice((b"x", b"x", b"y")), rng.choice((0, 0, 0, -1, 1))),
    "records": some_records,
    "odd_records": odd_records,
    "stale_records": some_records,
    "again": lambda _rng: None,
    "kill": lambda rng: rng.choice(("engage", "clear", "read")),
    "limits": lambda rng: (rng.choice(("v1", "v2")), rng.choice((b'{"a": 1}', b'{"a": 2}'))),
    "account": lambda rng: rng.choice(("PA1", "PA2")),
    "story": lambda rng: rng.randint(1, 6),
    "lease": lambda _rng: None,
    "restored": lambda _rng: None,
    "instance": lambda rng: rng.choice(("sim", "paper")),
}


class Side:
    """One side: the real store code on a database, and what it answered."""

    def __init__(self, db: Database, folder: Any) -> None:
        self.db = db
        self.folder = folder
        self.lease: Lease | None = None
        self.writers = 0
        self.writer: BehindWriter | None = None
        self.rejected: list[str] = []

    async def do(self, kind: str, drawn: Any) -> Any:
        try:
            return await getattr(self, f"do_{kind}")(drawn)
        except Exception as error:  # border: an error is an answer to compare
            return type(error).__name__, _first_words(error)

    async def do_instance(self, mode: str) -> Any:
        latch = LatchFile(self.folder / "kill.latch")
        return await open_instance(
            self.db, mode=mode, version="1", state_folder=self.folder, latch=latch, make_token=lambda: "abcdefgh"
        )

    async def do_account(self, account: str) -> Any:
        return await bind_account(self.db, account)

    async def do_lease(self, _nothing: None) -> Any:
        if self.lease is not None:
            await self.lease.release()
        self.lease = Lease(self.db, "A", holder="holder")
        epoch = await self.lease.acquire()
        async with self.db.session() as connection:
            holder = await read_holder(connection)
        assert holder is not None
        return epoch, holder.holder, holder.epoch, holder.age_s < 60

    async def do_intent(self, drawn: tuple[int, bytes, int]) -> Any:
        number, payload, off = drawn
        assert self.lease is not None
        store = IntentStore(self.db)
        await store.commit(an_approved(number), payload=payload, epoch=self.lease.epoch + off)
        return await store.read_payload(an_approved(number).intent.client_order_id)

    async def do_records(self, records: list[Record]) -> Any:
        return await self._write(records, 0)

    async def do_odd_records(self, records: list[Record]) -> Any:
        return await self._write(records, 0)

    async def do_stale_records(self, records: list[Record]) -> Any:
        return await self._write(records, -1, seconds=0.05)

    async def do_again(self, _nothing: None) -> Any:
        """The last batch once more under its number: it was written already."""
        if self.writer is None or self.lease is None:
            return None
        batch = batches.Batch(number=1, records=[stores.a_decision()], first_ordinal=1)
        async with self.db.session() as connection:
            await batches.write_batch(
                connection, batch, writer=f"w{self.writers}", epoch=self.lease.epoch, is_patient=False
            )

    async def _write(self, records: list[Record], off: int, *, seconds: float = 5.0) -> Any:
        lease = self.lease
        assert lease is not None
        self.writers += 1
        self.rejected = []
        self.writer = BehindWriter(
            self.db,
            fence=lambda: lease.epoch + off,
            name=f"w{self.writers}",
            on_rejected=lambda record, _detail: self.rejected.append(type(record).__name__),
        )
        self.writer.put_all(records)
        return await self.writer.flush(seconds), self.writer.written, self.rejected

    async def do_kill(self, what: str) -> Any:
        store = KillStore(self.db)
        if what == "read":
            lines = await store.history()
            return await store.read(), [{**line, "at": ""} for line in lines]
        return await (store.engage if what == "engage" else store.clear)("ana", f"to {what} \0")

    async def do_limits(self, drawn: tuple[str, bytes]) -> Any:
        await record_limits(self.db, version=drawn[0], content=drawn[1])
        found = await read_limits(self.db, drawn[0])
        return None if found is None else json.loads(found)

    async def do_restored(self, _nothing: None) -> Any:
        return await load_restored(self.db, stamps=STAMPS)

    async def do_story(self, number: int) -> Any:
        history = History(self.db)
        order_id = an_approved(number).intent.client_order_id
        return (
            await history.order_story(order_id),
            await history.order_story(f"b-{number}"),
            sorted(await history.orders(50), key=lambda order: order.client_order_id),
            await history.fills(50),
            await history.equity_curve(max_points=3),
            await history.equity_curve(Nanos(NOON_NS + 50)),
            [await read(50) for read in (history.audit, history.alerts, history.drifts, history.reconciliations)],
            await history.decisions("IBM", at_ns=Nanos(NOON_NS), limit=2),
        )


async def play(side: Side, operations: list[Operation]) -> list[Any]:
    answers = [await side.do(kind, drawn) for kind, drawn in operations]
    if side.lease is not None:
        await side.lease.release()
    return answers


async def rows_of(db: Database) -> dict[str, list[Any]]:
    found = {}
    for name in TABLES:
        async with db.session() as connection:
            found[name] = sorted(
                (plain(name, dict(row)) for row in await connection.fetch(f"SELECT * FROM {name}")), key=repr
            )
    return found


def plain(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without its moments and numbers of its own, JSON read, so that two sides compare."""
    columns = relations()[table].columns
    shown = {}
    for name in sorted(row):
        value, kind = row[name], columns[name].kind
        if kind == MOMENTS or columns[name].is_identity:
            continue
        if kind == "JSONB":
            value = json.loads(value)
        shown[name] = value.normalize() if isinstance(value, Decimal) and value.is_finite() else value
    return shown


def _first_words(error: BaseException) -> str:
    """What a person would read first; the servers word the rest differently."""
    return str(error).split(":", 1)[0] if not isinstance(error, AssertionError) else "assertion"


def on_both(dsn: str, tmp_path: Any, seed: int) -> tuple[Any, Any]:
    async def on_server() -> Any:
        folder = tmp_path / f"real{seed}"
        folder.mkdir()
        async with stores.connected(dsn) as db:
            return await play(Side(db, folder), a_history(seed)), await rows_of(db)

    async def on_model() -> Any:
        folder = tmp_path / f"model{seed}"
        folder.mkdir()
        model = DatabaseModel(random.Random(seed))
        model.delays_s.update(dict.fromkeys(model.delays_s, (0.0, 0.0)))
        db = model.database(1)
        await db.connect()
        answers = await play(Side(db, folder), a_history(seed))
        assert model.unknown == []
        found = {name: sorted((plain(name, row) for row in model.rows(name)), key=repr) for name in TABLES}
        return answers, found

    return asyncio.run(on_server()), run_virtual(on_model())


def differences(modelled: Any, real: Any, place: str = "") -> list[str]:
    """Where two answers differ, field by field."""
    if isinstance(modelled, list | tuple) and isinstance(real, list | tuple) and len(modelled) == len(real):
        pairs = enumerate(zip(modelled, real, strict=True))
        return [found for n, pair in pairs for found in differences(*pair, f"{place}[{n}]")]
    if isinstance(modelled, Struct) and type(modelled) is type(real):
        names = modelled.__struct_fields__
        return [f for n in names for f in differences(getattr(modelled, n), getattr(real, n), f"{place}.{n}")]
    return [] if modelled == real else [f"{place}: the model says {modelled!r}, the server {real!r}"]


@pytest.mark.invariant("I31")
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_a_history_ends_the_same_on_the_model_and_on_postgresql(dsn: str, tmp_path: Any, seed: int):
    (answers, rows), (model_answers, model_rows) = on_both(dsn, tmp_path, seed)
    for operation, real, modelled in zip(a_history(seed), answers, model_answers, strict=True):
        assert differences(modelled, real) == [], operation
    for table in TABLES:
        assert model_rows[table] == rows[table], table
