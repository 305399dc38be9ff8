"""The tape: every event the engine was told, in order, in compressed and checksummed segments.

Decides the format and what a damaged tape means: a torn tail (a crash) is dropped and counted, damage before it is an
error. An event costs one list append where it happens; encoding, compressing and writing are done in batches by
`flush`, which belongs in an executor. Recovery never needs the tape.

A segment is a header line, then blocks: magic, lengths, number of events, CRC-32, and zlib-compressed msgpack of
`[type name, value]` pairs. Market data is stored under the name of its type in `core`, whatever class an adapter made.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from quant_trading_system.core import events as core_events
from quant_trading_system.core.events import AnyEvent, Event, MarketEvent
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.persistence.errors import TapeCorrupt

HEADER = b"alphatrade-tape 1\n"
BLOCK = struct.Struct("<4sIIII")  # magic, compressed bytes, raw bytes, events, CRC-32 of the compressed bytes
MAGIC = b"QTB1"
SUFFIX = ".tape"
COMPRESSION_LEVEL = 1  # a third of the size of the raw bytes at a sixth of the cost of level 6
SEGMENT_BYTES_MAX = 64 * 1024 * 1024
RETAINED_BYTES_MAX = 8 * 1024 * 1024 * 1024
BLOCK_EVENTS_MAX = 5_000  # encoded in a millisecond or two, during which no other thread runs
BLOCK_BYTES_MAX = 256 * 1024 * 1024  # a length beyond it is damage, not data
BUFFERED_EVENTS_MAX = 400_000  # 10 s of twice the recorded peak

Encode = Callable[[AnyEvent], tuple[str, object]]

EVENT_TYPES: dict[str, type[Any]] = {
    name: kind
    for name, kind in vars(core_events).items()
    if isinstance(kind, type) and issubclass(kind, MarketEvent | Event) and kind not in (MarketEvent, Event)
}


class TapeWriter:
    """Appends events of one daemon's life. A new writer starts a new segment after the newest one found."""

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        retained_bytes_max: int = RETAINED_BYTES_MAX,
    ) -> None:
        self._folder = folder
        self._segment_bytes_max = segment_bytes_max
        self._retained_bytes_max = retained_bytes_max
        self._buffer: list[AnyEvent] = []
        self._encoder = msgspec.msgpack.Encoder(decimal_format="string")
        self._encode: dict[type, Encode] = {}
        self._file: Any = None
        self._writing = threading.RLock()  # the shutdown may close while an executor still flushes
        self._number = 0
        self.dropped = 0
        self.written = 0

    def append(self, event: AnyEvent) -> None:
        """Remember one event. Costs an append; when `flush` does not keep up, the newest are dropped and counted."""
        if len(self._buffer) < BUFFERED_EVENTS_MAX:
            self._buffer.append(event)
        else:
            self.dropped += 1

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    def flush(self) -> int:
        """Write what was appended so far; returns how many events.

        Raises:
            OSError: the disk does not take it. What was to be written counts as dropped, so that memory stays bounded.
        """
        with self._writing:
            events, self._buffer = self._buffer, []
            for start in range(0, len(events), BLOCK_EVENTS_MAX):
                try:
                    self._write_block(events[start : start + BLOCK_EVENTS_MAX])
                except OSError:
                    self.dropped += len(events) - start
                    self._abandon()
                    raise
            return len(events)

    def close(self) -> None:
        """Flush, and make the segment durable."""
        with self._writing:
            self.flush()
            if self._file is not None:
                os.fsync(self._file.fileno())
                self._file.close()
                self._file = None

    def _write_block(self, events: list[AnyEvent]) -> None:
        encoders = self._encode
        pairs = []
        for event in events:
            encode = encoders.get(type(event))
            if encode is None:
                encode = encoders[type(event)] = _encoder_for(type(event))
            pairs.append(encode(event))
        raw = self._encoder.encode(pairs)
        packed = zlib.compress(raw, COMPRESSION_LEVEL)
        file = self._segment()
        failpoint("tape.before_block")
        file.write(BLOCK.pack(MAGIC, len(packed), len(raw), len(events), zlib.crc32(packed)) + packed)
        file.flush()
        self.written += len(events)

    def _segment(self) -> Any:
        if self._file is not None and self._file.tell() < self._segment_bytes_max:
            return self._file
        if self._file is not None:
            self._file.close()
            self._file = None
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        existing = segments(self._folder)
        self._number = max([self._number, *(number_of(path) for path in existing)]) + 1
        self._file = (self._folder / f"{self._number:010d}{SUFFIX}").open("xb", buffering=1024 * 1024)
        self._file.write(HEADER)
        failpoint("tape.new_segment")
        self._forget_oldest(existing)
        return self._file

    def _forget_oldest(self, existing: list[Path]) -> None:
        sizes = [(path, path.stat().st_size) for path in existing]
        total = sum(size for _, size in sizes)
        for path, size in sizes:
            if total <= self._retained_bytes_max:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _abandon(self) -> None:
        """Leave a segment that may end in half a block; the next flush starts another."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # closing tries once more what the disk did not take; it is counted already
                file.close()


def segments(folder: Path) -> list[Path]:
    """The segments of a tape, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX and path.stem.isdigit())


