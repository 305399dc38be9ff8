"""Turns a Parquet file into the lines of a CSV file, so that one set of rules judges both. Decides nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.datafiles.errors import DataFileError
from quant_trading_system.datafiles.tables import Columns

ROWS_PER_BATCH = 65_536


def parquet_lines(path: Path, columns: Columns) -> Iterator[str]:
    """Hand out header and rows of a Parquet file as comma-separated text.

    Raises:
        DataFileError: pyarrow is not installed, or the file is not Parquet.
    """
    if not path.is_file():
        raise DataFileError(path, 0, "no such file")
    try:
        # Not among our dependencies: 40 MB for a format that most users do not have.
        from pyarrow import ArrowInvalid
        from pyarrow import parquet as reader
    except ImportError:
        raise DataFileError(
            path, 0, f"Parquet {columns.kind} files need pyarrow, which is not installed", fix="pip install pyarrow"
        ) from None
    try:
        file = reader.ParquetFile(path)
        names = [str(name) for name in file.schema_arrow.names]
        yield ",".join(names)
        for batch in file.iter_batches(batch_size=ROWS_PER_BATCH):
            yield from _batch_lines(batch, names)
    except ArrowInvalid as error:
        raise DataFileError(path, 0, f"not a sound Parquet file ({error})") from None
    except OSError as error:
        raise DataFileError(path, 0, f"cannot be read ({error.strerror or error})") from None


def _batch_lines(batch: Any, names: list[str]) -> Iterator[str]:
    columns = [_texts(batch.column(index), name) for index, name in enumerate(names)]
    for fields in zip(*columns, strict=True):
        yield ",".join(fields)


def _texts(column: Any, name: str) -> list[str]:
    if name == "timestamp" and str(column.type).startswith("timestamp"):
        return [_stamp_text(value) for value in column.cast("timestamp[ns, tz=UTC]").cast("int64").to_pylist()]
    return ["" if value is None else _plain(value) for value in column.to_pylist()]


def _plain(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()[:10]
    return str(value)


def _stamp_text(stamp_ns: int | None) -> str:
    if stamp_ns is None:
        return ""
    seconds, nanos = divmod(stamp_ns, NANOS_PER_SECOND)
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"
