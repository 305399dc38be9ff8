"""Decides in which hours an order can fill, when it is sent to the venue, and when it ends by itself (reference 2.5).

Overnight trading (20:00 to 04:00) is not played: those hours count as closed.
"""

from __future__ import annotations

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.calendar import Phase, Session
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.orders import SimOrder

CRYPTO = "crypto"
AUCTION_TIMES_IN_FORCE = frozenset({"opg", "cls"})
GTC_DAYS = 89  # recorded: 2026-09-18 → 2026-12-16 (reference 2.5)
AGING_HOUR, AGING_MINUTE = 16, 15  # New York; when orders good till cancelled are looked at for their age
OPG_SENT_BEFORE_OPEN_NS = 2 * NANOS_PER_MINUTE  # 09:28: the window closes and what waits goes to the auction
POST_MARKET_NS_MAX = 240 * NANOS_PER_MINUTE  # from the close to the end of the late session
_DAY_NS = 86_400 * NANOS_PER_SECOND


def phase_of(session: Session | None, stamp_ns: int) -> Phase:
    """Which hours it is for equities at an instant, given the session that it may belong to."""
    if session is None or not session.pre_market_ns <= stamp_ns < session.post_market_end_ns:
        return "closed"
    if stamp_ns < session.open_ns:
        return "pre"
    return "regular" if stamp_ns < session.close_ns else "post"


def takes_part(order: SimOrder, phase: Phase) -> bool:
    """Whether an order can fill in continuous trading of a phase. Auction orders never do."""
    if order.asset_class == CRYPTO:
        return True
    if order.time_in_force in AUCTION_TIMES_IN_FORCE:
        return False
    return phase == "regular" or (order.extended_hours and phase != "closed")


def is_sent(order: SimOrder, phase: Phase, *, opening_auction_sent: bool) -> bool:
    """Whether an order goes to the venue at once; otherwise it waits as `accepted` (W9, W10)."""
    match order.time_in_force:
        case "opg":
            return phase == "pre" and opening_auction_sent
        case "cls":
            return phase == "regular"
        case _:
            return takes_part(order, phase)


def expiry_ns(time_in_force: str, now_ns: Nanos, *, asset_class: str, extended_hours: bool) -> int | None:
    """When an order ends by itself: good till cancelled after about 90 days, everything else with its session."""
    if time_in_force == "gtc":
        last_day = new_york_date(now_ns + GTC_DAYS * _DAY_NS)
        return new_york_ns(last_day, 16)
    if asset_class == CRYPTO:
        return None
    if extended_hours:
        session = calendar.session_closing_after(now_ns - POST_MARKET_NS_MAX)
        return session.post_market_end_ns if session else None
    if time_in_force == "opg":
        session = calendar.session_opening_after(now_ns + OPG_SENT_BEFORE_OPEN_NS)
        return session.open_ns if session else None
    session = calendar.session_closing_after(now_ns)
    return session.close_ns if session else None


def next_aging_ns(now_ns: int) -> Nanos:
    """The next time at which the job looks for orders that are too old, after an instant; it runs every day."""
    day = new_york_date(now_ns)
    today_ns = new_york_ns(day, AGING_HOUR, AGING_MINUTE)
    if today_ns > now_ns:
        return today_ns
    return new_york_ns(new_york_date(today_ns + _DAY_NS), AGING_HOUR, AGING_MINUTE)


def next_midnight_ns(now_ns: int) -> Nanos:
    """The next New York midnight after an instant: the end of a crypto day."""
    noon_tomorrow = new_york_ns(new_york_date(now_ns), 12) + _DAY_NS  # noon is never the hour that a clock skips
    return new_york_ns(new_york_date(noon_tomorrow))
