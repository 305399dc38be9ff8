"""What the venue keeps of a symbol from message to message: halts, bands, restrictions, moved prices. Decides nothing.

It is in the journal: an exchange that goes on after a kill goes on with it.
"""

from __future__ import annotations

import msgspec


class SymbolState(msgspec.Struct, kw_only=True):
    """Changed in place by `halts` and `impact`. Stamps are UTC nanoseconds."""

    symbol: str
    halt: str = ""  # halt, luld_pause, mwcb1, mwcb2, mwcb3; empty while it trades
    is_own_halt: bool = False  # this exchange's: the market it plays knows nothing of it and trades on
    resumes_at_ns: int | None = None  # None: when it is told to
    limit_state_since_ns: int | None = None
    limit_up: float = 0.0  # USD, 0 without bands
    limit_down: float = 0.0
    restricted_until_ns: int = 0  # short sales only above the bid (SEC Rule 201)
    impact_fraction: float = 0.0  # of the price, positive where buys moved it up
    impact_at_ns: int = 0
