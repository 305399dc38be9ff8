"""The way between daemon and broker: requests travel, arrive, are served, and answers travel back. Decides their fate.

Everything above the bytes is real: the request budget, the breaker, the gate before the first byte, the judgement of
what a failed request proves. Faults bend a request's `Fate` while they last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from email.utils import formatdate
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict

from quant_trading_system.adapters.alpaca.gated import GatedPayload
from quant_trading_system.adapters.alpaca.http import AlpacaHttp, Base, Reply
from quant_trading_system.core.types import NANOS_PER_SECOND
from tests.simulation.loop import in_life
from tests.simulation.venue import Answer, Request

if TYPE_CHECKING:
    from tests.simulation.loop import Life
    from tests.simulation.world import World

CONNECT_S = 3.0
READ_SILENCE_S = 4.0
ORDER_SILENCE_S = 10.0
HOST_KEY = ConnectionKey("127.0.0.1", 8090, False, True, None, None, None)
PAGE = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body>\r\n</html>\r\n"
NO_PARAMS: Mapping[str, str] = {}


class SimUrl(NamedTuple):
    """Where a request goes: all that the venue looks at."""

    path: str
    params: Mapping[str, str]


NO_ORDER = b'"code":40410000'
"""What Alpaca says of an order that it does not have; a 404 without it is a proxy's."""


class Tap(NamedTuple):
    """One request that reached the broker. `status` is what the venue answered, None before it did."""

    venue_ns: int
    mono_ns: int
    incarnation: int
    method: str
    path: str
    body: bytes
    status: int | None
    sent_mono_ns: int
    sent_turn: int = 0
    """The turn of the loop in which its first byte left: what happened at one moment has an order, too."""
    params: Mapping[str, str] = {}


class Fate:
    """What becomes of one request. A fault changes what it is about."""

    __slots__ = (
        "answer_delay_s",
        "answer_lost",
        "before_serve",
        "change",
        "instead",
        "is_refused",
        "is_served",
        "request_delay_s",
        "request_lost",
        "serve_times",
    )

    def __init__(self) -> None:
        self.is_refused = False
        """No connection: not one byte leaves."""
        self.request_lost: str | None = None
        """How the daemon sees that its bytes never arrive, or arrive much later."""
        self.request_delay_s: float | None = None
        """Lost to the daemon, and carried out so much later all the same."""
        self.before_serve: list[Callable[[Request], None]] = []
        self.is_served = True
        self.serve_times = 1
        self.instead: Answer | None = None
        """Said instead of what the venue says."""
        self.change: list[Callable[[Request, Answer], Answer]] = []
        self.answer_delay_s = 0.0
        self.answer_lost: str | None = None
        """How the daemon sees that the answer never comes."""


Rule = Callable[[Request, Fate], None]


class Journey(NamedTuple):
    """A request under way. Without a future nobody waits for its answer."""

    request: Request
    fate: Fate | None
    future: asyncio.Future[Answer] | None
    life: Life
    silence_s: float
    sent_mono_ns: int
    sent_turn: int


