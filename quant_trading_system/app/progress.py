"""Remembers beside the database how far it had come, so that a restored one is found out. Decides how often."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from msgspec import structs

from quant_trading_system.core.events import RestoredGuards
from quant_trading_system.core.records import GuardRecord, OrderRecord, Record
from quant_trading_system.orders.ids import is_ours, parse
from quant_trading_system.persistence.high_water import Damaged, HighWater, read_high_water, write_high_water
from quant_trading_system.persistence.instance import newest_sequence

if TYPE_CHECKING:
    from quant_trading_system.app.parts import Parts

PERIOD_S = 5.0


class Progress:
    """What the next start is told by `high-water` in the state directory."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._sequence = 0
        self._guards: RestoredGuards | None = None
        self._written: HighWater | None = None
        self._writing = threading.Lock()
        """A stop writes while the task's thread may still: two at once would leave a file of both."""
        self._are_guards_told = False
        self._are_guards_stored = False
        """Whether guards of this life are committed: until then a restored database does not know what stands."""

    async def begin(self, guards: RestoredGuards | None) -> None:
        """Start from what the database holds now."""
        self._sequence = max(self._sequence, await newest_sequence(self._parts.database))
        self._guards = self._guards or guards

    def keep(self, record: Record) -> None:
        """An order that was sent had its intent committed; guards are remembered as they are stored."""
        if isinstance(record, GuardRecord):
            names = RestoredGuards.__struct_fields__
            self._guards = RestoredGuards(**{name: getattr(record, name) for name in names})
            self._are_guards_told = True
        elif isinstance(record, OrderRecord) and record.sent_ns is not None:
            parsed = parse(record.client_order_id)
            if parsed is not None and is_ours(record.client_order_id, self._parts.instance.token):
                self._sequence = max(self._sequence, parsed.sequence)

    async def run(self) -> None:
        """Write what changed, every few seconds, until cancelled."""
        while True:
            await asyncio.to_thread(self.write)  # an fsync may take longer than the loop may stand
            self._parts.supervisor.beat("high-water", PERIOD_S)
            await asyncio.sleep(PERIOD_S)

    def write_last(self) -> None:
        """Write once more when all that waited is stored; nothing where no start came so far as to write."""
        if self._written is not None:
            self.write()

    def write(self) -> None:
        """Write now. A file that cannot be written is said, and stops nothing: the broker's orders tell as well."""
        with self._writing:
            self._write()

    def _write(self) -> None:
        parts = self._parts
        if self._is_overtaken():
            return
        self._are_guards_stored = self._are_guards_stored or (self._are_guards_told and not parts.writer.depth)
        mark = HighWater(
            token=parts.instance.token,
            former=parts.instance.former,
            epoch=parts.lease.epoch,
            sequence=self._sequence,
            guards=self._guards,
            wall_ns=parts.clock.wall_ns(),
            restored="" if self._are_guards_stored else parts.instance.restored,
        )
        if self._written is not None and structs.replace(self._written, wall_ns=mark.wall_ns) == mark:
            return
        try:
            write_high_water(parts.state_dir, mark)
        except OSError as error:
            parts.log.error("high_water_not_written", reason=str(error))
        else:
            self._written = mark

    def _is_overtaken(self) -> bool:
        """Whether a later leader wrote there: an older word must not take the place of its own."""
        try:
            found = read_high_water(self._parts.state_dir)
        except Damaged:
            return False
        return found is not None and found.epoch > self._parts.lease.epoch
