"""Where one fault of a plan is played: its parameters, its chance, and what it has to take back. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

import msgspec

from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.refusals import Refusal
from tests.simulation.http import Fate, Rule
from tests.simulation.plan import Fault
from tests.simulation.streams import Frame
from tests.simulation.venue import Answer, Request

if TYPE_CHECKING:
    from tests.simulation.world import World

Player = Callable[["Stage"], None]
RULES_APART = 1_000
"""More than a plan has faults, each of which may have several rules."""
LISTS = ("/v2/orders", "/v2/positions", "/v2/account/activities")
ORDERS_PATH = "/v2/orders"
PREFIX = "qts-"
CENT = Decimal("0.01")
MOMENTS = {
    "before_commit": "gateway.before_intent_commit",
    "after_commit": "gateway.after_intent_commit",
    "before_retry": "gateway.before_retry",
}


class Stage:
    """One fault while it lasts."""

    def __init__(self, world: World, number: int, fault: Fault) -> None:
        self.world = world
        self.number = number
        self.fault = fault
        self.chance = Random(f"{world.plan.seed}:fault:{number}")
        self._undo: list[Callable[[], object]] = []
        self.is_over = False

    def at_end(self, undo: Callable[[], object]) -> None:
        """Take something back when the fault is over."""
        self._undo.append(undo)

    def end(self) -> None:
        """The fault is over."""
        if not self.is_over:
            self.is_over = True
            undo, self._undo = self._undo, []
            for each in reversed(undo):
                each()

    def reach(self) -> None:
        """The fault really took effect."""
        self.world.reach(f"fault.{self.fault.kind}")

    def number_of(self, name: str, default: float = 0.0) -> float:
        return float(self.fault.parameters.get(name, default))

    def word(self, name: str, default: str = "") -> str:
        return str(self.fault.parameters.get(name, default))

    @property
    def symbol(self) -> str:
        """The symbol it is about, where the plan names one by its place."""
        symbols = self.world.symbols
        return symbols[int(self.number_of("symbol")) % len(symbols)]

    def is_drawn(self) -> bool:
        """Whether it takes effect this time."""
        probability = self.number_of("probability", 1.0)
        return probability >= 1.0 or self.chance.random() < probability

    def bend_requests(self, is_meant: Callable[[Request], bool], bend: Callable[[Request, Fate], None]) -> None:
        """While it lasts, change the fate of the requests that are meant, as often as the plan says."""

        def rule(request: Request, fate: Fate) -> None:
            if is_meant(request) and self.is_drawn():
                self.reach()
                bend(request, fate)

        self.keep(self.world.network.rules, rule)

    def bend_quietly(self, is_meant: Callable[[Request], bool], bend: Callable[[Request, Fate], None]) -> None:
        """The same for every request that is meant; it is not what the fault is about."""

        def rule(request: Request, fate: Fate) -> None:
            if is_meant(request):
                bend(request, fate)

        self.keep(self.world.network.rules, rule)

    def keep(self, table: dict[int, Rule], rule: Rule) -> None:
        """Put a rule into a table while the fault lasts."""
        number = self.number
        while number in table:
            number += RULES_APART  # its own first rule
        table[number] = rule
        self.at_end(lambda: table.pop(number, None))

    def bend_frames(self, bend: Callable[[Frame], bool | None]) -> None:
        """While it lasts, change frames of `trade_updates`; a bend that returns False took no effect."""

        def rule(frame: Frame) -> None:
            if self.is_drawn() and bend(frame) is not False:
                self.reach()

        rules = self.world.streams.rules
        rules[self.number] = rule
        self.at_end(lambda: rules.pop(self.number, None))

    def at_moment(self, act: Callable[[], None]) -> None:
        """Do something at once, or while the next order leaves, as the plan's `when` says."""
        point = MOMENTS.get(self.word("when", "now"))
        if point is None:
            act()
        else:
            self.at_end(self.world.at_failpoint(point, act))

    def later(self, delay_s: float, act: Callable[[], object]) -> None:
        """Do something so much later, whatever has become of the daemon."""
        self.world.loop.call_later(delay_s, act, context=self.world.context)


def is_post(request: Request) -> bool:
    return request.method == "POST" and request.path == ORDERS_PATH


def is_read(request: Request) -> bool:
    return request.method == "GET"


def is_cancel(request: Request) -> bool:
    return request.method == "DELETE" and request.path.startswith(ORDERS_PATH)


def is_single_cancel(request: Request) -> bool:
    return is_cancel(request) and len(request.path) > len(ORDERS_PATH)


def lists_what(request: Request, what: str) -> bool:
    """Whether a request reads a list of this kind: orders, positions, activities, all."""
    if request.method != "GET":
        return False
    if what == "all":
        return request.path.startswith(LISTS) and ":" not in request.path
    return request.path.startswith(LISTS[("orders", "positions", "activities").index(what)]) and (
        request.path == LISTS[0] or what != "orders"
    )


def client_id(request: Request) -> str:
    """The client order id in the body of a POST."""
    return str(msgspec.json.decode(request.body)["client_order_id"])


def refusal(text: str) -> Answer:
    """`403 40310000 words` as an answer; `-` is no code."""
    status, code, message = (*text.split(" ", 2), "", "")[:3]
    body: dict[str, object] = {"message": message} if code in ("-", "") else {"code": int(code), "message": message}
    return Answer(int(status), msgspec.json.encode(body))


def ours(stage: Stage) -> list[SimOrder]:
    """Open orders of the daemon, oldest first."""
    return [each for each in stage.world.exchange._index.open() if each.client_order_id.startswith(PREFIX)]


def granted(act: Callable[[], object]) -> bool:
    """Do something at the exchange. Returns whether it took it."""
    try:
        act()
    except Refusal:
        return False
    return True
