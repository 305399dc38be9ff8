"""Reads the parameters of a query, one by one. Decides what is readable; the caller says how a bad one is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from zoneinfo import ZoneInfo

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.stamps import parse_instant

LIST_MAX = 1_000  # symbols in one query
WHOLE_DIGITS_MAX = 18  # what fits 64 bits; Python refuses to read numbers of thousands of digits by raising

Refuse = Callable[[str], Refusal]


class Query:
    """The parameters of one request.

    Args:
        values: name to text.
        refuse: makes the error for a parameter that cannot be read.
    """

    def __init__(self, values: Mapping[str, str], refuse: Refuse) -> None:
        self._values = values
        self._refuse = refuse

    def text(self, name: str, default: str = "") -> str:
        return self._values.get(name, "") or default

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(name, default).lower()
        if value not in allowed:
            raise self._refuse(self._say_choice(name, self.text(name), allowed))
        return value

    def names(self, name: str) -> list[str]:
        """A comma list without blanks and repetitions, in its order."""
        listed = list(dict.fromkeys(part.strip() for part in self.text(name).split(",") if part.strip()))
        if len(listed) > LIST_MAX:
            raise self._refuse(f"invalid {name}: more than {LIST_MAX} entries")
        return listed

    def whole(self, name: str, default: int, *, low: int, high: int) -> int:
        text = self.text(name)
        if not text:
            return default
        digits = text.removeprefix("-")
        if not digits.isdecimal() or not text.isascii() or len(digits) > WHOLE_DIGITS_MAX:
            raise self._refuse(self._say_whole(name, text, low))
        if int(text) < low:
            raise self._refuse(self._say_low(name, low))
        if int(text) > high:
            raise self._refuse(f"invalid {name}: larger than the allowed maximum of {high}")
        return int(text)

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.text(name).lower()
        if not value:
            return default
        if value not in ("true", "false"):
            raise self._refuse(f"invalid {name}: expected true or false")
        return value == "true"

    def instant(self, name: str, *, zone: ZoneInfo | None = None) -> Nanos | None:
        text = self.text(name)
        if not text:
            return None
        try:
            return self._read_instant(text, zone)
        except ValueError:
            raise self._refuse(self._say_instant(name, text)) from None

    def day(self, name: str, default: date) -> date:
        """A date; of a time its date part."""
        text = self.text(name)
        if not text:
            return default
        try:
            return date.fromisoformat(text[:10])
        except ValueError:
            raise self._refuse(f"invalid {name}: expected YYYY-MM-DD") from None

    def is_date_alone(self, name: str) -> bool:
        return len(self.text(name)) == len("2013-10-07")

    # --- what an interface may read and say in its own way --------------------------------------------------------

    def _read_instant(self, text: str, zone: ZoneInfo | None) -> Nanos:
        return parse_instant(text, zone=zone)

    def _say_choice(self, name: str, value: str, allowed: tuple[str, ...]) -> str:
        return f"invalid {name}: expected one of {', '.join(allowed)}"

    def _say_whole(self, name: str, value: str, low: int) -> str:
        return f"invalid {name}: expected a whole number of at least {low}"

    def _say_low(self, name: str, low: int) -> str:
        return self._say_whole(name, "", low)

    def _say_instant(self, name: str, value: str) -> str:
        return f"invalid {name}: expected RFC 3339 or YYYY-MM-DD"
