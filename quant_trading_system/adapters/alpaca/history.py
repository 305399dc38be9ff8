"""Reads the market-data REST bodies: bars, latest quotes and trades by symbol. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import force_setattr

from quant_trading_system.adapters.alpaca.answers import guarded
from quant_trading_system.adapters.alpaca.stamps import parse_stamp
from quant_trading_system.adapters.alpaca.wire import QuoteWire, TradeWire
from quant_trading_system.core.events import MarketEvent, QuoteSeen, TradeSeen
from quant_trading_system.core.types import MonoNanos, Nanos, Symbol
from quant_trading_system.core.values import Bar

Event = TypeVar("Event", bound=MarketEvent)


class _Bar(Struct):
    t: str
    o: float
    h: float
    l: float  # noqa: E741 - the key on the wire
    c: float
    v: float
    n: int = 0


class _BarsPage(Struct):
    bars: dict[str, list[_Bar] | None] | None = None
    next_page_token: str | None = None


class _LatestBars(Struct):
    bars: dict[str, _Bar] | None = None


def parse_bars_page(body: bytes) -> tuple[dict[Symbol, list[Bar]], str | None]:
    """The bars of one page by symbol, and the token of the next, None at the end. Raises `Unreadable`."""

    def parse() -> tuple[dict[Symbol, list[Bar]], str | None]:
        page = msgspec.json.decode(body, type=_BarsPage)
        bars = {
            Symbol(symbol): [_bar(Symbol(symbol), wire) for wire in wires or ()]
            for symbol, wires in (page.bars or {}).items()
        }
        return bars, page.next_page_token or None

    return guarded(parse, "bars")


def parse_latest_bars(body: bytes) -> dict[Symbol, Bar]:
    def parse() -> dict[Symbol, Bar]:
        wires = msgspec.json.decode(body, type=_LatestBars).bars or {}
        return {Symbol(symbol): _bar(Symbol(symbol), wire) for symbol, wire in wires.items()}

    return guarded(parse, "latest bars")


def parse_latest_quotes(body: bytes, *, seen_ns: Nanos, mono_ns: MonoNanos) -> dict[Symbol, QuoteSeen]:
    return guarded(lambda: _latest(body, "quotes", QuoteWire, "q", seen_ns, mono_ns), "latest quotes")


def parse_latest_trades(body: bytes, *, seen_ns: Nanos, mono_ns: MonoNanos) -> dict[Symbol, TradeSeen]:
    return guarded(lambda: _latest(body, "trades", TradeWire, "t", seen_ns, mono_ns), "latest trades")


def _bar(symbol: Symbol, wire: _Bar) -> Bar:
    return Bar(symbol, parse_stamp(wire.t), wire.o, wire.h, wire.l, wire.c, wire.v, wire.n)


def _latest(
    body: bytes, key: str, kind: Callable[..., Event], tag: str, seen_ns: Nanos, mono_ns: MonoNanos
) -> dict[Symbol, Event]:
    """The answer's records are the stream's without symbol and tag, so they are given both."""
    answer: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    latest = {}
    for symbol, record in msgspec.convert(answer.get(key) or {}, dict[str, dict[str, Any]]).items():
        content = {name: value for name, value in record.items() if value is not None}
        event: Event = msgspec.convert({**content, "S": symbol, "T": tag}, kind)
        force_setattr(event, "seen_ns", seen_ns)
        force_setattr(event, "mono_ns", mono_ns)
        latest[Symbol(symbol)] = event
    return latest
