"""The hours of a day as they ring. Decides what each bell does: who is sent, what expires, what the day was worth.

    04:00  a day begins; extended-hours orders go to the venue     16:00  day orders expire, the day is valued
    09:28  orders for the opening auction do                       16:15  orders good till cancelled of old age go
    09:30  the others do                                           20:00  extended-hours day orders expire

A half-day closes at 13:00 and its late session at 17:00. A crypto day ends at New York midnight.
"""

from __future__ import annotations

from collections.abc import Callable

from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator import prints
from quant_trading_system.simulator.attendance import Attendance
from quant_trading_system.simulator.back_office import BackOffice
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.desk import OrderDesk
from quant_trading_system.simulator.floor import Floor
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.market.source import MarketSource
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.schedule import Action, Schedule
from quant_trading_system.simulator.sessions import (
    CRYPTO,
    OPG_SENT_BEFORE_OPEN_NS,
    POST_MARKET_NS_MAX,
    next_aging_ns,
    next_midnight_ns,
    phase_of,
)

# After a bell so long without an auction print, its orders trade at the quote. Prints of busy mornings came as late.
OPENING_PATIENCE_NS = 180 * NANOS_PER_SECOND
CLOSING_PATIENCE_NS = 120 * NANOS_PER_SECOND


class Bells:
    """Rings, and does what follows from it."""

    def __init__(
        self,
        *,
        market: MarketSource,
        attendance: Attendance,
        schedule: Schedule,
        desk: OrderDesk,
        floor: Floor,
        index: OrderIndex,
        office: BackOffice,
    ) -> None:
        self._market = market
        self._attendance = attendance
        self._schedule = schedule
        self._desk = desk
        self._floor = floor
        self._index = index
        self._office = office
        self._rings: dict[Action, Callable[[Nanos], None]] = {
            Action.PRE_OPEN: self._begin_day,
            Action.SEND_OPENING: self._send_opening,
            Action.OPEN: self._open,
            Action.CROSS_OPENING: floor.end_auctions,
            Action.CLOSE: self._close,
            Action.CROSS_CLOSING: floor.end_auctions,
            Action.LATE_CLOSE: self._end_day,
            Action.AGE: self._end_old_orders,
            Action.CRYPTO_DAY: self._end_crypto_day,
            Action.SAMPLE: self._sample,
        }

    def begin(self, now_ns: Nanos) -> None:
        """Stand in the right hours, and plan what comes."""
        session = self._market.session_closing_after(now_ns - POST_MARKET_NS_MAX)
        if session is not None and session.post_market_end_ns <= now_ns:
            session = self._market.session_closing_after(session.close_ns)
        phase = phase_of(session, now_ns)
        if session is None or phase == "closed":
            self._floor.turn("closed", now_ns, quotes_since_ns=now_ns)
        else:
            since_ns = session.pre_market_ns if phase == "pre" else session.open_ns
            self._floor.turn(phase, now_ns, quotes_since_ns=since_ns)
        if session is not None:
            self._go_on(session, now_ns)
            self._plan(session, after_ns=now_ns)
        self._schedule.plan(next_aging_ns(now_ns), Action.AGE)
        self._schedule.plan(next_midnight_ns(now_ns), Action.CRYPTO_DAY)
        self._schedule.plan(self._office.next_sample_ns(now_ns), Action.SAMPLE)

    def ring(self, action: Action, now_ns: Nanos) -> None:
        self._rings[action](now_ns)
        if action is not Action.SAMPLE:  # which rings all day
            self._attendance.recount(self._index.open())

    def release_due(self, now_ns: Nanos) -> None:
        """Send every order that waited for these hours to the venue."""
        for order in self._index.open():
            if order.status == "accepted" and self._floor.takes(order):
                self._desk.release(order, now_ns)

    def _go_on(self, session: Session, now_ns: Nanos) -> None:
        """Stand where an auction is under way."""
        sent_ns = session.open_ns - OPG_SENT_BEFORE_OPEN_NS
        self._floor.is_opening_auction_sent = sent_ns <= now_ns < session.open_ns
        if session.open_ns <= now_ns < session.open_ns + OPENING_PATIENCE_NS:
            self._floor.await_auction(prints.OPENING)
        if session.close_ns <= now_ns < session.close_ns + CLOSING_PATIENCE_NS:
            self._floor.await_auction(prints.CLOSING)

    def _plan(self, session: Session, *, after_ns: int) -> None:
        """Plan the bells of a session that lie behind an instant."""
        for due_ns, action in (
            (session.pre_market_ns, Action.PRE_OPEN),
            (session.open_ns - OPG_SENT_BEFORE_OPEN_NS, Action.SEND_OPENING),
            (session.open_ns, Action.OPEN),
            (session.open_ns + OPENING_PATIENCE_NS, Action.CROSS_OPENING),
            (session.close_ns, Action.CLOSE),
            (session.close_ns + CLOSING_PATIENCE_NS, Action.CROSS_CLOSING),
            (session.post_market_end_ns, Action.LATE_CLOSE),
        ):
            if due_ns > after_ns:
                self._schedule.plan(due_ns, action)

    def _begin_day(self, now_ns: Nanos) -> None:
        self._office.open_day(new_york_date(now_ns), now_ns)
        self._floor.turn("pre", now_ns, quotes_since_ns=now_ns)
        self._expire_due(now_ns)
        self.release_due(now_ns)

    def _send_opening(self, now_ns: Nanos) -> None:
        self._floor.is_opening_auction_sent = True
        self.release_due(now_ns)

    def _open(self, now_ns: Nanos) -> None:
        self._floor.is_opening_auction_sent = False
        self._floor.turn("regular", now_ns, quotes_since_ns=now_ns)
        self._floor.begin_auction(prints.OPENING)
        self.release_due(now_ns)

    def _close(self, now_ns: Nanos) -> None:
        self._floor.begin_auction(prints.CLOSING)
        self._floor.turn("post", now_ns, quotes_since_ns=now_ns)
        self._floor.cross_printed(now_ns)
        self._expire_due(now_ns)
        self._office.close_day(now_ns)

    def _end_day(self, now_ns: Nanos) -> None:
        self._floor.turn("closed", now_ns, quotes_since_ns=now_ns)
        self._expire_due(now_ns)
        following = self._market.session_closing_after(now_ns)
        if following is not None:
            self._plan(following, after_ns=now_ns)

    def _expire_due(self, now_ns: Nanos) -> None:
        """Day orders end with their session; what waits for the closing auction has a moment more."""
        for order in self._index.open():
            if _ends_with_its_day(order) and order.expires_at_ns is not None and order.expires_at_ns <= now_ns:
                self._desk.expire(order, now_ns)

    def _end_old_orders(self, now_ns: Nanos) -> None:
        """Orders good till cancelled of old age are `pending_cancel`, and canceled a moment later (reference 2.5)."""
        for order in self._index.open():
            is_old = order.expires_at_ns is not None and order.expires_at_ns <= now_ns
            if order.time_in_force == "gtc" and is_old and order.is_open and order.status != "pending_cancel":
                self._desk.request_cancel(order, now_ns)
        self._schedule.plan(next_aging_ns(now_ns), Action.AGE)

    def _sample(self, now_ns: Nanos) -> None:
        self._schedule.plan(self._office.sample(now_ns), Action.SAMPLE)

    def _end_crypto_day(self, now_ns: Nanos) -> None:
        self._office.post_fees(now_ns)
        self._schedule.plan(next_midnight_ns(now_ns), Action.CRYPTO_DAY)


def _ends_with_its_day(order: SimOrder) -> bool:
    return order.time_in_force in ("day", "ioc", "fok") and order.asset_class != CRYPTO
