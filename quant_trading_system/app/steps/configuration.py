"""Step 1: settings valid, keys well formed, mode signs agree, the state directory ours alone."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from quant_trading_system.app.failpoints import install_failpoints, read_failpoints
from quant_trading_system.app.parts import Parts
from quant_trading_system.app.settings import load, state_directory
from quant_trading_system.core.errors import ExitCode, OperatorError, SafetyRefusal
from quant_trading_system.core.failpoints import failpoint

TOKEN_FILE = "control.token"  # noqa: S105 - the name of a file
LOCK_FILE = "daemon.lock"
TOKEN_BYTES = 32


@asynccontextmanager
async def configuration(parts: Parts) -> AsyncIterator[str]:
    """Load every setting, take the state directory, make the control token."""
    options = parts.options
    armed = read_failpoints(os.environ, options.mode)
    parts.loaded = load(options.mode, flags=options.flags, config_file=options.config_file)
    failpoints = install_failpoints(armed, parts.settings, options.mode)
    parts.state_dir = state_directory(options.mode, options.state_dir, os.environ)
    lock = _take_directory(parts.state_dir)
    try:
        parts.control_token = _control_token(parts.state_dir)
        keys = parts.keys
        source = f"keys {keys.hint} from {keys.source}" if keys is not None else "no keys needed"
        failpoint("step.configuration.entered")
        yield f"{options.mode} · {source} · state in {parts.state_dir}{failpoints}"
    finally:
        (parts.state_dir / "daemon.json").unlink(missing_ok=True)
        os.close(lock)
    failpoint("step.configuration.left")


def _take_directory(folder: Path) -> int:
    """Make the state directory and lock it; the lock falls with the process.

    Raises:
        SafetyRefusal: another daemon holds it.
        OperatorError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        what = "expected a folder, found something else" if isinstance(error, FileExistsError) else error.strerror
        raise OperatorError(
            f"state directory {folder}: {what}",
            fix="give a folder you can write: --state-dir DIR",
            exit_code=ExitCode.CONFIGURATION,
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise SafetyRefusal(
            f"another daemon uses the state directory {folder}",
            fix="stop it, or give this one a directory of its own: --state-dir DIR",
        ) from error
    return descriptor


def _control_token(folder: Path) -> str:
    """The token that POST needs, made once, readable by its owner alone."""
    path = folder / TOKEN_FILE
    if path.is_file():
        held = path.read_bytes().strip()
        if held and held.isascii():  # a damaged one is made anew: whoever may read the old one may read this one
            return held.decode("ascii")
    token = secrets.token_urlsafe(TOKEN_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    return token
