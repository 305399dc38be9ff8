"""A random market with random orders of all kinds, played twice or torn by restarts: what must hold of every fill."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from quant_trading_system.core.types import NANOS_PER_MINUTE, NANOS_PER_SECOND, Nanos
from quant_trading_system.simulator.events import Execution, MarketEvent, SimBar, SimLuld, SimQuote, SimStatus, SimTrade
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.instants import NANOS_PER_MS
from quant_trading_system.simulator.journal import Journal
from quant_trading_system.simulator.market.source import DAY, BarSpan
from quant_trading_system.simulator.order_index import OrderQuery
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.requests import OrderChange
from quant_trading_system.simulator.settings import ExchangeSettings
from tests.support.scripted_market import ScriptedMarket
from tests.unit.simulator_core.desk_script import CLOSE_NS, MONDAY, OPEN_NS, TUESDAY, order_request

EQUITIES = ("AAPL", "SPY")
PAIR = "BTC/USD"
SYMBOLS = (*EQUITIES, PAIR)
START_NS = MONDAY.pre_market_ns + NANOS_PER_MINUTE
WINDOWS = (  # seconds before and after these moments are busy, the time between is skipped
    (START_NS, 0, 20),
    (OPEN_NS, 140, 25),
    (OPEN_NS + 60 * NANOS_PER_MINUTE, 0, 60),
    (CLOSE_NS, 20, 20),
    (MONDAY.post_market_end_ns, 15, 15),
)
SETTINGS = ExchangeSettings(
    start_ns=Nanos(START_NS), cash=Decimal(50_000_000), partial_fill_probability=0.3, shorting_enabled=True
)
LATENCY_NS_MAX = 200 * NANOS_PER_MS  # of an immediate order: acknowledged, met, perhaps met again

_Event = TypeVar("_Event", SimQuote, SimTrade, SimLuld)
Operation = tuple[int, str, tuple[Any, ...]]


class Story(NamedTuple):
    """What the market says, and what clients and the operator do, each at its time."""

    events: tuple[MarketEvent, ...]
    operations: tuple[Operation, ...]


class ReplayedMarket(ScriptedMarket):
    """A scripted market that can begin in the middle, with a history of daily bars."""

    def begin(self, now_ns: Nanos) -> None:
        for _ in self.events_until(now_ns):
            pass  # played before

    def bars(self, symbol: str, span: BarSpan, start_ns: int, end_ns: int) -> Sequence[SimBar]:
        if span != DAY:
            return []
        closes = [100.0 * (1.01 if number % 2 else 1.0) for number in range(20)]
        day_ns = 86_400 * NANOS_PER_SECOND
        return [SimBar(symbol, c, c, c, c, 20_000.0, start_ns + i * day_ns, 10, c) for i, c in enumerate(closes)]


def make_story(seed: int) -> Story:
    """A story of one day."""
    draw = random.Random(seed)
    events: list[MarketEvent] = []
    operations: list[Operation] = []
    cents = {symbol: 10_000 for symbol in SYMBOLS}
    for moment_ns, before, after in WINDOWS:
        at_ns = moment_ns - before * NANOS_PER_SECOND
        while at_ns < moment_ns + after * NANOS_PER_SECOND:
            at_ns += draw.randrange(1, 250) * NANOS_PER_MS + draw.randrange(NANOS_PER_MS)
            symbol = draw.choice(SYMBOLS)
            cents[symbol] = max(9_000, min(11_000, cents[symbol] + draw.randrange(-4, 5)))
            if draw.random() < 0.75:
                events.append(_say(draw, symbol, cents[symbol], at_ns))
            else:
                operations.append((at_ns, *_operation(draw, cents)))
    for bell_ns, condition in ((OPEN_NS, "O"), (CLOSE_NS, "6")):
        if draw.random() < 0.7:
            printed_ns = bell_ns + draw.randrange(-2 if condition == "6" else 0, 10) * NANOS_PER_SECOND + 7
            price = cents["AAPL"] / 100
            events.append(SimTrade("AAPL", price, float(draw.randrange(1, 900)), printed_ns, "Q", 1, ("@", condition)))
    events.sort(key=lambda event: event.ts_ns)
    return Story(tuple(events), tuple(operations))


def _say(draw: random.Random, symbol: str, cents: int, at_ns: int) -> MarketEvent:
    kind = draw.random()
    if kind < 0.6:
        size = [float(draw.randrange(0, 5) * 100) for _ in range(2)]
        return SimQuote(symbol, cents / 100, size[0], (cents + draw.randrange(0, 4)) / 100, size[1], at_ns)
    if kind < 0.97 or symbol == PAIR:
        conditions = draw.choice((("@",), ("@",), ("@", "I"), ("@", "4"), ("@", "F")))
        return SimTrade(symbol, cents / 100, float(draw.randrange(1, 400)), at_ns, "V", 1, conditions)
    if kind < 0.985:
        return SimLuld(symbol, (cents + draw.randrange(1, 60)) / 100, (cents - draw.randrange(1, 60)) / 100, "A", at_ns)
    return SimStatus(symbol, draw.choice(("H", "T")), "", "T1", "", at_ns)


def _operation(draw: random.Random, cents: dict[str, int]) -> tuple[str, tuple[Any, ...]]:
    kind = draw.random()
    if kind < 0.12:
        return "cancel", (draw.randrange(1_000),)
    if kind < 0.2:
        return "replace", (draw.randrange(1_000), str(draw.choice((5, 60, 300))), draw.choice(list(cents.values())))
    if kind < 0.24:
        return "status", (draw.choice(EQUITIES), draw.choice(("halt", "resume", "resume", "luld_pause")))
    symbol = draw.choice(SYMBOLS)
    order_type = draw.choice(("market", "limit", "limit", "limit", "stop", "stop_limit", "trailing_stop"))
    price = lambda reach: f"{(cents[symbol] + draw.randrange(-reach, reach + 1)) / 100:.2f}"  # noqa: E731
    body: dict[str, Any] = {"symbol": symbol, "side": draw.choice(("buy", "sell")), "type": order_type}
    body["qty"] = str(draw.choice((1, 7, 30, 150, 600, 2_000)))
    body["time_in_force"] = draw.choice(("day", "day", "gtc", "ioc", "fok", "opg", "cls"))
    if order_type in ("limit", "stop_limit"):
        body["limit_price"] = price(12)
    if order_type in ("stop", "stop_limit"):
        body["stop_price"] = price(15)
    if order_type == "trailing_stop":
        body["trail_price"] = f"{draw.randrange(1, 20) / 100:.2f}"
    if order_type == "limit" and draw.random() < 0.3:
        body |= {"extended_hours": True, "time_in_force": draw.choice(("day", "gtc"))}
    if symbol == PAIR:
        body |= {"qty": f"{draw.uniform(0.01, 700):.9f}", "time_in_force": draw.choice(("gtc", "ioc"))}
    elif draw.random() < 0.1:
        body |= {"qty": None, "notional": f"{draw.uniform(1, 50_000):.2f}", "time_in_force": "day"}
    return "submit", (body,)


class Player:
    """Plays a story on an exchange.

    Args:
        slice_ns: at most so much time is played at once.
        folder: where the journal is; None keeps none.
        restart_at: numbers of operations before which the exchange is killed and begun anew from its journal.
    """

    def __init__(
        self,
        story: Story,
        settings: ExchangeSettings = SETTINGS,
        *,
        slice_ns: int | None = None,
        folder: Path | None = None,
        restart_at: Callable[[int], bool] = lambda _number: False,
    ) -> None:
        self.story = story
        self._settings = settings
        self._slice_ns = slice_ns
        self._folder = folder
        self._restart_at = restart_at
        self.order_ids: list[str] = []
        self.refusals: set[int] = set()
        self.halts: list[tuple[int, str, str]] = []
        self._journal: Journal | None = None
        self.exchange = self._begin()

    def play(self) -> Exchange:
        for number, (at_ns, name, arguments) in enumerate(self.story.operations):
            self._advance(at_ns)
            if self._restart_at(number):
                self.exchange = self._begin()
                self._advance(at_ns)  # venue time stands where something last changed
            try:
                getattr(self, f"_{name}")(*arguments)
            except Refusal as refusal:
                self.refusals.add(refusal.http_status)
        self._advance(TUESDAY.open_ns + NANOS_PER_MINUTE)
        return self.exchange

    def _begin(self) -> Exchange:
        market = ReplayedMarket(SYMBOLS, start_ns=Nanos(START_NS))
        market.say(*self.story.events)
        if self._journal is not None:
            self._journal.close()  # as a kill does: nothing more is written
        self._journal = Journal(self._folder / "journal") if self._folder else None
        return Exchange(settings=self._settings, market=market, journal=self._journal)

    def _advance(self, until_ns: int) -> None:
        while self.exchange.now_ns < until_ns:
            step_ns = until_ns if self._slice_ns is None else min(until_ns, self.exchange.now_ns + self._slice_ns)
            self.exchange.advance(Nanos(step_ns))
            for event in self.exchange.take_market_events():
                if isinstance(event, SimStatus) and event.code in "HTP23":
                    self.halts.append((event.ts_ns, event.symbol, event.code))

    def _submit(self, body: dict[str, Any]) -> None:
        order = self.exchange.submit(order_request(**{k: v for k, v in body.items() if v is not None}))
        self.order_ids.append(order.id)

    def _cancel(self, place: int) -> None:
        if self.order_ids:
            self.exchange.cancel(self.order_ids[place % len(self.order_ids)])

    def _replace(self, place: int, qty: str, limit_cents: int) -> None:
        if self.order_ids:
            change = OrderChange.from_body({"qty": qty, "limit_price": f"{limit_cents / 100:.2f}"})
            self.order_ids.append(self.exchange.replace(self.order_ids[place % len(self.order_ids)], change).id)

    def _status(self, symbol: str, kind: str) -> None:
        self.exchange.set_status(symbol, kind)


def executions_of(exchange: Exchange) -> list[Execution]:
    return exchange._books.executions


def fates(exchange: Exchange) -> tuple[list[Execution], list[tuple[str, str, Decimal]]]:
    """Everything that became of the orders."""
    orders = exchange.orders(OrderQuery(status="all", limit=500, direction="asc"))
    return executions_of(exchange), [(order.id, order.status, order.filled_qty) for order in orders]


def without_chance(settings: ExchangeSettings = SETTINGS) -> ExchangeSettings:
    return replace(settings, partial_fill_probability=0.0)
