"""How clock and calendar are written (reference 5.1, 5.2). Decides which markets have the hours that are known here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from quant_trading_system.simulator.calendar import (
    Session,
    phase_at,
    phase_end_after,
    session_at,
    session_closing_after,
    session_on,
    session_opening_after,
    settlement_date,
)
from quant_trading_system.simulator.instants import NEW_YORK, new_york, new_york_date
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.order_wire import Json
from quant_trading_system.simulator.server.stamps import eastern_text

_PHASES = {"closed": "closed", "pre": "pre", "regular": "core", "post": "post"}


@dataclass(frozen=True, slots=True)
class Market:
    """A market of the third version's clock and calendar; all of these keep the hours of US equities."""

    acronym: str
    mic: str
    name: str

    def as_json(self) -> Json:
        return {"acronym": self.acronym, "mic": self.mic, "name": self.name, "timezone": "America/New_York"}


_NYSE = Market("NYSE", "XNYS", "New York Stock Exchange")
_NASDAQ = Market("NASDAQ", "XNAS", "National Association of Securities Dealers Automated Quotations")
_IEX = Market("IEX", "IEXG", "Investors Exchange")
_OTC = Market("OTC", "OTCM", "OTC Markets")
US_EQUITY_MARKETS = (_NYSE, _NASDAQ, _IEX, _OTC)
_BY_CODE = {code: market for market in US_EQUITY_MARKETS for code in (market.acronym, market.mic)}


def market_of(code: str) -> Market:
    """A market by its acronym or MIC.

    Raises:
        Refusal: 400; markets whose hours are not those of US equities are not known here.
    """
    market = _BY_CODE.get(code)
    if market is None:
        raise Refusal(400, 40010000, f"unknown market: {code}")
    return market


def clock_json(now_ns: int) -> Json:
    """`GET /v2/clock`: Eastern offset; the next open is that of another session."""
    running, opening = _sessions_ahead(now_ns)
    return {
        "timestamp": eastern_text(now_ns),
        "is_open": session_at(now_ns) is not None,
        "next_open": eastern_text(opening.open_ns, with_fraction=False),
        "next_close": eastern_text(running.close_ns, with_fraction=False),
    }


def market_clock_json(market: Market, now_ns: int) -> Json:
    """One clock of `GET /v3/clock`."""
    running, opening = _sessions_ahead(now_ns)
    until_ns = phase_end_after(now_ns)
    assert until_ns is not None, "a session is ahead, so the phase ends"
    return {
        "market": market.as_json(),
        "timestamp": eastern_text(now_ns),
        "is_market_day": session_on(new_york_date(now_ns)) is not None,
        "next_market_open": eastern_text(opening.open_ns, with_fraction=False),
        "next_market_close": eastern_text(running.close_ns, with_fraction=False),
        "phase": _PHASES[phase_at(now_ns)],
        "phase_until": eastern_text(until_ns, with_fraction=False),
    }


def calendar_day_json(session: Session) -> Json:
    """One day of `GET /v2/calendar`."""
    return {
        "date": session.day.isoformat(),
        "open": f"{new_york(session.open_ns):%H:%M}",
        "close": f"{new_york(session.close_ns):%H:%M}",
        "session_open": f"{new_york(session.pre_market_ns):%H%M}",
        "session_close": f"{new_york(session.post_market_end_ns):%H%M}",
        "settlement_date": settlement_date(session.day).isoformat(),
    }


def market_day_json(session: Session, *, is_utc: bool) -> Json:
    """One day of `GET /v3/calendar/{market}`."""
    zone: tzinfo = UTC if is_utc else NEW_YORK
    spans = (
        ("pre", session.pre_market_ns, session.open_ns),
        ("core", session.open_ns, session.close_ns),
        ("post", session.close_ns, session.post_market_end_ns),
    )
    written: Json = {"date": session.day.isoformat()}
    for name, begin_ns, end_ns in spans:
        written |= {f"{name}_start": _stamp(begin_ns, zone), f"{name}_end": _stamp(end_ns, zone)}
    return {**written, "settlement_date": settlement_date(session.day).isoformat()}


def _stamp(stamp_ns: int, zone: tzinfo) -> str:
    seconds = datetime.fromtimestamp(stamp_ns // 1_000_000_000, zone)
    return seconds.isoformat().replace("+00:00", "Z")


def _sessions_ahead(now_ns: int) -> tuple[Session, Session]:
    """The running session or the next one, and the next that opens.

    Raises:
        Refusal: 400, the calendar does not reach so far.
    """
    running, opening = session_closing_after(now_ns), session_opening_after(now_ns)
    if running is None or opening is None:
        raise Refusal(400, 40010000, "invalid time: the calendar does not reach so far")
    return running, opening
