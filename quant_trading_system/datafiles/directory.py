"""Knows which files a data directory holds. Decides what a sound layout is; reads no row.

Layout: `daily_bars/SYM.*`, `corporate_actions/SYM.*`, `minute_bars/SYM/YYYYMMDD.*`, `trades/SYM/YYYYMMDD.*`,
`quotes/SYM/YYYYMMDD.*`, each `.csv`, `.csv.gz` or `.parquet`. Other top-level entries are somebody else's (a README).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Literal, get_args

from quant_trading_system.datafiles.errors import DataFileError
from quant_trading_system.datafiles.tables import SUFFIXES, date_of_stem, split_suffix

Kind = Literal["trades", "quotes", "minute_bars", "daily_bars", "corporate_actions"]
KINDS: tuple[Kind, ...] = get_args(Kind)
UNDATED: tuple[Kind, ...] = ("daily_bars", "corporate_actions")  # one file holds every date of a symbol
FILES_MAX = 1_000_000  # two thousand symbols over two years; a bigger listing is a wrong folder

_SYMBOL = re.compile(r"[A-Z][A-Z0-9]{0,9}([.\-][A-Z0-9]{1,5})?", re.ASCII)
_LAYOUT = (
    "expected daily_bars/SYM.csv, minute_bars/SYM/YYYYMMDD.csv, trades/SYM/YYYYMMDD.csv or quotes/SYM/YYYYMMDD.csv"
)


class DataDirectory:
    """A folder of market data. Opening it lists it and checks its layout; the files are opened by the readers.

    Raises:
        DataFileError: no such folder, no data at all, or a name in it that the layout has no place for.
    """

    def __init__(self, path: Path | str) -> None:
        self.root = Path(path)
        if not self.root.exists():
            raise DataFileError(self.root, 0, "no such data directory")
        if not self.root.is_dir():
            raise DataFileError(self.root, 0, f"expected a data directory, found a file; {_LAYOUT}")
        self._undated: dict[Kind, dict[str, Path]] = {kind: {} for kind in UNDATED}
        self._dated: dict[tuple[Kind, str], dict[date, Path]] = {}
        self._files = 0
        for kind in KINDS:
            folder = self.root / kind
            if folder.exists():
                self._list_kind(kind, folder)
        if not self._files:
            raise DataFileError(self.root, 0, f"no market data here; {_LAYOUT} (or .csv.gz, .parquet)")

    def symbols(self, kind: Kind) -> tuple[str, ...]:
        """Symbols with at least one file of a kind, sorted."""
        if kind in UNDATED:
            return tuple(sorted(self._undated[kind]))
        return tuple(sorted(symbol for one_kind, symbol in self._dated if one_kind == kind))

    def dates(self, kind: Kind, symbol: str) -> tuple[date, ...]:
        """New York dates for which there is a file, sorted; empty for kinds whose file holds every date."""
        return tuple(sorted(self._dated.get((kind, symbol), ())))

    def has(self, kind: Kind, symbol: str, day: date | None = None) -> bool:
        """Whether there is a file of this kind, symbol and day (no day for kinds whose file holds every date)."""
        if kind in UNDATED:
            return symbol in self._undated[kind]
        return day in self._dated.get((kind, symbol), ())

    def path(self, kind: Kind, symbol: str, day: date | None = None) -> Path:
        """The file of one symbol and day (no day for kinds whose file holds every date).

        Raises:
            DataFileError: there is none.
        """
        if kind in UNDATED:
            found = self._undated[kind].get(symbol)
        else:
            found = self._dated.get((kind, symbol), {}).get(day) if day else None
        if found is None:
            of_day = f" on {day.isoformat()}" if day else ""
            known = ", ".join(self.symbols(kind)) or "none"
            raise DataFileError(self.root / kind, 0, f"no {kind} of {symbol}{of_day}; symbols with {kind}: {known}")
        return found

    def require_symbols(self, kind: Kind, symbols: Iterable[str]) -> None:
        """Check that every symbol has data of a kind.

        Raises:
            DataFileError: naming all that have none.
        """
        have = self.symbols(kind)
        missing = sorted(set(symbols) - set(have))
        if missing:
            known = ", ".join(have) or "none"
            raise DataFileError(self.root / kind, 0, f"no {kind} of {', '.join(missing)}; symbols with {kind}: {known}")

    def only(self, symbols: Iterable[str]) -> DataDirectory:
        """The same folder as if it held these symbols alone; no symbols mean all.

        Raises:
            DataFileError: a symbol has neither trades nor quotes.
        """
        wanted = set(symbols)
        if not wanted:
            return self
        playable = {*self.symbols("trades"), *self.symbols("quotes")}
        missing = sorted(wanted - playable)
        if missing:
            known = ", ".join(sorted(playable)) or "none"
            raise DataFileError(
                self.root, 0, f"no trades or quotes of {', '.join(missing)}; symbols with them: {known}"
            )
        narrowed = copy.copy(self)
        narrowed._undated = {
            kind: {symbol: path for symbol, path in files.items() if symbol in wanted}
            for kind, files in self._undated.items()
        }
        narrowed._dated = {key: files for key, files in self._dated.items() if key[1] in wanted}
        return narrowed

    def _list_kind(self, kind: Kind, folder: Path) -> None:
        if not folder.is_dir():
            raise DataFileError(folder, 0, f"expected a folder, found a file; {_LAYOUT}")
        for entry in _visible(folder):
            if kind in UNDATED:
                self._list_undated(kind, entry)
            elif not entry.is_dir():
                raise DataFileError(entry, 0, f"expected a folder named by a symbol, found a file; {_LAYOUT}")
            else:
                self._list_symbol(kind, entry)

    def _list_undated(self, kind: Kind, entry: Path) -> None:
        symbol, suffix = split_suffix(entry.name)
        if not suffix and kind == "corporate_actions":
            return  # other programs keep notes and tables of their own there
        if not suffix or not entry.is_file():
            raise DataFileError(entry, 0, f"expected a file SYM{'|'.join(SUFFIXES)}; {_LAYOUT}")
        _check_symbol(entry, symbol)
        known = self._undated[kind]
        if symbol in known:
            raise DataFileError(entry, 0, f"two files for {symbol}: {known[symbol].name} as well; keep one")
        known[symbol] = entry
        self._count(entry)

    def _list_symbol(self, kind: Kind, folder: Path) -> None:
        _check_symbol(folder, folder.name)
        of_day: dict[date, Path] = {}
        for entry in _visible(folder):
            stem, suffix = split_suffix(entry.name)
            day = date_of_stem(stem)
            if not suffix or day is None or not entry.is_file():
                raise DataFileError(entry, 0, f"expected a file YYYYMMDD{'|'.join(SUFFIXES)} for a date that exists")
            if day in of_day:
                raise DataFileError(entry, 0, f"two files for {day.isoformat()}: {of_day[day].name} as well; keep one")
            of_day[day] = entry
            self._count(entry)
        if not of_day:
            raise DataFileError(folder, 0, "a symbol folder without a file; put YYYYMMDD.csv into it or remove it")
        self._dated[kind, folder.name] = of_day

    def _count(self, entry: Path) -> None:
        self._files += 1
        if self._files > FILES_MAX:
            raise DataFileError(entry, 0, f"more than {FILES_MAX} files; is this the data directory?")


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DataFileError(folder, 0, f"cannot be listed ({error.strerror or error})") from None


def _check_symbol(path: Path, symbol: str) -> None:
    if not _SYMBOL.fullmatch(symbol):
        raise DataFileError(path, 0, f"unknown symbol folder or file: {symbol!r} is not a US equity symbol like BRK.B")
