"""The written forms that flags and settings share: addresses, symbols, times, amounts. Decides which text is one.

Standard library alone: the command line reads its flags with these, and must not cost a second of imports.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

SYMBOL = re.compile(r"[A-Z][A-Z0-9]{0,5}([./][A-Z]{1,4})?")
SYMBOLS_MAX = 1_000
USD_MAX = Decimal(10) ** 9
PORT_MAX = 65_535
YEARS = range(1998, 2031)  # the session table's
SHOWN_CHARACTERS_MAX = 60

_AMOUNT = re.compile(r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,12})(?:\.[0-9]{1,2})?")
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+):([0-9]{1,5})")


def found(value: object) -> str:
    """A value as a message shows it: quoted where it is text, and never a screen long."""
    text = repr(str(value) if isinstance(value, str) else value)
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[:SHOWN_CHARACTERS_MAX]}…"


def check_host_port(text: str) -> str:
    """HOST:PORT, an IPv6 host in brackets.

    Raises:
        ValueError: it is something else.
    """
    match = _HOST_PORT.fullmatch(text)
    if match is None or int(match[2]) > PORT_MAX:
        raise ValueError(f"expected HOST:PORT such as 127.0.0.1:8080, found {found(text)}")
    return text


def is_loopback(host: str) -> bool:
    """Whether a host stays on this machine, without asking a resolver."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_symbols(symbols: Sequence[str]) -> tuple[str, ...]:
    """Well-formed symbols, each once.

    Raises:
        ValueError: one is not, or there are too many.
    """
    if not symbols:
        raise ValueError("names no symbol; leave it out, or name at least one")
    bad = [symbol for symbol in symbols if not SYMBOL.fullmatch(symbol)]
    if bad:
        raise ValueError(f"expected symbols such as AAPL or BRK.B, found {', '.join(found(each) for each in bad[:5])}")
    if len(symbols) > SYMBOLS_MAX:
        raise ValueError(f"expected at most {SYMBOLS_MAX} symbols, found {len(symbols)}")
    doubled = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1})
    if doubled:
        raise ValueError(f"expected each symbol once, found twice: {', '.join(doubled[:5])}")
    return tuple(symbols)


def parse_time(text: str) -> str:
    """An ISO time as ISO text with an offset; New York's where it has none.

    Raises:
        ValueError: it is no time, or in a year of which the session table knows nothing.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected a time such as 2013-10-07T09:30, found {found(text)}") from None
    if moment.year not in YEARS:
        raise ValueError(f"expected a year from {YEARS.start} to {YEARS.stop - 1}, found {found(text)}")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo("America/New_York"))
    return moment.isoformat()


def parse_amount(text: str) -> Decimal:
    """A positive amount in USD and cents.

    Raises:
        ValueError: it is none, or above a thousand million.
    """
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"expected an amount in USD such as 25000 or 25,000.50, found {found(text)}")
    amount = Decimal(text.replace(",", ""))
    if not 0 < amount <= USD_MAX:
        raise ValueError(f"expected more than 0 and at most {USD_MAX:f} USD, found {found(text)}")
    return amount


def parse_number(text: str, *, above: float, at_most: float) -> float:
    """A finite number within bounds.

    Raises:
        ValueError: it is none; `nan` and `inf` are none.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not above < number <= at_most:
        raise ValueError(f"expected a number above {above:g} and at most {at_most:g}, found {found(text)}")
    return number
