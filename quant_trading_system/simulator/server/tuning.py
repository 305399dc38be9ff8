"""Sets parameters of account, fills and latency by name. Decides which there are and how their values are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from quant_trading_system.simulator.settings import ExchangeSettings

SHAPE = ("start_ns", "seed", "cash", "account_number", "rulebook")  # of the world, or of the profile: said elsewhere

Value = bool | int | float | Decimal | None


class TuningError(Exception):
    """A parameter that does not exist, or a value that it cannot have. The message begins with its name."""


def parameters(settings: ExchangeSettings) -> dict[str, Value]:
    """Every parameter with its value, groups before the dot: `fills.impact_temporary`."""
    return {name: value for name, value in _leaves(settings) if name.split(".")[0] not in SHAPE}


def tuned(settings: ExchangeSettings, wishes: Mapping[str, str]) -> ExchangeSettings:
    """The settings with other values.

    Raises:
        TuningError: no such parameter, or no value for it.
    """
    known = parameters(settings)
    for name, text in wishes.items():
        if name not in known:
            raise TuningError(f"{name}: unknown parameter; known are {', '.join(known)}")
        try:
            settings = _with(settings, name.split("."), _read(name.split(".")[-1], text, known[name]))
        except (AssertionError, ValueError) as error:
            group = name.rpartition(".")[0]
            raise TuningError(f"{group}.{error}" if group else str(error)) from None
    return settings


def parse_wish(text: str) -> tuple[str, str]:
    """Read `NAME=VALUE`, and judge it alone.

    Raises:
        TuningError: another form, or refused by `tuned`.
    """
    name, sign, value = text.partition("=")
    if not sign:
        raise TuningError(f"{text}: expected NAME=VALUE")
    tuned(ExchangeSettings(start_ns=0), {name: value})  # type: ignore[arg-type]  # the start does not matter
    return name, value


def _leaves(group: Any, prefix: str = "") -> Iterator[tuple[str, Value]]:
    for field in fields(group):
        value = getattr(group, field.name)
        if is_dataclass(value):
            yield from _leaves(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value


def _with(group: Any, path: list[str], value: Value) -> Any:
    name, *rest = path
    return replace(group, **{name: _with(getattr(group, name), rest, value) if rest else value})


def _read(name: str, text: str, known: Value) -> Value:
    """A text as the kind of value that the parameter has; where it has none, a number or `none`."""
    if isinstance(known, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{name}: expected true or false, found {text!r}")
        return text.lower() == "true"
    if known is None and text.lower() == "none":
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise ValueError(f"{name}: expected a number, found {text!r}")
    if isinstance(known, int):
        if number != number.to_integral_value():
            raise ValueError(f"{name}: expected a whole number, found {text!r}")
        return int(number)
    return number if isinstance(known, Decimal) else float(number)
