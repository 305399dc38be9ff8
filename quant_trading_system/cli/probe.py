"""HEALTHCHECK of the container: asks /livez and exits 0 or 1. Standard library alone, so that it starts at once."""

from __future__ import annotations

import http.client
import os
import sys

DEFAULT_LISTEN = "127.0.0.1:8080"
ANSWER_SECONDS_MAX = 3.0


def is_alive(listen: str) -> bool:
    """Whether the daemon at HOST:PORT says that its loop advances."""
    try:
        connection = http.client.HTTPConnection(listen, timeout=ANSWER_SECONDS_MAX)
    except http.client.HTTPException:  # no HOST:PORT
        return False
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == http.client.OK
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    listen_address = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("QTS__HTTP__LISTEN", DEFAULT_LISTEN)
    sys.exit(0 if is_alive(listen_address) else 1)