class Network:
    """All connections of one world to the broker's REST interface."""

    def __init__(self, world: World, chance: Random) -> None:
        self._world = world
        self._loop = world.loop
        self._chance = chance
        switches = world.plan.switches
        self._latency_s = switches.get("broker_latency_ms", 15.0) / 2_000.0
        self._jitter_s = switches.get("broker_jitter_ms", 10.0) / 2_000.0
        self.rules: dict[int, Rule] = {}
        """What bends requests now, by the number of its fault."""
        self.skew_s = 0.0
        """The broker's Date header is off by so much."""
        self._date = (0, "")
        self.told_absent: dict[str, int] = {}
        """Client ids of orders that the broker said it has not, and when that was heard last."""

    def note_absent(self, request: Request) -> None:
        """The daemon is told that the broker has no order of an id."""
        name = request.params.get("client_order_id")
        if name is not None:
            self.told_absent[name] = self._world.mono_ns_now()

    def block(self, number: int) -> None:
        """Refuse every connection."""

        def refuse(_request: Request, fate: Fate) -> None:
            fate.is_refused = True

        self.rules[number] = refuse

    def unblock(self, number: int) -> None:
        self.rules.pop(number, None)

    def fate_of(self, request: Request) -> Fate | None:
        """What faults make of a request; None: nothing, as nearly always."""
        if not self.rules:
            return None
        fate = Fate()
        for rule in list(self.rules.values()):
            rule(request, fate)
        return fate

    def send(self, request: Request, fate: Fate | None, life: Life, silence_s: float) -> asyncio.Future[Answer]:
        """The bytes have left. The future holds the whole answer, or what the client library would raise."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        journey = Journey(request, fate, future, life, silence_s, self._world.mono_ns_now(), self._loop.handled)
        if fate is None or fate.request_lost is None:
            self._at(self._hop_s(), self._arrive, journey)
            return future
        self._lose(fate.request_lost, future, silence_s)
        if fate.request_delay_s is not None:
            self._at(fate.request_delay_s, self._arrive, journey._replace(future=None))
        return future

    def _arrive(self, journey: Journey) -> None:
        fate, future = journey.fate, journey.future
        if fate is None:
            answer = self._world.serve(journey)
            if future is not None:
                self._at(self._hop_s(), _deliver, future, answer)
            return
        answer = self._serve_bent(journey, fate)
        if future is None:
            return
        back_s = self._hop_s() + fate.answer_delay_s
        if fate.answer_lost is not None:
            self._lose(fate.answer_lost, future, journey.silence_s)
        elif back_s > journey.silence_s:
            self._at(journey.silence_s, _fail, future, _error("timeout"))
        else:
            self._at(back_s, _deliver, future, answer)

    def _serve_bent(self, journey: Journey, fate: Fate) -> Answer:
        request, instead = journey.request, fate.instead
        for act in fate.before_serve:
            act(request)
        if not fate.is_served:
            assert instead is not None, "what is not served is answered otherwise"
            return instead
        for _ in range(fate.serve_times):
            answer = self._world.serve(journey)
        answer = instead or answer
        for change in fate.change:
            answer = change(request, answer)
        return answer

    def _lose(self, how: str, future: asyncio.Future[Answer], silence_s: float) -> None:
        if how in LOST_ANSWERS:
            self._at(self._hop_s(), _deliver, future, LOST_ANSWERS[how])
        elif how == "timeout":
            self._at(silence_s, _fail, future, _error(how))
        else:
            self._at(self._hop_s(), _fail, future, _error(how))

    def _hop_s(self) -> float:
        return self._latency_s + self._jitter_s * self._chance.random()

    def _at(self, delay_s: float, act: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_later(delay_s, act, *arguments, context=self._world.context)

    def date(self) -> str:
        """The header of an answer: real time, in whole seconds."""
        second = int(self._world.true_wall_ns() / NANOS_PER_SECOND + self.skew_s)
        if second != self._date[0]:
            self._date = (second, formatdate(second, usegmt=True))
        return self._date[1]


LOST_ANSWERS = {
    "502": Answer(502, PAGE),
    "503": Answer(503, b""),
    "504": Answer(504, b""),
    "404": Answer(404, PAGE),
    "500": Answer(500, b'{"code":50010000,"message":"internal server error occurred"}'),
    "truncated": Answer(200, b'{"id":"61e69015-8549-4bfd-b9c3-01e75843f47d","client_order_id":"qts-'),
    "empty": Answer(200, b""),
    "html": Answer(200, PAGE),
}


def _error(how: str) -> Exception:
    match how:
        case "timeout":
            return aiohttp.SocketTimeoutError("Timeout on reading data from socket")
        case "reset":
            return aiohttp.ServerDisconnectedError()
        case "refused":
            return aiohttp.ClientConnectorError(HOST_KEY, OSError(111, "Connection refused"))
        case "unreachable":
            return aiohttp.ConnectionTimeoutError("Connection timeout to host")
        case _:
            raise ValueError(f"no way of losing a request: {how}")


def _deliver(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(future: asyncio.Future[Answer], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


class _Transport:
    @staticmethod
    def is_closing() -> bool:
        return False


class _Writer:
    """What the gated body is written to: the first byte is the moment that counts."""

    transport = _Transport()

    def __init__(self) -> None:
        self.has_left = False

    async def write(self, _chunk: bytes) -> None:
        self.has_left = True


class SimHttp(AlpacaHttp):
    """The daemon's own client of the broker, with simulated bytes below it."""

    network: Network
    life: Life

    async def __aenter__(self) -> SimHttp:
        return self

    async def close(self) -> None:
        """There is no socket."""

    def _url(self, base: Base, path: str, params: Mapping[str, str] | None) -> Any:
        del base
        return SimUrl(path, dict(params) if params else NO_PARAMS)

    async def _exchange(self, method: str, url: Any, payload: GatedPayload | None, base: Base) -> Reply:
        network = self.network
        sent_ns = self._clock.wall_ns()
        request = Request(method, url.path, url.params, b"" if payload is None else payload._body)
        fate = network.fate_of(request)
        if fate is not None and fate.is_refused:
            await asyncio.sleep(network._hop_s())
            raise _error("refused")
        if payload is not None:
            await asyncio.sleep(0)  # a connection is taken from the pool
            await payload.write_with_length(_Writer(), None)  # type: ignore[arg-type]
        silence_s = READ_SILENCE_S if payload is None else ORDER_SILENCE_S
        answer = await network.send(request, fate, self.life, silence_s)
        if answer.status == 404 and NO_ORDER in answer.body:
            network.note_absent(request)
        if base is Base.TRADING:
            self._measure_skew(network.date(), sent_ns=sent_ns, received_ns=self._clock.wall_ns())
        return Reply(status=answer.status, headers=CIMultiDict(answer.headers), body=answer.body)


def http_maker(network: Network, life: Life) -> Callable[..., SimHttp]:
    """What the daemon calls instead of `AlpacaHttp`."""

    def make(*arguments: Any, **options: Any) -> SimHttp:
        http = SimHttp(*arguments, **options)
        http.network, http.life = network, life
        return http

    return make


__all__ = ["Fate", "Network", "Rule", "SimHttp", "Tap", "http_maker", "in_life"]
