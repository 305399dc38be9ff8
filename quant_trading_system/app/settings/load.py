"""Merges the layers, weakest first, and reports every problem at once with its setting's name and origin."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from quant_trading_system.app.settings.keys import BrokerKeys, find_keys
from quant_trading_system.app.settings.layers import (
    ALIASES,
    PREFIX,
    Layer,
    dotenv_layer,
    environment_layer,
    file_layers,
    put,
    secret_layer,
)
from quant_trading_system.app.settings.root import Settings, to_limits
from quant_trading_system.app.settings.signs import check_signs, check_urls
from quant_trading_system.core.errors import ConfigurationError
from quant_trading_system.core.types import Mode
from quant_trading_system.risk.limits import problems as limit_problems

SECRET_WORDS = ("url", "secret", "key", "token", "password")
SHOWN_CHARACTERS_MAX = 60


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
    layers = file_layers(mode, config_file=config_file, cwd=cwd, problems=problems)
    layers.append(("secret file", secret_layer({**dotenv, **environ}, problems)))
    layers.append((".env", environment_layer(dotenv, problems)))
    layers.append(("environment", environment_layer(environ, problems)))
    layers.append(("flag", _flag_layer(flags or {})))
    merged, origins = merge(layers)
    settings = _build(merged, origins, problems)
    if settings is None:
        raise ConfigurationError(problems)
    problems.extend(f"risk.{text}" for text in limit_problems(to_limits(settings)))
    problems.extend(check_urls(settings, mode))
    key_problems: list[str] = []
    keys = find_keys(
        environ, dotenv, mode=mode, allow_environment=settings.broker.allow_environment_keys, problems=key_problems
    )
    if must_have_signs:
        problems.extend(key_problems)
    if problems:
        raise ConfigurationError(problems)
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
    """Lay stronger layers over weaker ones, table by table; remember each value's origin by dotted name."""
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
        else:
            target[name] = value
        origins[dotted] = origin


def _flag_layer(flags: Mapping[str, object]) -> dict[str, Any]:
    layer: dict[str, Any] = {}
    for dotted, value in flags.items():
        if value is not None:
            put(layer, dotted.split("."), value)
    return layer


def _build(merged: dict[str, Any], origins: Mapping[str, str], problems: list[str]) -> Settings | None:
    try:
        return Settings(**merged)
    except ValidationError as error:
        for entry in error.errors(include_input=False, include_url=False):
            problems.append(_describe(entry["loc"], entry["type"], entry["msg"], merged, origins))
        return None


def _describe(
    location: tuple[int | str, ...], kind: str, message: str, merged: dict[str, Any], origins: Mapping[str, str]
) -> str:
    name = _dotted(location)
    origin = _origin(name, origins)
    if kind == "extra_forbidden":
        return f"{name}: unknown setting{_did_you_mean(location)} ({origin})"
    text = message.removeprefix("Value error, ")
    found = _found(location, merged)
    shown = "" if found is None or "found" in text or _is_secret(name) else f", found {found}"
    return f"{name}: {text[:1].lower()}{text[1:]}{shown} ({origin})"


def _dotted(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _origin(name: str, origins: Mapping[str, str]) -> str:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        origin = origins.get(".".join(parts[:length]))
        if origin in ("environment", ".env"):
            variable = PREFIX + "__".join(part.upper() for part in parts[:length])
            alias = next((alias for alias, setting in ALIASES.items() if setting == ".".join(parts[:length])), "")
            return f"{origin} {variable}{f' or {alias}' if alias else ''}"
        if origin is not None:
            return f"from {origin}"
    return "default"


def _found(location: tuple[int | str, ...], merged: dict[str, Any]) -> str | None:
    value: Any = merged
    for part in location:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    text = repr(str(value) if isinstance(value, str) else value)
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[:SHOWN_CHARACTERS_MAX]}…"


def _is_secret(name: str) -> bool:
    return any(word in name.rsplit(".", 1)[-1] for word in SECRET_WORDS)


def _did_you_mean(location: tuple[int | str, ...]) -> str:
    model: Any = Settings
    for part in location[:-1]:
        entry = getattr(model, "model_fields", {}).get(part)
        model = entry.annotation if entry is not None else None
    known = list(getattr(model, "model_fields", {}))
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    prefix = _dotted(location[:-1])
    return f"; did you mean {prefix + '.' if prefix else ''}{near[0]}?" if near else ""


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
        shown[name] = "" if value is None else str(value)
