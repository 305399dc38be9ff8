"""Merges the layers, weakest first, and reports every problem at once with its setting's name and origin."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from quant_trading_system.app.forms import found
from quant_trading_system.app.settings.keys import BrokerKeys, find_keys
from quant_trading_system.app.settings.layers import (
    FAILPOINT_VARIABLE,
    Layer,
    dotenv_layer,
    environment_layer,
    file_layers,
    put,
    secret_layer,
)
from quant_trading_system.app.settings.messages import describe, within
from quant_trading_system.app.settings.root import Settings, to_limits
from quant_trading_system.app.settings.signs import check_signs, check_urls
from quant_trading_system.core.errors import ConfigurationError
from quant_trading_system.core.types import Mode
from quant_trading_system.risk.limits import problems as limit_problems

PACKAGED: dict[str, Any] = {
    "universe": {
        "classes": {
            **dict.fromkeys(("SPY", "QQQ", "IWM", "DIA", "VTI", "VOO", "IVV", "EEM", "EFA"), "broad_fund"),
            **dict.fromkeys(("TQQQ", "SQQQ", "UPRO", "SPXL", "SPXS", "TECL", "SOXL", "UVXY"), "leveraged_fund"),
        }
    }
}
"""What holds where no config/ folder is: the weakest layer, beside the defaults of the model."""
PACKAGED_SYMBOLS = ("AAPL", "MSFT", "GOOGL")  # R219; in sim the exchange's list decides


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The settings, where each came from, and the broker's keys."""

    mode: Mode
    settings: Settings
    origins: Mapping[str, str]
    keys: BrokerKeys | None


def load(
    mode: Mode,
    *,
    flags: Mapping[str, object] | None = None,
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    must_have_signs: bool = True,
) -> Loaded:
    """Read every layer: flag > environment > .env > secrets > --config > config/<mode>.toml > default.toml > packaged.

    Args:
        flags: dotted names to values, None meaning not given.
        must_have_signs: whether keys and account number are needed, as they are to trade.

    Raises:
        ConfigurationError: every problem, at once.
        SafetyRefusal: mode, keys, account and URLs disagree.
    """
    environ = os.environ if environ is None else environ
    cwd = Path.cwd() if cwd is None else cwd
    problems: list[str] = []
    dotenv = dotenv_layer(cwd, problems)
    merged, origins = merge(
        [
            ("default", _packaged(mode)),
            *file_layers(mode, config_file=config_file, cwd=cwd, problems=problems),
            ("secret file", secret_layer({**dotenv, **environ}, problems)),
            (".env", environment_layer(dotenv, problems)),
            ("environment", environment_layer(_without_failpoints(environ), problems)),
            ("flag", _flag_layer(flags or {})),
        ]
    )
    settings, valid = _build(merged, origins, problems)
    problems.extend(f"risk.{text}" for text in limit_problems(to_limits(valid)))
    problems.extend(check_urls(valid, mode))
    problems.extend(check_paths(valid, mode))
    problems.extend(check_standby(valid, mode))
    key_problems: list[str] = []
    keys = find_keys(
        environ, dotenv, mode=mode, allow_environment=valid.broker.allow_environment_keys, problems=key_problems
    )
    if must_have_signs:
        problems.extend(key_problems)
    if problems or settings is None:
        raise ConfigurationError(list(dict.fromkeys(problems)))
    if must_have_signs:
        check_signs(settings, mode, keys, {**dotenv, **environ})
    return Loaded(mode=mode, settings=settings, origins=origins, keys=keys)


def state_directory(mode: Mode, flag: Path | None, environ: Mapping[str, str]) -> Path:
    """Where the state lies: --state-dir, else $STATE_DIRECTORY, else state/<mode> (root: /var/lib/alphatrade)."""
    if flag is not None:
        return flag.absolute()
    if environ.get("STATE_DIRECTORY"):
        return Path(environ["STATE_DIRECTORY"].split(":")[0]).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/alphatrade") / mode.value
    return (Path("state") / mode.value).absolute()


