"""A whole file is judged as the readers judge it, whatever form it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_trading_system.datafiles import DataFileError, check_file, read_quotes, read_trades
from tests.unit.datafiles.test_readers import QUOTES, TRADES, write

GOOD = [
    "2013-10-07T13:30:00.020Z,49.18,300,P",
    "2013-10-07T13:30:00.020Z,0.0001,1,Q",
    "2013-10-07T23:59:59.999Z,50,100,",
]


@pytest.mark.parametrize("name", ["20131007.csv", "20131007.csv.gz"])
def test_sound_files_pass_in_the_usual_form_and_in_others(tmp_path, name):
    check_file("trades", write(tmp_path, TRADES, *GOOD, name=name))
    check_file("trades", write(tmp_path, "size,price,timestamp", "1,2,2013-10-07T13:30:00Z", name=name))
    check_file("quotes", write(tmp_path, QUOTES, "2013-10-07T13:30:00.020Z,49.10,100,49.08,600", name=name))
    check_file("minute_bars", write(tmp_path, "timestamp,open,high,low,close,volume", "2013-10-07T13:30:00Z,1,1,1,1,0"))


@pytest.mark.parametrize(
    "bad",
    [
        "2013-10-07T13:29:00.000Z,1,1,P",
        "2013-10-08T13:30:00.000Z,1,1,P",
        "2013-10-07T29:30:00.000Z,1,1,P",
        "2013-10-07T24:30:00.000Z,1,1,P",
        "2013-10-07T13:31:00.000Z,0,1,P",
        "2013-10-07T13:31:00.000Z,0.000,1,P",
        "2013-10-07T13:31:00.000Z,1,-1,P",
        "2013-10-07T13:31:00.000Z,1,1",
        "2013-10-07T13:31:00.000Z,nan,1,P",
        "",
        "x",
    ],
)
def test_a_bad_row_is_refused_exactly_as_the_reader_refuses_it(tmp_path, bad):
    path = write(tmp_path, TRADES, GOOD[0], bad, "2013-10-07T23:59:59.999Z,50,100,P")
    with pytest.raises(DataFileError) as by_reader:
        list(read_trades(path))
    with pytest.raises(DataFileError) as by_check:
        check_file("trades", path)
    assert by_check.value.message == by_reader.value.message
    assert by_check.value.line == 3


def test_a_file_of_the_wrong_kind_without_rows_or_cut_short_is_refused(tmp_path):
    for path in (write(tmp_path, QUOTES, GOOD[0]), write(tmp_path, TRADES), tmp_path / "none.csv"):
        with pytest.raises(DataFileError):
            check_file("trades", path)
    cut = write(tmp_path, TRADES, *GOOD * 1, name="20131007.csv.gz")
    cut.write_bytes(cut.read_bytes()[:-9])
    with pytest.raises(DataFileError, match="cut short"):
        check_file("trades", cut)


SAMPLES = Path(__file__).parents[4] / "shared" / "market_data"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the recorded sample days are not here")
def test_recorded_quotes_pass_by_the_fast_way_and_by_the_reader():
    path = SAMPLES / "quotes" / "IBM" / "20131007.csv.gz"
    check_file("quotes", path)
    assert sum(1 for _ in read_quotes(path)) == 38_939