def number_of(segment: Path) -> int:
    return int(segment.stem)


def read_tape(path: Path, *, on_torn: Callable[[Path, int], None] = lambda _path, _bytes: None) -> Iterator[AnyEvent]:
    """Every event of a segment, or of all segments of a folder, in order.

    Args:
        on_torn: told of a segment whose last bytes are no whole block, and how many bytes were left out.

    Raises:
        TapeCorrupt: a block is damaged and whole blocks follow it, or the file is no tape.
    """
    for segment in segments(path) if path.is_dir() else [path]:
        yield from _read_segment(segment, on_torn)


def _read_segment(path: Path, on_torn: Callable[[Path, int], None]) -> Iterator[AnyEvent]:
    data = path.read_bytes()
    if not data.startswith(HEADER):
        if HEADER.startswith(data):
            on_torn(path, len(data))
            return
        raise TapeCorrupt(f"{path} is no tape of this version")
    position = len(HEADER)
    while position < len(data):
        block = _block_at(data, position)
        if block is None:
            if _has_block_after(data, position + 1):
                raise TapeCorrupt(f"{path}: damaged at byte {position}, with whole blocks after it")
            on_torn(path, len(data) - position)
            return
        raw, position = block
        for name, value in msgspec.msgpack.decode(raw):
            yield _decode(path, name, value)


def _block_at(data: bytes, position: int) -> tuple[bytes, int] | None:
    """The raw bytes of the block at `position` and where the next one starts; None where there is no whole block."""
    if len(data) - position < BLOCK.size:
        return None
    magic, packed_bytes, raw_bytes, _events, checksum = BLOCK.unpack_from(data, position)
    end = position + BLOCK.size + packed_bytes
    if magic != MAGIC or raw_bytes > BLOCK_BYTES_MAX or end > len(data):
        return None
    packed = data[position + BLOCK.size : end]
    if zlib.crc32(packed) != checksum:
        return None
    raw = zlib.decompress(packed)
    return (raw, end) if len(raw) == raw_bytes else None


def _has_block_after(data: bytes, position: int) -> bool:
    found = data.find(MAGIC, position)
    while found >= 0:
        if _block_at(data, found) is not None:
            return True
        found = data.find(MAGIC, found + 1)
    return False


def _encoder_for(kind: type) -> Encode:
    """How events of one class are stored: market data as the tuple of the fields of its type in `core`."""
    base = next((parent for parent in kind.__mro__ if EVENT_TYPES.get(parent.__name__) is parent), None)
    assert base is not None, f"{kind.__name__} is no event of core"
    name = base.__name__
    if not issubclass(base, MarketEvent):
        return lambda event: (name, event)
    fields = attrgetter(*base.__struct_fields__)
    return lambda event: (name, fields(event))


def _decode(path: Path, name: str, value: Any) -> AnyEvent:
    kind = EVENT_TYPES.get(name)
    if kind is None:
        raise TapeCorrupt(f"{path} holds events of an unknown type {name}")
    if issubclass(kind, MarketEvent):
        value = dict(zip(kind.__struct_fields__, value, strict=True))
    try:
        event = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise TapeCorrupt(f"{path}: {name} does not fit this version ({error})") from error
    assert isinstance(event, MarketEvent | Event), "EVENT_TYPES holds events alone"
    return event
