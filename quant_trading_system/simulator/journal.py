"""Keeps what the exchange did on disk, so that a killed one goes on where it was. Decides what a good record is.

One line a batch: CRC-32 in hex, a space, JSON. A batch holds everything that one call changed and is written with one
system call, before the call returns: after `kill -9` it is there whole or not at all. (Power failure is not the
matter: these are the books of a simulation.) A last line without its end is torn and cut off; any other bad line is
damage.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from quant_trading_system.simulator.configurations import Configurations
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.entries import DayStart, Entitlement, NonTrade, Void
from quant_trading_system.simulator.events import Execution, OrderEvent
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.symbol_state import SymbolState
from quant_trading_system.simulator.watchlists import Watchlist

LINE_BYTES_MAX = 64 * 1_024 * 1_024  # one batch; ten thousand orders cancelled at once are 10 MB
_CRC_DIGITS = 8


class JournalError(Exception):
    """The journal cannot be continued: damaged, or of another world."""


class WorldRecord(msgspec.Struct, frozen=True, kw_only=True, tag="world"):
    """The first record: what shaped this world."""

    start_ns: int
    seed: int
    cash: Decimal
    version: int = 1


class OrderRecord(msgspec.Struct, frozen=True, kw_only=True, tag="order"):
    """An order as it stands from now on."""

    order: SimOrder


class EventRecord(msgspec.Struct, frozen=True, kw_only=True, tag="event"):
    """What was told of an order; the copy of the order in it is how the order stands from then on."""

    event: OrderEvent


class ExecutionRecord(msgspec.Struct, frozen=True, kw_only=True, tag="execution"):
    execution: Execution


class VoidRecord(msgspec.Struct, frozen=True, kw_only=True, tag="void"):
    void: Void


class NonTradeRecord(msgspec.Struct, frozen=True, kw_only=True, tag="non_trade"):
    entry: NonTrade


class DayStartRecord(msgspec.Struct, frozen=True, kw_only=True, tag="day_start"):
    """The books turned to a day."""

    start: DayStart


class SampleRecord(msgspec.Struct, frozen=True, kw_only=True, tag="sample"):
    """What the account was worth at a minute, USD; only where it differs from the minute before."""

    stamp_ns: int
    equity: float


class ConfigurationsRecord(msgspec.Struct, frozen=True, kw_only=True, tag="configurations"):
    configurations: Configurations


class WatchlistRecord(msgspec.Struct, frozen=True, kw_only=True, tag="watchlist"):
    """A watchlist as it stands from now on; None says that it is gone."""

    watchlist_id: str
    watchlist: Watchlist | None


class AnnouncedRecord(msgspec.Struct, frozen=True, kw_only=True, tag="announced"):
    """A corporate action that somebody announced, beside those that the market has."""

    action: CorporateAction


class AppliedRecord(msgspec.Struct, frozen=True, kw_only=True, tag="applied"):
    """A corporate action was applied to the books and the orders."""

    action: CorporateAction


class EntitlementRecord(msgspec.Struct, frozen=True, kw_only=True, tag="entitlement"):
    """Who held a share on the ex-date is owed a dividend; or it was paid."""

    entitlement: Entitlement
    is_paid: bool = False


class DayRecord(msgspec.Struct, frozen=True, kw_only=True, tag="day"):
    """A session closed: what the account was worth then, USD."""

    closed_ns: int
    equity: Decimal
    maintenance_margin: Decimal


class SymbolRecord(msgspec.Struct, frozen=True, kw_only=True, tag="symbol"):
    """What the venue keeps of a symbol, as it stands from now on."""

    state: SymbolState


class MarkRecord(msgspec.Struct, frozen=True, kw_only=True, tag="mark"):
    """Where venue time and the count of order events stood when the batch was written."""

    now_ns: int
    event_sequence: int


OfficeRecord = ConfigurationsRecord | AnnouncedRecord | AppliedRecord | EntitlementRecord
AccountRecord = (
    ExecutionRecord
    | VoidRecord
    | NonTradeRecord
    | DayStartRecord
    | DayRecord
    | SampleRecord
    | WatchlistRecord
    | OfficeRecord
)
Record = WorldRecord | OrderRecord | EventRecord | SymbolRecord | MarkRecord | AccountRecord

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Record]).decode


class Journal:
    """An append-only file of record batches.

    Raises:
        JournalError: the file is damaged.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records, good_bytes = _read(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._descriptor, good_bytes)
        os.lseek(self._descriptor, good_bytes, os.SEEK_SET)

    @property
    def is_empty(self) -> bool:
        """Whether the file held no record when it was opened, or they were taken."""
        return not self._records

    def take_records(self) -> list[Record]:
        """What the file held when it was opened, in order; once."""
        records, self._records = self._records, []
        return records

    def append(self, records: Sequence[Record]) -> None:
        """Write a batch.

        Raises:
            OSError: it could not be written; the exchange must not answer then.
        """
        payload = _encode(records)
        line = b"%08x %s\n" % (zlib.crc32(payload), payload)
        assert len(line) <= LINE_BYTES_MAX, f"expected a batch of at most {LINE_BYTES_MAX} bytes, found {len(line)}"
        view = memoryview(line)
        while view:  # ends: every write takes at least one byte or raises
            view = view[os.write(self._descriptor, view) :]

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _read(path: Path) -> tuple[list[Record], int]:
    """All records of good batches and the number of bytes they take."""
    if not path.exists():
        return [], 0
    records: list[Record] = []
    good_bytes = 0
    for number, line in enumerate(_lines(path), start=1):
        batch = _batch(line)
        if batch is None:
            if line.endswith(b"\n"):
                raise JournalError(f"{path}, line {number}: damaged; restore the file, or use another --state-dir")
            break  # torn: only the last line has no end
        records.extend(batch)
        good_bytes += len(line)
    return records, good_bytes


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(LINE_BYTES_MAX + 1):
            yield line


def _batch(line: bytes) -> list[Record] | None:
    """The records of one line, None where it is not whole."""
    checksum, payload = line[:_CRC_DIGITS], line[_CRC_DIGITS + 1 : -1]
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(payload):
        return None
    try:
        return _decode(payload)
    except msgspec.DecodeError:
        return None
