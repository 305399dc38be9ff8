"""A state directory holds one world; another wish is refused by the name of its option, a bad file by its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_trading_system.datafiles import DataDirectory, DataFileError
from quant_trading_system.simulator.assets import DEFAULT_CRYPTO
from quant_trading_system.simulator.server import world as worlds
from quant_trading_system.simulator.server.data_check import CHECKED_FILE, check_recorded
from quant_trading_system.simulator.server.world import (
    StateLocked,
    WorldConflict,
    WorldShape,
    WorldWish,
    check_wish,
    locked_state,
    read_world,
    write_world,
)
from quant_trading_system.simulator.server.world_making import default_shape, make_market
from tests.support.virtual_loop import run_virtual

SHAPE = WorldShape(data=None, start_ns=1_717_421_400_000_000_000, seed=3, cash="100000", symbols=("AAPL", "SPY"))


def test_a_world_is_read_as_it_was_written_and_an_empty_directory_holds_none(tmp_path):
    assert read_world(tmp_path) is None
    write_world(tmp_path, SHAPE)
    assert read_world(tmp_path) == SHAPE


@pytest.mark.parametrize(
    ("wish", "option"),
    [
        (WorldWish(seed=4), "--seed"),
        (WorldWish(cash="5"), "--cash"),
        (WorldWish(start_ns=1), "--start"),
        (WorldWish(data="/data"), "--data"),
        (WorldWish(symbols=("SPY",)), "--symbols"),
    ],
)
def test_another_wish_is_refused_by_the_name_of_its_option(tmp_path, wish, option):
    with pytest.raises(WorldConflict, match=rf"^{option}: .*holds a world made with"):
        check_wish(tmp_path, wish, SHAPE)


def test_the_same_wish_and_no_wish_go_on_with_the_world(tmp_path):
    check_wish(tmp_path, WorldWish(), SHAPE)
    check_wish(tmp_path, WorldWish(seed=3, cash="100000", symbols=("AAPL", "SPY")), SHAPE)


def test_a_generated_world_has_crypto_beside_the_equities_that_are_named():
    made = WorldWish(symbols=("SPY",)).with_defaults(default_shape(WorldWish()))
    assert made.symbols == tuple(sorted(("SPY", *DEFAULT_CRYPTO)))
    assert set(make_market(made).symbols) == set(made.symbols)
    named = WorldWish(symbols=("BTC/USD", "SPY")).with_defaults(default_shape(WorldWish()))
    assert named.symbols == ("BTC/USD", "SPY")


def test_a_world_with_its_default_pairs_is_the_one_whose_equities_are_named(tmp_path):
    made = WorldWish(symbols=("SPY",)).with_defaults(SHAPE)
    check_wish(tmp_path, WorldWish(symbols=("SPY",)), made)
    with pytest.raises(WorldConflict, match="--symbols"):
        check_wish(tmp_path, WorldWish(symbols=("BTC/USD", "SPY")), made)


def test_a_world_of_pairs_alone_is_refused():
    with pytest.raises(WorldConflict, match=r"--symbols: expected at least one equity beside BTC/USD"):
        make_market(WorldWish(symbols=("BTC/USD",)).with_defaults(SHAPE))


def test_recorded_days_have_crypto_where_it_is_asked_for(tmp_path):
    data = str(recorded(tmp_path))
    plain = default_shape(WorldWish(data=data))
    assert make_market(plain).symbols == ("IBM",)
    wish = WorldWish(data=data, symbols=("ETH/USD", "IBM"))
    made = make_market(wish.with_defaults(default_shape(wish)))
    assert made.symbols == ("ETH/USD", "IBM")
    assert not made.is_synthetic


def test_a_damaged_world_file_is_named(tmp_path):
    (tmp_path / worlds.WORLD_FILE).write_text("{}")
    with pytest.raises(WorldConflict, match="not readable"):
        read_world(tmp_path)


def test_a_new_world_begins_at_a_bell_with_a_hundred_thousand_dollars():
    shape = default_shape(WorldWish())
    assert (shape.cash, shape.data) == ("100000", None)
    assert len(shape.symbols) >= 12
    assert make_market(shape).start_ns == shape.start_ns


@pytest.mark.parametrize("start_ns", [0, 4_000_000_000_000_000_000])
def test_a_start_outside_the_calendar_is_refused(start_ns):
    shape = WorldWish(start_ns=start_ns).with_defaults(SHAPE)
    with pytest.raises(WorldConflict, match="--start"):
        make_market(shape)


def test_two_exchanges_do_not_share_a_state_directory(tmp_path):
    async def twice() -> None:
        async with locked_state(tmp_path), locked_state(tmp_path):
            raise AssertionError("locked twice")

    with pytest.raises(StateLocked, match="another exchange uses"):
        run_virtual(twice())


def recorded(folder: Path, *, row: str = "2013-10-07T13:31:00.000Z,10,100,P") -> Path:
    path = folder / "trades" / "IBM" / "20131007.csv"
    path.parent.mkdir(parents=True)
    path.write_text(f"timestamp,price,size,exchange\n2013-10-07T13:30:00.000Z,10,100,P\n{row}\n")
    return folder


def test_a_bad_row_of_the_first_day_is_found_before_anything_is_played(tmp_path):
    data = recorded(tmp_path, row="2013-10-07T19:31:00.000Z,-10,100,P")
    with pytest.raises(DataFileError, match=r"20131007\.csv, line 3, price"):
        make_market(default_shape(WorldWish(data=str(data))))


def test_what_was_judged_is_not_judged_again_until_it_changes(tmp_path):
    data, state = recorded(tmp_path / "data"), tmp_path / "state"
    state.mkdir()
    directory = DataDirectory(data)
    check_recorded(directory, first_day=None, state_dir=state)
    assert "20131007" in (state / CHECKED_FILE).read_text()
    path = directory.root / "trades" / "IBM" / "20131007.csv"
    path.write_text(path.read_text() + "x\n")
    with pytest.raises(DataFileError, match="line 4"):
        check_recorded(directory, first_day=directory.dates("trades", "IBM")[0], state_dir=state)
