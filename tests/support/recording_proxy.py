"""A proxy in front of the exchange that remembers each request that changes something, and when it passed.

Decides nothing about the traffic: bytes go through as they come. What it remembers is what reached the exchange from
one daemon, seen from outside of both.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

REQUEST_LINE = re.compile(rb"(?:^|\r\n|[}\]])(GET|POST|PATCH|PUT|DELETE) (/[^ ]*) HTTP/1\.1\r\n")
CHANGING = frozenset({"POST", "PATCH", "PUT", "DELETE"})
BUFFER_BYTES = 65_536


class Passed(NamedTuple):
    """A request, and the monotonic second at which its first bytes were passed on."""

    at_s: float
    method: str
    path: str


class RecordingProxy:
    """Listens on a loopback port of its own and forwards to the exchange at `url`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._lock = threading.Lock()
        self._passed: list[Passed] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def requests(self) -> list[Passed]:
        with self._lock:
            return list(self._passed)

    def changes(self, *, after_s: float = 0.0) -> list[Passed]:
        """Requests that change something at the exchange, passed on after a moment."""
        return [each for each in self.requests() if each.method in CHANGING and each.at_s > after_s]

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
                upstream = socket.create_connection(self._target)
            except OSError:
                return
            threading.Thread(target=self._pump, args=(client, upstream, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(upstream, client, False), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_request: bool) -> None:
        with suppress(OSError):
            while data := source.recv(BUFFER_BYTES):
                if is_request:
                    self._remember(data)
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()  # what was not read is answered by a reset, as by the kernel of a process that ended

    def _remember(self, data: bytes) -> None:
        at_s = time.monotonic()
        found = [
            Passed(at_s, method.decode(), path.decode(errors="replace")) for method, path in REQUEST_LINE.findall(data)
        ]
        with self._lock:
            self._passed.extend(found)