def merge(layers: list[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """Lay stronger layers over weaker ones, table by table.

    Returns the values, and the origin of each by its dotted name; a table's by `name.*`.
    """
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        _merge_into(merged, layer, origin, origins, path="")
    return merged, origins


def _merge_into(
    target: dict[str, Any], source: Mapping[str, Any], origin: str, origins: dict[str, str], path: str
) -> None:
    for name, value in source.items():
        dotted = f"{path}.{name}" if path else name
        if isinstance(value, dict) and isinstance(target.get(name, {}), dict):
            _merge_into(target.setdefault(name, {}), value, origin, origins, dotted)
            origins[f"{dotted}.*"] = origin
        else:
            target[name] = value
            origins[dotted] = origin


def _packaged(mode: Mode) -> dict[str, Any]:
    if mode in (Mode.SIM, Mode.BACKTEST):
        return PACKAGED
    return {"universe": {**PACKAGED["universe"], "symbols": PACKAGED_SYMBOLS}}


def _without_failpoints(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environ.items() if name != FAILPOINT_VARIABLE}


def _flag_layer(flags: Mapping[str, object]) -> dict[str, Any]:
    layer: dict[str, Any] = {}
    for dotted, value in flags.items():
        if value is not None:
            put(layer, dotted.split("."), value)
    return layer


def _build(merged: dict[str, Any], origins: Mapping[str, str], problems: list[str]) -> tuple[Settings | None, Settings]:
    """The settings, or none; and what of them is valid, so that the other rules can be asked in the same breath."""
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        entries = error.errors(include_input=False, include_url=False)
        problems.extend(describe(entry, merged, origins) for entry in entries)
    else:
        return settings, settings
    try:
        return None, Settings(**_without(merged, [within(entry["loc"], merged) for entry in entries]))
    except ValidationError:  # what is left does not fit together without what was taken out
        return None, Settings()


def _without(merged: Mapping[str, Any], locations: list[tuple[int | str, ...]]) -> dict[str, Any]:
    """A copy without the settings at the locations; of a list the whole."""
    kept = copy.deepcopy(dict(merged))
    for location in locations:
        table: dict[str, Any] = kept
        for depth, part in enumerate(location, start=1):
            inner = table.get(str(part))
            if not isinstance(inner, dict) or depth == len(location):
                table.pop(str(part), None)
                break
            table = inner
    return kept


def check_paths(settings: Settings, mode: Mode) -> list[str]:
    """Files and folders that must be there, so that it is said now and not after a minute of starting servers."""
    problems = []
    data = settings.simulation.data
    if mode is Mode.SIM and data is not None and not _is_folder(data):
        problems.append(f"simulation.data: expected a folder of market data, found {found(str(data))}, which is none")
    output = settings.trade.output
    if output is not None and (_is_folder(output) or not _is_folder(output.parent)):
        problems.append(f"trade.output: expected a file in a folder that exists, found {found(str(output))}")
    return problems


def check_standby(settings: Settings, mode: Mode) -> list[str]:
    """A standby follows a daemon of another state directory: both must reach one database, and in sim one exchange."""
    problems = []
    if settings.trade.is_standby and settings.database.url is None:
        problems.append("trade.is_standby: --standby needs a database that both daemons share: set database.url")
    if settings.trade.is_standby and mode is Mode.SIM and settings.simulation.exchange_url is None:
        problems.append("trade.is_standby: in mode sim it needs an exchange that both daemons share: give --exchange")
    return problems


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name too long, or none at all
        return False


def show(loaded: Loaded) -> dict[str, str]:
    """Every setting by dotted name, secrets masked."""
    shown: dict[str, str] = {}
    _flatten(loaded.settings, "", shown)
    return shown


def _flatten(value: object, name: str, shown: dict[str, str]) -> None:
    if isinstance(value, BaseModel):
        for field_name in type(value).model_fields:
            _flatten(getattr(value, field_name), f"{name}.{field_name}" if name else field_name, shown)
    elif isinstance(value, SecretStr):
        shown[name] = "***"
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        for index, inner in enumerate(value):
            _flatten(inner, f"{name}.{index}", shown)
    elif isinstance(value, tuple):
        shown[name] = ", ".join(str(part) for part in value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            _flatten(inner, f"{name}.{key}", shown)
    else:
        shown[name] = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
