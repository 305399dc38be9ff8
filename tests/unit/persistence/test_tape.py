"""The tape gives back every event in order, whatever class it came in; damage is told from a torn tail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from quant_trading_system.core.events import (
    BarSeen,
    LatchSeen,
    OrderDropped,
    QuoteSeen,
    Restored,
    RestoredBook,
    StatusSeen,
    TimerFired,
    TradeSeen,
)
from quant_trading_system.core.types import ClientOrderId, Latch, MonoNanos, Nanos, Store, StrategyId, Symbol
from quant_trading_system.persistence.errors import TapeCorrupt
from quant_trading_system.persistence.tape import EVENT_TYPES, HEADER, TapeWriter, read_tape, segments

NOON = datetime(2013, 10, 7, 16, tzinfo=UTC)


class WireQuote(QuoteSeen, frozen=True, gc=False, kw_only=True, rename={"symbol": "S", "bid_price": "bp"}):
    """As an adapter has it: other names on the wire, one field more."""

    extra: int = 3


def a_quote(number: int = 0, kind: type[QuoteSeen] = QuoteSeen) -> QuoteSeen:
    return kind(
        symbol=Symbol("IBM"),
        venue_at=NOON + timedelta(microseconds=number),
        seen_ns=Nanos(number),
        mono_ns=MonoNanos(number + 1),
        bid_price=182.01,
        bid_size=300.0,
        ask_price=182.03,
        ask_size=100.0,
    )


def stamped(number: int = 0) -> dict[str, Any]:
    return {"venue_ns": Nanos(number), "seen_ns": Nanos(number), "mono_ns": MonoNanos(number)}


def write(folder: Path, events: list, **options: int) -> None:
    writer = TapeWriter(folder, **options)
    for event in events:
        writer.append(event)
    writer.close()


def test_events_come_back_in_order_and_equal(tmp_path: Path):
    events = [
        a_quote(1),
        TradeSeen(symbol=Symbol("IBM"), venue_at=NOON, price=182.02, size=100.0, conditions=("@", "I")),
        BarSeen(symbol=Symbol("IBM"), venue_at=NOON, open=1.0, high=2.0, low=0.5, close=1.5, volume=9.0),
        StatusSeen(symbol=Symbol("IBM"), venue_at=NOON, status_code="H"),
        OrderDropped(**stamped(4), client_order_id=ClientOrderId("x"), reason="no lease"),
        LatchSeen(**stamped(5), store=Store.REDIS, latch=Latch.MISSING),
        TimerFired(**stamped(6), name="second"),
    ]
    write(tmp_path, events)
    assert list(read_tape(tmp_path)) == events


def test_an_adapters_quote_is_stored_as_the_quote_it_is(tmp_path: Path):
    write(tmp_path, [a_quote(7, WireQuote)])
    (found,) = read_tape(tmp_path)
    assert type(found) is QuoteSeen
    assert found == a_quote(7)


def test_every_event_of_core_has_a_place_on_the_tape():
    assert {"QuoteSeen", "TradeSeen", "BarSeen", "StatusSeen", "Restored", "BrokerSnapshot"} <= set(EVENT_TYPES)
    assert "MarketEvent" not in EVENT_TYPES


def test_decimals_survive_exactly(tmp_path: Path):
    book = RestoredBook(
        strategy=StrategyId("momentum"),
        symbol=Symbol("IBM"),
        quantity=Decimal("0.000000001"),
        cost_usd=Decimal("100000.10"),
        realised_usd=Decimal("-0.1"),
    )
    event = Restored(
        **stamped(), orders=(), books=(book,), known_executions=(), cash_usd=Decimal("1.00"), guards=None,
        next_sequence=1, locks=(), disabled_strategies=(), last_stop_ns=None, is_first_start=True,
    )  # fmt: skip
    write(tmp_path, [event])
    assert list(read_tape(tmp_path)) == [event]


def test_every_torn_tail_keeps_the_whole_blocks_before_it(tmp_path: Path):
    writer = TapeWriter(tmp_path)
    writer.append(a_quote(1))
    writer.flush()
    writer.append(a_quote(2))
    writer.close()
    (segment,) = segments(tmp_path)
    whole = segment.read_bytes()
    torn: list[int] = []
    first_end = whole.index(b"QTB1", len(HEADER) + 4)
    for length in range(first_end, len(whole)):
        segment.write_bytes(whole[:length])
        torn.clear()
        found = list(read_tape(segment, on_torn=lambda _path, size: torn.append(size)))
        assert found == [a_quote(1)], f"cut at {length}"
        assert torn == ([length - first_end] if length > first_end else [])


def test_a_tail_of_zeroes_is_a_torn_tail(tmp_path: Path):
    write(tmp_path, [a_quote(1)])
    (segment,) = segments(tmp_path)
    segment.write_bytes(segment.read_bytes() + bytes(500))
    assert list(read_tape(tmp_path)) == [a_quote(1)]


def test_damage_before_the_end_is_an_error_not_a_shorter_tape(tmp_path: Path):
    writer = TapeWriter(tmp_path)
    for number in range(3):
        writer.append(a_quote(number))
        writer.flush()
    writer.close()
    (segment,) = segments(tmp_path)
    damaged = bytearray(segment.read_bytes())
    damaged[len(HEADER) + 25] ^= 0xFF
    segment.write_bytes(bytes(damaged))
    with pytest.raises(TapeCorrupt, match="damaged at byte"):
        list(read_tape(tmp_path))


def test_a_file_that_is_no_tape_is_refused(tmp_path: Path):
    path = tmp_path / "0000000001.tape"
    path.write_bytes(b"something else entirely")
    with pytest.raises(TapeCorrupt, match="no tape"):
        list(read_tape(path))


def test_a_second_life_starts_a_new_segment(tmp_path: Path):
    write(tmp_path, [a_quote(1)])
    write(tmp_path, [a_quote(2)])
    assert len(segments(tmp_path)) == 2
    assert list(read_tape(tmp_path)) == [a_quote(1), a_quote(2)]


def test_segments_rotate_and_the_oldest_are_forgotten(tmp_path: Path):
    writer = TapeWriter(tmp_path, segment_bytes_max=200, retained_bytes_max=1_000)
    for number in range(100):
        writer.append(a_quote(number))
        writer.flush()
    writer.close()
    kept = segments(tmp_path)
    assert len(kept) > 1
    assert sum(path.stat().st_size for path in kept) <= 1_000 + 2 * 400
    newest = list(read_tape(tmp_path))
    assert newest[-1] == a_quote(99)
    assert len(newest) < 100


def test_a_disk_that_takes_nothing_costs_events_that_are_counted_not_memory(tmp_path: Path):
    folder = tmp_path / "tape"
    folder.write_text("a file where the folder should be")
    writer = TapeWriter(folder)
    writer.append(a_quote(1))
    with pytest.raises(OSError, match="tape"):
        writer.flush()
    assert (writer.dropped, writer.buffered) == (1, 0)
