"""A proxy in front of a Unix socket that can be told to lose an answer or to cut every connection.

Decides when a connection dies as the network would kill it: after the server did the work, before the client knows.
"""

from __future__ import annotations

import asyncio
from pathlib import Path


class CuttingProxy:
    """Listens on `folder/<socket name>` and forwards to `target`."""

    def __init__(self, target: Path, folder: Path) -> None:
        self._target = target
        self._path = folder / target.name
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._lose_answer_to: bytes | None = None
        self.lost = 0

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, path=str(self._path))

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.sleep(0)

    def lose_answer_to(self, words: bytes) -> None:
        """The next request that holds `words` reaches the server; its answer never comes, the connection dies."""
        self._lose_answer_to = words

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(str(self._target))
        self._writers |= {writer, up_writer}
        is_mute = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forward(reader, up_writer, is_mute))
                group.create_task(self._answer(up_reader, writer, is_mute))
        finally:
            self._writers -= {writer, up_writer}
            writer.transport.abort()
            up_writer.transport.abort()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_mute: asyncio.Event
    ) -> None:
        while data := await self._read(reader):
            if self._lose_answer_to is not None and self._lose_answer_to in data:
                self._lose_answer_to = None
                is_mute.set()
            writer.write(data)
        writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_mute: asyncio.Event) -> None:
        while data := await self._read(reader):
            if is_mute.is_set():
                self.lost += 1
                break
            writer.write(data)
        writer.transport.abort()

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.read(65_536)
        except ConnectionError:
            return b""
