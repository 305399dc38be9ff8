"""Opens one market-data file and hands out its lines. Decides what a readable file is: encoding, header, fields."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO, cast

from quant_trading_system.datafiles.errors import DataFileError
from quant_trading_system.datafiles.stamps import new_york_day_bounds_ns

SUFFIXES = (".csv", ".csv.gz", ".parquet")
BLOCK_BYTES = 256 * 1_024
LINE_BYTES_MAX = 4_096  # a row has eight short fields; more means the file is not a table of rows

_NO_BOUNDS = (-(1 << 63), 1 << 63)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What a file of one kind must and may hold. A tuple of names means one of them."""

    kind: str
    required: Sequence[tuple[str, ...]]
    optional: Sequence[str] = ()

    @property
    def known(self) -> tuple[str, ...]:
        return (*(name for names in self.required for name in names), *self.optional)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """An open file: where each column stands, how many there are, and its lines behind the header."""

    path: Path
    positions: Mapping[str, int]
    width: int
    bounds_ns: tuple[int, int]
    lines: Iterator[str]

    def fail(self, line: int, message: str, *, field: str = "") -> DataFileError:
        return DataFileError(self.path, line, message, field=field)


def split_suffix(name: str) -> tuple[str, str]:
    """Split a file name into stem and one of SUFFIXES; ("", "") where it has none of them."""
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix), suffix
    return "", ""


def date_of_stem(stem: str) -> date | None:
    """The date that a file name like 20131007 stands for, None where it stands for none."""
    if len(stem) != 8 or not stem.isdecimal():
        return None
    try:
        return datetime.strptime(stem, "%Y%m%d").date()  # noqa: DTZ007 - a date alone has no zone
    except ValueError:
        return None


def open_table(path: Path, columns: Columns) -> Table:
    """Open a file and check its header; the rows are read when they are asked for.

    Raises:
        DataFileError: no such file, unreadable, empty, not UTF-8, or another header.
    """
    stem, suffix = split_suffix(path.name)
    if not suffix:
        raise DataFileError(path, 0, f"expected a file ending in one of {', '.join(SUFFIXES)}")
    if suffix == ".parquet":
        from quant_trading_system.datafiles.parquet import parquet_lines

        lines = parquet_lines(path, columns)
    else:
        lines = _text_lines(path)
    header = next(lines, "")
    if not header.strip():
        raise DataFileError(path, 0 if not header else 1, "expected a header line, found an empty file")
    names = [name.strip() for name in header.split(",")]
    _check_header(path, names, columns)
    day = date_of_stem(stem)
    return Table(
        path=path,
        positions={name: index for index, name in enumerate(names)},
        width=len(names),
        bounds_ns=new_york_day_bounds_ns(day) if day else _NO_BOUNDS,
        lines=lines,
    )


def _check_header(path: Path, names: Sequence[str], columns: Columns) -> None:
    known = columns.known
    for choice in columns.required:
        present = [name for name in choice if name in names]
        if not present:
            wanted = " or ".join(repr(name) for name in choice)
            raise DataFileError(
                path,
                1,
                f"missing column {wanted}; a {columns.kind} file has {','.join(known)}, found {','.join(names)}",
            )
        if len(present) > 1:
            raise DataFileError(path, 1, f"expected one of the columns {' and '.join(present)}, found both")
    for name in names:
        if name not in known:
            raise DataFileError(path, 1, f"unknown column {name!r}; a {columns.kind} file has {','.join(known)}")
        if names.count(name) > 1:
            raise DataFileError(path, 1, f"column {name!r} stands there twice")


def _open_bytes(path: Path) -> BinaryIO:
    if path.name.endswith(".gz"):
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _text_lines(path: Path) -> Iterator[str]:
    """Lines without their ends. Blank lines are handed out too, but for the end of the file."""
    try:
        with _open_bytes(path) as source:
            yield from _split_blocks(path, source)
    except FileNotFoundError:
        raise DataFileError(path, 0, "no such file") from None
    except EOFError:
        raise DataFileError(path, 0, "the gzip file is cut short; copy or make it anew") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataFileError(path, 0, f"not a sound gzip file ({error})") from None
    except OSError as error:
        raise DataFileError(path, 0, f"cannot be read ({error.strerror or error})") from None


def _split_blocks(path: Path, source: BinaryIO) -> Iterator[str]:
    rest = b""
    blank_lines = 0
    line_number = 0
    while block := source.read(BLOCK_BYTES):
        pieces = (rest + block).split(b"\n")
        rest = pieces.pop()
        if len(rest) > LINE_BYTES_MAX:
            raise DataFileError(path, line_number + len(pieces) + 1, f"a line of more than {LINE_BYTES_MAX} bytes")
        for text in _decode(path, line_number, pieces):
            line_number += 1
            if not text:
                blank_lines += 1
                continue
            while blank_lines:
                blank_lines -= 1
                yield ""
            yield text
    if rest:
        while blank_lines:
            blank_lines -= 1
            yield ""
        yield from _decode(path, line_number, [rest])


def _decode(path: Path, lines_before: int, pieces: list[bytes]) -> list[str]:
    """Decode a block at once, and look for the line that is wrong only when there is one."""
    try:
        texts = b"\n".join(pieces).decode("utf-8").split("\n")
    except UnicodeDecodeError:
        for offset, piece in enumerate(pieces, start=1):
            try:
                piece.decode("utf-8")
            except UnicodeDecodeError as error:
                raise DataFileError(path, lines_before + offset, f"not UTF-8 text ({error.reason})") from None
        raise
    if lines_before == 0 and texts and texts[0].startswith("\ufeff"):
        texts[0] = texts[0].removeprefix("\ufeff")
    if any(text.endswith("\r") for text in texts[:2]):
        texts = [text.removesuffix("\r") for text in texts]
    return texts
