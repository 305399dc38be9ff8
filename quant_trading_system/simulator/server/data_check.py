"""Decides which recorded files are judged before the exchange listens, so that a bad one ends the start with its name.

The session that is played first is judged whole, with the bars that are handed out as history; later days as far as a
budget of bytes goes (the rest are judged when they are reached). What was judged once is remembered in the state
directory by size and time of change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import msgspec

from quant_trading_system.datafiles import UNDATED, DataDirectory, Kind, check_file
from quant_trading_system.simulator.server.world import write_atomically

CHECKED_FILE = "checked.json"
LATER_BYTES_MAX = 1_024 * 1_024  # of compressed files of later days: about 0.15 s

Signature = tuple[int, int]


def check_recorded(directory: DataDirectory, *, first_day: date | None, state_dir: Path | None) -> None:
    """Judge the files that are played and told first.

    Raises:
        DataFileError: the first thing that is wrong.
    """
    known = _read_known(state_dir)
    judged: dict[str, Signature] = {}
    later_bytes = 0
    for kind, path, is_later in _files_in_order(directory, first_day):
        stat = path.stat()
        signature = (stat.st_size, stat.st_mtime_ns)
        if known.get(str(path)) != signature:
            if is_later and known:
                continue  # a world that goes on
            if is_later:
                later_bytes += stat.st_size
                if later_bytes > LATER_BYTES_MAX:
                    break
            check_file(kind, path)
        judged[str(path)] = signature
    if state_dir is not None and judged != known:
        write_atomically(state_dir / CHECKED_FILE, msgspec.json.encode(known | judged))


def _files_in_order(directory: DataDirectory, first_day: date | None) -> Iterator[tuple[Kind, Path, bool]]:
    played = sorted({*directory.symbols("trades"), *directory.symbols("quotes")})
    for symbol in played:
        for kind in UNDATED:
            if directory.has(kind, symbol):
                yield kind, directory.path(kind, symbol), False
    yield from _dated_files(directory, ("minute_bars",), played, first_day=None)
    yield from _dated_files(directory, ("trades", "quotes"), played, first_day=first_day)


def _dated_files(
    directory: DataDirectory, kinds: Iterable[Kind], symbols: Iterable[str], *, first_day: date | None
) -> Iterator[tuple[Kind, Path, bool]]:
    """Files by day; those of the first day are never later ones."""
    files = [(day, kind, symbol) for kind in kinds for symbol in symbols for day in directory.dates(kind, symbol)]
    for day, kind, symbol in sorted(files):
        if first_day is None or day >= first_day:
            yield kind, directory.path(kind, symbol, day), day != first_day


def _read_known(state_dir: Path | None) -> dict[str, Signature]:
    if state_dir is None:
        return {}
    try:
        return msgspec.json.decode((state_dir / CHECKED_FILE).read_bytes(), type=dict[str, Signature])
    except (OSError, msgspec.DecodeError):
        return {}  # it only saves work
