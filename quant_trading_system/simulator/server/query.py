"""Reads the parameters of a query, one by one. Decides what is readable; the caller says how a bad one is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from zoneinfo import ZoneInfo

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.stamps import parse_instant

LIST_MAX = 1_000  # symbols in one query

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
            raise self._refuse(f"invalid {name}: expected one of {', '.join(allowed)}")
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
        if not text.isdecimal() or not text.isascii() or int(text) < low:
            raise self._refuse(f"invalid {name}: expected a whole number of at least {low}")
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
            return parse_instant(text, zone=zone)
        except ValueError:
            raise self._refuse(f"invalid {name}: expected RFC 3339 or YYYY-MM-DD") from None

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
