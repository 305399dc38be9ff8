"""Talks to the running daemon over its HTTP interface. Decides how it is found and what an error means.

Standard library alone: a verb that asks a question must not cost a second of imports.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from quant_trading_system.core.errors import ExitCode, OperatorError, SafetyRefusal

TIMEOUT_S = 10.0  # above the five seconds the daemon gives its engine to answer
ANSWER_BYTES_MAX = 32 * 1024 * 1024
DAEMON_FILE = "daemon.json"
TOKEN_FILE = "control.token"  # noqa: S105 - the name of a file
MODES = ("sim", "paper", "live")
ROOT_STATE = Path("/var/lib/alphatrade")
HOST = "127.0.0.1"

_EXIT_CODES = {
    400: ExitCode.USAGE,
    401: ExitCode.BROKER,
    403: ExitCode.BROKER,
    404: ExitCode.USAGE,
    409: ExitCode.SAFETY,
    413: ExitCode.USAGE,
    415: ExitCode.USAGE,
    421: ExitCode.CONFIGURATION,
    422: ExitCode.USAGE,
    429: ExitCode.TEMPORARY,
    503: ExitCode.TEMPORARY,
    504: ExitCode.TIMEOUT,
}

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """Where a daemon listens, and what its state directory says of it; None where it was found by address alone."""

    host: str
    port: int
    state_dir: Path | None = None
    pid: int | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


def state_folders(state_dir: Path | None, environ: Mapping[str, str]) -> list[Path]:
    """The state directories a daemon of ours may have: the one that was named, else one for each mode."""
    if state_dir is not None:
        return [state_dir]
    if environ.get("STATE_DIRECTORY"):
        return [Path(environ["STATE_DIRECTORY"].split(":")[0])]
    parent = ROOT_STATE if os.geteuid() == 0 else Path("state")
    return [parent / mode for mode in MODES]


def find(listen: str | None, state_dir: Path | None, environ: Mapping[str, str] = os.environ) -> Daemon:
    """Find the running daemon.

    Args:
        listen: HOST:PORT, as given on the command line.
        state_dir: as given on the command line.

    Raises:
        OperatorError: none is there (exit 3), or there are several (exit 2): which one is meant is never guessed.
    """
    folders = state_folders(state_dir, environ)
    running = [daemon for folder in folders if (daemon := _read(folder)) is not None]
    if listen is not None:
        host, port = _split(listen)
        same = [daemon for daemon in running if daemon.port == port]
        if same:
            return Daemon(host=host, port=port, state_dir=same[0].state_dir, pid=same[0].pid)
        return Daemon(host=host, port=port, state_dir=state_dir)
    if not running:
        looked = ", ".join(str(folder) for folder in folders)
        raise OperatorError(
            f"no daemon runs here (looked in {looked})",
            fix="start one with `trade`, or name it with --http HOST:PORT or --state-dir DIR",
            exit_code=ExitCode.NOT_RUNNING,
        )
    if len(running) > 1:
        raise OperatorError(
            "several daemons run: " + ", ".join(f"{daemon.state_dir} ({daemon.address})" for daemon in running),
            fix="say which one with --state-dir DIR",
            exit_code=ExitCode.USAGE,
        )
    return running[0]


class Client:
    """Asks one daemon. Every call is one request with a time limit; nothing is retried."""

    def __init__(self, daemon: Daemon, *, timeout_s: float = TIMEOUT_S) -> None:
        self.daemon = daemon
        self._timeout_s = timeout_s

    def get(self, path: str, **query: object) -> Answer:
        """The answer to a question.

        Raises:
            OperatorError: with the exit code that fits the failure.
        """
        given = {name: str(value) for name, value in query.items() if value is not None}
        return self._request("GET", f"{path}?{urlencode(given)}" if given else path)

    def command(self, command: str, body: Mapping[str, object]) -> Answer:
        """Command the daemon. The token goes only to the process the state directory names.

        Raises:
            OperatorError: with the exit code that fits the failure.
        """
        token = self._token()
        if self.daemon.pid is not None:
            answering = self.get("/api/v1/status").get("pid")
            if answering != self.daemon.pid:
                raise SafetyRefusal(
                    f"process {answering} answers at {self.daemon.address}, {DAEMON_FILE} names {self.daemon.pid}",
                    fix="something else listens there: find out what before you send it commands",
                )
        return self._request("POST", f"/api/v1/control/{command}", body=body, token=token)

    def _request(
        self, method: str, path: str, *, body: Mapping[str, object] | None = None, token: str | None = None
    ) -> Answer:
        headers = {"Accept": "application/json"}
        if token is not None:
            headers |= {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=self._timeout_s)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            raw = response.read(ANSWER_BYTES_MAX)
        except TimeoutError as error:
            raise OperatorError(
                f"the daemon at {self.daemon.address} did not answer within {self._timeout_s:.0f} s",
                fix="see its log; `control kill` works without it",
                exit_code=ExitCode.TIMEOUT,
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise OperatorError(
                f"no daemon answers at {self.daemon.address}: {str(error) or type(error).__name__}",
                fix="start one with `trade`, or name another with --http HOST:PORT or --state-dir DIR",
                exit_code=ExitCode.NOT_RUNNING,
            ) from error
        finally:
            connection.close()
        return self._answer(response.status, raw)

    def _answer(self, status: int, raw: bytes) -> Answer:
        try:
            content = json.loads(raw)
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise OperatorError(
                f"what answers at {self.daemon.address} is not the daemon (status {status}, no JSON)",
                exit_code=ExitCode.NOT_RUNNING,
            )
        if status == 200:
            return content
        raise OperatorError(
            str(content.get("detail", f"status {status}")), exit_code=_EXIT_CODES.get(status, ExitCode.UNEXPECTED)
        )

    def _token(self) -> str:
        if self.daemon.state_dir is None:
            raise OperatorError(
                f"commanding the daemon at {self.daemon.address} needs its control token",
                fix="name its state directory with --state-dir DIR",
                exit_code=ExitCode.BROKER,
            )
        path = self.daemon.state_dir / TOKEN_FILE
        try:
            return path.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise OperatorError(
                f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not a token'}",
                fix="run as the user the daemon runs as",
                exit_code=ExitCode.BROKER,
            ) from error


def _read(folder: Path) -> Daemon | None:
    """What `daemon.json` says, None where there is none or its process is gone.

    Raises:
        OperatorError: it is there and cannot be read.
    """
    path = folder / DAEMON_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        host, port = _split(str(content["http"]))
        pid = int(content["pid"])
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise OperatorError(
            f"{path}: {error.strerror}", fix="run as the user the daemon runs as", exit_code=ExitCode.NOT_RUNNING
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperatorError(
            f"{path} is damaged: {error}", fix="name the daemon with --http HOST:PORT", exit_code=ExitCode.NOT_RUNNING
        ) from error
    return Daemon(host=host, port=port, state_dir=folder, pid=pid) if _is_alive(pid) else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # another user's process is a process
    return True


def _split(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    name = host.strip("[]")
    return (HOST if name in ("0.0.0.0", "", "::") else name), int(port)  # noqa: S104 - told where, not listened on
