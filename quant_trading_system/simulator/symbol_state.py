"""What the venue keeps of a symbol from message to message: halts, bands, restrictions, moved prices. Decides nothing.

It is in the journal: an exchange that goes on after a kill goes on with it.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from quant_trading_system.simulator.events import SimQuote


class SymbolState(msgspec.Struct, kw_only=True):
    """Changed in place. Stamps are UTC nanoseconds."""

    symbol: str
    halt: str = ""  # halt, luld_pause, mwcb1, mwcb2, mwcb3; empty while it trades
    is_own_halt: bool = False  # this exchange's: the market it plays knows nothing of it and trades on
    is_reopening: bool = False  # a halt has ended, and nothing has been printed or quoted since
    resumes_at_ns: int | None = None  # None: when it is told to
    limit_state_since_ns: int | None = None
    limit_up: float = 0.0  # USD, 0 without bands
    limit_down: float = 0.0
    restricted_until_ns: int = 0  # short sales only above the bid (SEC Rule 201)
    taken_at_ns: int = 0  # stamp of the quote from which the account has taken; how much, of each side
    taken_of_bid: Decimal = Decimal(0)
    taken_of_ask: Decimal = Decimal(0)
    auction_quote: SimQuote | None = None  # at which an auction is settled that nobody prints
    auction_print: tuple[float, float] | None = None  # price and size of a closing print that came before the bell
    impact_fraction: float = 0.0  # of the price, positive where buys moved it up
    impact_at_ns: int = 0
