"""Every malformed configuration gets its own message, naming the setting and the rule, and exit code 4."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_trading_system.cli.root import run

TOO_MANY = [f"A{number}" for number in range(1_001)]
FILES = {
    "no TOML": ("[http\n", "not TOML", "line 1, column 6"),
    "value without quotes": ("[http]\nlisten = 127.0.0.1:1\n", "not TOML", "line 2"),
    "key twice": ("[http]\nlisten = '127.0.0.1:1'\nlisten = '127.0.0.1:2'\n", "not TOML", "line 3"),
    "table twice": ("[http]\n[http]\n", "not TOML", "line 2"),
    "a NUL": ("[http]\nlisten = 'a\0b'\n", "not TOML", "line 2"),
    "YAML": ("a: &a [x, x]\nb: &b [*a, *a]\n", "not TOML", "line 1"),
    "JSON": ('{"http": {"listen": "127.0.0.1:1"}}', "not TOML", "line 1"),
    "a month 13": ("[simulation]\nstart = 2013-13-07T09:30:00\n", "not TOML", ""),
    "brackets without end": ("a = " + "[" * 50_000, "nested too deeply", ""),
    "a key without end": (".".join(["a"] * 100_000) + " = 1", "a key of more than 32 parts", ""),
    "a quoted key without end": (".".join(['"="'] * 5_000) + " = 1", "a key of more than 32 parts", ""),
    "tables in tables": ("[" + ".".join("abcdefghijklm") + "]\nx = 1\n", "nested more than 8 tables deep", ""),
    "a number without end": ("[http]\nlisten = " + "9" * 5_000, "not TOML", "4300 digits"),
    "unknown section": ("[htp]\nlisten = 1\n", "htp: unknown setting", "did you mean http?"),
    "unknown key": ("[http]\nlistne = 'x'\n", "http.listne: unknown setting", "did you mean http.listen?"),
    "key of another section": (
        "capital_usd = 5\n",
        "capital_usd: unknown setting",
        "did you mean portfolio.capital_usd?",
    ),
    "keys in a file": ("[broker]\nsecret_key = 'CANARY'\n", "broker.secret_key: unknown setting", "never in a"),
    "section as text": ("http = 'x'\n", "http: expected a table of settings", "[http]"),
    "section as list": ("[[http]]\nlisten = '127.0.0.1:1'\n", "http: expected a table of settings", ""),
    "text for true": ("[trade]\nis_dry_run = 'true'\n", "trade.is_dry_run: expected true or false", "found 'true'"),
    "1 for true": ("[trade]\nis_dry_run = 1\n", "trade.is_dry_run: expected true or false", "found 1"),
    "true for a number": ("[data]\nwarm_up_bars = true\n", "data.warm_up_bars: expected a number", "found true"),
    "a number in quotes": (
        "[simulation]\nspeed = '60'\n",
        "simulation.speed: expected a number without quotes",
        "'60'",
    ),
    "a fraction of a bar": ("[data]\nwarm_up_bars = 1.5\n", "data.warm_up_bars: expected a whole number", "1.5"),
    "negative bars": ("[data]\nwarm_up_bars = -1\n", "data.warm_up_bars: ", "greater than or equal to 0"),
    "nan": ("[simulation]\nspeed = nan\n", "simulation.speed: expected a finite number", "nan"),
    "inf": ("[orders]\nentry_seconds_max = inf\n", "orders.entry_seconds_max: ", "86400"),
    "nan money": ("[portfolio]\ncapital_usd = nan\n", "portfolio.capital_usd: ", "finite"),
    "speed 0": ("[simulation]\nspeed = 0\n", "simulation.speed: ", "greater than 0"),
    "speed beyond": ("[simulation]\nspeed = 3601\n", "simulation.speed: ", "3600"),
    "a number for text": ("[http]\nlisten = 8080\n", "http.listen: expected text", "8080"),
    "no port": ("[http]\nlisten = '127.0.0.1'\n", "http.listen: expected HOST:PORT", "'127.0.0.1'"),
    "port beyond": ("[http]\nlisten = '127.0.0.1:65536'\n", "http.listen: expected HOST:PORT", ""),
    "port in other digits": ("[http]\nlisten = '127.0.0.1:\uff18\uff10'\n", "http.listen: expected HOST:PORT", ""),
    "all interfaces": (
        "[http]\nlisten = '0.0.0.0:8080'\n",
        "http.listen: must be a loopback address",
        "'0.0.0.0:8080'",
    ),
    "all interfaces, IPv6": ("[http]\nlisten = '[::]:8080'\n", "http.listen: must be a loopback address", ""),
    "a public host": ("[http]\nlisten = 'example.com:80'\n", "http.listen: must be a loopback address", ""),
    "unknown level": ("[logging]\nlevel = 'LOUD'\n", "logging.level: expected 'DEBUG'", "found 'LOUD'"),
    "unknown format": ("[logging]\nformat = 'xml'\n", "logging.format: expected 'auto'", "found 'xml'"),
    "MySQL": ("[database]\nurl = 'mysql://u:CANARY@h/d'\n", "database.url: expected a URL", "postgresql://"),
    "a URL as section": ("database = 'postgresql://u:CANARY@h/d'\n", "database: expected a table of settings", ""),
    "HTTP for Redis": ("[redis]\nurl = 'http://CANARY'\n", "redis.url: expected a URL", "redis://"),
    "alerts in the clear": ("[alerts]\nwebhook_url = 'http://h/CANARY'\n", "alerts.webhook_url: expected", "https://"),
    "unknown feed": ("[broker]\nfeed = 'otc'\n", "broker.feed: expected 'iex' or 'sip'", "found 'otc'"),
    "reserve above limit": ("[broker]\nrequests_per_minute = 40\n", "requests_reserved_per_minute (40)", "below"),
    "reserve too small": ("[broker]\nrequests_reserved_per_minute = 39\n", "requests_reserved_per_minute: ", "40"),
    "broker's URL in sim": (
        "[broker]\ntrading_url = 'http://127.0.0.1:1'\n",
        "broker.trading_url: may be set in",
        "paper",
    ),
    "no symbols": ("[universe]\nsymbols = []\n", "universe.symbols: names no symbol", ""),
    "symbol in small letters": ("[universe]\nsymbols = ['aapl']\n", "universe.symbols: expected symbols", "'aapl'"),
    "symbol twice": ("[universe]\nsymbols = ['A', 'B', 'A']\n", "universe.symbols: expected each symbol once", "A"),
    "symbols of numbers": ("[universe]\nsymbols = [1]\n", "universe.symbols.0: expected text", ""),
    "1,001 symbols": (
        f"[universe]\nsymbols = {TOO_MANY}\n",
        "universe.symbols: expected at most 1000 symbols",
        "1001",
    ),
    "class of a bad symbol": ("[universe.classes]\n'x y' = 'stock'\n", "universe.classes: expected symbols", "'x y'"),
    "unknown class": ("[universe.classes]\nSPY = 'bond'\n", "universe.classes.SPY: expected 'stock'", "found 'bond'"),
    "unknown class of limits": (
        "[risk.classes.bond]\norder_value_usd = 1\n",
        "risk.classes.bond: expected 'stock'",
        "",
    ),
    "class limit above ceiling": (
        "[risk.classes.stock]\nposition_fraction = 0.5\n",
        "risk.classes.stock.position_fraction",
        "ceiling",
    ),
    "limit above ceiling": (
        "[risk]\ndaily_loss_hard_fraction = 0.06\n",
        "risk.daily_loss_hard_fraction: 0.06 is above",
        "0.05",
    ),
    "limit below floor": ("[risk]\npositions_max = 0\n", "risk.positions_max: 0 is below its floor 1", ""),
    "negative limit": ("[risk]\nquote_age_seconds_max = -1\n", "risk.quote_age_seconds_max: ", "below its floor"),
    "soft above hard": ("[risk]\ndrawdown_soft_fraction = 0.2\n", "risk.drawdown_soft_fraction: 0.2 must be below", ""),
    "unknown limit": ("[risk]\ndaily_los_hard_fraction = 1\n", "risk.daily_los_hard_fraction: unknown", "did you mean"),
    "unknown strategy": (
        "[[strategies]]\nid='a'\nkind='magic'\nweight=1\n",
        "strategies.0.kind: expected one of",
        "'magic'",
    ),
    "strategy without weight": ("[[strategies]]\nid='a'\nkind='momentum'\n", "strategies.0.weight: is missing", ""),
    "strategy's id": (
        "[[strategies]]\nid='A b'\nkind='momentum'\nweight=1\n",
        "strategies.0.id: expected lower-case",
        "'A b'",
    ),
    "ids twice": ("[[strategies]]\nid='a'\nkind='momentum'\nweight=0.1\n" * 2, "strategies: ids named twice: a", ""),
    "weights above 1": (
        "".join(f"[[strategies]]\nid='{i}'\nkind='momentum'\nweight=0.6\n" for i in "ab"),
        "strategies: weights sum to 1.2, at most 1",
        "",
    ),
    "no weight": ("[[strategies]]\nid='a'\nkind='momentum'\nweight=0\n", "strategies.0.weight: ", "greater than 0"),
    "sizing": (
        "[[strategies]]\nid='a'\nkind='momentum'\nweight=1\nsizing='all'\n",
        "strategies.0.sizing: expected",
        "'all'",
    ),
    "unknown parameter": (
        "[[strategies]]\nid='a'\nkind='momentum'\nweight=1\nparameters={speed=1}\n",
        "unknown parameter 'speed'",
        "",
    ),
    "parameter as text": (
        "[[strategies]]\nid='a'\nkind='momentum'\nweight=1\nparameters={fast='1'}\n",
        "strategies.0.parameters.fast: expected a number",
        "found '1'",
    ),
    "strategies as table": ("[strategies]\nid='a'\n", "strategies: expected a list", ""),
    "no strategy": ("strategies = []\n", "strategies: names no strategy", ""),
    "33 strategies": (
        "".join(f"[[strategies]]\nid='a{i}'\nkind='momentum'\nweight=0.01\n" for i in range(33)),
        "strategies: ",
        "32",
    ),
    "time of nowhere": ("[simulation]\nstart = 'yesterday'\n", "simulation.start: expected a time", "'yesterday'"),
    "year 1900": ("[simulation]\nstart = 1900-01-01\n", "simulation.start: expected a year from 1998", ""),
    "data that is not there": ("[simulation]\ndata = '/nowhere'\n", "simulation.data: expected a folder", "/nowhere"),
    "data with a NUL": ('[simulation]\ndata = "a\\u0000b"\n', "simulation.data: expected a path", ""),
    "part of a cent": ("[simulation]\ncash_usd = 0.001\n", "simulation.cash_usd: ", "2 decimal places"),
    "no cash": ("[simulation]\ncash_usd = 0\n", "simulation.cash_usd: ", "greater than 0"),
    "an exchange with data": (
        "[simulation]\nexchange_url = 'http://127.0.0.1:1'\nseed = 1\n",
        "it has its own seed",
        "simulation",
    ),
    "an exchange elsewhere": (
        "[simulation]\nexchange_url = 'http://example.com'\n",
        "simulation.exchange_url: must be a loopback URL",
        "",
    ),
    "report in no folder": ("[trade]\noutput = '/nowhere/r.json'\n", "trade.output: expected a file in a folder", ""),
    "duration 0": ("[trade]\nduration_seconds = 0\n", "trade.duration_seconds: ", "greater than 0"),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder: nobody's `.env`, nobody's `config/`."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and what stands on stderr; stdout stays empty, and nobody sees a traceback or a secret."""
    with pytest.raises(SystemExit) as stop:
        run(["config", "check", *arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert "CANARY" not in captured.err
    assert captured.out == ""
    return int(str(stop.value.code)), captured.err


@pytest.mark.fault("K3")
@pytest.mark.parametrize("case", FILES)
def test_a_malformed_file_is_refused_with_the_setting_and_the_rule(case, here, capsys):
    text, names_setting, names_rule = FILES[case]
    (here / "c.toml").write_text(text, encoding="utf-8")
    code, said = refusal(capsys, "--config", "c.toml")
    assert code == 4
    assert names_setting in said
    assert names_rule in said


@pytest.mark.parametrize(
    ("make", "said_of_it"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "expected a file, found a folder"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "not UTF-8 at byte 0"),
        (lambda path: path.write_bytes(b"#" * 1_048_577), "1048577 bytes, at most 1048576"),
        (lambda path: path.symlink_to("/dev/zero"), "expected a regular file"),
        (lambda path: path.symlink_to(path), "too many levels of symbolic links"),
    ],
    ids=["missing", "folder", "not UTF-8", "too large", "device", "circle"],
)
@pytest.mark.fault("K3")
def test_a_file_that_is_none_is_refused_by_name(make, said_of_it, here, capsys):
    make(here / "c.toml")
    code, said = refusal(capsys, "--config", "c.toml")
    assert (code, said.strip()) == (4, f"error: c.toml: {said_of_it}")


ENVIRONMENT = {
    "unknown section": ({"QTS__HTP__LISTEN": "x"}, "htp: unknown setting; did you mean http?"),
    "unknown key": ({"QTS__RISK__POSITION_MAX": "3"}, "risk.position_max: unknown setting; did you mean"),
    "no key": ({"QTS__HTTP": "x"}, "QTS__HTTP: expected QTS__SECTION__KEY"),
    "nothing": ({"QTS__": "x"}, "QTS__: expected QTS__SECTION__KEY"),
    "one underscore": ({"QTS_HTTP_LISTEN": "x"}, "QTS_HTTP_LISTEN: expected QTS__SECTION__KEY"),
    "small letters": ({"qts__http__listen": "x"}, "qts__http__listen: expected QTS__SECTION__KEY in capitals"),
    "an empty part": ({"QTS__HTTP____LISTEN": "x"}, "QTS__HTTP____LISTEN: expected"),
    "too deep": ({"QTS__HTTP__LISTEN__NOW": "x"}, "http.listen: expected text"),
    "a typo beside the key": ({"QTS__BROKER__KEY_IDD": "CANARY"}, "broker.key_idd: unknown setting"),
    "no number": ({"QTS__RISK__POSITIONS_MAX": "many"}, "expected a number, found 'many' (environment QTS__RISK__POS"),
    "no whole number": ({"QTS__RISK__POSITIONS_MAX": "1.5"}, "risk.positions_max: expected a whole number"),
    "a huge number": ({"QTS__RISK__POSITIONS_MAX": "9" * 400}, "risk.positions_max: expected a number"),
    "an exponent": ({"QTS__PORTFOLIO__CAPITAL_USD": "1e999999999"}, "portfolio.capital_usd: expected a number"),
    "nan": ({"QTS__SIMULATION__SPEED": "nan"}, "simulation.speed: expected a number, found 'nan'"),
    "1 for true": ({"DRY_RUN": "1"}, "trade.is_dry_run: expected true or false, found '1'"),
    "level": ({"LOG_LEVEL": "verbose"}, "environment QTS__LOGGING__LEVEL or LOG_LEVEL"),
    "database": ({"DATABASE_URL": "sqlite:///CANARY"}, "database.url: expected a URL that starts with postgresql://"),
    "redis": ({"REDIS_URL": "CANARY:6379"}, "redis.url: expected a URL that starts with redis://"),
    "half JSON": ({"QTS__UNIVERSE__SYMBOLS": '["A",'}, "looks like JSON and is not: expecting value at character 6"),
    "JSON without end": ({"QTS__UNIVERSE__SYMBOLS": "[" * 90_000}, "nested too deeply"),
    "JSON number": ({"QTS__STRATEGIES": "[" + "9" * 5_000 + "]"}, "a number too long"),
    "strategies": ({"QTS__STRATEGIES": "momentum"}, "strategies: expected a list, found 'momentum'"),
    "no secret file": ({"DATABASE_URL_FILE": "/nowhere"}, "DATABASE_URL: /nowhere: no such file"),
    "a folder as secret": ({"QTS__REDIS__URL_FILE": "/"}, "QTS__REDIS__URL: /: expected a file, found a folder"),
    "a device as secret": ({"DATABASE_URL_FILE": "/dev/zero"}, "/dev/zero: expected a regular file"),
    "a byte that is no text": ({"QTS__HTTP__LISTEN": "\udcff:1"}, "http.listen: expected text in UTF-8"),
}


@pytest.mark.fault("K3")
@pytest.mark.parametrize("case", ENVIRONMENT)
def test_a_malformed_variable_is_refused_with_its_name(case, monkeypatch, capsys):
    variables, named = ENVIRONMENT[case]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, said = refusal(capsys)
    assert code == 4
    assert named in said


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"QTS__HTTP__LISTEN=0.0.0.0:1\n", "(.env QTS__HTTP__LISTEN)"),
        (b"A=1\nthis is no assignment\n", ".env: line 2: expected NAME=VALUE"),
        (b"QTS__HTTP__LISTEN\n", ".env: line 1: expected NAME=VALUE"),
        (b"A='without end\n", ".env: line 1: expected NAME=VALUE"),
        (b"A=\xff\n", ".env: not UTF-8 at byte 2"),
        (b"#" * 1_048_577, ".env: 1048577 bytes, at most 1048576"),
    ],
    ids=["value", "no assignment", "no value", "quote", "not UTF-8", "too large"],
)
@pytest.mark.fault("K3")
def test_a_malformed_env_file_is_refused_with_its_line(content, named, here, capsys):
    (here / ".env").write_bytes(content)
    code, said = refusal(capsys)
    assert code == 4
    assert named in said


@pytest.mark.fault("K3")
def test_every_problem_of_every_source_is_named_at_once(here, monkeypatch, capsys):
    (here / "c.toml").write_text("[risk]\npositions_max = 0\ndrawdown_hard_fraction = 'x'\n[data]\nwarm_up_bars = -1\n")
    (here / ".env").write_text("LOG_LEVEL=LOUD\n")
    monkeypatch.setenv("QTS__HTTP__LISTEN", "0.0.0.0:1")
    code, said = refusal(capsys, "--config", "c.toml", "--mode", "paper")
    assert code == 4
    for name in (
        "risk.positions_max",
        "risk.drawdown_hard_fraction",
        "data.warm_up_bars",
        "logging.level",
        "http.listen",
    ):
        assert f"{name}: " in said


def test_a_byte_order_mark_is_no_error(here):
    (here / "c.toml").write_bytes(b"\xef\xbb\xbf[http]\nlisten = '127.0.0.1:1'\n")
    with pytest.raises(SystemExit) as stop:
        run(["config", "check", "--config", "c.toml"])
    assert stop.value.code == 0
