"""How market messages are written: every message once per encoding, then joined into frames.

Field names and order are Alpaca's (reference 9.4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from quant_trading_system.simulator.server.stamps import msgpack_stamp, stamp_text

MESSAGES_PER_FRAME_MAX = 200

Stamp = str | msgspec.msgpack.Ext


class TradeMessage(msgspec.Struct, gc=False):
    T: str
    S: str
    i: int
    x: str
    p: float
    s: float
    c: Sequence[str]
    t: Stamp
    z: str


class QuoteMessage(msgspec.Struct, gc=False):
    T: str
    S: str
    bx: str
    bp: float
    bs: float
    ax: str
    ap: float
    as_: float = msgspec.field(name="as")  # the wire's name is a word of Python
    c: Sequence[str]
    t: Stamp
    z: str


class BarMessage(msgspec.Struct, gc=False):
    T: str
    S: str
    o: float
    h: float
    l: float  # noqa: E741 - the wire's name
    c: float
    v: float
    t: Stamp
    n: int
    vw: float


class StatusMessage(msgspec.Struct, gc=False):
    T: str
    S: str
    sc: str
    sm: str
    rc: str
    rm: str
    t: Stamp
    z: str


class LuldMessage(msgspec.Struct, gc=False):
    T: str
    S: str
    u: float
    d: float
    i: str
    t: Stamp
    z: str


class CorrectionMessage(msgspec.Struct, gc=False):
    T: str
    S: str
    x: str
    oi: int
    op: float
    os: float
    oc: Sequence[str]
    ci: int
    cp: float
    cs: float
    cc: Sequence[str]
    t: Stamp
    z: str


class CancelErrorMessage(msgspec.Struct, gc=False):
    T: str
    S: str
    i: int
    x: str
    p: float
    s: float
    a: str
    t: Stamp
    z: str


class ImbalanceMessage(msgspec.Struct, gc=False):
    T: str
    S: str
    p: float
    t: Stamp
    z: str


class CryptoTradeMessage(msgspec.Struct, gc=False):
    T: str
    S: str
    p: float
    s: float
    t: Stamp
    i: int
    tks: str


class CryptoQuoteMessage(msgspec.Struct, gc=False):
    T: str
    S: str
    bp: float
    bs: float
    ap: float
    as_: float = msgspec.field(name="as")
    t: Stamp


class Level(msgspec.Struct, gc=False):
    p: float
    s: float


class OrderbookMessage(msgspec.Struct, gc=False, omit_defaults=True):
    T: str
    S: str
    t: Stamp
    b: Sequence[Level]
    a: Sequence[Level]
    r: bool = False  # said where the whole book comes, and left out where it changes


class NewsMessage(msgspec.Struct, gc=False):
    T: str
    id: int
    headline: str
    summary: str
    author: str
    created_at: Stamp
    updated_at: Stamp
    url: str
    content: str
    symbols: Sequence[str]
    source: str


class Encoding(NamedTuple):
    """One way to write frames."""

    name: str
    stamp: Callable[[int], Stamp]
    encode: Callable[[object], bytes]
    join: Callable[[Sequence[bytes]], str | bytes]


def _join_json(parts: Sequence[bytes]) -> str:
    return (b"[" + b",".join(parts) + b"]").decode()


def _join_msgpack(parts: Sequence[bytes]) -> bytes:
    count = len(parts)
    if count < 16:
        head = bytes((0x90 | count,))
    else:
        assert count < 1 << 16, f"expected a frame of at most 65,535 messages, found {count}"
        head = b"\xdc" + count.to_bytes(2, "big")
    return head + b"".join(parts)


JSON = Encoding("json", stamp_text, msgspec.json.Encoder().encode, _join_json)
MSGPACK = Encoding("msgpack", msgpack_stamp, msgspec.msgpack.Encoder().encode, _join_msgpack)


def split_frames(encoding: Encoding, parts: Sequence[bytes]) -> list[str | bytes]:
    """Join encoded messages into frames of bounded length."""
    if len(parts) <= MESSAGES_PER_FRAME_MAX:
        return [encoding.join(parts)]
    return [
        encoding.join(parts[begin : begin + MESSAGES_PER_FRAME_MAX])
        for begin in range(0, len(parts), MESSAGES_PER_FRAME_MAX)
    ]


class MarketMessage:
    """One message on its way out: encoded when the first client wants it, then kept for the others."""

    __slots__ = ("_json", "_make", "_msgpack", "channel", "symbol")

    def __init__(self, channel: str, symbol: str, make: Callable[[Encoding], object]) -> None:
        self.channel = channel
        self.symbol = symbol
        self._make = make
        self._json: bytes | None = None
        self._msgpack: bytes | None = None

    def encoded(self, encoding: Encoding) -> bytes:
        if encoding is JSON:
            if self._json is None:
                self._json = JSON.encode(self._make(JSON))
            return self._json
        if self._msgpack is None:
            self._msgpack = MSGPACK.encode(self._make(MSGPACK))
        return self._msgpack
