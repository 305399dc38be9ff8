"""The market-data WebSockets (reference 9). Decides who is logged in, who must go, and what they are subscribed to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from quant_trading_system.simulator.events import MarketEvent
from quant_trading_system.simulator.market.source import MarketSource
from quant_trading_system.simulator.server.auth import Credentials, has_credentials, is_authorized
from quant_trading_system.simulator.server.clients import Clients, Reaper, open_socket
from quant_trading_system.simulator.server.data_client import DataClient
from quant_trading_system.simulator.server.data_commands import (
    Command,
    Subscription,
    changed_subscription,
    decode_command,
    half_of,
    read_subscription,
)
from quant_trading_system.simulator.server.data_frames import JSON
from quant_trading_system.simulator.server.data_publisher import DataPublisher
from quant_trading_system.simulator.server.errors import too_many_requests_answer
from quant_trading_system.simulator.server.faults import MARKET_DATA, FaultPlan, Kind
from quant_trading_system.simulator.server.feeds import FEEDS, NEWS_CHANNELS, Carries
from quant_trading_system.simulator.server.market_wire import MarketWire
from quant_trading_system.simulator.server.news import News
from quant_trading_system.simulator.server.outbox import Limits

LOGIN_SECONDS_MAX = 10.0
CONNECTIONS_MAX = 64
MESSAGE_BYTES_MAX = 1_024 * 1_024  # ten thousand symbols in one subscribe
DEFAULT_LIMITS = Limits(frames_max=2_048, bytes_max=32 * 1_024 * 1_024)
LOGIN_ERRORS = frozenset({402, 404, 406, 409, 411})  # codes of stream_error that answer a login
SUBSCRIBE_ERRORS = frozenset({400, 405, 410, 413})


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStreamRules:
    """How market data is given.

    Args:
        symbols_max: symbols one connection may name for trades and quotes together; 0 means no limit.
        reap_seconds: how long a line that broke without a goodbye keeps its place; Alpaca takes about 90.
    """

    symbols_max: int = 0
    limits: Limits = DEFAULT_LIMITS
    login_seconds_max: float = LOGIN_SECONDS_MAX
    reap_seconds: float = 0.0
    may_deflate: bool = True


class DataStream:
    """All market-data connections.

    Args:
        now_ns: venue time.
        watch_crypto: told whether anybody listens to crypto.
    """

    def __init__(
        self,
        credentials: Credentials,
        plan: FaultPlan,
        rules: DataStreamRules,
        *,
        wire: MarketWire,
        market: MarketSource,
        now_ns: Callable[[], int],
        watch_crypto: Callable[[bool], None],
    ) -> None:
        self._credentials = credentials
        self._plan = plan
        self._rules = rules
        self._watch_crypto = watch_crypto
        self._is_crypto_watched = False
        self._clients: Clients[DataClient] = Clients()
        self._reaper = Reaper(rules.reap_seconds)
        self._publisher = DataPublisher(self._clients, plan, wire=wire, market=market, now_ns=now_ns)

    @property
    def connections(self) -> int:
        return len(self._clients)

    @property
    def subscriptions(self) -> int:
        """Symbols asked for, over all connections and channels."""
        return sum(len(symbols) for client in self._clients for symbols in client.subscribed.values())

    def publish(self, events: Sequence[MarketEvent]) -> None:
        """Send what happened to everyone who asked for it."""
        self._publisher.publish(events)

    def publish_news(self, news: News) -> None:
        """Send an article to everyone who asked for one of its symbols, or for all news."""
        names = news.symbols or ("*",)
        readers = tuple(
            client
            for client in self._clients
            if client.hears and any(client.asked_for(NEWS_CHANNELS[0], symbol) for symbol in names)
        )
        self._publisher.publish_message(news.message(), readers)

    def tick(self) -> None:
        """What is due without anything having happened."""
        self._publisher.tick()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        if len(self._clients) >= CONNECTIONS_MAX or self._plan.fires(Kind.REFUSE_CONNECT, MARKET_DATA):
            return too_many_requests_answer(is_data=True)
        socket = await open_socket(request, message_bytes_max=MESSAGE_BYTES_MAX, may_deflate=self._rules.may_deflate)
        client = DataClient(request, socket, FEEDS[request.path], self._rules.limits)
        await self._clients.serve(client, self._talk)
        return socket

    def close_all(self) -> None:
        """Say goodbye to everyone: the exchange stops."""
        self._clients.close_all()

    async def _talk(self, client: DataClient, writer: asyncio.Task[None]) -> None:
        try:
            await self._serve(client)
            await writer  # what was said last must leave before the socket is closed
        finally:
            if client.is_authorized:
                self._reaper.left(client, client.feed.path)
                client.is_authorized = False
                self._audience_changed()

    async def _serve(self, client: DataClient) -> None:
        client.say({"T": "success", "msg": "connected"})
        if has_credentials(client.request.headers):
            self._judge_login(client, is_right=is_authorized(client.request.headers, self._credentials))
        try:
            async with asyncio.timeout(self._rules.login_seconds_max):
                while not (client.is_authorized or client.is_ignored) and await self._obey_next(client):
                    pass
        except TimeoutError:
            client.refuse(404, is_final=True)
            return
        while await self._obey_next(client):
            pass
        client.outbox.close_after()

    async def _obey_next(self, client: DataClient) -> bool:
        """Read and carry out one command; False when the connection is over."""
        if client.outbox.is_closing:
            return False
        payload = await client.next_payload()
        if payload is None:
            return False
        if not client.is_ignored:
            self._obey(client, decode_command(payload, client.encoding))
        return not client.outbox.is_closing

    def _obey(self, client: DataClient, command: Command | None) -> None:
        action = command.get("action") if command is not None else None
        if command is None or action not in ("auth", "subscribe", "unsubscribe"):
            client.refuse(400)
        elif action == "auth":
            self._log_in(client, command)
        elif not client.is_authorized:
            client.refuse(401)
        else:
            self._change_subscription(client, command, is_adding=action == "subscribe")

    def _log_in(self, client: DataClient, command: Command) -> None:
        if client.is_authorized:
            client.refuse(403)
            return
        is_right = self._credentials.match_login(str(command.get("key", "")), str(command.get("secret", "")))
        self._judge_login(client, is_right=is_right)

    def _judge_login(self, client: DataClient, *, is_right: bool) -> None:
        if self._plan.fires(Kind.SILENT_LOGIN, MARKET_DATA):
            client.is_ignored = True
            return
        code = self._plan.fires_with_code(Kind.STREAM_ERROR, MARKET_DATA, LOGIN_ERRORS)
        code = code or self._refusal_of_login(client, is_right=is_right)
        if code is not None:
            client.refuse(code, is_final=True)
            return
        client.is_authorized = True
        self._audience_changed()
        client.say({"T": "success", "msg": "authenticated"})

    def _refusal_of_login(self, client: DataClient, *, is_right: bool) -> int | None:
        if not is_right:
            return 402
        if client.feed.carries is Carries.REFUSED:
            return 412 if client.encoding is JSON else 409
        path = client.feed.path
        if any(other.hears and other.feed.path == path for other in self._clients) or self._reaper.count(path):
            return 406  # one connection for each endpoint; one on its way out does not count
        return None

    def _change_subscription(self, client: DataClient, command: Command, *, is_adding: bool) -> None:
        if self._plan.fires(Kind.SILENT_SUBSCRIBE, MARKET_DATA):
            return
        code = self._plan.fires_with_code(Kind.STREAM_ERROR, MARKET_DATA, SUBSCRIBE_ERRORS)
        asked = code or read_subscription(command, client.feed)
        if isinstance(asked, int):
            client.refuse(asked)
            return
        if is_adding and self._plan.fires(Kind.SHORT_SUBSCRIPTION, MARKET_DATA):
            asked = half_of(asked)
        changed = changed_subscription(client.subscribed, asked, is_adding=is_adding)
        if is_adding and self._exceeds_plan(changed):
            client.refuse(405)
            return
        new_books = changed.get("orderbooks", frozenset()) - client.subscribed.get("orderbooks", frozenset())
        client.subscribed = changed
        self._audience_changed()
        client.acknowledge()
        if new_books:
            self._publisher.show_books(client, new_books)

    def _exceeds_plan(self, subscription: Subscription) -> bool:
        named = len(subscription.get("trades", ())) + len(subscription.get("quotes", ()))
        return bool(self._rules.symbols_max) and named > self._rules.symbols_max

    def _audience_changed(self) -> None:
        self._publisher.audience_changed()
        is_watched = any(
            client.hears and client.feed.carries is Carries.CRYPTO and any(client.subscribed.values())
            for client in self._clients
        )
        if is_watched != self._is_crypto_watched:
            self._is_crypto_watched = is_watched
            self._watch_crypto(is_watched)
