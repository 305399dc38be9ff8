"""What the exchange asks of a market. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Literal, NamedTuple, Protocol

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.events import MarketEvent, SimBar, SimOrderbook, SimQuote, SimTrade

DAY: Literal["day"] = "day"
MINUTE: Literal["minute"] = "minute"
BarSpan = Literal["day", "minute"]
Reading = Literal["trades", "quotes", "day", "minute", "auctions"]

CRYPTO_DAY_ZONE = "America/Chicago"
"""In whose midnight daily bars of crypto begin: recorded at 05:00Z in summer (reference 9.4); Alpaca does not say."""

QUIET_BEFORE_OPEN_NS = 5_000_000_000
"""Events are streamed from this long before the open; earlier ones only set the latest prices."""
QUIET_AFTER_CLOSE_NS = 30_000_000_000
"""Events are streamed until this long after the close."""


class DayAuctions(NamedTuple):
    """The auction prints of one symbol and session: each trade carries its one condition (O, Q, 6, M)."""

    day: date
    opening: tuple[SimTrade, ...]
    closing: tuple[SimTrade, ...]


class MarketSource(Protocol):
    """A market that is played once, forward.

    Reading is bound by what has been played: no answer reveals what lies behind `now_ns`.
    """

    @property
    def symbols(self) -> Sequence[str]:
        """All symbols, sorted: equities, and crypto as pairs ("BTC/USD")."""

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
        """Play up to and including a moment. The caller may stop early and call again; nothing is lost.

        Events come in the order in which the market says them. Most are stamped with that moment; a bar is stamped
        with its beginning, and a trade that was reported late (condition Z) with the time at which it was made.
        """

    def set_crypto_audience(self, is_watched: bool, *, is_streamed: bool = True) -> None:
        """Whether crypto is played: True while a crypto order is open or a crypto stream is listened to.

        Prices do not depend on it: what is not played is still answered as history and as latest values. Where it is
        played for orders alone (`is_streamed` False), order books are left out.
        """

    def set_extended_audience(self, is_watched: bool) -> None:
        """Whether trades and quotes before the open and after the close are played; True until told otherwise.

        False while the clock skips these hours and no order waits for them: nothing but the latest prices changes.
        """

    def session_closing_after(self, stamp_ns: int) -> Session | None:
        """The running session or the next one that this market plays, None after its last."""

    def bars(self, symbol: str, span: BarSpan, start_ns: int, end_ns: int) -> Sequence[SimBar]:
        """Bars whose beginning lies in an inclusive range, ascending; the forming one included."""

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimTrade]:
        """Trades of an inclusive range, ascending; lazy, so that a caller may stop at its limit."""

    def quotes(self, symbol: str, start_ns: int, end_ns: int) -> Iterable[SimQuote]:
        """Quotes of an inclusive range, ascending; lazy."""

    def prepare(self, reading: Reading, symbol: str, start_ns: int, end_ns: int) -> Iterator[None]:
        """Do the slow part of what a reading of an inclusive range needs, step by step; no step where all is quick.

        Whoever asks first gets the same answer later. Of trades and quotes only what lies before the range is meant.
        """

    def latest_trade(self, symbol: str) -> SimTrade | None: ...

    def latest_quote(self, symbol: str) -> SimQuote | None: ...

    def latest_bar(self, symbol: str) -> SimBar | None:
        """The last complete minute bar."""

    def last_close(self, symbol: str, before: date) -> float | None:
        """The close in USD of the last session before a date, as it was then; of a pair, of its last day."""

    def auctions(self, symbol: str, first: date, last: date) -> Sequence[DayAuctions]:
        """Opening and closing auctions of the sessions of an inclusive range, as far as they have happened."""

    def orderbook(self, symbol: str) -> SimOrderbook | None:
        """The whole book of a crypto pair as it stands now; None for everything else."""

    def corporate_actions(
        self, symbols: Sequence[str] | None, first_day: date, last_day: date
    ) -> Sequence[CorporateAction]:
        """Actions whose ex-date or process date lies in an inclusive range, by ex-date; None for all symbols.

        Announced ones are told before they happen, never before they are declared.
        """
