"""A stranger's data and state directories: each bad one is refused by what is wrong with it, and leaves no trace."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from quant_trading_system.cli.exchange import exchange
from quant_trading_system.datafiles import DataFileError
from quant_trading_system.simulator.journal import JournalError
from quant_trading_system.simulator.server.auth import Credentials
from quant_trading_system.simulator.server.service import ServiceSettings, opened_venue
from quant_trading_system.simulator.server.settings import Profile, ServerSettings
from quant_trading_system.simulator.server.world import WORLD_FILE, WorldConflict, WorldWish, read_world
from tests.support.virtual_loop import run_virtual

TRADES = "timestamp,price,size,exchange\n"
QUOTES = "timestamp,bid_price,bid_size,ask_price,ask_size\n"
AT = "2013-10-07T13:30:00.000Z"
TRADE = f"{AT},181.5,100,P\n"
QUOTE = f"{AT},181.4,200,181.6,300\n"


def data_of(
    folder: Path,
    *,
    trades: str | bytes = TRADES + TRADE,
    quotes: str | bytes = QUOTES + QUOTE,
    name: str = "20131007.csv",
    symbol: str = "IBM",
) -> Path:
    """A data directory of one symbol and one day."""
    for kind, content in (("trades", trades), ("quotes", quotes)):
        path = folder / kind / symbol / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def settings_of(state_dir: Path, wish: WorldWish) -> ServiceSettings:
    return ServiceSettings(
        host="127.0.0.1",
        port=0,
        speed=60.0,
        state_dir=state_dir,
        wish=wish,
        server=ServerSettings(
            credentials=Credentials(key_id="K", secret_key="S"),
            requests_per_minute=0,
            profile=Profile.CURRENT,
        ),
    )


def open_world(state_dir: Path, wish: WorldWish | None = None) -> int:
    """Open and close the exchange of a state directory, as a start and a stop do. Returns its venue time."""

    async def main() -> int:
        async with opened_venue(settings_of(state_dir, wish or WorldWish(seed=3))) as venue:
            return venue.exchange.now_ns

    return run_virtual(main())


BAD_DATA = [
    ("another header", {"trades": "time,px\n" + TRADE}, r"line 1: missing column 'timestamp'"),
    ("a column too few", {"quotes": "timestamp,bid_price,bid_size,ask_price\n"}, "missing column 'ask_size'"),
    ("a column too many", {"trades": "timestamp,price,size,colour\n"}, "unknown column 'colour'"),
    ("a field too many", {"trades": TRADES + TRADE + f"{AT},1,1,P,7\n"}, "line 3: expected 4 fields, found 5"),
    ("no number", {"trades": TRADES + f"{AT},abc,1,P\n"}, r"line 2, price: expected a number, found 'abc'"),
    ("NaN", {"trades": TRADES + f"{AT},nan,1,P\n"}, "price: expected a finite number"),
    ("a number of Python's", {"trades": TRADES + f"{AT},1_000,1,P\n"}, r"price: .*plain digits, found '1_000'"),
    ("digits of another script", {"trades": TRADES + f"{AT},١٢,1,P\n"}, "price: .*plain digits"),
    ("an absurd price", {"trades": TRADES + f"{AT},1e300,1,P\n"}, "price: expected a number below 10,000,000"),
    ("an absurd size", {"quotes": QUOTES + f"{AT},1,1e12,2,1\n"}, "bid_size: expected a number below"),
    ("a negative price", {"trades": TRADES + f"{AT},-1,1,P\n"}, "price: expected a number above zero"),
    ("no shares", {"trades": TRADES + f"{AT},1,0,P\n"}, "size: expected a number above zero"),
    ("unsorted rows", {"trades": TRADES + f"{AT.replace(':30', ':40')},1,1,P\n{TRADE}"}, "rows must be sorted"),
    ("another day's rows", {"name": "20131008.csv"}, "does not lie in the New York day"),
    ("an empty file", {"trades": ""}, "expected a header line, found an empty file"),
    ("a header alone", {"trades": TRADES}, "expected at least one row"),
    ("two bytes a character", {"trades": TRADES.encode("utf-16")}, "line 1: not UTF-8 text"),
    ("no line end", {"trades": b"\0" * 10_000}, "line 1: a line of more than 4096 bytes"),
    ("no gzip", {"name": "20131007.csv.gz"}, "not a sound gzip file"),
    (
        "a gzip cut short",
        {
            "name": "20131007.csv.gz",
            "trades": gzip.compress((TRADES + TRADE).encode())[:-9],
            "quotes": gzip.compress((QUOTES + QUOTE).encode()),
        },
        "cut short",
    ),
    ("no date", {"name": "latest.csv"}, "expected a file YYYYMMDD"),
    ("a date that does not exist", {"name": "20131332.csv"}, "for a date that exists"),
    ("a Saturday", {"name": "20131005.csv"}, r"files from 2013-10-05 to 2013-10-05, when the market was shut"),
    ("an unknown century", {"name": "22000103.csv"}, "the calendar knows 1998 to 2030"),
    ("a symbol in small letters", {"symbol": "ibm"}, "'ibm' is not a US equity symbol"),
]


@pytest.mark.invariant("I40")
@pytest.mark.parametrize(
    ("content", "rule"), [pytest.param(content, rule, id=name) for name, content, rule in BAD_DATA]
)
def test_bad_data_is_refused_by_its_rule_and_leaves_no_world(tmp_path, content, rule):
    data = data_of(tmp_path / "data", **content)
    with pytest.raises(DataFileError, match=rule) as caught:
        open_world(tmp_path / "state", WorldWish(data=str(data)))
    assert str(data) in caught.value.message
    assert read_world(tmp_path / "state") is None


@pytest.mark.invariant("I40")
@pytest.mark.parametrize(
    "content",
    [
        {"trades": b"\xef\xbb\xbf" + (TRADES + TRADE).encode()},
        {"trades": (TRADES + TRADE).replace("\n", "\r\n")},
        {"trades": TRADES + TRADE + TRADE},
        {"trades": (TRADES + TRADE).replace("Z,", ",")},
    ],
    ids=["byte order mark", "line ends of Windows", "two trades at one time", "a time without zone is UTC"],
)
def test_what_is_unusual_but_clear_is_played(tmp_path, content):
    data = data_of(tmp_path / "data", **content)
    assert open_world(tmp_path / "state", WorldWish(data=str(data))) > 0


def test_after_bad_data_the_same_state_directory_takes_the_good(tmp_path):
    bad = data_of(tmp_path / "bad", trades="junk")
    with pytest.raises(DataFileError):
        open_world(tmp_path / "state", WorldWish(data=str(bad)))
    good = data_of(tmp_path / "good")
    open_world(tmp_path / "state", WorldWish(data=str(good)))
    found = read_world(tmp_path / "state")
    assert found is not None
    assert found.data == str(good)


def cut(content: bytes) -> bytes:
    return content[:20]


def flip(content: bytes) -> bytes:
    damaged = bytearray(content)
    damaged[len(damaged) // 2] ^= 0xFF
    return bytes(damaged)


@pytest.mark.invariant("I10")
@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (flip, "line 1: damaged"),
        (lambda _: b"junk\n" * 3, "line 1: damaged"),
        (lambda _: b"", "the books of the world in .* are gone"),
        (cut, "the books of the world in .* are gone"),
    ],
    ids=["a flipped byte", "another file", "emptied", "its only record torn"],
)
def test_books_that_are_damaged_or_gone_are_not_begun_anew(tmp_path, damage: Callable[[bytes], bytes], rule: str):
    open_world(tmp_path)
    journal = tmp_path / "journal"
    journal.write_bytes(damage(journal.read_bytes()))
    with pytest.raises(JournalError, match=rule):
        open_world(tmp_path)


@pytest.mark.invariant("I10")
def test_a_world_whose_journal_was_removed_is_refused(tmp_path):
    open_world(tmp_path)
    (tmp_path / "journal").unlink()
    with pytest.raises(JournalError, match="are gone"):
        open_world(tmp_path)


def test_a_last_record_torn_by_a_crash_is_cut_off_and_the_world_goes_on(tmp_path):
    began_ns = open_world(tmp_path)
    with (tmp_path / "journal").open("ab") as journal:
        journal.write(b'0123abcd [{"type":"mark"')
    assert open_world(tmp_path) == began_ns


@pytest.mark.parametrize(
    ("change", "rule"),
    [({"cash": "x"}, "cash: expected an amount in USD, found 'x'"), ({"start_ns": 1}, "--start: expected a time from")],
)
def test_a_world_file_with_an_impossible_value_is_refused_by_its_name(tmp_path, change, rule):
    open_world(tmp_path)
    path = tmp_path / WORLD_FILE
    path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | change))
    with pytest.raises(WorldConflict, match=rule):
        open_world(tmp_path)


BAD_FLAGS = [
    (["--listen", "foo"], 2, "expected HOST:PORT"),
    (["--listen", "127.0.0.1:99999"], 2, "expected HOST:PORT"),
    (["--speed", "nan"], 2, "above 0"),
    (["--speed", "1e9"], 2, "at most 100000"),
    (["--start", "garbage"], 2, "expected a time like"),
    (["--start", "1900-01-01T10:00"], 4, "--start: expected a time from"),
    (["--cash", "0"], 2, "above 0"),
    (["--cash", "sNaN"], 2, "at most two decimals"),
    (["--seed", "1.5"], 2, "--seed"),
    (["--seed", "9" * 30], 2, "--seed"),
    (["--key-id", "ключ"], 2, "printable ASCII"),
    (["--secret-key", "x" * 300], 2, "found 300 characters"),
    (["--symbols", "A PL"], 2, "expected symbols like"),
    (["--symbols", "SPY,SPY"], 2, "twice"),
    (["--symbols", ",".join(f"A{number}" for number in range(2_000))], 2, "at most 1000 symbols, found 2000"),
    (["--data", ""], 2, "expected a folder of market data"),
    (["--data", "/no/such/folder"], 4, "no such data directory"),
    (["--faults", "/no/such/file"], 4, "No such file"),
    (["--rate-limit", "-1"], 2, "--rate-limit"),
    (["--profile", "future"], 2, "--profile"),
]


@pytest.mark.invariant("I40")
@pytest.mark.parametrize(("flags", "code", "rule"), [pytest.param(*row, id=" ".join(row[0])[:30]) for row in BAD_FLAGS])
def test_a_bad_flag_of_the_exchange_is_refused_by_its_rule(tmp_path, flags, code, rule):
    answer = CliRunner().invoke(exchange, ["--listen", "127.0.0.1:0", "--state-dir", str(tmp_path), *flags])
    assert answer.exit_code == code
    assert rule in answer.output
    assert read_world(tmp_path) is None


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        bytes(range(256)),
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"faults":[{"kind":"boom"}]}',
        b'{"faults":[{"kind":"latency","probability":2}]}',
        b'{"faults":[{"kind":"latency","latency_ms":1e400}]}',
    ],
    ids=["no JSON", "bytes", "a list", "nothing in it", "nested too deeply", "kind", "probability", "infinity"],
)
def test_a_bad_plan_of_faults_is_refused_with_the_name_of_its_file(tmp_path, content):
    plan = tmp_path / "plan.json"
    plan.write_bytes(content)
    answer = CliRunner().invoke(exchange, ["--listen", "127.0.0.1:0", "--faults", os.fspath(plan)])
    assert answer.exit_code == 4
    assert answer.output.startswith(f"exchange: {plan}: ")
