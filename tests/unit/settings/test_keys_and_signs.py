"""Which keys are taken, from where, and that signs which disagree stop the start with exit 7."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from quant_trading_system.app.settings import Loaded, load
from quant_trading_system.core.errors import ConfigurationError, OperatorError, SafetyRefusal
from quant_trading_system.core.types import Mode

PAIRS = [
    ("QTS__BROKER__KEY_ID", "QTS__BROKER__SECRET_KEY"),
    ("ALPACA_API_KEY", "ALPACA_SECRET_KEY"),
    ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"),
    ("ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY"),
    ("ALPACA_API_KEY", "ALPACA_API_SECRET"),
]
KEYS = {"APCA_API_KEY_ID": "PKABCDEFGH", "APCA_API_SECRET_KEY": "CANARY"}


def paper(folder: Path, environ: dict[str, str], **flags: object) -> Loaded:
    return load(Mode.PAPER, cwd=folder, environ=environ, flags=flags)


def live(folder: Path, environ: dict[str, str], *, account: str | None = "123", key: str = "AKABCDEFGH") -> Loaded:
    """Live with its three signs: the mode, the account, live keys in files."""
    for name, text in (("id", key), ("secret", "CANARY")):
        (folder / name).write_text(text + "\n")
    files = {"APCA_API_KEY_ID_FILE": str(folder / "id"), "APCA_API_SECRET_KEY_FILE": str(folder / "secret")}
    return load(Mode.LIVE, cwd=folder, environ={**files, **environ}, flags={"trade.account": account})


@pytest.mark.parametrize("first", range(len(PAIRS)))
def test_the_first_complete_pair_wins(first, tmp_path):
    environ = {name: f"{name}-value" for pair in PAIRS[first:] for name in pair}
    keys = paper(tmp_path, environ).keys
    assert keys is not None
    assert (keys.key_id, keys.secret_key) == tuple(f"{name}-value" for name in PAIRS[first])
    assert PAIRS[first][0] in keys.source


def test_half_a_pair_is_passed_over_for_a_whole_one(tmp_path):
    keys = paper(tmp_path, {"QTS__BROKER__KEY_ID": "PKHALFHALF", **KEYS}).keys
    assert keys is not None
    assert keys.key_id == "PKABCDEFGH"


def test_each_half_may_lie_in_a_file_or_among_systemd_s_credentials(tmp_path):
    (tmp_path / "secret").write_text("CANARY\n")
    mixed = paper(
        tmp_path, {"APCA_API_KEY_ID": "PKABCDEFGH", "APCA_API_SECRET_KEY_FILE": str(tmp_path / "secret")}
    ).keys
    assert mixed is not None
    assert (mixed.secret_key, mixed.is_from_environment) == ("CANARY", True)
    for name, text in KEYS.items():
        (tmp_path / name).write_text(text)
    keys = paper(tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).keys
    assert keys is not None
    assert (keys.key_id, keys.is_from_environment) == ("PKABCDEFGH", False)


def test_keys_come_from_the_env_file_of_the_working_folder(tmp_path):
    (tmp_path / ".env").write_text("APCA_API_KEY_ID=PKABCDEFGH\nAPCA_API_SECRET_KEY=CANARY\n")
    assert paper(tmp_path, {}).keys is not None


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "mode paper needs a key pair"),
        ({"APCA_API_KEY_ID": "PK"}, "APCA_API_KEY_ID is set but APCA_API_SECRET_KEY is not"),
        ({"APCA_API_SECRET_KEY": "x"}, "APCA_API_SECRET_KEY is set but APCA_API_KEY_ID is not"),
        ({**KEYS, "APCA_API_KEY_ID": ""}, "APCA_API_KEY_ID: is empty"),
        ({**KEYS, "APCA_API_SECRET_KEY": "CANARY "}, "APCA_API_SECRET_KEY: must be printable ASCII without spaces"),
        ({**KEYS, "APCA_API_SECRET_KEY": "CANARY\u00e9"}, "must be printable ASCII"),
        ({**KEYS, "APCA_API_SECRET_KEY": "CANARY\n"}, "must be printable ASCII"),
        ({**KEYS, "APCA_API_KEY_ID": "P" * 257}, "has 257 characters, at most 256"),
        ({"APCA_API_KEY_ID": "PK", "APCA_API_SECRET_KEY_FILE": "/nowhere"}, "/nowhere: no such file"),
    ],
)
@pytest.mark.fault("K3")
def test_keys_that_cannot_be_used_are_refused_without_being_shown(environ, named, tmp_path):
    with pytest.raises(ConfigurationError) as refusal:
        paper(tmp_path, environ)
    assert named in refusal.value.message
    assert "CANARY" not in refusal.value.message
    assert refusal.value.exit_code == 4


def test_sim_reads_no_keys_and_minds_no_half_pair(tmp_path):
    assert load(Mode.SIM, cwd=tmp_path, environ=KEYS).keys is None
    assert load(Mode.SIM, cwd=tmp_path, environ={"ALPACA_API_KEY": ""}).keys is None


def test_keys_never_show_in_text(tmp_path):
    loaded = paper(tmp_path, KEYS)
    text = repr(loaded)
    assert "CANARY" not in text
    assert "PKABCDEFGH" not in text
    assert loaded.keys is not None
    assert loaded.keys.hint == "…EFGH"


NO_LOOPBACK = [
    "http://192.168.0.1:80",
    "https://127.0.0.1:1",
    "http://u:CANARY@127.0.0.1",
    "ftp://localhost",
    "http://127.0.0.1/v2",
    "http://127.0.0.1:0",
    "http://[::1",
    "http://127.0.0.1 .x",
    "",
]


@pytest.mark.parametrize("url", NO_LOOPBACK)
def test_paper_takes_another_broker_on_loopback_alone(url, tmp_path):
    with pytest.raises(ConfigurationError, match=r"broker\.trading_url: must be a loopback URL") as refusal:
        paper(tmp_path, {**KEYS, "QTS__BROKER__TRADING_URL": url})
    assert "CANARY" not in refusal.value.message
    assert paper(tmp_path, {**KEYS, "QTS__BROKER__TRADING_URL": "http://127.0.0.1:8090"}).settings.broker.trading_url


@pytest.mark.fault("K4")
@pytest.mark.parametrize("name", ["TRADING_URL", "DATA_URL", "STREAM_URL"])
def test_live_takes_no_other_broker(name, tmp_path):
    with pytest.raises(ConfigurationError, match="may be set in mode paper only"):
        live(tmp_path, {f"QTS__BROKER__{name}": "http://127.0.0.1:8090"})


@pytest.mark.fault("K4")
@pytest.mark.invariant("I36")
@pytest.mark.parametrize("signs", list(product((True, False), repeat=5)))
def test_live_starts_only_with_every_sign_and_nothing_that_contradicts(signs, tmp_path):
    has_account, has_live_key, names_live_host, flag_is_unset, has_no_override = signs
    environ = {}
    if not names_live_host:
        environ["APCA_API_BASE_URL"] = "https://paper-api.alpaca.markets"
    if not flag_is_unset:
        environ["ALPACA_PAPER_TRADE"] = "true"
    if not has_no_override:
        environ["QTS__BROKER__TRADING_URL"] = "http://127.0.0.1:1"
    key = "AKABCDEFGH" if has_live_key else "PKABCDEFGH"
    account = "123" if has_account else None
    if all(signs):
        assert live(tmp_path, environ, account=account, key=key).keys is not None
        return
    with pytest.raises(OperatorError) as refusal:
        live(tmp_path, environ, account=account, key=key)
    disagrees = has_no_override and not (has_live_key and names_live_host and flag_is_unset)
    assert refusal.value.exit_code == (7 if disagrees else 4)


@pytest.mark.fault("K4")
def test_live_refuses_keys_of_the_environment_unless_it_is_told_to_take_them(tmp_path):
    environ = {"APCA_API_KEY_ID": "AKABCDEFGH", "APCA_API_SECRET_KEY": "CANARY"}
    with pytest.raises(ConfigurationError, match="live refuses keys from the environment"):
        load(Mode.LIVE, cwd=tmp_path, environ=environ, flags={"trade.account": "1"})
    allowed = {**environ, "QTS__BROKER__ALLOW_ENVIRONMENT_KEYS": "true"}
    assert load(Mode.LIVE, cwd=tmp_path, environ=allowed, flags={"trade.account": "1"}).keys is not None


@pytest.mark.fault("K4")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALPACA_BASE_URL", "https://api.alpaca.markets"),
        ("APCA_API_BASE_URL", "api.alpaca.markets/v2"),
        ("ALPACA_BASE_URL", "https://example.com"),
        ("ALPACA_BASE_URL", "https://[::1"),
        ("ALPACA_PAPER_TRADE", "False"),
        ("ALPACA_PAPER_TRADE", "perhaps"),
        ("ALPACA_LIVE_TRADE", "1"),
    ],
)
def test_a_variable_that_says_another_mode_stops_paper_with_exit_7(name, value, tmp_path):
    with pytest.raises(SafetyRefusal, match=f"mode is paper, but {name}"):
        paper(tmp_path, {**KEYS, name: value})


def test_variables_that_agree_are_no_hindrance(tmp_path):
    agreeing = {"ALPACA_BASE_URL": "https://paper-api.alpaca.markets/v2", "ALPACA_PAPER_TRADE": "true"}
    assert paper(tmp_path, {**KEYS, **agreeing}).keys is not None
