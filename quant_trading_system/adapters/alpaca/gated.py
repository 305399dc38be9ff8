"""Decides the last moment before an order leaves: a request body that is asked for permission as its bytes are written.

aiohttp holds the headers back and writes them together with the first bytes of the body, in one call. A body that runs
a check at that moment therefore stands between the program and the wire: when the check raises, no byte of the request
reaches the broker; when it passes, the write follows in the same step of the event loop.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import ClientConnectionResetError, payload
from aiohttp.abc import AbstractStreamWriter

from quant_trading_system.core.failpoints import failpoint


class GatedPayload(payload.Payload):
    """Bytes to write, the check that comes first, and whether any byte may have left.

    An empty body is possible: then the headers wait for this body all the same, and a DELETE is as well observed as a
    POST.
    """

    _autoclose = True  # bytes in memory: nothing to close

    def __init__(self, body: bytes, before_write: Callable[[], None] | None = None) -> None:
        super().__init__(body, content_type="application/json")
        self._size = len(body)
        self._body = body
        self._before_write = before_write
        self.has_left = False
        self.refusal: Exception | None = None

    @property
    def consumed(self) -> bool:
        """True once bytes may have left: aiohttp must then not send the request a second time on its own."""
        return self.has_left

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._body.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Check, then write, without anything in between that could let another task run."""
        transport = writer.transport
        if transport is None or transport.is_closing():
            raise ClientConnectionResetError("the connection closed before the first byte")
        if self._before_write is not None:
            try:
                self._before_write()
            except Exception as refusal:  # border: a check that cannot answer has not said yes; told to the caller
                self.refusal = refusal
                raise
        self.has_left = True
        await writer.write(self._body)
        failpoint("http.after_bytes")
