"""Good files are read whole and exactly; a bad one names its file, line, field and rule."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quant_trading_system.core.errors import ExitCode
from quant_trading_system.datafiles import (
    BarRow,
    DataFileError,
    QuoteRow,
    TradeRow,
    read_bars,
    read_quotes,
    read_trades,
)

TRADES = "timestamp,price,size,exchange"
QUOTES = "timestamp,bid_price,bid_size,ask_price,ask_size"
MINUTES = "timestamp,open,high,low,close,volume"
DAYS = "date,open,high,low,close,volume"
OPEN_NS = 1_381_152_600_000_000_000  # 2013-10-07T13:30:00Z
SAMPLES = Path(__file__).parents[4] / "shared" / "market_data"

Reader = Callable[[Path], Iterator[object]]


def write(folder: Path, *lines: str, name: str = "20131007.csv") -> Path:
    path = folder / name
    text = "\n".join(lines) + "\n"
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def refusal(reader: Reader, path: Path) -> DataFileError:
    with pytest.raises(DataFileError) as caught:
        list(reader(path))
    assert caught.value.path == path
    assert str(path) in caught.value.message
    assert caught.value.exit_code is ExitCode.CONFIGURATION
    return caught.value


@pytest.mark.parametrize("name", ["20131007.csv", "20131007.csv.gz"])
def test_trades_come_in_order_with_price_size_and_exchange(tmp_path, name):
    path = write(tmp_path, TRADES, "2013-10-07T13:30:00.020Z,49.18,300,P", "2013-10-07T13:30:01Z,49.2,1,Q", name=name)
    assert list(read_trades(path)) == [
        TradeRow(OPEN_NS + 20_000_000, 49.18, 300.0, "P"),
        TradeRow(OPEN_NS + 1_000_000_000, 49.2, 1.0, "Q"),
    ]


def test_columns_may_stand_in_any_order_and_lines_may_end_like_on_windows(tmp_path):
    path = write(tmp_path, "size,price,timestamp\r", "300,49.18,2013-10-07T13:30:00Z\r", "1,50,2013-10-07T13:30:00Z\r")
    assert list(read_trades(path)) == [TradeRow(OPEN_NS, 49.18, 300.0), TradeRow(OPEN_NS, 50.0, 1.0)]


def test_nanoseconds_and_offsets_are_kept(tmp_path):
    path = write(
        tmp_path,
        TRADES,
        "2013-10-07T13:30:00.000000001Z,1,1,",
        "2013-10-07T09:30:00.5-04:00,1,1,",
        "2013-10-07 13:31:00,1,1,",
    )
    assert [row.timestamp_ns - OPEN_NS for row in read_trades(path)] == [1, 500_000_000, 60_000_000_000]


def test_a_crossed_quote_is_legal(tmp_path):
    path = write(tmp_path, QUOTES, "2013-10-07T13:30:00.020Z,49.10,100,49.08,600")
    assert list(read_quotes(path)) == [QuoteRow(OPEN_NS + 20_000_000, 49.10, 100.0, 49.08, 600.0)]


def test_minute_bars_carry_count_and_average_where_the_file_has_them(tmp_path):
    path = write(
        tmp_path,
        MINUTES + ",trade_count,vwap",
        "2013-10-07T13:30:00Z,1,3,0.5,2,100,7,1.5",
        "2013-10-07T13:31:00Z,1,3,0.5,2,0,,",
    )
    assert list(read_bars(path)) == [
        BarRow(OPEN_NS, 1.0, 3.0, 0.5, 2.0, 100.0, 7, 1.5),
        BarRow(OPEN_NS + 60_000_000_000, 1.0, 3.0, 0.5, 2.0, 0.0, None, None),
    ]


def test_daily_bars_are_stamped_with_new_york_midnight_in_summer_and_winter(tmp_path):
    path = write(tmp_path, DAYS, "2013-10-07,1,3,0.5,2,100", "2013-12-09,1,3,0.5,2,100", name="SPY.csv")
    hours = [row.timestamp_ns // 3_600_000_000_000 % 24 for row in read_bars(path)]
    assert hours == [4, 5]


@pytest.mark.parametrize(
    ("row", "field", "rule"),
    [
        ("2013-10-07T13:30:00Z,abc,100,P", "price", "expected a number, found 'abc'"),
        ("2013-10-07T13:30:00Z,,100,P", "price", "expected a number, found ''"),
        ("2013-10-07T13:30:00Z,-1,100,P", "price", "above zero"),
        ("2013-10-07T13:30:00Z,0,100,P", "price", "above zero"),
        ("2013-10-07T13:30:00Z,nan,100,P", "price", "finite"),
        ("2013-10-07T13:30:00Z,inf,100,P", "price", "finite"),
        ("2013-10-07T13:30:00Z,1,0,P", "size", "above zero"),
        ("2013-10-07T13:30:00Z,1,-5,P", "size", "above zero"),
        ("2013-10-07T13:30:00Z,1,100", "", "expected 4 fields, found 3"),
        ("2013-10-07T13:30:00Z,1,100,P,9", "", "expected 4 fields, found 5"),
        ("", "", "empty line"),
        ("yesterday,1,100,P", "timestamp", "expected a UTC time"),
        ("2013-10-07T25:30:00Z,1,100,P", "timestamp", "time that exists"),
        ("2013-10-07T13:30:61Z,1,100,P", "timestamp", "time that exists"),
        ("2013-10-07T13:29:59Z,1,100,P", "timestamp", "sorted"),
        ("2013-10-08T13:30:00Z,1,100,P", "timestamp", "New York day"),
        ("2013-10-06T13:30:00Z,1,100,P", "timestamp", "New York day"),
    ],
)
def test_a_bad_trade_names_line_field_and_rule(tmp_path, row, field, rule):
    good = "2013-10-07T13:30:00Z,1,1,P"
    error = refusal(read_trades, write(tmp_path, TRADES, good, row, "2013-10-07T13:30:30Z,1,1,P"))
    assert (error.line, error.field) == (3, field)
    assert rule in error.rule


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("2013-10-07T13:30:00Z,0,100,1,1", "bid_price"),
        ("2013-10-07T13:30:00Z,1,-1,1,1", "bid_size"),
        ("2013-10-07T13:30:00Z,1,1,nan,1", "ask_price"),
        ("2013-10-07T13:30:00Z,1,1,1,x", "ask_size"),
    ],
)
def test_a_bad_quote_names_its_field(tmp_path, row, field):
    assert refusal(read_quotes, write(tmp_path, QUOTES, row)).field == field


@pytest.mark.parametrize(
    ("row", "field", "rule"),
    [
        ("2013-10-07T13:30:00Z,1,1,2,1,1", "low", "low ≤ high"),
        ("2013-10-07T13:30:00Z,9,3,1,2,1", "open", "low ≤ open ≤ high"),
        ("2013-10-07T13:30:00Z,2,3,1,9,1", "close", "low ≤ close ≤ high"),
        ("2013-10-07T13:30:00Z,2,3,1,2,-1", "volume", "at least zero"),
        ("2013-10-07T13:30:00Z,2,3,1,2,inf", "volume", "finite"),
        ("2013-10-07T13:30:00Z,0,3,0,2,1", "open", "above zero"),
        ("2013-10-07,2,3,1,2,1", "timestamp", "UTC time"),
    ],
)
def test_a_bad_bar_names_its_field(tmp_path, row, field, rule):
    error = refusal(read_bars, write(tmp_path, MINUTES, row))
    assert error.field == field
    assert rule in error.rule


@pytest.mark.parametrize(("extra", "field"), [("x,1", "trade_count"), ("1.5,1", "trade_count"), ("1,-1", "vwap")])
def test_bad_extras_of_a_bar_are_named(tmp_path, extra, field):
    path = write(tmp_path, MINUTES + ",trade_count,vwap", "2013-10-07T13:30:00Z,2,3,1,2,1," + extra)
    assert refusal(read_bars, path).field == field


@pytest.mark.parametrize("day", ["2013-13-01", "20131007", "2013-10-06"])
def test_a_daily_bar_needs_a_date_after_the_one_before(tmp_path, day):
    path = write(tmp_path, DAYS, "2013-10-07,1,3,0.5,2,100", f"{day},1,3,0.5,2,100", name="SPY.csv")
    assert refusal(read_bars, path).field == "date"


def test_a_bar_that_stands_twice_is_refused(tmp_path):
    row = "2013-10-07T13:30:00Z,1,3,0.5,2,100"
    assert "after the row before" in refusal(read_bars, write(tmp_path, MINUTES, row, row)).rule


@pytest.mark.parametrize(
    ("reader", "header", "rule"),
    [
        (read_trades, "timestamp,price", "missing column 'size'"),
        (read_trades, QUOTES, "missing column 'price'"),
        (read_trades, "timestamp,price,size,colour", "unknown column 'colour'"),
        (read_trades, "timestamp,price,size,size", "twice"),
        (read_trades, "2013-10-07T13:30:00Z,1,1,P", "missing column 'timestamp'"),
        (read_bars, "open,high,low,close,volume", "missing column 'timestamp' or 'date'"),
        (read_bars, "timestamp," + DAYS, "expected one of the columns timestamp and date"),
    ],
)
def test_another_header_is_refused_with_the_columns_that_belong_there(tmp_path, reader, header, rule):
    error = refusal(reader, write(tmp_path, header, "1,1,1,1,1,1"))
    assert error.line == 1
    assert rule in error.rule


def test_an_empty_file_and_one_with_a_header_alone_are_refused(tmp_path):
    (tmp_path / "20131007.csv").write_bytes(b"")
    assert "empty file" in refusal(read_trades, tmp_path / "20131007.csv").rule
    assert "at least one row" in refusal(read_trades, write(tmp_path, TRADES, name="20131008.csv")).rule


def test_a_gzip_file_cut_short_is_refused(tmp_path):
    rows = [f"2013-10-07T13:30:{second:02d}.{ms:03d}Z,{ms + 1},1,P" for second in range(60) for ms in range(500)]
    path = write(tmp_path, TRADES, *rows, name="20131007.csv.gz")
    path.write_bytes(path.read_bytes()[:-5_000])
    assert "cut short" in refusal(read_trades, path).rule


def test_what_is_no_gzip_file_or_damaged_inside_is_refused(tmp_path):
    path = tmp_path / "20131007.csv.gz"
    path.write_text(TRADES)
    assert "gzip" in refusal(read_trades, path).rule
    data = bytearray(gzip.compress(b"x" * 100_000))
    data[20] ^= 0xFF
    path.write_bytes(bytes(data))
    assert "gzip" in refusal(read_trades, path).rule


def test_what_is_not_utf8_names_the_line(tmp_path):
    path = tmp_path / "20131007.csv"
    path.write_bytes(TRADES.encode() + b"\n2013-10-07T13:30:00Z,1,1,P\n\xff\xfe,1,1,P\n")
    error = refusal(read_trades, path)
    assert error.line == 3
    assert "UTF-8" in error.rule


def test_a_missing_file_an_odd_suffix_and_an_endless_line_are_refused(tmp_path):
    assert "no such file" in refusal(read_trades, tmp_path / "20131007.csv").rule
    assert ".csv" in refusal(read_trades, tmp_path / "20131007.txt").rule
    path = tmp_path / "20131008.csv"
    path.write_bytes(b"x" * 1_000_000)
    assert "4096 bytes" in refusal(read_trades, path).rule


def test_parquet_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    path = tmp_path / "20131007.parquet"
    path.write_bytes(b"PAR1")
    assert refusal(read_trades, path).fix == "pip install pyarrow"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the recorded sample days are not here")
def test_recorded_samples_are_read_whole():
    assert sum(1 for _ in read_trades(SAMPLES / "trades" / "IBM" / "20131007.csv.gz")) == 24_293
    assert sum(1 for _ in read_bars(SAMPLES / "daily_bars" / "SPY.csv.gz")) == 5_032
