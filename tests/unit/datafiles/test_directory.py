"""A data directory is listed by kind, symbol and day; what does not fit the layout is named."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from quant_trading_system.datafiles import DataDirectory, DataFileError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def refusal(root: Path) -> str:
    with pytest.raises(DataFileError) as caught:
        DataDirectory(root)
    return caught.value.message


def test_files_are_found_by_kind_symbol_and_day(tmp_path):
    touch(tmp_path, "trades/IBM/20131008.csv", "trades/IBM/20131007.csv.gz", "quotes/BRK.B/20131007.parquet")
    touch(tmp_path, "daily_bars/SPY.csv.gz", "corporate_actions/odd name.txt", "README.md", "trades/.DS_Store")
    data = DataDirectory(tmp_path)
    assert data.symbols("trades") == ("IBM",)
    assert data.symbols("quotes") == ("BRK.B",)
    assert data.symbols("daily_bars") == ("SPY",)
    assert data.dates("trades", "IBM") == (date(2013, 10, 7), date(2013, 10, 8))
    assert data.path("trades", "IBM", date(2013, 10, 7)).name == "20131007.csv.gz"
    assert data.path("daily_bars", "SPY").name == "SPY.csv.gz"
    assert data.has("trades", "IBM", date(2013, 10, 7))
    assert not data.has("quotes", "IBM", date(2013, 10, 7))


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("trades/IBM.csv", "folder named by a symbol"),
        ("trades/ibm/20131007.csv", "'ibm' is not a US equity symbol"),
        ("trades/IBM/2013-10-07.csv", "YYYYMMDD"),
        ("trades/IBM/20131399.csv", "date that exists"),
        ("trades/IBM/20131007.txt", "YYYYMMDD.csv"),
        ("daily_bars/SPY/20131007.csv", "SYM.csv"),
        ("daily_bars/spy.csv", "'spy' is not"),
        ("minute_bars", "expected a folder"),
    ],
)
def test_a_name_that_does_not_fit_the_layout_is_refused(tmp_path, name, rule):
    touch(tmp_path, "trades/AIG/20131007.csv", name)
    assert rule in refusal(tmp_path)


def test_two_files_for_one_day_or_symbol_are_refused(tmp_path):
    touch(tmp_path, "trades/IBM/20131007.csv", "trades/IBM/20131007.csv.gz")
    assert "two files for 2013-10-07" in refusal(tmp_path)
    (tmp_path / "trades/IBM/20131007.csv").unlink()
    touch(tmp_path, "daily_bars/SPY.csv", "daily_bars/SPY.csv.gz")
    assert "two files for SPY" in refusal(tmp_path)


def test_a_folder_that_is_missing_a_file_or_empty_is_refused(tmp_path):
    assert "no such data directory" in refusal(tmp_path / "nowhere")
    assert "found a file" in refusal(touch(tmp_path, "file") / "file")
    (tmp_path / "empty").mkdir()
    assert "no market data here" in refusal(tmp_path / "empty")
    (tmp_path / "half" / "trades" / "IBM").mkdir(parents=True)
    assert "without a file" in refusal(tmp_path / "half")


def test_asking_for_what_is_not_there_names_what_is(tmp_path):
    data = DataDirectory(touch(tmp_path, "trades/IBM/20131007.csv"))
    with pytest.raises(DataFileError, match=r"no trades of AIG on 2013-10-07; symbols with trades: IBM"):
        data.path("trades", "AIG", date(2013, 10, 7))
    with pytest.raises(DataFileError, match=r"no quotes of AIG, IBM; symbols with quotes: none"):
        data.require_symbols("quotes", ["IBM", "AIG"])


def test_a_narrowed_directory_knows_its_symbols_alone_and_refuses_what_cannot_be_played(tmp_path):
    touch(tmp_path, "trades/IBM/20131007.csv", "quotes/AIG/20131007.csv", "daily_bars/AIG.csv", "daily_bars/SPY.csv")
    narrowed = DataDirectory(tmp_path).only(["AIG"])
    assert (narrowed.symbols("quotes"), narrowed.symbols("trades")) == (("AIG",), ())
    assert narrowed.symbols("daily_bars") == ("AIG",)
    assert DataDirectory(tmp_path).only([]).symbols("trades") == ("IBM",)
    with pytest.raises(DataFileError, match=r"no trades or quotes of SPY; symbols with them: AIG, IBM"):
        DataDirectory(tmp_path).only(["SPY", "IBM"])
