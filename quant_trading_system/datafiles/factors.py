"""Reads corporate actions as a table of adjustment factors. Decides what a good row is; the first bad one ends it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from quant_trading_system.datafiles.rows import FactorRow
from quant_trading_system.datafiles.stamps import parse_date
from quant_trading_system.datafiles.tables import Columns, Table, open_table

FACTOR_COLUMNS = Columns(
    kind="corporate_actions",
    required=(("until",), ("price_factor",), ("split_factor",), ("reference_price",)),
)
FACTOR_MIN, FACTOR_MAX = 1e-6, 1e6  # a million for one is more than any company has done
_FIRST_ROW = 2  # line 1 is the header
_ROUNDED = 1e-6  # a price factor of 1 may have been rounded up


def read_factors(path: Path | str) -> Iterator[FactorRow]:
    """Yield the rows of a file in its order: `until` rising, price factors from above 0 to 1 and never falling.

    Raises:
        DataFileError: at the first thing that is wrong, when the reading reaches it.
    """
    table = open_table(Path(path), FACTOR_COLUMNS)
    before: FactorRow | None = None
    for number, line in enumerate(table.lines, start=_FIRST_ROW):
        row = _row(table, number, line)
        _check_order(table, number, before, row)
        yield row
        before = row
    if before is None:
        raise table.fail(0, "expected at least one row behind the header, found none")


def _row(table: Table, number: int, line: str) -> FactorRow:
    fields = line.split(",")
    if not line.strip():
        raise table.fail(number, "expected a row, found an empty line")
    if len(fields) != table.width:
        raise table.fail(number, f"expected {table.width} fields, found {len(fields)}: {line[:80]!r}")
    price_factor = _number(table, number, "price_factor", fields)
    split_factor = _number(table, number, "split_factor", fields)
    reference = _number(table, number, "reference_price", fields)
    if not 0 < price_factor <= 1 + _ROUNDED:
        raise table.fail(
            number, f"expected a factor above 0 and at most 1, found {price_factor!r}", field="price_factor"
        )
    if not FACTOR_MIN <= split_factor <= FACTOR_MAX:
        raise table.fail(
            number,
            f"expected a factor from {FACTOR_MIN:g} to {FACTOR_MAX:g}, found {split_factor!r}",
            field="split_factor",
        )
    if reference < 0:
        raise table.fail(number, f"expected a number of at least zero, found {reference!r}", field="reference_price")
    return FactorRow(_day(table, number, fields), price_factor, split_factor, reference)


def _day(table: Table, number: int, fields: list[str]) -> date:
    try:
        return parse_date(fields[table.positions["until"]])
    except ValueError as error:
        raise table.fail(number, str(error), field="until") from None


def _number(table: Table, number: int, name: str, fields: list[str]) -> float:
    text = fields[table.positions[name]].strip()
    try:
        value = float(text)
    except ValueError:
        raise table.fail(number, f"expected a number, found {text!r}", field=name) from None
    if not math.isfinite(value) or "_" in text or not text.isascii():
        raise table.fail(number, f"expected a finite number in plain digits, found {text!r}", field=name)
    return value


def _check_order(table: Table, number: int, before: FactorRow | None, row: FactorRow) -> None:
    if before is None:
        return
    if row.until <= before.until:
        raise table.fail(number, f"expected a date after {before.until}, found {row.until}", field="until")
    if row.price_factor < before.price_factor - _ROUNDED:
        raise table.fail(
            number,
            f"expected at least the factor of the row before ({before.price_factor!r}), found {row.price_factor!r}:"
            " a dividend makes earlier prices smaller",
            field="price_factor",
        )
    if row.price_factor > before.price_factor and before.reference_price <= 0:
        raise table.fail(number - 1, "expected a price above zero where a dividend follows", field="reference_price")
