"""Decides what a feed tells and who may ask for it. There is one consolidated market; IEX's share is not split off.

Nothing is traded over the counter or over night here, so those feeds are empty, as they are for most symbols.
"""

from __future__ import annotations

from dataclasses import dataclass

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.instants import NEW_YORK
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.data_query import RECENT_NS, DataQuery
from quant_trading_system.simulator.server.paging import Window

SIP, IEX, DELAYED_SIP, OTC, BOATS, OVERNIGHT = "sip", "iex", "delayed_sip", "otc", "boats", "overnight"
HISTORICAL_FEEDS = (SIP, IEX, OTC, BOATS)
LATEST_FEEDS = (*HISTORICAL_FEEDS, DELAYED_SIP, OVERNIGHT)
AUCTION_FEEDS = (SIP,)
EMPTY_FEEDS = (OTC, BOATS, OVERNIGHT)


@dataclass(frozen=True, slots=True)
class DataPlan:
    """What the account's data plan allows. The free one sees consolidated data 15 minutes late (reference 10.1)."""

    has_recent_sip: bool = True

    def window(self, query: DataQuery, now_ns: Nanos, feed: str) -> Window:
        """The range asked for, as far as the plan tells it.

        Raises:
            Refusal: 403 for an end in the last 15 minutes or the future (recorded 2026-09: the end alone decides).
        """
        if self.has_recent_sip or feed != SIP:
            return query.window(zone=NEW_YORK, newest_ns=now_ns)
        newest_ns = Nanos(now_ns - RECENT_NS)
        if query.asks_after(newest_ns, zone=NEW_YORK):
            raise _recent_sip()
        return query.window(zone=NEW_YORK, newest_ns=newest_ns)

    def latest_feed(self, query: DataQuery) -> str:
        feed = query.choice("feed", LATEST_FEEDS, SIP if self.has_recent_sip else IEX)
        if feed == SIP and not self.has_recent_sip:
            raise _recent_sip()
        return feed


def _recent_sip() -> Refusal:
    return Refusal(403, None, "subscription does not permit querying recent SIP data")
