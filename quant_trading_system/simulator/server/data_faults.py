"""Decides what faults do to market messages before they are written: wrong quotes, late trades, corrections, floods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from quant_trading_system.simulator.events import (
    MINUTE_BAR,
    UPDATED_BAR,
    MarketEvent,
    SimBar,
    SimCancelError,
    SimCorrection,
    SimQuote,
    SimTrade,
)
from quant_trading_system.simulator.server.faults import MARKET_DATA, FaultPlan, FaultRule, Kind

_NANOS_PER_MS = 1_000_000
_TICK_USD = 0.01
_STALE_NS = 3_600 * 1_000_000_000
CANCELED = "C"


class DataFaults:
    """Changes what the market said on its way to the streams. The market itself, and what fills, stay as they are."""

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan

    def spoil(self, events: Sequence[MarketEvent]) -> Iterator[MarketEvent]:
        """What is told instead of these messages."""
        flood = self._plan.fires(Kind.FLOOD, MARKET_DATA)
        for _ in range(flood.copies if flood else 1):
            for event in events:
                yield from self._told_for(event)

    def _told_for(self, event: MarketEvent) -> Iterator[MarketEvent]:
        if isinstance(event, SimQuote):
            rule = self._fires(Kind.BAD_QUOTE)
            yield _bad_quote(event, rule.how) if rule else event
        elif isinstance(event, SimTrade):
            rule = self._fires(Kind.LATE_TRADE)
            told = (
                msgspec.structs.replace(event, ts_ns=event.ts_ns - rule.latency_ms * _NANOS_PER_MS) if rule else event
            )
            yield told
            if self._fires(Kind.CORRECT_TRADE):
                yield _correction(told)
            if self._fires(Kind.CANCEL_TRADE):
                yield _cancel(told)
        else:
            yield event
            if isinstance(event, SimBar) and event.kind == MINUTE_BAR and self._fires(Kind.UPDATE_BAR):
                yield _update(event)

    def _fires(self, kind: Kind) -> FaultRule | None:
        return self._plan.fires(kind, MARKET_DATA)


def _bad_quote(quote: SimQuote, how: str) -> SimQuote:
    bid, ask = quote.bid_price, quote.ask_price
    if how == "stale":
        return msgspec.structs.replace(quote, ts_ns=quote.ts_ns - _STALE_NS)
    if how == "ten_times":
        bid, ask = bid * 10, ask * 10
    elif how == "zero":
        bid, ask = 0.0, 0.0
    elif how == "negative":
        bid, ask = -bid, -ask
    elif how == "locked":
        bid = ask
    else:
        bid, ask = round(ask + _TICK_USD, 4), bid
    return msgspec.structs.replace(quote, bid_price=bid, ask_price=ask)


def _correction(trade: SimTrade) -> SimCorrection:
    """The trade was a cent lower than reported."""
    return SimCorrection(
        symbol=trade.symbol,
        exchange=trade.exchange,
        original_id=trade.trade_id,
        original_price=trade.price,
        original_size=trade.size,
        original_conditions=trade.conditions,
        corrected_id=trade.trade_id,
        corrected_price=round(trade.price - _TICK_USD, 4),
        corrected_size=trade.size,
        corrected_conditions=trade.conditions,
        ts_ns=trade.ts_ns,
    )


def _cancel(trade: SimTrade) -> SimCancelError:
    return SimCancelError(trade.symbol, trade.trade_id, trade.exchange, trade.price, trade.size, CANCELED, trade.ts_ns)


def _update(bar: SimBar) -> SimBar:
    """One more trade at the close was reported late."""
    return msgspec.structs.replace(bar, volume=bar.volume + 100, trade_count=bar.trade_count + 1, kind=UPDATED_BAR)
