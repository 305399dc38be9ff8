"""Decodes the market-data feed, JSON or msgpack, straight into events. Decides which messages are ours to pass on.

The classes below are the events of `core.events` with the feed's key names, so that a frame becomes events without one
object in between. A frame with a message that does not fit is decoded again message by message: one bad message costs
itself, never its neighbours. msgspec keeps microseconds of the feed's nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import force_setattr

from quant_trading_system.core.events import BarSeen, MarketEvent, QuoteSeen, StatusSeen, TradeSeen
from quant_trading_system.core.types import MonoNanos, Nanos, Symbol

Encoding = Literal["json", "msgpack"]

# The stamps are set on arrival; a key of the feed must not reach them, so theirs are ones it has no use for.
_STAMPS = {"symbol": "S", "venue_at": "t", "seen_ns": "~seen_ns", "mono_ns": "~mono_ns"}


class TradeWire(
    TradeSeen,
    frozen=True,
    gc=False,
    kw_only=True,
    tag_field="T",
    tag="t",
    rename={**_STAMPS, "price": "p", "size": "s", "conditions": "c"},
):
    symbol: Symbol
    venue_at: datetime
    price: float
    size: float
    conditions: tuple[str, ...] = ()
    seen_ns: Nanos = Nanos(0)
    mono_ns: MonoNanos = MonoNanos(0)


class QuoteWire(
    QuoteSeen,
    frozen=True,
    gc=False,
    kw_only=True,
    tag_field="T",
    tag="q",
    rename={**_STAMPS, "bid_price": "bp", "bid_size": "bs", "ask_price": "ap", "ask_size": "as"},
):
    symbol: Symbol
    venue_at: datetime
    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float
    seen_ns: Nanos = Nanos(0)
    mono_ns: MonoNanos = MonoNanos(0)


class BarWire(
    BarSeen,
    frozen=True,
    gc=False,
    kw_only=True,
    tag_field="T",
    tag="b",
    rename={
        **_STAMPS,
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "c",
        "volume": "v",
        "trade_count": "n",
        "vwap": "vw",
    },
):
    symbol: Symbol
    venue_at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    trade_count: int = 0
    vwap: float = 0.0
    seen_ns: Nanos = Nanos(0)
    mono_ns: MonoNanos = MonoNanos(0)


class StatusWire(
    StatusSeen,
    frozen=True,
    gc=False,
    kw_only=True,
    tag_field="T",
    tag="s",
    rename={**_STAMPS, "status_code": "sc", "status_message": "sm", "reason_code": "rc"},
):
    symbol: Symbol
    venue_at: datetime
    status_code: str
    status_message: str = ""
    reason_code: str = ""
    seen_ns: Nanos = Nanos(0)
    mono_ns: MonoNanos = MonoNanos(0)


class Control(Struct, frozen=True, tag_field="T"):
    """A message about the connection rather than the market."""


class Success(Control, frozen=True, tag="success"):
    msg: str = ""


class FeedError(Control, frozen=True, tag="error"):
    code: int
    msg: str = ""


class Subscription(Control, frozen=True, tag="subscription"):
    """The whole of what the feed sends us from now on."""

    trades: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    bars: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()


class _Other(Struct, frozen=True, gc=False, tag_field="T"):
    """A message of a known kind that nothing of ours listens to."""


class _UpdatedBar(_Other, frozen=True, gc=False, tag="u"): ...


class _DailyBar(_Other, frozen=True, gc=False, tag="d"): ...


class _LimitBands(_Other, frozen=True, gc=False, tag="l"): ...


class _Correction(_Other, frozen=True, gc=False, tag="c"): ...


class _CancelledTrade(_Other, frozen=True, gc=False, tag="x"): ...


class _Imbalance(_Other, frozen=True, gc=False, tag="i"): ...


_Message = (
    TradeWire
    | QuoteWire
    | BarWire
    | StatusWire
    | Success
    | FeedError
    | Subscription
    | _UpdatedBar
    | _DailyBar
    | _LimitBands
    | _Correction
    | _CancelledTrade
    | _Imbalance
)

FRAME_PREVIEW_BYTES = 120


class FeedDecoder:
    """Decodes frames of one connection; never raises.

    Args:
        encoding: what the connection carries.
        on_bad: told a reason for every message or frame that was left out; `bad_messages` counts them.
    """

    def __init__(self, encoding: Encoding, *, on_bad: Callable[[str], None] = lambda _reason: None) -> None:
        self.encoding = encoding
        self.bad_messages = 0
        self._on_bad = on_bad
        if encoding == "msgpack":
            self._frame: msgspec.msgpack.Decoder[Any] | msgspec.json.Decoder[Any] = msgspec.msgpack.Decoder(
                list[_Message]
            )
            self._split: msgspec.msgpack.Decoder[Any] | msgspec.json.Decoder[Any] = msgspec.msgpack.Decoder(list[Raw])
            self._loose: msgspec.msgpack.Decoder[Any] | msgspec.json.Decoder[Any] = msgspec.msgpack.Decoder()
        else:
            self._frame = msgspec.json.Decoder(list[_Message])
            self._split = msgspec.json.Decoder(list[Raw])
            self._loose = msgspec.json.Decoder()

    def decode(self, data: bytes, seen_ns: int, mono_ns: int) -> list[MarketEvent | Control]:
        """The events and control messages of a frame, in order, stamped with when they were seen."""
        try:
            messages: list[Any] = self._frame.decode(data)
        except msgspec.DecodeError:
            messages = self._one_by_one(data)
        others = False
        for message in messages:
            if isinstance(message, MarketEvent):
                force_setattr(message, "seen_ns", seen_ns)
                force_setattr(message, "mono_ns", mono_ns)
            elif isinstance(message, _Other):
                others = True
        return [message for message in messages if not isinstance(message, _Other)] if others else messages

    def _one_by_one(self, data: bytes) -> list[Any]:
        try:
            parts = self._split.decode(data)
        except msgspec.DecodeError as error:
            self._report(f"unreadable frame ({error}): {data[:FRAME_PREVIEW_BYTES]!r}")
            return []
        messages = []
        for part in parts:
            try:
                # Absent and null mean the same to this feed; null would not fit a field that has a default.
                content = self._loose.decode(part)
                if isinstance(content, dict):
                    content = {key: value for key, value in content.items() if value is not None}
                messages.append(msgspec.convert(content, _Message))
            except msgspec.DecodeError as error:
                self._report(f"unreadable message ({error}): {bytes(part)[:FRAME_PREVIEW_BYTES]!r}")
        return messages

    def _report(self, reason: str) -> None:
        self.bad_messages += 1
        self._on_bad(reason)
