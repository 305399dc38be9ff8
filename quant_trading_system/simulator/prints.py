"""What a print's sale conditions say of it. Decides which prints are auctions and which count as a last sale.

Letters are those of the CTA and UTP participant specifications; a letter that both use differently is read carefully:
a print that might not count, does not.
"""

from __future__ import annotations

from quant_trading_system.simulator.events import REGULAR_TRADE, SimTrade

OPENING, CLOSING, REOPENING = "opening", "closing", "reopening"

_AUCTION = {OPENING: frozenset("OQ"), CLOSING: frozenset("6M"), REOPENING: frozenset("5")}
# Averages, bunches, next-day, sold late, contingent, derived, the official prices that repeat an auction: nobody met
# at this price now.
_NOT_NOW = frozenset("4789BCGHLMNPQRUVWZ")
_NOT_LAST = _NOT_NOW | frozenset("IT")  # odd lots and extended hours set no last sale


def is_auction(trade: SimTrade, kind: str) -> bool:
    """Whether a print is an opening, closing or reopening one."""
    return not _AUCTION[kind].isdisjoint(trade.conditions)


def was_met(trade: SimTrade) -> bool:
    """Whether somebody bought and sold at this price just now."""
    return trade.conditions is REGULAR_TRADE or _NOT_NOW.isdisjoint(trade.conditions)


def is_last_sale(trade: SimTrade) -> bool:
    """Whether a print sets the last sale price, which elects stops."""
    return trade.conditions is REGULAR_TRADE or _NOT_LAST.isdisjoint(trade.conditions)
