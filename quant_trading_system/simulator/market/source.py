"""What the exchange asks of a market. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Literal, Protocol

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.events import MarketEvent, SimBar, SimQuote, SimTrade

DAY: Literal["day"] = "day"
MINUTE: Literal["minute"] = "minute"
BarSpan = Literal["day", "minute"]

QUIET_BEFORE_OPEN_NS = 5_000_000_000
"""Events are streamed from this long before the open; earlier ones only set the latest prices."""
QUIET_AFTER_CLOSE_NS = 30_000_000_000
"""Events are streamed until this long after the close."""


class MarketSource(Protocol):
    """A market that is played once, forward.

    Reading is bound by what has been played: no answer reveals what lies behind `now_ns`.
    """

    @property
    def symbols(self) -> Sequence[str]:
        """All symbols, sorted."""

    @property
    def is_synthetic(self) -> bool:
        """Whether it is generated."""

    @property
    def start_ns(self) -> Nanos:
        """The first moment with something to play: the open of its first session, unless told otherwise."""

    @property
    def end_ns(self) -> Nanos | None:
        """The last close it knows, None where it never ends."""

    def begin(self, now_ns: Nanos) -> None:
        """Stand at a moment: what lies before is history, its latest prices are known. Called once, first."""

    def events_until(self, now_ns: Nanos) -> Iterator[MarketEvent]:
        """Play up to and including a moment. The caller may stop early and call again; nothing is lost."""

    def session_closing_after(self, stamp_ns: int) -> Session | None:
        """The running session or the next one that this market plays, None after its last."""

    def bars(self, symbol: str, span: BarSpan, start_ns: int, end_ns: int) -> Sequence[SimBar]:
        """Bars whose beginning lies in an inclusive range, ascending; the forming one included."""

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimTrade]:
        """Trades of an inclusive range, ascending; lazy, so that a caller may stop at its limit."""

    def quotes(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimQuote]:
        """Quotes of an inclusive range, ascending; lazy."""

    def latest_trade(self, symbol: str) -> SimTrade | None: ...

    def latest_quote(self, symbol: str) -> SimQuote | None: ...

    def latest_bar(self, symbol: str) -> SimBar | None:
        """The last complete minute bar."""

    def last_close(self, symbol: str, before: date) -> float | None:
        """The close in USD of the last session before a date."""
