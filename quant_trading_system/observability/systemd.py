"""Tells systemd how the daemon is doing, over NOTIFY_SOCKET. Decides nothing; without the socket it does nothing.

Source: sd_notify(3) and systemd.service(5), read 2026-11-21.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

STATUS_BYTES_MAX = 256
MICROSECONDS = 1_000_000


class Notifier:
    """Sends one datagram for each call. A call returns whether systemd was told; a lost datagram is counted."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog_interval_s = _watchdog_interval_s(environ)
        """Seconds between two WATCHDOG=1, half of what systemd allows; None where it does not watch this process."""
        self.failures = 0

    @property
    def is_active(self) -> bool:
        return self._address is not None

    def ready(self, status: str = "") -> bool:
        """The eight steps are done."""
        return self._send("READY=1", *_status(status))

    def status(self, text: str) -> bool:
        """One line for people, shown by `systemctl status`."""
        return self._send(*_status(text))

    def watchdog(self) -> bool:
        """The engine loop advanced since the last call. Only the caller can know; it must not call otherwise."""
        return self._send("WATCHDOG=1")

    def stopping(self, status: str = "") -> bool:
        return self._send("STOPPING=1", *_status(status))

    def extend_timeout(self, seconds: float) -> bool:
        """Ask for `seconds` more to start or to stop, counted from now."""
        return self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * MICROSECONDS)}")

    def _send(self, *lines: str) -> bool:
        if self._address is None or not lines:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.setblocking(False)
                channel.connect(self._address)
                channel.sendall("\n".join(lines).encode())
        except OSError:
            self.failures += 1
            return False
        return True


def _address(text: str) -> str | None:
    """The socket's address; `@name` is one in the abstract namespace. Any other form is not a notification socket."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else None


def _status(text: str) -> tuple[str, ...]:
    line = " ".join(text.split()).encode()[:STATUS_BYTES_MAX].decode(errors="ignore")
    return (f"STATUS={line}",) if line else ()


def _watchdog_interval_s(environ: Mapping[str, str]) -> float | None:
    allowed_us = environ.get("WATCHDOG_USEC", "")
    watched_pid = environ.get("WATCHDOG_PID", "")
    if not allowed_us.isdecimal() or int(allowed_us) == 0:
        return None
    if watched_pid and watched_pid != str(os.getpid()):
        return None
    return int(allowed_us) / MICROSECONDS / 2
