"""Decides when a symbol stands still: halts, volatility pauses, market-wide breakers; and when shorts are restricted.

Bands and pauses: Limit Up-Limit Down plan, sections V to VII. Market-wide breakers: NYSE Rule 7.12. Short sales: SEC
Rule 201. Codes and texts are of the symbol's tape (reference 9.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.events import SimStatus
from quant_trading_system.simulator.refusals import invalid

HALT, RESUME, LULD_PAUSE = "halt", "resume", "luld_pause"
BREAKERS = ("mwcb1", "mwcb2", "mwcb3")
KINDS = (HALT, RESUME, LULD_PAUSE, *BREAKERS)

LIMIT_STATE_NS = 15 * NANOS_PER_SECOND  # at a band for as long: a pause
PAUSE_NS = 5 * NANOS_PER_MINUTE
BREAKER_NS = 15 * NANOS_PER_MINUTE
BREAKER_LAST_BEFORE_CLOSE_NS = 35 * NANOS_PER_MINUTE  # from 15:25 on the first two levels halt nothing
SHORT_RESTRICTION_FRACTION = 0.9  # of the last close
CTA, UTP = "CTA", "UTP"
_UTP_LISTING = "NASDAQ"

_HALTING_CODES = frozenset({"2", "H", "P"})
_RESUMING_CODES = frozenset({"3", "T"})


class _Said(NamedTuple):
    code: str
    message: str
    reason_code: str
    reason_message: str


_SAID: Mapping[str, Mapping[str, _Said]] = {
    UTP: {
        HALT: _Said("H", "Trading Halt", "T12", "Trading Halted; For information requested by NASDAQ"),
        RESUME: _Said("T", "Trading Resumption", "", ""),
        LULD_PAUSE: _Said("P", "Volatility Trading Pause", "LUDP", "Volatility Trading Pause"),
        "mwcb1": _Said("H", "Trading Halt", "MWC1", "Market Wide Circuit Breaker Halt - Level 1"),
        "mwcb2": _Said("H", "Trading Halt", "MWC2", "Market Wide Circuit Breaker Halt - Level 2"),
        "mwcb3": _Said("H", "Trading Halt", "MWC3", "Market Wide Circuit Breaker Halt - Level 3"),
    },
    CTA: {
        HALT: _Said("2", "Trading Halt", "P", "News Pending"),
        RESUME: _Said("3", "Resume", "", ""),
        LULD_PAUSE: _Said("2", "Trading Halt", "M", "Volatility Trading Pause"),
        "mwcb1": _Said("2", "Trading Halt", "1", "Market-Wide Circuit Breaker Level 1 Breached"),
        "mwcb2": _Said("2", "Trading Halt", "2", "Market-Wide Circuit Breaker Level 2 Breached"),
        "mwcb3": _Said("2", "Trading Halt", "3", "Market-Wide Circuit Breaker Level 3 Breached"),
    },
}
_RESTRICTED = _Said("E", "Short Sale Restriction", "", "")  # tapes A and B alone


def plan_of(listing: str) -> str:
    """Which plan's codes a listing exchange uses."""
    return UTP if listing == _UTP_LISTING else CTA


def status_event(symbol: str, listing: str, kind: str, ts_ns: int) -> SimStatus:
    """What the tape says of a halt or a resumption."""
    said = _SAID[plan_of(listing)][kind]
    return SimStatus(symbol, said.code, said.message, said.reason_code, said.reason_message, ts_ns)


def restriction_event(symbol: str, ts_ns: int) -> SimStatus:
    """What tapes A and B say of a short sale restriction."""
    return SimStatus(symbol, *_RESTRICTED, ts_ns)


def kind_said(event: SimStatus) -> str | None:
    """What a status message of the market does to trading: halt, resume, or nothing."""
    if event.code in _HALTING_CODES:
        return HALT
    return RESUME if event.code in _RESUMING_CODES else None


def resumes_at_ns(kind: str, now_ns: Nanos, *, session: Session | None, following: Session | None) -> int | None:
    """When trading goes on by itself, None where it must be told to.

    Raises:
        Refusal: a market-wide breaker outside the hours in which it halts anything.
    """
    if kind == LULD_PAUSE:
        return now_ns + PAUSE_NS
    if kind not in BREAKERS:
        return None
    if session is None or not session.contains(now_ns):
        raise invalid(f"{kind}: market-wide circuit breakers halt trading in regular hours only")
    if kind == "mwcb3":
        return following.open_ns if following is not None else None
    if now_ns >= session.close_ns - BREAKER_LAST_BEFORE_CLOSE_NS:
        raise invalid(f"{kind}: from 35 minutes before the close only a level 3 breach halts trading")
    return now_ns + BREAKER_NS
