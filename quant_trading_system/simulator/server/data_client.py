"""One market-data connection: what it is subscribed to, and how it is spoken to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiohttp import web

from quant_trading_system.simulator.server.clients import Connection
from quant_trading_system.simulator.server.data_frames import JSON, MSGPACK, split_frames
from quant_trading_system.simulator.server.feeds import SHOWN_WHEN_ASKED_FOR, Carries, Feed, is_pair
from quant_trading_system.simulator.server.outbox import Limits
from quant_trading_system.simulator.server.practice import PRACTICE_SYMBOL

ERRORS = {  # reference 9.3
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    408: "v2 not enabled",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    411: "insufficient scope",
    412: "option messages are only available in MsgPack format",
    413: "star subscription is not allowed for option quotes",
    500: "internal error",
}


class DataClient(Connection):
    """A client of one feed."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, feed: Feed, limits: Limits) -> None:
        super().__init__(request, socket, limits)
        self.feed = feed
        self.encoding = MSGPACK if "msgpack" in request.headers.get("Content-Type", "") else JSON
        self.subscribed: dict[str, frozenset[str]] = dict.fromkeys(feed.channels, frozenset())

    def asked_for(self, channel: str, symbol: str) -> bool:
        """Whether a message of this channel about this symbol is for it."""
        symbols = self.subscribed.get(channel)
        return symbols is not None and (symbol in symbols or "*" in symbols) and self._is_told_of(symbol)

    def send(self, parts: Sequence[bytes]) -> None:
        """Send encoded messages, in frames of bounded length."""
        for frame in split_frames(self.encoding, parts):
            if not self.outbox.put(frame):
                self.refuse(407, is_final=True)
                return

    def say(self, message: Mapping[str, object]) -> None:
        """Send a control message: an array of length one."""
        self.send([self.encoding.encode(message)])

    def refuse(self, code: int, *, is_final: bool = False) -> None:
        error = self.encoding.encode({"T": "error", "code": code, "msg": ERRORS[code]})
        if is_final:
            self.outbox.close_after(self.encoding.join([error]), drop_waiting=code == 407)
        else:
            self.send([error])

    def fail(self, code: int) -> None:
        self.refuse(code, is_final=True)

    def acknowledge(self) -> None:
        """The whole subscription, as after every subscribe and unsubscribe."""
        state: dict[str, object] = {"T": "subscription"}
        for channel, symbols in self.subscribed.items():
            if symbols or channel not in SHOWN_WHEN_ASKED_FOR:
                state[channel] = sorted(symbols)
        for channel in self.feed.following:
            state[channel] = sorted(self.subscribed["trades"])
        self.say(state)

    def _is_told_of(self, symbol: str) -> bool:
        match self.feed.carries:
            case Carries.STOCKS:
                return not is_pair(symbol) and symbol != PRACTICE_SYMBOL
            case Carries.CRYPTO:
                return is_pair(symbol)
            case Carries.PRACTICE:
                return symbol == PRACTICE_SYMBOL
            case Carries.NEWS:
                return True
            case Carries.NOTHING | Carries.REFUSED:
                return False
