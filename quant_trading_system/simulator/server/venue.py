"""The exchange, its clock and its streams as the server's parts share them. Decides how far it plays at each tick.

The market is played in slices of venue time, and a tick stops when its wall budget is used up: an exchange that is
asked for more speed than it has runs more slowly, and goes on answering.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from aiohttp import web

from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator.account import AccountState
from quant_trading_system.simulator.clock import VenueClock
from quant_trading_system.simulator.events import OrderEvent
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.server.action_events import ActionEvents
from quant_trading_system.simulator.server.activity_events import ActivityEvents
from quant_trading_system.simulator.server.data_stream import DataStream
from quant_trading_system.simulator.server.event_log import EventLog
from quant_trading_system.simulator.server.event_streams import EventStreams
from quant_trading_system.simulator.server.event_wire import order_event_json
from quant_trading_system.simulator.server.fault_deeds import Deeds
from quant_trading_system.simulator.server.faults import FaultPlan, Kind
from quant_trading_system.simulator.server.hidden_orders import is_silenced
from quant_trading_system.simulator.server.late_requests import LateRequests
from quant_trading_system.simulator.server.market_wire import MarketWire
from quant_trading_system.simulator.server.plan_states import PlanStates
from quant_trading_system.simulator.server.practice import PracticeSymbol
from quant_trading_system.simulator.server.profiles import manners_of
from quant_trading_system.simulator.server.rate_limit import RateLimiter
from quant_trading_system.simulator.server.settings import ServerSettings
from quant_trading_system.simulator.server.trade_stream import TradeStream

SLICE_NS_MIN = NANOS_PER_SECOND  # venue time played between two looks at the wall clock
SLICE_NS_MAX = 3_600 * NANOS_PER_SECOND  # a night is sixteen of these
SLICE_WALL_SECONDS = 0.001  # a slice that takes less is followed by one twice as long
TICK_WALL_SECONDS_MAX = 0.010
REQUEST_WALL_SECONDS_MAX = 0.003


class Venue:
    """One exchange behind one listener."""

    def __init__(self, exchange: Exchange, clock: VenueClock, settings: ServerSettings) -> None:
        self.exchange = exchange
        self.clock = clock
        self.settings = settings
        self.market = exchange.market
        self.plan = FaultPlan(time.monotonic, lambda: exchange.now_ns)
        self.deeds = Deeds(exchange, clock, self.catch_up)
        self.states = PlanStates(exchange, self.plan)
        self.late = LateRequests()
        self.account_before: AccountState | None = None  # as it was before the last order event; a fault tells it
        self._account_now: AccountState | None = None
        self.manners = manners_of(settings.profile)
        self.limiter = RateLimiter(settings.requests_per_minute)
        self.wire = MarketWire({asset.symbol: asset for asset in exchange.assets()})
        self.trade_stream = TradeStream(
            settings.credentials, self.plan, settings.trade_stream_rules(), self._write_event
        )
        self.data_stream = DataStream(
            settings.credentials,
            self.plan,
            settings.data_stream_rules(),
            wire=self.wire,
            market=self.market,
            now_ns=lambda: exchange.now_ns,
            watch_crypto=exchange.view_crypto,
        )
        self.order_events = EventLog(self._write_event, exchange.restored_events)
        self.action_events = ActionEvents(
            exchange.corporate_actions, start_ns=self.market.start_ns, now_ns=lambda: exchange.now_ns
        )
        self.activity_events = ActivityEvents(exchange)
        self.event_streams = EventStreams(settings.credentials, settings.profile, now_ns=lambda: exchange.now_ns)
        self.holds_events = False  # a fault is about to say which of them are never told
        self._practice = PracticeSymbol()
        self._request_ids = _request_ids()
        self._slice_ns = SLICE_NS_MIN
        self._views_extended_hours = True

    def next_request_id(self) -> str:
        return next(self._request_ids)

    def tick(self) -> None:
        """Play up to now, publish what happened, and let faults act that wait for nothing."""
        self.catch_up(wall_seconds_max=TICK_WALL_SECONDS_MAX)
        self.publish()
        self.data_stream.publish(self._practice.events_until(self.exchange.now_ns))
        self.trade_stream.tick()
        self.data_stream.tick()
        self.action_events.tick()
        self.activity_events.tick()
        self.states.end_over()

    def catch_up(self, *, wall_seconds_max: float = REQUEST_WALL_SECONDS_MAX) -> bool:
        """Play the market up to the clock, or until the wall budget is used up; True when it got there."""
        began_s = slice_began_s = time.monotonic()
        target_ns = self.clock.venue_ns(time.monotonic_ns())
        while self.exchange.now_ns < target_ns:
            self._watch_hours()
            next_ns = min(self.exchange.now_ns + self._slice_ns, target_ns, self.plan.next_deed_ns)
            self.exchange.advance(Nanos(next_ns))
            for firing in self.plan.due_deeds():
                self.deeds.do(firing)
            now_s = time.monotonic()
            self._adapt_slice(now_s - slice_began_s)
            slice_began_s = now_s
            if now_s - began_s >= wall_seconds_max:
                break
        return self.exchange.now_ns >= target_ns

    async def play_out(self, *, wall_seconds_max: float) -> bool:
        """Play and publish until the clock is reached, letting others have their turns; True when it was."""
        deadline_s = time.monotonic() + wall_seconds_max
        while not (is_done := self.catch_up(wall_seconds_max=TICK_WALL_SECONDS_MAX)) and time.monotonic() < deadline_s:
            self.publish()
            await asyncio.sleep(0)
        self.tick()
        return is_done

    def publish(self) -> None:
        """Hand everything that happened to the streams, orders first."""
        if self.holds_events:
            return
        now_ns = self.exchange.now_ns
        events = self.exchange.take_order_events()
        if not self.plan.is_empty:
            self._remember_account(has_news=bool(events))
            events = [event for event in events if not is_silenced(self.plan, event.order.id)]
        for event in events:
            self.order_events.add(event, published_ns=now_ns)
            self.trade_stream.publish(event, published_ns=now_ns)
        while batch := self.exchange.take_market_events():
            self.data_stream.publish(batch)

    def _write_event(self, event: OrderEvent, published_ns: int) -> dict[str, object] | None:
        return self.manners.event(order_event_json(event, published_ns=published_ns))

    def _remember_account(self, *, has_news: bool) -> None:
        """Keep the account as it was one order event ago, where a fault is going to tell it."""
        if not self.plan.has(Kind.STALE_BUYING_POWER):
            return
        now = self.exchange.account()
        if has_news or self.account_before is None:
            self.account_before = self._account_now or now
        self._account_now = now

    def _watch_hours(self) -> None:
        """Hours that the clock skipped are not looked at: only orders that wait for them have them played."""
        is_viewed = not self.clock.has_skipped(self.exchange.now_ns)
        if is_viewed != self._views_extended_hours:
            self._views_extended_hours = is_viewed
            self.exchange.view_extended_hours(is_viewed)

    def _adapt_slice(self, wall_seconds: float) -> None:
        if wall_seconds < SLICE_WALL_SECONDS:
            self._slice_ns = min(self._slice_ns * 2, SLICE_NS_MAX)
        else:
            self._slice_ns = SLICE_NS_MIN


VENUE: web.AppKey[Venue] = web.AppKey("venue", Venue)


def _request_ids() -> Iterator[str]:
    """X-Request-ID values: 32 hex digits, in the order of arrival."""
    number = 0
    while True:
        number += 1
        yield f"{number:032x}"
