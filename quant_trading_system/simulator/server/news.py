"""News that the exchange is told to tell by `POST /simulator/v1/news`: there is no newsroom behind it.

Decides what an article must have.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import msgspec

from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.data_frames import Encoding, MarketMessage, NewsMessage
from quant_trading_system.simulator.server.feeds import NEWS_CHANNELS

SYMBOLS_MAX = 100
TEXT_CHARACTERS_MAX = 100_000
_TEXTS = ("headline", "summary", "author", "url", "content", "source")
_NANOS_PER_MS = 1_000_000


class News(msgspec.Struct, frozen=True, kw_only=True):
    """One article."""

    id: int
    ts_ns: int
    headline: str
    summary: str = ""
    author: str = ""
    url: str = ""
    content: str = ""
    source: str = "simulator"
    symbols: tuple[str, ...] = ()

    def message(self) -> MarketMessage:
        return MarketMessage(NEWS_CHANNELS[0], "*", partial(_write, self))


def read_news(body: Mapping[str, object], *, now_ns: int) -> News:
    """An article from the body of a request; its id is the venue's millisecond.

    Raises:
        Refusal: 422 naming the field that is wrong.
    """
    for name in body:
        if name not in (*_TEXTS, "symbols"):
            raise _wrong(name, f"unknown field; known are {', '.join(_TEXTS)}, symbols")
    texts: dict[str, str] = {}
    for name in _TEXTS:
        text = body.get(name, "" if name != "headline" else None)
        if not isinstance(text, str) or len(text) > TEXT_CHARACTERS_MAX:
            raise _wrong(name, f"expected a text of at most {TEXT_CHARACTERS_MAX} characters")
        if text:
            texts[name] = text
    symbols = body.get("symbols", [])
    if (
        not isinstance(symbols, list)
        or len(symbols) > SYMBOLS_MAX
        or not all(isinstance(name, str) for name in symbols)
    ):
        raise _wrong("symbols", f"expected a list of at most {SYMBOLS_MAX} symbols")
    return News(id=now_ns // _NANOS_PER_MS, ts_ns=now_ns, symbols=tuple(symbols), **{"headline": "", **texts})


def _wrong(field: str, message: str) -> Refusal:
    return Refusal(422, 42210000, f"{field}: {message}")


def _write(news: News, encoding: Encoding) -> NewsMessage:
    stamp = encoding.stamp(news.ts_ns)
    return NewsMessage(
        T="n",
        id=news.id,
        headline=news.headline,
        summary=news.summary,
        author=news.author,
        created_at=stamp,
        updated_at=stamp,
        url=news.url,
        content=news.content,
        symbols=news.symbols,
        source=news.source,
    )
