"""How many requests left for the broker lately, as the state directory remembers it. Decides what a new process counts.

The broker's minute does not end with a process: one that is started within it goes on counting where the last one was
(invariant I8). Requests are written down in blocks before the first of a block leaves, each block in a slot of a file
whose space was taken once, so that a full disk stops nothing. All of a block had left when the next one was begun; of
the newest nobody knows how many left, nor when: they count in full, and as if they left just now.
"""

from __future__ import annotations

import asyncio
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from quant_trading_system.persistence.files import disk_of, sync_folder

FILE_NAME = "requests"
BLOCKS_PER_MINUTE = 20  # an fsync for each; and what a killed process wastes is a twentieth of the budget
SLOTS = 64  # three minutes of the whole budget
JUST_NOW_NS = 0
_SLOT = struct.Struct("<QQII")  # number of the block, venue time, requests, checksum of these
_BODY_BYTES = _SLOT.size - 4


class RequestLog:
    """What this process writes down, and what it found of earlier ones.

    Args:
        path: the file.
        per_minute: the broker's limit.
        on_failure: told why a block could not be written down; it is used all the same, for no cancel may wait for a
            disk.
    """

    def __init__(self, path: Path, *, per_minute: int, on_failure: Callable[[str], None]) -> None:
        self._path = path
        self._block = max(1, per_minute // BLOCKS_PER_MINUTE)
        self._on_failure = on_failure
        self._left = 0
        self._is_stamped = True
        """Whether the newest block tells a time: the first ones leave before the venue's is known."""
        self._lock = asyncio.Lock()
        self.earlier_ns, self._number = self._recall()
        """The venue time until which each request of earlier processes may have left; `JUST_NOW_NS`: nobody knows."""

    async def note(self, venue_ns: int) -> None:
        """Count one request that is about to leave; durable when this returns."""
        async with self._lock:
            if self._left <= 0:
                self._number += 1
                await self._write(venue_ns)
                self._left += self._block
            self._left -= 1

    async def learn_time(self, venue_ns: int) -> None:
        """The venue's time is known now: whatever earlier processes sent had left before it."""
        if venue_ns == JUST_NOW_NS or self._is_stamped:
            return
        async with self._lock:
            if not self._is_stamped:
                await self._write(venue_ns)

    async def _write(self, venue_ns: int) -> None:
        await asyncio.to_thread(self._try, self._put_block, venue_ns)  # a sync may take longer than the loop may stand
        self._is_stamped = venue_ns != JUST_NOW_NS

    def _try(self, write: Callable[[int], None], venue_ns: int) -> None:
        try:
            write(venue_ns)
        except OSError as error:
            self._on_failure(f"{self._path}: {error.strerror}")

    def _put_block(self, venue_ns: int) -> None:
        body = struct.pack("<QQI", self._number, venue_ns, self._block)
        self._put(body + struct.pack("<I", zlib.crc32(body)), self._number % SLOTS * _SLOT.size)

    def _make_room(self, _venue_ns: int) -> None:
        self._put(bytes(SLOTS * _SLOT.size), 0)
        sync_folder(self._path.parent)

    def _put(self, data: bytes, offset: int) -> None:
        disk = disk_of(self._path)
        descriptor = disk.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            disk.pwrite(descriptor, data, offset)
            disk.fsync(descriptor)
        finally:
            disk.close(descriptor)

    def _recall(self) -> tuple[tuple[int, ...], int]:
        """Blocks by number; a slot that a power cut tore is a block of nobody knows when."""
        raw = b""
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            self._try(self._make_room, JUST_NOW_NS)
        except OSError as error:
            self._on_failure(f"{self._path}: {error.strerror}")
        blocks: list[tuple[int, int, int]] = []
        torn = 0
        for place in range(0, len(raw) - _SLOT.size + 1, _SLOT.size):
            slot = raw[place : place + _SLOT.size]
            number, venue_ns, count, checksum = _SLOT.unpack(slot)
            if checksum == zlib.crc32(slot[:_BODY_BYTES]):
                blocks.append((number, venue_ns, count))
            elif any(slot):
                torn += self._block
        blocks.sort(reverse=True)
        stamps, until_ns = [JUST_NOW_NS] * torn, JUST_NOW_NS
        for _, venue_ns, count in blocks:
            stamps += [until_ns] * count
            until_ns = venue_ns or until_ns
        return tuple(reversed(stamps)), blocks[0][0] if blocks else 0
