"""Reads the broker. Decides when a list is whole, and when a failed read is worth another try.

Every list is read to its last page or not at all. Reads have no effect, so they are tried again, at most three times
within ten seconds; being told to slow down, or being left alone by the breaker, ends the tries at once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import date
from typing import TypeVar
from urllib.parse import quote

import tenacity

from quant_trading_system.adapters.alpaca import answers, history
from quant_trading_system.adapters.alpaca.answers import Asset, CalendarDay
from quant_trading_system.adapters.alpaca.failures import (
    BudgetExhausted,
    CircuitOpen,
    NoSuchPath,
    RateLimited,
    Unreadable,
)
from quant_trading_system.adapters.alpaca.http import AlpacaHttp, Base, Reply
from quant_trading_system.adapters.alpaca.limits import Lane
from quant_trading_system.adapters.alpaca.stamps import format_stamp
from quant_trading_system.core.broker import (
    Activity,
    BrokerAccount,
    BrokerOrder,
    BrokerPosition,
    ClockReading,
    Execution,
)
from quant_trading_system.core.clock import Clock
from quant_trading_system.core.errors import Refused, Unavailable
from quant_trading_system.core.events import QuoteSeen, TradeSeen
from quant_trading_system.core.types import BrokerOrderId, ClientOrderId, Nanos, Symbol
from quant_trading_system.core.values import Bar

TRIES_MAX = 3
TRIES_TOTAL_S = 10.0
PAUSE_FIRST_S = 0.2
PAUSE_MAX_S = 2.0
PAGES_MAX = 40  # of any list; 40 pages of 500 orders is more than an account can hold
ORDERS_PAGE = 500
ACTIVITIES_PAGE = 100
BARS_PAGE = 10_000
SYMBOLS_PER_REQUEST = 200  # keeps a URL below 2 KB
NOT_FOUND = 40410000

Value = TypeVar("Value")
Item = TypeVar("Item")


class ReadClient:
    """GET and nothing else.

    Args:
        http: the session.
        clock: stamps what is read.
        rng: jitter of the pauses between tries.

    Every method raises `Refused` for a definite no (keys, unknown symbol) and `Unavailable` for anything that proves
    nothing.
    """

    def __init__(self, http: AlpacaHttp, *, clock: Clock, rng: random.Random) -> None:
        self._http = http
        self._clock = clock
        self._rng = rng
        self.requests = 0
        """How many requests were made so far, tries included: reconciliation may spend a part of the budget alone."""

    async def account(self) -> BrokerAccount:
        return await self._read("/v2/account", answers.parse_account)

    async def clock(self) -> ClockReading:
        return await self._read("/v2/clock", answers.parse_clock)

    async def calendar(self, start: date, end: date) -> list[CalendarDay]:
        """Sessions from `start` to `end`, both included."""
        params = {"start": start.isoformat(), "end": end.isoformat()}
        return await self._read("/v2/calendar", answers.parse_calendar, params=params)

    async def assets(self) -> list[Asset]:
        """Every active US equity."""
        params = {"status": "active", "asset_class": "us_equity"}
        return await self._read("/v2/assets", answers.parse_assets, params=params)

    async def asset(self, symbol: Symbol) -> Asset | None:
        """One instrument; None if the broker says that it has none."""
        path = f"/v2/assets/{quote(symbol, safe='')}"
        return await self._find(path, answers.parse_asset, endpoint="GET /v2/assets/{symbol}")

    async def positions(self) -> list[BrokerPosition]:
        return await self._read("/v2/positions", answers.parse_positions)

    async def order(self, broker_order_id: BrokerOrderId) -> BrokerOrder | None:
        """One order; None if the broker says that it has none."""
        path = f"/v2/orders/{quote(broker_order_id, safe='')}"
        return await self._find(path, answers.parse_order, endpoint="GET /v2/orders/{id}")

    async def order_by_client_id(self, client_order_id: ClientOrderId) -> BrokerOrder | None:
        """The order of ours with this id; None if the broker says that it has none, never because asking failed."""
        params: dict[str, str] = {"client_order_id": client_order_id}
        return await self._find("/v2/orders:by_client_order_id", answers.parse_order, params=params, lane=Lane.LOOKUP)

    async def open_orders(self) -> list[BrokerOrder]:
        """Every order that is not final, oldest first; legs as orders of their own."""
        return await self._orders("open", None)

    async def closed_orders(self, after_ns: Nanos) -> list[BrokerOrder]:
        """Every final order *submitted* after a venue time, oldest first: the broker knows no query by closing time."""
        return await self._orders("closed", after_ns)

    async def newest_orders(self) -> list[BrokerOrder]:
        """The newest orders of whatever age and state, as many as one page holds, the newest first."""
        params = {"status": "all", "limit": str(ORDERS_PAGE), "direction": "desc", "nested": "false"}
        return await self._read("/v2/orders", answers.parse_orders, params=params)

    async def executions(self, after_ns: Nanos) -> list[Execution]:
        """Every fill after a venue time, oldest first."""
        return await self._activities(
            "/v2/account/activities/FILL", answers.parse_fills, lambda fill: fill.execution_id, after_ns
        )

    async def activities(self, after_ns: Nanos) -> list[Activity]:
        """Every activity after a venue time that is no fill, oldest first."""
        return await self._activities(
            "/v2/account/activities",
            answers.parse_activities,
            lambda activity: activity.reverses or activity.activity_id,
            after_ns,
            category="non_trade_activity",
        )

    async def bars(
        self,
        symbols: Sequence[Symbol],
        *,
        start_ns: Nanos,
        end_ns: Nanos,
        timeframe: str = "1Min",
        limit: int = BARS_PAGE,
    ) -> dict[Symbol, list[Bar]]:
        """Bars from `start_ns` to `end_ns`, both included, oldest first; `limit` is the size of one page."""
        found: dict[Symbol, list[Bar]] = {symbol: [] for symbol in symbols}
        for group in _groups(symbols):
            params = {
                "symbols": ",".join(group),
                "timeframe": timeframe,
                "start": format_stamp(start_ns),
                "end": format_stamp(end_ns),
                "limit": str(limit),
                "feed": self._http.endpoints.feed,
            }
            await self._bars_of_group(params, found)
        return found

    async def latest_quotes(self, symbols: Sequence[Symbol]) -> dict[Symbol, QuoteSeen]:
        """The newest quote of each symbol that has one."""
        return await self._latest("/v2/stocks/quotes/latest", symbols, self._parse_quotes)

    async def latest_trades(self, symbols: Sequence[Symbol]) -> dict[Symbol, TradeSeen]:
        return await self._latest("/v2/stocks/trades/latest", symbols, self._parse_trades)

    async def latest_bars(self, symbols: Sequence[Symbol]) -> dict[Symbol, Bar]:
        return await self._latest("/v2/stocks/bars/latest", symbols, history.parse_latest_bars)

    def _parse_quotes(self, body: bytes) -> dict[Symbol, QuoteSeen]:
        return history.parse_latest_quotes(body, seen_ns=self._clock.wall_ns(), mono_ns=self._clock.mono_ns())

    def _parse_trades(self, body: bytes) -> dict[Symbol, TradeSeen]:
        return history.parse_latest_trades(body, seen_ns=self._clock.wall_ns(), mono_ns=self._clock.mono_ns())

    async def _orders(self, status: str, after_ns: int | None) -> list[BrokerOrder]:
        found: dict[str, BrokerOrder] = {}
        params = {"status": status, "limit": str(ORDERS_PAGE), "direction": "asc", "nested": "false"}
        if after_ns is not None:
            params["after"] = format_stamp(after_ns)
        for _ in range(PAGES_MAX):
            page = await self._read("/v2/orders", answers.parse_orders, params=params)
            _add_page(found, ((order.broker_order_id, order) for order in page), is_full=len(page) >= ORDERS_PAGE)
            if len(page) < ORDERS_PAGE:
                return list(found.values())
            params.pop("after", None)  # not together with an order as the place to go on from
            params["after_order_id"] = page[-1].broker_order_id
        raise Unavailable(f"more than {PAGES_MAX} pages of {status} orders")

    async def _activities(
        self,
        path: str,
        parse: Callable[[bytes], list[Item]],
        id_of: Callable[[Item], str],
        after_ns: int,
        **more: str,
    ) -> list[Item]:
        found: dict[str, Item] = {}
        params = {"after": format_stamp(after_ns), "direction": "asc", "page_size": str(ACTIVITIES_PAGE), **more}
        for _ in range(PAGES_MAX):
            page = await self._read(path, parse, params=params)
            _add_page(found, ((id_of(item), item) for item in page), is_full=len(page) >= ACTIVITIES_PAGE)
            if len(page) < ACTIVITIES_PAGE:
                return list(found.values())
            params["page_token"] = id_of(page[-1])
        raise Unavailable(f"more than {PAGES_MAX} pages of {path}")

    async def _bars_of_group(self, params: dict[str, str], found: dict[Symbol, list[Bar]]) -> None:
        for _ in range(PAGES_MAX):
            page, token = await self._read("/v2/stocks/bars", history.parse_bars_page, params=params, base=Base.DATA)
            for symbol, bars in page.items():
                found.setdefault(symbol, []).extend(bars)
            if token is None:
                return
            if token == params.get("page_token"):
                raise Unavailable("the broker repeats a page of bars")
            params["page_token"] = token
        raise Unavailable(f"more than {PAGES_MAX} pages of bars")

    async def _latest(
        self, path: str, symbols: Sequence[Symbol], parse: Callable[[bytes], dict[Symbol, Item]]
    ) -> dict[Symbol, Item]:
        found: dict[Symbol, Item] = {}
        for group in _groups(symbols):
            params = {"symbols": ",".join(group), "feed": self._http.endpoints.feed}
            found.update(await self._read(path, parse, params=params, base=Base.DATA))
        return found

    async def _find(
        self,
        path: str,
        parse: Callable[[bytes], Value],
        *,
        params: dict[str, str] | None = None,
        endpoint: str = "",
        lane: Lane = Lane.POLL,
    ) -> Value | None:
        try:
            return await self._read(path, parse, params=params, endpoint=endpoint, lane=lane)
        except Refused as refused:
            if refused.http_status == 404 and refused.code == NOT_FOUND:
                return None
            raise

    async def _read(
        self,
        path: str,
        parse: Callable[[bytes], Value],
        *,
        params: dict[str, str] | None = None,
        endpoint: str = "",
        base: Base = Base.TRADING,
        lane: Lane = Lane.POLL,
    ) -> Value:
        async def once() -> Value:
            self.requests += 1
            reply = await self._http.request("GET", path, params=params, lane=lane, endpoint=endpoint, base=base)
            return parse(_body(reply))

        try:
            async with asyncio.timeout(TRIES_TOTAL_S):
                try:
                    return await once()
                except Unavailable as error:
                    if not _is_worth_another_try(error):
                        raise
                await asyncio.sleep(self._pause_s(1))
                return await self._again(once)
        except TimeoutError:
            raise Unavailable(f"GET {path}: no answer within {TRIES_TOTAL_S:g} s") from None

    async def _again(self, once: Callable[[], Awaitable[Value]]) -> Value:
        """The tries after the first, which nearly always is enough and needs no machinery."""
        tries = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(TRIES_MAX - 1),
            wait=lambda state: self._pause_s(1 + state.attempt_number),
            retry=tenacity.retry_if_exception(_is_worth_another_try),
            reraise=True,
        )
        return await tries(once)

    def _pause_s(self, failures: int) -> float:
        return self._rng.uniform(0.0, min(PAUSE_MAX_S, PAUSE_FIRST_S * 2**failures))


def _is_worth_another_try(error: BaseException) -> bool:
    hopeless = (BudgetExhausted, CircuitOpen, RateLimited)
    return isinstance(error, Unavailable) and not isinstance(error, hopeless)


def _body(reply: Reply) -> bytes:
    """The body of a good answer; else what the answer means to a read."""
    if reply.status == 200:
        return reply.body
    refusal = answers.parse_refusal(reply.body)
    text = f"answer {reply.status}, code {refusal.code}: {refusal.message}"
    if reply.status == 429:
        raise RateLimited(text)
    if reply.status == 404 and refusal.code is None:
        raise NoSuchPath(text)
    if refusal.is_page:
        raise Unreadable(text)  # a gateway's 404 is not the broker's: it must not read as "there is none"
    if 400 <= reply.status < 500 and reply.status != 408:
        raise Refused(http_status=reply.status, code=refusal.code, message=refusal.message, extra=refusal.extra)
    raise Unavailable(text)


def _add_page(found: dict[str, Item], items: Iterable[tuple[str, Item]], *, is_full: bool) -> None:
    """Add a page. A full page that brings nothing new would be asked for without end."""
    before = len(found)
    found.update(items)
    if is_full and len(found) == before:
        raise Unavailable("the broker repeats a page: the list cannot be read to its end")


def _groups(symbols: Sequence[Symbol]) -> Iterable[Sequence[Symbol]]:
    return (symbols[i : i + SYMBOLS_PER_REQUEST] for i in range(0, len(symbols), SYMBOLS_PER_REQUEST))
