"""Decides what shapes an exchange's world, and refuses other values on a state directory that holds one already.

The shape (data, start, seed, cash, symbols) is written once, when the world is made; it is what its journal replays on.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from quant_trading_system.simulator.assets import DEFAULT_CRYPTO, is_pair

WORLD_FILE = "world.json"
LOCK_FILE = "exchange.lock"
LOCK_POLL_SECONDS = 0.05
LOCK_TRIES_MAX = 60  # three seconds: a predecessor that was told to stop may still be closing its journal


_CASH = re.compile(r"[0-9]{1,13}(\.[0-9]{1,2})?", re.ASCII)


class WorldConflict(Exception):
    """The state directory holds another world. The message names the field and both values."""


class StateLocked(Exception):
    """Another exchange uses the state directory."""


class WorldShape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes one world differ from another, complete. Worlds made before crypto was there have no pairs."""

    data: str | None
    start_ns: int
    seed: int
    cash: str
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldWish:
    """What was asked for; None where nothing was said."""

    data: str | None = None
    start_ns: int | None = None
    seed: int | None = None
    cash: str | None = None
    symbols: tuple[str, ...] | None = None

    def with_defaults(self, shape: WorldShape) -> WorldShape:
        """The wish, completed from a shape of defaults: a generated world has its default pairs beside the equities
        that are named, where no pair is."""
        said = {name: value for name in WorldShape.__struct_fields__ if (value := getattr(self, name)) is not None}
        made = msgspec.structs.replace(shape, **said)
        if made.data is not None or any(map(is_pair, made.symbols)):
            return made
        return msgspec.structs.replace(made, symbols=tuple(sorted((*made.symbols, *DEFAULT_CRYPTO))))


def read_world(state_dir: Path) -> WorldShape | None:
    """The world that a state directory holds, None where it holds none.

    Raises:
        WorldConflict: its file cannot be read as one.
    """
    path = state_dir / WORLD_FILE
    try:
        shape = msgspec.json.decode(path.read_bytes(), type=WorldShape)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorldConflict(f"{path}: cannot be read ({error.strerror or error})") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WorldConflict(f"{path}: not readable as a world's shape ({error})") from None
    if not _CASH.fullmatch(shape.cash):
        raise WorldConflict(f"{path}: cash: expected an amount in USD, found {shape.cash!r}")
    return shape


def write_world(state_dir: Path, shape: WorldShape) -> None:
    write_atomically(state_dir / WORLD_FILE, msgspec.json.encode(shape))


def check_wish(state_dir: Path, wish: WorldWish, shape: WorldShape) -> None:
    """Compare what is asked for with the world that is there.

    Raises:
        WorldConflict: they differ.
    """
    for name, option in (
        ("data", "--data"),
        ("start_ns", "--start"),
        ("seed", "--seed"),
        ("cash", "--cash"),
        ("symbols", "--symbols"),
    ):
        asked, held = getattr(wish, name), getattr(shape, name)
        if name == "symbols" and asked is not None and not any(map(is_pair, asked)):
            held = tuple(symbol for symbol in held if not is_pair(symbol))
        if asked is not None and asked != held:
            raise WorldConflict(
                f"{option}: {state_dir} holds a world made with {_said(name, held)}, asked for {_said(name, asked)};"
                " use another --state-dir, or leave the option out"
            )


def _said(name: str, value: object) -> str:
    if value is None:
        return "no recorded data (a generated market)"
    if name == "start_ns" and isinstance(value, int):
        from quant_trading_system.simulator.server.stamps import eastern_text

        return eastern_text(value, with_fraction=False)
    return ",".join(value) if isinstance(value, tuple) else str(value)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the whole new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


@asynccontextmanager
async def locked_state(state_dir: Path) -> AsyncIterator[None]:
    """Hold the state directory for this process alone. The lock ends with the process, however it ends.

    Raises:
        StateLocked: another exchange kept it for three seconds.
    """
    with _lock_file(state_dir) as file:
        for _ in range(LOCK_TRIES_MAX):
            if _try_lock(file):
                yield
                return
            await asyncio.sleep(LOCK_POLL_SECONDS)
    raise StateLocked(f"another exchange uses {state_dir}")


def _lock_file(state_dir: Path) -> BinaryIO:
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return (state_dir / LOCK_FILE).open("wb")


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
