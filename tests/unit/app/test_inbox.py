"""The inbox: fixed priority, nothing of orders lost, quotes coalesce, everything bounded."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from quant_trading_system.app import inbox as inbox_module
from quant_trading_system.app.inbox import Inbox, InboxOverflow, Lane
from quant_trading_system.core.events import QuoteSeen, TimerFired, TradeSeen
from quant_trading_system.core.types import MonoNanos, Nanos, Symbol

AT = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


def timer(name: str) -> TimerFired:
    return TimerFired(name=name, venue_ns=Nanos(0), seen_ns=Nanos(0), mono_ns=MonoNanos(0))


def quote(symbol: str, bid: float) -> QuoteSeen:
    return QuoteSeen(
        symbol=Symbol(symbol), venue_at=AT, bid_price=bid, bid_size=1.0, ask_price=bid + 0.01, ask_size=1.0
    )


def trade(symbol: str, price: float) -> TradeSeen:
    return TradeSeen(symbol=Symbol(symbol), venue_at=AT, price=price, size=1.0)


@pytest.mark.requirement("R104")
def test_operator_events_overtake_orders_and_orders_overtake_timers():
    inbox = Inbox()
    inbox.put(timer("timer"), Lane.TIMERS)
    inbox.put(timer("order"), Lane.ORDERS)
    inbox.put(timer("operator"), Lane.OPERATOR)
    taken = [inbox.take_control() for _ in range(4)]
    assert [event.name for event in taken if isinstance(event, TimerFired)] == ["operator", "order", "timer"]
    assert taken[3] is None


def test_market_data_keeps_its_order_below_the_backlog_limit():
    inbox = Inbox()
    events = [trade("A", 1.0), quote("A", 1.0), trade("B", 2.0), quote("A", 1.1)]
    inbox.put_market(events)
    assert inbox.take_market(10) == events


@pytest.mark.requirement("R104")
@pytest.mark.invariant("I28")
def test_a_backlog_keeps_every_trade_and_the_latest_quote_of_each_symbol(monkeypatch):
    monkeypatch.setattr(inbox_module, "COALESCE_ABOVE", 5)
    inbox = Inbox()
    inbox.put_market(
        [quote("A", price) for price in (1.0, 2.0, 3.0)] + [trade("A", 9.0), quote("B", 1.0), quote("A", 4.0)]
    )
    taken = inbox.take_market(100)
    assert [(type(event).__name__, event.symbol) for event in taken] == [
        ("TradeSeen", "A"),
        ("QuoteSeen", "B"),
        ("QuoteSeen", "A"),
    ]
    assert isinstance(taken[-1], QuoteSeen)
    assert taken[-1].bid_price == 4.0
    assert inbox.coalesced == 3


@pytest.mark.invariant("I28")
def test_what_does_not_fit_is_dropped_oldest_first_and_counted(monkeypatch):
    monkeypatch.setattr(inbox_module, "COALESCE_ABOVE", 2)
    monkeypatch.setattr(inbox_module, "MARKET_EVENTS_MAX", 4)
    dropped: list[tuple[Lane, int]] = []
    inbox = Inbox(on_drop=lambda lane, count: dropped.append((lane, count)))
    inbox.put_market([trade("A", float(price)) for price in range(1, 8)])
    assert [event.price for event in inbox.take_market(100) if isinstance(event, TradeSeen)] == [4.0, 5.0, 6.0, 7.0]
    assert dropped == [(Lane.MARKET, 3)]
    assert inbox.dropped[Lane.MARKET] == 3


@pytest.mark.requirement("R104")
def test_an_order_event_is_never_dropped_a_full_lane_stops_the_daemon_instead(monkeypatch):
    monkeypatch.setattr(inbox_module, "CONTROL_EVENTS_MAX", 2)
    inbox = Inbox()
    for _ in range(2):
        inbox.put(timer("x"), Lane.ORDERS)
    with pytest.raises(InboxOverflow, match="lane orders holds 2 events"):
        inbox.put(timer("x"), Lane.ORDERS)


def test_a_timer_that_does_not_fit_is_dropped_and_counted(monkeypatch):
    monkeypatch.setattr(inbox_module, "CONTROL_EVENTS_MAX", 1)
    inbox = Inbox()
    inbox.put(timer("a"), Lane.TIMERS)
    inbox.put(timer("b"), Lane.TIMERS)
    assert inbox.depth(Lane.TIMERS) == 1
    assert inbox.dropped[Lane.TIMERS] == 1
