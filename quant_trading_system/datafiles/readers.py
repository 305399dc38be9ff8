"""Reads trades, quotes and bars row by row. Decides what a good row is; the first bad one ends it.

Each loop runs once per row of files with 400,000 rows, so the good case does nothing twice: a row that is not plainly
good is handed to `_explain`, which looks again, field by field, and says what is wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from quant_trading_system.datafiles.errors import DataFileError
from quant_trading_system.datafiles.rows import BarRow, QuoteRow, TradeRow
from quant_trading_system.datafiles.stamps import StampReader, new_york_midnight_ns, parse_date, parse_stamp
from quant_trading_system.datafiles.tables import Columns, Table, open_table

TRADE_COLUMNS = Columns(kind="trades", required=(("timestamp",), ("price",), ("size",)), optional=("exchange",))
QUOTE_COLUMNS = Columns(
    kind="quotes", required=(("timestamp",), ("bid_price",), ("bid_size",), ("ask_price",), ("ask_size",))
)
BAR_COLUMNS = Columns(
    kind="bars",
    required=(("timestamp", "date"), ("open",), ("high",), ("low",), ("close",), ("volume",)),
    optional=("trade_count", "vwap"),
)

PRICE_USD_END = 10_000_000.0  # the dearest share costs a tenth of it
SIZE_END = 1e12  # more shares than any company has

_FIRST_ROW = 2  # line 1 is the header
_ABOVE_ZERO = "expected a number above zero"
_FROM_ZERO = "expected a number of at least zero"
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Rules:
    """The columns that must be above zero, those that may be zero, and whether two rows may share a stamp."""

    positive: Sequence[str]
    from_zero: Sequence[str] = ()
    stamps_may_repeat: bool = True


_TRADE_RULES = _Rules(positive=("price", "size"))
_QUOTE_RULES = _Rules(positive=("bid_price", "bid_size", "ask_price", "ask_size"))
_BAR_RULES = _Rules(positive=("open", "high", "low", "close"), from_zero=("volume",), stamps_may_repeat=False)


def read_trades(path: Path | str) -> Iterator[TradeRow]:
    """Yield the trades of a file in its order.

    Raises:
        DataFileError: at the first thing that is wrong, when the reading reaches it.
    """
    table = open_table(Path(path), TRADE_COLUMNS)
    at, price_at, size_at = (table.positions[name] for name in ("timestamp", "price", "size"))
    exchange_at = table.positions.get("exchange", -1)
    numbers_at = (price_at, size_at)
    read_stamp, width, price_end, size_end = StampReader().read, table.width, PRICE_USD_END, SIZE_END
    earliest_ns, end_ns = table.bounds_ns
    number = 0
    for number, line in enumerate(table.lines, start=_FIRST_ROW):
        fields = line.split(",")
        try:
            stamp_ns = read_stamp(fields[at])
            price = float(fields[price_at])
            size = float(fields[size_at])
        except (ValueError, IndexError):
            raise _explain(table, number, line, _TRADE_RULES, earliest_ns) from None
        if (
            not (earliest_ns <= stamp_ns < end_ns and 0.0 < price < price_end and 0.0 < size < size_end)
            or len(fields) != width
            or _is_odd(line, fields, numbers_at)
        ):
            raise _explain(table, number, line, _TRADE_RULES, earliest_ns)
        earliest_ns = stamp_ns
        yield TradeRow(stamp_ns, price, size, fields[exchange_at] if exchange_at >= 0 else "")
    _require_rows(table, number)


def read_quotes(path: Path | str) -> Iterator[QuoteRow]:
    """Yield the quotes of a file in its order.

    Raises:
        DataFileError: at the first thing that is wrong, when the reading reaches it.
    """
    table = open_table(Path(path), QUOTE_COLUMNS)
    at, bid_at, bid_size_at, ask_at, ask_size_at = (
        table.positions[name] for name in ("timestamp", "bid_price", "bid_size", "ask_price", "ask_size")
    )
    numbers_at = (bid_at, bid_size_at, ask_at, ask_size_at)
    read_stamp, width, price_end, size_end = StampReader().read, table.width, PRICE_USD_END, SIZE_END
    earliest_ns, end_ns = table.bounds_ns
    number = 0
    for number, line in enumerate(table.lines, start=_FIRST_ROW):
        fields = line.split(",")
        try:
            stamp_ns = read_stamp(fields[at])
            bid, bid_size = float(fields[bid_at]), float(fields[bid_size_at])
            ask, ask_size = float(fields[ask_at]), float(fields[ask_size_at])
        except (ValueError, IndexError):
            raise _explain(table, number, line, _QUOTE_RULES, earliest_ns) from None
        is_sound = 0.0 < bid < price_end and 0.0 < bid_size < size_end and 0.0 < ask < price_end
        if (
            not (is_sound and earliest_ns <= stamp_ns < end_ns and 0.0 < ask_size < size_end)
            or len(fields) != width
            or _is_odd(line, fields, numbers_at)
        ):
            raise _explain(table, number, line, _QUOTE_RULES, earliest_ns)
        earliest_ns = stamp_ns
        yield QuoteRow(stamp_ns, bid, bid_size, ask, ask_size)
    _require_rows(table, number)


def read_bars(path: Path | str) -> Iterator[BarRow]:
    """Yield the bars of a file in its order: minute bars by `timestamp`, daily bars by `date`.

    Raises:
        DataFileError: at the first thing that is wrong, when the reading reaches it.
    """
    table = open_table(Path(path), BAR_COLUMNS)
    earliest_ns, end_ns = table.bounds_ns
    read_stamp = _bar_stamp_reader(table)
    stamp_at = table.positions.get("timestamp", table.positions.get("date", 0))
    places = [table.positions[name] for name in ("open", "high", "low", "close", "volume")]
    number = 0
    for number, line in enumerate(table.lines, start=_FIRST_ROW):
        fields = line.split(",")
        try:
            stamp_ns = read_stamp(fields[stamp_at])
            open_, high, low, close, volume = (float(fields[place]) for place in places)
        except (ValueError, IndexError):
            raise _explain(table, number, line, _BAR_RULES, earliest_ns) from None
        sound = 0.0 < low <= open_ <= high < PRICE_USD_END and low <= close <= high and 0.0 <= volume < SIZE_END
        sound = sound and not _is_odd(line, fields, places)
        if not (sound and earliest_ns <= stamp_ns < end_ns and len(fields) == table.width):
            raise _explain(table, number, line, _BAR_RULES, earliest_ns)
        earliest_ns = stamp_ns + 1
        trade_count, vwap = _bar_extras(table, number, fields)
        yield BarRow(stamp_ns, open_, high, low, close, volume, trade_count, vwap)
    _require_rows(table, number)


def _bar_stamp_reader(table: Table) -> Callable[[str], int]:
    if "timestamp" in table.positions:
        return StampReader().read
    return lambda text: new_york_midnight_ns(parse_date(text))


def _bar_extras(table: Table, number: int, fields: Sequence[str]) -> tuple[int | None, float | None]:
    """Trade count and volume-weighted price, where the file has them and the row says them."""
    values: list[float | None] = []
    for name in BAR_COLUMNS.optional:
        place = table.positions.get(name)
        text = fields[place].strip() if place is not None else ""
        if not text:
            values.append(None)
            continue
        value = _number(table, number, name, text)
        if not 0.0 <= value < math.inf:
            raise table.fail(number, f"{_FROM_ZERO}, found {text!r}", field=name)
        values.append(value)
    trade_count, vwap = values
    if trade_count is not None and not trade_count.is_integer():
        raise table.fail(number, f"expected a whole number, found {trade_count!r}", field="trade_count")
    return (None if trade_count is None else int(trade_count)), vwap


def _is_odd(line: str, fields: Sequence[str], numbers_at: Sequence[int]) -> bool:
    """Whether a number is written as Python reads it and no other program does: 1_000, or digits of another script."""
    if line.isascii() and "_" not in line:
        return False
    return not all(_NUMBER.fullmatch(fields[place]) for place in numbers_at)


def _require_rows(table: Table, last_number: int) -> None:
    if last_number < _FIRST_ROW:
        raise table.fail(0, "expected at least one row behind the header, found none")


def _explain(table: Table, number: int, line: str, rules: _Rules, earliest_ns: int) -> DataFileError:
    """Look again at a row that is not good, and say what is wrong with it."""
    fields = line.split(",")
    if not line.strip():
        return table.fail(number, "expected a row, found an empty line")
    if len(fields) != table.width:
        return table.fail(number, f"expected {table.width} fields, found {len(fields)}: {line[:80]!r}")
    try:
        _explain_stamp(table, number, fields, rules, earliest_ns)
        values = {name: _number(table, number, name, fields[table.positions[name]]) for name in rules.positive}
        for name, value in values.items():
            if value <= 0.0:
                raise table.fail(number, f"{_ABOVE_ZERO}, found {value!r}", field=name)
            _check_end(table, number, name, value)
        for name in rules.from_zero:
            value = _number(table, number, name, fields[table.positions[name]])
            if value < 0.0:
                raise table.fail(number, f"{_FROM_ZERO}, found {value!r}", field=name)
            _check_end(table, number, name, value)
        _explain_bar(table, number, values)
    except DataFileError as error:
        return error
    raise AssertionError(f"{table.path}, line {number}: refused without a reason")


def _explain_stamp(table: Table, number: int, fields: Sequence[str], rules: _Rules, earliest_ns: int) -> None:
    name = "timestamp" if "timestamp" in table.positions else "date"
    text = fields[table.positions[name]]
    try:
        stamp_ns = parse_stamp(text) if name == "timestamp" else new_york_midnight_ns(parse_date(text))
    except ValueError as error:
        raise table.fail(number, str(error), field=name) from None
    begin_ns, end_ns = table.bounds_ns
    if not begin_ns <= stamp_ns < end_ns:
        raise table.fail(number, f"{text} does not lie in the New York day that the file is named for", field=name)
    if stamp_ns < earliest_ns:
        order = "at or after" if rules.stamps_may_repeat else "after"
        raise table.fail(
            number, f"expected a time {order} the row before, found {text}: rows must be sorted", field=name
        )


def _explain_bar(table: Table, number: int, values: dict[str, float]) -> None:
    if "high" not in values:
        return
    low, high = values["low"], values["high"]
    if low > high:
        raise table.fail(number, f"expected low ≤ high, found low {low!r} above high {high!r}", field="low")
    for name in ("open", "close"):
        if not low <= values[name] <= high:
            raise table.fail(number, f"expected low ≤ {name} ≤ high, found {values[name]!r}", field=name)


def _check_end(table: Table, number: int, name: str, value: float) -> None:
    end = SIZE_END if name.endswith(("size", "volume")) else PRICE_USD_END
    if value >= end:
        raise table.fail(number, f"expected a number below {end:,.0f}, found {value!r}", field=name)


def _number(table: Table, number: int, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise table.fail(number, f"expected a number, found {text!r}", field=name) from None
    if not math.isfinite(value):
        raise table.fail(number, f"expected a finite number, found {text!r}", field=name)
    if not _NUMBER.fullmatch(text):
        raise table.fail(number, f"expected a number in plain digits, found {text!r}", field=name)
    return value
