"""Decides which parameters a kind of strategy takes, and in which bounds; everything else is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from math import isfinite

from msgspec import Struct


class Parameter(Struct, frozen=True, kw_only=True):
    """One number: its default, its bounds (both allowed), whether it counts whole things, and what it is."""

    default: float
    low: float
    high: float
    is_whole: bool
    meaning: str


def whole(default: int, low: int, high: int, meaning: str) -> Parameter:
    return Parameter(default=default, low=low, high=high, is_whole=True, meaning=meaning)


def real(default: float, low: float, high: float, meaning: str) -> Parameter:
    return Parameter(default=default, low=low, high=high, is_whole=False, meaning=meaning)


def read_parameters(given: Mapping[str, object], known: Mapping[str, Parameter], *, of: str) -> dict[str, float]:
    """Every known parameter with its given value or its default.

    Raises:
        ValueError: an unknown name, a value that is not a number, or one out of bounds; the message names it.
    """
    for name in given:
        if name not in known:
            raise ValueError(f"{of}: unknown parameter {name!r}{_did_you_mean(name, known)}")
    return {name: _read(name, given.get(name, each.default), each, of=of) for name, each in known.items()}


def describe(values: Mapping[str, float], known: Mapping[str, Parameter]) -> dict[str, str]:
    """The values as text, whole numbers without a point."""
    return {name: str(int(value)) if known[name].is_whole else repr(value) for name, value in values.items()}


def _read(name: str, value: object, parameter: Parameter, *, of: str) -> float:
    kind = "a whole number" if parameter.is_whole else "a number"
    wanted = f"expected {kind} from {parameter.low:g} to {parameter.high:g}"
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"{of}: {name}: {wanted}, found {value!r}")
    number = float(value)
    is_within = isfinite(number) and parameter.low <= number <= parameter.high
    if not is_within or (parameter.is_whole and not number.is_integer()):
        raise ValueError(f"{of}: {name}: {wanted}, found {value}")
    return number


def _did_you_mean(name: str, known: Mapping[str, Parameter]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"
