"""Reads the values of a fault rule's fields. Decides their forms; each reader says what it expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

from quant_trading_system.simulator.configurations import AccountFlags
from quant_trading_system.simulator.instants import NEW_YORK
from quant_trading_system.simulator.server.stamps import parse_instant

WORDS_MAX = 100
TEXT_CHARACTERS_MAX = 1_000

Reader = Callable[[object], object]


def number_reader(low: float, high: float) -> Reader:
    def read(value: object) -> float:
        number = None if isinstance(value, bool | str) else _as_float(value)
        if number is None or not low <= number <= high:
            raise ValueError(f"expected a number from {low:g} to {high:g}, found {value!r}")
        return number

    return read


def _as_float(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def whole_reader(low: int, high: int) -> Reader:
    read_number = number_reader(low, high)

    def read(value: object) -> int:
        number = read_number(value)
        assert isinstance(number, float), "expected a float: it was read as one"
        if not number.is_integer():
            raise ValueError(f"expected a whole number, found {value!r}")
        return int(number)

    return read


def word_reader(*words: str) -> Reader:
    def read(value: object) -> str:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if text not in words:
            raise ValueError(f"expected one of {', '.join(words)}, found {value!r}")
        return str(text)

    return read


def words_reader(known: Sequence[str] | None) -> Reader:
    def read(value: object) -> tuple[str, ...]:
        listed = value.split("|") if isinstance(value, str) else value
        if not isinstance(listed, list) or not listed or len(listed) > WORDS_MAX:
            raise ValueError(f"expected a list of words, found {value!r}")
        for word in listed:
            if not isinstance(word, str) or (known is not None and word not in known):
                raise ValueError(f"expected {'one of ' + ', '.join(known) if known else 'words'}, found {word!r}")
        return tuple(listed)

    return read


def read_text(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > TEXT_CHARACTERS_MAX:
        raise ValueError(f"expected a text of 1 to {TEXT_CHARACTERS_MAX} characters, found {value!r}")
    return value


def read_amount(value: object) -> str:
    """A decimal, kept as text so that its digits survive."""
    text = str(value) if not isinstance(value, bool) else ""
    if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", text) is None:
        raise ValueError(f"expected a decimal number, found {value!r}")
    return text


def read_yes(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, found {value!r}")
    return value


def read_object(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"expected an object, found {value!r}")
    return MappingProxyType(dict(value))


def read_flags(value: object) -> Mapping[str, object]:
    flags = read_object(value)
    AccountFlags().changed(flags)
    return flags


def read_value(value: object) -> object:
    """Anything that can be written again: numbers are read as decimals and written as floats."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {name: read_value(part) for name, part in value.items()}
    return [read_value(part) for part in value] if isinstance(value, list) else value


def read_time(value: object) -> int:
    if not isinstance(value, str):
        raise ValueError(f"expected a time like 2024-06-03T10:15, found {value!r}")
    return parse_instant(value, zone=NEW_YORK)
