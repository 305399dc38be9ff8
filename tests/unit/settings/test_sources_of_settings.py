"""Where a setting comes from, which source wins, and that what is packaged is what the files say."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec import structs

from quant_trading_system.app.settings import load, origin_of, show, state_directory, to_limits, to_strategies
from quant_trading_system.app.settings.layers import project_root
from quant_trading_system.app.settings.model import RiskSettings
from quant_trading_system.app.settings.risk_words import RISK_WORDS
from quant_trading_system.core.types import InstrumentClass, Mode
from quant_trading_system.risk.limits import RiskLimits

URL = "postgresql://me:CANARY@127.0.0.1/db"


def listen(folder: Path, *, environ: dict[str, str] | None = None, flag: str | None = None, file: str | None = None):
    """The address in force and where it came from."""
    loaded = load(
        Mode.SIM,
        cwd=folder,
        environ=environ or {},
        flags={"http.listen": flag},
        config_file=None if file is None else folder / file,
    )
    return loaded.settings.http.listen, origin_of("http.listen", loaded.origins)


@pytest.mark.requirement("R025")
def test_the_stronger_source_wins_in_the_published_order(tmp_path):
    def address(port: int) -> str:
        return f"127.0.0.1:{port}"

    def toml(port: int) -> str:
        return f'[http]\nlisten = "{address(port)}"\n'

    (tmp_path / "config").mkdir()
    assert listen(tmp_path) == (address(8080), "default")
    (tmp_path / "config" / "default.toml").write_text(toml(1))
    assert listen(tmp_path) == (address(1), "config/default.toml")
    (tmp_path / "config" / "sim.toml").write_text(toml(2))
    assert listen(tmp_path) == (address(2), "config/sim.toml")
    (tmp_path / "mine.toml").write_text(toml(3))
    assert listen(tmp_path, file="mine.toml") == (address(3), str(tmp_path / "mine.toml"))
    (tmp_path / "secret").write_text(address(4) + "\n")
    named = {"QTS__HTTP__LISTEN_FILE": str(tmp_path / "secret")}
    assert listen(tmp_path, file="mine.toml", environ=named) == (address(4), "secret file")
    (tmp_path / ".env").write_text(f"QTS__HTTP__LISTEN={address(5)}\n")
    assert listen(tmp_path, file="mine.toml", environ=named) == (address(5), ".env QTS__HTTP__LISTEN")
    named["QTS__HTTP__LISTEN"] = address(6)
    assert listen(tmp_path, file="mine.toml", environ=named) == (address(6), "environment QTS__HTTP__LISTEN")
    assert listen(tmp_path, file="mine.toml", environ=named, flag=address(7)) == (address(7), "flag --http")


@pytest.mark.parametrize("mode", [Mode.SIM, Mode.PAPER, Mode.LIVE])
def test_the_files_in_config_say_what_is_packaged(mode, tmp_path):
    (tmp_path / "bare" / "config").mkdir(parents=True)
    shutil.copytree(project_root() / "config", tmp_path / "full" / "config")
    bare = load(mode, cwd=tmp_path / "bare", environ={}, must_have_signs=False)
    full = load(mode, cwd=tmp_path / "full", environ={}, must_have_signs=False)
    assert show(bare) == show(full)


def test_the_aliases_are_weaker_than_the_full_names(tmp_path):
    environ = {"LOG_LEVEL": "debug", "DRY_RUN": "true", "DATABASE_URL": URL, "REDIS_URL": "redis://h:1/0"}
    settings = load(Mode.SIM, cwd=tmp_path, environ=environ).settings
    assert (settings.logging.level, settings.trade.is_dry_run) == ("DEBUG", True)
    assert settings.database.url is not None
    assert settings.redis.url is not None
    both = load(Mode.SIM, cwd=tmp_path, environ={**environ, "QTS__LOGGING__LEVEL": "ERROR"}).settings
    assert both.logging.level == "ERROR"


def test_a_secret_shows_in_no_text_of_the_settings(tmp_path):
    loaded = load(Mode.SIM, cwd=tmp_path, environ={"DATABASE_URL": URL})
    assert "CANARY" not in repr(loaded)
    assert "CANARY" not in str(show(loaded))
    assert show(loaded)["database.url"] == "***"


def test_systemd_credentials_are_a_source(tmp_path):
    (tmp_path / "DATABASE_URL").write_text(URL + "\n")
    (tmp_path / "QTS__REDIS__URL").write_text("redis://h:1/0")
    settings = load(Mode.SIM, cwd=tmp_path, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)}).settings
    assert settings.database.url is not None
    assert settings.database.url.get_secret_value() == URL
    assert settings.redis.url is not None


def test_the_environment_gives_lists_with_commas_or_as_json(tmp_path):
    for text in ("AAPL, BRK.B", '["AAPL", "BRK.B"]'):
        settings = load(Mode.SIM, cwd=tmp_path, environ={"QTS__UNIVERSE__SYMBOLS": text}).settings
        assert settings.universe.symbols == ("AAPL", "BRK.B")
    text = '[{"id": "fast", "kind": "momentum", "weight": 0.25}]'
    only = to_strategies(load(Mode.SIM, cwd=tmp_path, environ={"QTS__STRATEGIES": text}).settings)
    assert [(each.id, each.weight) for each in only] == [("fast", Decimal("0.25"))]


def test_toml_s_own_times_are_times_of_new_york(tmp_path):
    (tmp_path / "c.toml").write_text("[simulation]\nstart = 2013-10-07T09:30:00\n")
    loaded = load(Mode.SIM, cwd=tmp_path, environ={}, config_file=tmp_path / "c.toml")
    assert loaded.settings.simulation.start == "2013-10-07T09:30:00-04:00"


def test_nothing_in_an_env_file_is_substituted(tmp_path):
    (tmp_path / ".env").write_text("DATABASE_URL='postgresql://me:a${HOME}b@h/d'\n")
    settings = load(Mode.SIM, cwd=tmp_path, environ={"HOME": "/root"}).settings
    assert settings.database.url is not None
    assert "a${HOME}b" in settings.database.url.get_secret_value()


def test_the_limits_of_the_settings_are_the_gate_s(tmp_path):
    assert to_limits(load(Mode.SIM, cwd=tmp_path, environ={}).settings) == RiskLimits()
    names = [entry.name for entry in structs.fields(RiskLimits)]
    assert set(RiskSettings.model_fields) == set(names)
    assert set(RISK_WORDS) == set(names) - {"classes"}


def test_a_limit_that_is_set_reaches_the_gate_and_leaves_the_other_classes_alone(tmp_path):
    (tmp_path / "c.toml").write_text("[risk]\npositions_max = 3\n[risk.classes.stock]\norder_value_usd = 7\n")
    limits = to_limits(load(Mode.SIM, cwd=tmp_path, environ={}, config_file=tmp_path / "c.toml").settings)
    assert limits.positions_max == 3
    assert limits.classes[InstrumentClass.STOCK].order_value_usd == 7
    assert limits.classes[InstrumentClass.STOCK].position_fraction == Decimal("0.10")
    assert limits.classes[InstrumentClass.CRYPTO] == RiskLimits().classes[InstrumentClass.CRYPTO]


def test_the_state_directory_is_the_flag_s_then_systemd_s_then_the_mode_s(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = {"STATE_DIRECTORY": "/var/lib/x:/var/lib/y"}
    assert state_directory(Mode.SIM, Path("here"), named) == tmp_path / "here"
    assert state_directory(Mode.SIM, None, named) == Path("/var/lib/x")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert state_directory(Mode.PAPER, None, {}) == tmp_path / "state" / "paper"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert state_directory(Mode.PAPER, None, {}) == Path("/var/lib/alphatrade/paper")
