"""A table of adjustment factors is read whole; a bad row names its file, line, field and rule."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from quant_trading_system.datafiles import DataDirectory, FactorRow, check_file, read_factors
from tests.unit.datafiles.test_readers import SAMPLES, refusal, write

FACTORS = "until,price_factor,split_factor,reference_price"
FIRST = "2013-10-01,0.98,0.5,1"


def test_rows_are_read_as_they_stand(tmp_path):
    path = write(tmp_path, FACTORS, FIRST, "2013-10-04,0.98,0.5,184.1", "2050-12-31,1,1,0", name="IBM.csv")
    assert list(read_factors(path)) == [
        FactorRow(date(2013, 10, 1), 0.98, 0.5, 1.0),
        FactorRow(date(2013, 10, 4), 0.98, 0.5, 184.1),
        FactorRow(date(2050, 12, 31), 1.0, 1.0, 0.0),
    ]
    check_file("corporate_actions", path)


@pytest.mark.parametrize(
    ("row", "field", "rule"),
    [
        ("2013-10-01,0.98,0.5,1", "until", "expected a date after 2013-10-01"),
        ("2013-13-01,0.98,0.5,1", "until", "date that exists"),
        ("2013-10-02,0,0.5,1", "price_factor", "above 0 and at most 1"),
        ("2013-10-02,1.2,0.5,1", "price_factor", "above 0 and at most 1"),
        ("2013-10-02,0.90,0.5,1", "price_factor", "at least the factor of the row before"),
        ("2013-10-02,0.98,0,1", "split_factor", "expected a factor from"),
        ("2013-10-02,0.98,0.5,-1", "reference_price", "at least zero"),
        ("2013-10-02,nan,0.5,1", "price_factor", "finite"),
        ("2013-10-02,0.98,half,1", "split_factor", "expected a number"),
        ("2013-10-02,0.98,0.5", "", "expected 4 fields"),
        ("", "", "an empty line"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, field, rule):
    path = write(tmp_path, FACTORS, FIRST, row, "2050-12-31,1,1,0", name="IBM.csv")
    error = refusal(read_factors, path)
    assert (error.line, error.field) == (3, field)
    assert rule in error.rule
    with pytest.raises(type(error)):
        check_file("corporate_actions", path)


def test_a_dividend_needs_the_price_that_it_was_paid_from(tmp_path):
    path = write(tmp_path, FACTORS, "2013-10-01,0.98,0.5,0", "2050-12-31,1,1,0", name="IBM.csv")
    error = refusal(read_factors, path)
    assert (error.line, error.field) == (2, "reference_price")


def test_an_empty_table_is_refused(tmp_path):
    assert "at least one row" in refusal(read_factors, write(tmp_path, FACTORS, name="IBM.csv")).rule


def test_a_directory_lists_them_by_symbol_and_leaves_other_files_alone(tmp_path):
    folder = tmp_path / "corporate_actions"
    folder.mkdir()
    write(folder, FACTORS, FIRST, name="IBM.csv.gz")
    (folder / "notes.txt").touch()
    data = DataDirectory(tmp_path)
    assert data.symbols("corporate_actions") == ("IBM",)
    assert data.path("corporate_actions", "IBM").name == "IBM.csv.gz"
    assert not data.has("corporate_actions", "SPY")


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample of real market data is not here")
def test_every_table_of_the_sample_is_sound():
    directory = DataDirectory(SAMPLES)
    for symbol in directory.symbols("corporate_actions"):
        assert len(list(read_factors(Path(directory.path("corporate_actions", symbol))))) > 1
