"""News over REST. Decides what there is to report: each session's close, told as what it is, SYNTHETIC.

The articles are functions of the market, so they tell nothing that it has not shown, and need no keeping.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import web

from quant_trading_system.core.types import NANOS_PER_MINUTE, Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.calendar import Session
from quant_trading_system.simulator.events import SimBar
from quant_trading_system.simulator.instants import NEW_YORK, new_york_date, new_york_ns
from quant_trading_system.simulator.market.source import DAY
from quant_trading_system.simulator.server.data_query import DESCENDING, DataQuery
from quant_trading_system.simulator.server.data_rows import data_answer
from quant_trading_system.simulator.server.paging import read_page
from quant_trading_system.simulator.server.stamps import stamp_text
from quant_trading_system.simulator.server.venue import VENUE, Venue

NEWS_PATH = "/v1beta1/news"
PAGE_ROWS = (10, 50)  # by default and at most
KEPT_NS = Nanos(366 * 24 * 60 * NANOS_PER_MINUTE)  # without a start, articles of a year are looked through
WRITTEN_AFTER_NS = 5 * NANOS_PER_MINUTE  # an article comes this long after the close
BACK_NS = 10 * 24 * 60 * NANOS_PER_MINUTE  # a week with its holidays: the session before lies in it
SOURCE = "synthetic"
AUTHOR = "SYNTHETIC"
_FEED = "news"  # the one key of pages that have no symbols
_IDS_PER_DAY = 100_000


@dataclass(frozen=True, slots=True)
class Article:
    """The report of one symbol's session."""

    ts_ns: int
    id: int
    day: SimBar
    before: SimBar

    def as_json(self) -> dict[str, object]:
        change = 100.0 * (self.day.close / self.before.close - 1.0)
        symbol, written = self.day.symbol, stamp_text(self.ts_ns)
        direction = "up" if change >= 0 else "down"
        headline = f"SYNTHETIC: {symbol} closes at {self.day.close:.2f}, {direction} {abs(change):.2f}%"
        text = (
            f"Simulated market report. {symbol} traded between {self.day.low:.2f} and {self.day.high:.2f} dollars;"
            f" {self.day.volume:,.0f} shares changed hands in {self.day.trade_count:,} trades."
        )
        return {
            "id": self.id,
            "headline": headline,
            "author": AUTHOR,
            "created_at": written,
            "updated_at": written,
            "summary": text,
            "content": f"<p>{text}</p>",
            "url": None,
            "images": [],
            "symbols": [symbol],
            "source": SOURCE,
        }


def add_news_routes(router: web.UrlDispatcher) -> None:
    router.add_get(NEWS_PATH, _stream_or_articles)


def wants_socket(request: web.Request) -> bool:
    """Whether the stream of the same path is meant."""
    return request.headers.get("Upgrade", "").casefold() == "websocket"


async def _stream_or_articles(request: web.Request) -> web.StreamResponse:
    return await (request.app[VENUE].data_stream.handle if wants_socket(request) else _news)(request)


async def _news(request: web.Request) -> web.Response:
    venue, query = request.app[VENUE], DataQuery(request.query)
    now_ns = venue.exchange.now_ns
    query.flag("include_content")
    query.flag("exclude_contentless")  # every article has its content, and tells it
    window = query.window(
        zone=NEW_YORK, newest_ns=now_ns, start_ns=Nanos(now_ns - KEPT_NS), order=DESCENDING, rows=PAGE_ROWS
    )
    stocks = [symbol for symbol in venue.market.symbols if "/" not in symbol]
    wanted = query.names("symbols")
    symbols = [symbol for symbol in stocks if symbol in wanted] if query.text("symbols") else stocks

    def read(_feed: str, start_ns: int, end_ns: int) -> Iterator[Article]:
        return _articles(venue, symbols, start_ns, end_ns, is_descending=window.is_descending)

    page = await read_page(read, [_FEED], window)
    articles = [article.as_json() for article in page.rows.get(_FEED, [])]
    return data_answer({"news": articles, "next_page_token": page.next_token})


def _articles(
    venue: Venue, symbols: list[str], start_ns: int, end_ns: int, *, is_descending: bool
) -> Iterator[Article]:
    first, last = new_york_date(start_ns), new_york_date(end_ns)
    sessions = calendar.sessions_between(first, last)
    for session in reversed(sessions) if is_descending else sessions:
        ts_ns = session.close_ns + WRITTEN_AFTER_NS
        if start_ns <= ts_ns <= end_ns:
            found = [article for symbol in symbols if (article := _article(venue, symbol, session, ts_ns)) is not None]
            yield from reversed(found) if is_descending else found


def _article(venue: Venue, symbol: str, session: Session, ts_ns: int) -> Article | None:
    """None where the market was not there on that day, or on none before."""
    day_ns = new_york_ns(session.day)
    days = venue.market.bars(symbol, DAY, day_ns - BACK_NS, day_ns)
    if len(days) < 2 or days[-1].ts_ns != day_ns:
        return None
    number = session.day.toordinal() * _IDS_PER_DAY + list(venue.market.symbols).index(symbol)
    return Article(ts_ns, number, days[-1], days[-2])
