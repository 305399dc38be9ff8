"""Words for what is wrong with a setting: its full name, what was expected, what was found, and where it came from.

Decides what may be shown: never the value of a setting that may hold a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from quant_trading_system.app.forms import found
from quant_trading_system.app.settings.layers import ALIASES, PREFIX
from quant_trading_system.app.settings.root import Settings

SECRET_SECTIONS = ("database", "redis", "alerts")
SECRET_WORDS = ("secret", "key", "token", "password", "url", "webhook")
FLAGS = {
    "http.listen": "--http",
    "logging.level": "--verbose",
    "universe.symbols": "--symbols",
    "portfolio.capital_usd": "--capital",
    "risk.position_size_usd_max": "--max-position-size",
    "trade.account": "--account",
    "trade.is_dry_run": "--dry-run",
    "trade.adopts_account": "--adopt-account",
    "trade.is_standby": "--standby",
    "trade.duration_seconds": "--duration",
    "trade.output": "--output",
    "simulation.data": "--data",
    "simulation.speed": "--speed",
    "simulation.start": "--start",
    "simulation.seed": "--seed",
    "simulation.cash_usd": "--cash",
    "simulation.exchange_url": "--exchange",
}
"""The flag of `trade` that sets a setting."""

KIND_WORDS = {
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "int_type": "expected a whole number",
    "int_parsing_size": "expected a whole number of fewer digits",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "decimal_type": "expected a number",
    "decimal_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "string_type": "expected text",
    "string_unicode": "expected text in UTF-8",
    "tuple_type": "expected a list",
    "dict_type": "expected a table",
    "missing": "is missing",
}
"""Our words for what pydantic finds; the rest of its messages name the bound or the choice and stay."""

Location = tuple[int | str, ...]


def describe(entry: ErrorDetails, merged: Mapping[str, Any], origins: Mapping[str, str]) -> str:
    """One problem that the model found, in one line."""
    location = within(entry["loc"], merged)
    name = ".".join(str(part) for part in location)
    origin = origin_of(name, origins)
    if entry["type"] == "extra_forbidden":
        return f"{name}: unknown setting{_hint(location)} ({origin})"
    text = entry["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if entry["type"] in ("model_type", "model_attributes_type"):
        text = f"expected a table of settings: [{name}]"
    text = KIND_WORDS.get(entry["type"], text)
    shown = "" if "found" in text else _found(location, merged)
    return f"{name}: {text[:1].lower()}{text[1:]}{shown} ({origin})"


def origin_of(name: str, origins: Mapping[str, str]) -> str:
    """Where a value came from, as a person would look for it: a file, a variable, a flag."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        setting = ".".join(parts[:length])
        if setting in origins:
            return _place(origins[setting], setting)
    table = origins.get(f"{name}.*")
    if table is None:
        return "default"
    inner = (each for each, origin in origins.items() if each.startswith(f"{name}.") and origin == table)
    return _place(table, next((each for each in inner if not each.endswith(".*")), name))


def _place(origin: str, setting: str) -> str:
    if origin in ("environment", ".env"):
        return f"{origin} {_variables(setting)}"
    return f"flag {FLAGS.get(setting, '')}".rstrip() if origin == "flag" else origin


def _variables(setting: str) -> str:
    names = [PREFIX + "__".join(part.upper() for part in setting.split("."))]
    names += [alias for alias, aliased in ALIASES.items() if aliased == setting]
    return " or ".join(names)


def within(location: Location, merged: Mapping[str, Any]) -> Location:
    """The part of a location that lies in the settings; behind it pydantic names members of unions and keys."""
    value: Any = merged
    for depth, part in enumerate(location):
        is_item = isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)
        if not is_item and not (isinstance(value, dict) and part in value):
            is_missing = isinstance(value, dict) and depth == len(location) - 1 and not str(part).startswith("[")
            return location if is_missing else location[:depth]
        value = value[part]
    return location


def _found(location: Location, merged: Mapping[str, Any]) -> str:
    value: Any = merged
    for part in location:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return ""
    is_secret = location[0] in SECRET_SECTIONS or any(word in str(location[-1]) for word in SECRET_WORDS)
    if is_secret or isinstance(value, dict | list | tuple) or "://" in str(value):
        return ""
    return f", found {found(value)}"


def _hint(location: Location) -> str:
    """The known setting that looks most like an unknown one; for a key, where keys belong."""
    if location[0] == "broker" and any(word in str(location[-1]) for word in ("key", "secret")):
        return "; keys are given as APCA_API_KEY_ID and APCA_API_SECRET_KEY, never in a configuration file"
    known = list(_fields_at(location[:-1]))
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    prefix = "".join(f"{part}." for part in location[:-1])
    return f"; did you mean {prefix}{near[0]}?" if near else _elsewhere(str(location[-1]))


def _elsewhere(key: str) -> str:
    """The section that has a setting of this name."""
    for section, field in Settings.model_fields.items():
        if key in getattr(field.annotation, "model_fields", {}):
            return f"; did you mean {section}.{key}?"
    return ""


def _fields_at(location: Sequence[int | str]) -> Mapping[str, Any]:
    model: Any = Settings
    for part in location:
        if isinstance(part, int) or not _is_model(model):
            continue
        entry = model.model_fields.get(part)
        model = None if entry is None else _model_in(entry.annotation)
    return model.model_fields if _is_model(model) else {}


def _model_in(annotation: Any) -> Any:
    """The model behind `Model`, `tuple[Model, ...]` or `dict[str, Model]`."""
    return next((each for each in (annotation, *get_args(annotation)) if _is_model(each)), None)


def _is_model(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)
