"""A flag that makes no sense is refused before anything starts: usage 2, configuration 4, safety 7, no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from quant_trading_system.app import daemon
from quant_trading_system.cli import root
from quant_trading_system.cli.options import DURATION, SEED, SPEED
from quant_trading_system.cli.root import run
from quant_trading_system.core.errors import OperatorError, SafetyRefusal, TemporaryFailure


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o711)
    return tmp_path


def outcome(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    with pytest.raises(SystemExit) as stop:
        run(list(arguments))
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err + captured.out
    return int(str(stop.value.code or 0)), captured.out, captured.err


@pytest.mark.fault("K3")
@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        ("frade", 2, "No such command 'frade'. Did you mean 'trade'?"),
        ("trade --mode demo", 2, "'demo' is not one of 'sim', 'paper', 'live'"),
        ("trade --fast", 2, "No such option"),
        ("trade now", 2, "unexpected extra argument"),
        ("trade --config", 2, "requires an argument"),
        ("trade --config .", 4, ".: expected a file, found a folder"),
        ("trade --config none.toml", 4, "none.toml: no such file"),
        ("trade --symbols aapl,", 2, "expected symbols such as AAPL or BRK.B, found ''"),
        ("trade --symbols A,B,A", 2, "expected each symbol once, found twice: A"),
        ("trade --symbols TOOLONGNAME", 2, "found 'TOOLONGNAME'"),
        ("trade --capital 0", 2, "expected more than 0 and at most 1000000000 USD, found '0'"),
        ("trade --capital -5", 2, "expected an amount in USD"),
        ("trade --capital nan", 2, "expected an amount in USD"),
        ("trade --capital 1e9", 2, "expected an amount in USD"),
        ("trade --capital 10,00", 2, "expected an amount in USD"),
        ("trade --capital 0.001", 2, "expected an amount in USD"),
        ("trade --capital 9999999999", 2, "at most 1000000000 USD"),
        ("trade --max-position-size lots", 2, "expected an amount in USD"),
        ("trade --cash 1_000", 2, "expected an amount in USD"),
        ("trade --http 8080", 2, "expected HOST:PORT"),
        ("trade --http 127.0.0.1:99999", 2, "expected HOST:PORT"),
        ("trade --http :8080", 2, "expected HOST:PORT"),
        ("trade --http 0.0.0.0:8080", 4, "http.listen: must be a loopback address"),
        ("trade --speed 0", 2, "--speed"),
        ("trade --speed -1", 2, "--speed"),
        ("trade --speed fast", 2, "--speed"),
        ("trade --speed 1e9", 2, "--speed"),
        ("trade --duration 0", 2, "--duration"),
        ("trade --duration soon", 2, "--duration"),
        ("trade --seed x", 2, "--seed"),
        ("trade --seed -1", 2, "--seed"),
        ("trade --seed 1.5", 2, "--seed"),
        ("trade --start yesterday", 2, "expected a time such as 2013-10-07T09:30, found 'yesterday'"),
        ("trade --start 2013-02-30", 2, "expected a time"),
        ("trade --start 1900-01-01", 2, "expected a year from 1998 to 2030"),
        ("trade --data nowhere", 4, "simulation.data: expected a folder of market data, found 'nowhere'"),
        ("trade --exchange ftp://x", 4, "simulation.exchange_url: must be a loopback URL"),
        ("trade --exchange http://example.com", 4, "simulation.exchange_url: must be a loopback URL"),
        ("trade --exchange http://127.0.0.1:1 --data d", 2, "--exchange uses an exchange that runs already"),
        ("trade --output .", 2, "--output"),
        ("trade --output none/r.json", 4, "trade.output: expected a file in a folder that exists"),
        ("trade --mode paper", 4, "mode paper needs a key pair: QTS__BROKER__KEY_ID and QTS__BROKER__SECRET_KEY"),
        ("trade --mode paper --data d", 2, "--data is for mode sim only"),
        ("trade --mode paper --cash 5", 2, "--cash is for mode sim only"),
        ("trade --mode paper --exchange http://127.0.0.1:1", 2, "--exchange is for mode sim only"),
        ("trade --mode paper --account 1", 2, "--account is a sign of mode live"),
        ("trade --mode live", 4, "trade.account: live needs the account number"),
        ("config", 2, "Usage"),
        ("config show --mode x", 2, "'x' is not one of"),
        ("doctor --http 80", 2, "expected HOST:PORT"),
    ],
)
def test_a_flag_that_makes_no_sense_is_refused_by_name(arguments, code, named, capsys):
    found, out, said = outcome(capsys, *arguments.split(" "))
    assert (found, out) == (code, "")
    assert " ".join(named.split()) in " ".join(said.split())


@pytest.mark.fault("K4")
@pytest.mark.parametrize("variable", ["ALPACA_PAPER_TRADE=false", "ALPACA_BASE_URL=https://api.alpaca.markets"])
def test_signs_that_disagree_end_the_start_with_exit_7(variable, monkeypatch, capsys):
    for pair in (variable, "APCA_API_KEY_ID=PKABCDEFGH", "APCA_API_SECRET_KEY=CANARY"):
        monkeypatch.setenv(*pair.split("=", 1))
    code, _out, said = outcome(capsys, "trade", "--mode", "paper")
    assert code == 7
    assert "mode is paper, but " in said
    assert "CANARY" not in said


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "0", "-1", "1e9", "", "x"])
def test_speed_and_duration_are_finite_and_bounded(text):
    for kind in (SPEED, DURATION):
        with pytest.raises(click.BadParameter, match="expected a number above 0 and at most"):
            kind.convert(text, None, None)


def test_a_seed_fits_what_the_exchange_takes():
    assert SEED(str(2**63 - 1)) == 2**63 - 1
    with pytest.raises(click.BadParameter):
        SEED(str(2**63))


def raising(error: BaseException):
    def trade(_options: object) -> int:
        raise error

    return trade


@pytest.mark.parametrize(
    ("error", "code", "said_of_it"),
    [
        (OperatorError("the thing", fix="do this"), 1, "error: the thing\n  fix: do this\n"),
        (SafetyRefusal("held"), 7, "error: held\n"),
        (TemporaryFailure("later"), 75, "error: later\n"),
        (ExceptionGroup("g", [ExceptionGroup("h", [SafetyRefusal("held")])]), 7, "error: held\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (ModuleNotFoundError("No module named 'x'", name="x"), 4, "error: the package x is not installed\n"),
    ],
)
def test_an_error_reaches_a_person_as_a_message_and_an_exit_code(error, code, said_of_it, monkeypatch, capsys):
    monkeypatch.setattr(daemon, "run", raising(error))
    found, out, said = outcome(capsys, "trade")
    assert (found, out) == (code, "")
    assert said.lstrip().startswith(said_of_it)


def test_an_unexpected_error_is_one_line_and_a_traceback_only_where_it_is_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(daemon, "run", raising(RuntimeError("boom")))
    code, _out, said = outcome(capsys, "trade")
    assert (code, said.splitlines()[0]) == (1, "error: unexpected: RuntimeError: boom")
    with pytest.raises(RuntimeError, match="boom"):
        run(["--verbose", "trade"])


@pytest.mark.parametrize(
    ("arguments", "code"), [("config check --config none.toml --json", 4), ("config check --mode x --json", 2)]
)
def test_with_json_an_error_is_json_on_stdout(arguments, code, capsys):
    found, out, said = outcome(capsys, *arguments.split())
    content = json.loads(out)
    assert (found, content["exit_code"], said) == (code, code, "")
    assert content["error"]


def test_config_show_masks_secrets_and_names_origins(here, monkeypatch, capsys):
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:CANARY@h/d")
    code, out, _said = outcome(capsys, "config", "show", "--origin", "--json")
    shown = json.loads(out)
    assert code == 0
    assert "CANARY" not in out
    assert shown["database.url"] == {"value": "***", "origin": "environment QTS__DATABASE__URL or DATABASE_URL"}
    assert shown["simulation.speed"]["origin"] == "config/sim.toml"
    assert shown["strategies.0.kind"] == {"value": "momentum", "origin": "config/default.toml"}
    assert shown["trade.account"]["origin"] == "default"


def test_config_schema_describes_every_setting(capsys):
    code, out, _said = outcome(capsys, "config", "schema")
    assert code == 0
    schema = json.loads(out)
    limit = schema["$defs"]["RiskSettings"]["properties"]["positions_max"]
    assert (limit["default"], limit["minimum"], limit["maximum"]) == (16, 1.0, 100.0)
    sections = [definition for name, definition in schema["$defs"].items() if name.endswith("Settings")]
    undescribed = [key for each in sections for key, value in each["properties"].items() if "description" not in value]
    assert undescribed == []


def test_every_verb_of_the_help_exists(capsys):
    for verb in root.VERBS:
        code, out, _said = outcome(capsys, verb, "--help")
        assert code == 0
        assert out.startswith(f"Usage: alphatrade {verb}")
