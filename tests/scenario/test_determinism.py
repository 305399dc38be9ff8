"""Told the same events, the engine asks for the same effects and ends in the same state: that is what makes it one
program in sim, paper and live, and a bad day replayable."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest

from quant_trading_system.core.events import AnyEvent, SnapshotFailed, StoreSeen, StreamDown, StreamUp
from quant_trading_system.core.types import Mode, Store, Stream
from quant_trading_system.engine.build import build_engine
from quant_trading_system.engine.config import EngineConfig
from quant_trading_system.engine.engine import Engine
from quant_trading_system.persistence.tape import TapeWriter, read_tape
from quant_trading_system.risk.limits import RiskLimits
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.settings import ExchangeSettings
from tests.support.floor import OPEN, SYMBOL, TWO_STRATEGIES, Floor
from tests.support.scripted_market import ScriptedMarket

ROOT = Path(__file__).parents[2]
WAVES = [100 + 0.06 * minute - 0.09 * max(0, minute - 45) + (0.3 if minute % 7 == 0 else 0.0) for minute in range(80)]


def messy_day() -> Floor:
    """Both strategies on rising and falling prices, partial fills, a gap, a failed pass, a kill and a reset."""
    market = ScriptedMarket([SYMBOL], start_ns=OPEN)
    settings = ExchangeSettings(start_ns=OPEN, partial_fill_probability=0.5, seed=7)
    floor = Floor(market=market, exchange=Exchange(settings=settings, market=market, journal=None))
    floor.start()
    floor.bars(WAVES[:40])
    floor.tell(StreamDown(stream=Stream.TRADE_UPDATES, reason="reset by peer", **floor.stamps()))
    floor.bars(WAVES[40:42])
    floor.tell(StreamUp(stream=Stream.TRADE_UPDATES, **floor.stamps()))
    floor.tell(SnapshotFailed(reason="500", **floor.stamps()))
    floor.tell(StoreSeen(store=Store.REDIS, is_up=False, **floor.stamps()))
    floor.tell(StoreSeen(store=Store.REDIS, is_up=True, **floor.stamps()))
    floor.bars(WAVES[42:60])
    floor.ask("kill")
    floor.advance(20)
    floor.ask("reset", reason="drill")
    floor.bars(WAVES[60:])
    return floor


def engine_like(floor: Floor) -> Engine:
    """An engine that has seen nothing, built as the floor's was."""
    return build_engine(
        EngineConfig(
            mode=Mode.SIM,
            account=floor.exchange.settings.account_number,
            instance="floortst",
            symbols=floor.symbols,
            reference_symbol=None,
            strategies=TWO_STRATEGIES,
            limits=RiskLimits(),
        )
    )


def replay(engine: Engine, events: Iterable[AnyEvent]) -> str:
    """Hash of every effect, in order."""
    digest = hashlib.sha256()
    for event in events:
        for effect in engine.handle(event):
            digest.update(f"{type(effect).__name__} {effect!r}\n".encode())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def day() -> Floor:
    floor = messy_day()
    assert len(floor.fills) >= 3, "a day on which little happens proves little"
    floor.must_agree()
    return floor


@pytest.mark.invariant("I39")
def test_the_same_events_give_the_same_effects_and_the_same_state(day: Floor):
    first, second = engine_like(day), engine_like(day)
    assert replay(first, day.told) == replay(second, day.told)
    assert first.state_hash() == second.state_hash() == day.engine.state_hash()


@pytest.mark.invariant("I30")
@pytest.mark.invariant("I39")
def test_a_tape_of_the_day_replays_to_the_state_the_day_ended_in(day: Floor, tmp_path: Path):
    writer = TapeWriter(tmp_path)
    for number, event in enumerate(day.told):
        writer.append(event)
        if number % 1_000 == 0:
            writer.flush()
    writer.close()
    replayed = engine_like(day)
    told: Sequence[AnyEvent] = list(read_tape(tmp_path))
    assert len(told) == len(day.told)
    assert replay(replayed, told) == replay(engine_like(day), day.told)
    assert replayed.state_hash() == day.engine.state_hash()


@pytest.mark.invariant("I39")
def test_the_state_hash_tells_days_apart(day: Floor):
    hashes = set()
    for part in (0.25, 0.5, 0.75, 1.0):
        engine = engine_like(day)
        replay(engine, day.told[: int(len(day.told) * part)])
        hashes.add(engine.state_hash())
    assert len(hashes) == 4


@pytest.mark.invariant("I39")
def test_the_same_day_in_another_process_with_another_hash_seed_is_the_same_day(day: Floor):
    code = (
        "from tests.scenario.test_determinism import messy_day, engine_like, replay\n"
        "day = messy_day()\n"
        "import sys; sys.stdout.write(replay(engine_like(day), day.told) + day.engine.state_hash())"
    )
    there = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    assert there.stdout == replay(engine_like(day), day.told) + day.engine.state_hash()


@pytest.mark.invariant("I32")
def test_no_amount_of_money_leaves_the_engine_as_a_float(day: Floor):
    floats = [
        (type(record).__name__, name)
        for record in day.records
        for name, value in msgspec.structs.asdict(record).items()
        if isinstance(value, float) and name.endswith(("_usd", "price", "quantity", "_ratio"))
    ]
    assert floats == []
