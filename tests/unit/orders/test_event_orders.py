"""Whatever order an order's events come in, and however often: one end, fills once, exposure never too small."""

# mypy: disable-error-code="comparison-overlap"
# An order changes its status under calls that mypy does not follow, and a Decimal equals an int.

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_trading_system.core.types import Nanos, OrderClass, Side
from quant_trading_system.orders.manager import Outcome
from quant_trading_system.orders.status import Status
from tests.unit.orders.builders import IBM, START_NS, Desk, booked

STEP_NS = 5_000_000_000  # between two moments at the venue: contradictions of one moment are another matter


class Life:
    """What a broker does with one order of 100 shares, and every word it says of it, stamped with its own clock."""

    def __init__(self, parts: Sequence[int], end: str) -> None:
        self.parts = parts
        self.end = end
        self.events: list[Callable[[Desk], Outcome]] = []
        self.filled = Decimal(0)
        self._moment = 0
        self._say("new", "new")
        for part in parts:
            self._fill(part)
        if self.filled < 100 and end != "open":
            if end == "canceled":
                self._say("pending_cancel", "pending_cancel")
            self._say(end, end)

    def _next_ns(self) -> Nanos:
        self._moment += 1
        return Nanos(START_NS + self._moment * STEP_NS)

    def _say(self, word: str, status: str) -> None:
        filled, stamp = self.filled, self._next_ns()
        self.events.append(lambda desk: desk.update(word, status=status, filled_quantity=filled, updated_ns=stamp))

    def _fill(self, part: int) -> None:
        self.filled += part
        cumulative, stamp = int(self.filled), self._next_ns()
        self.events.append(lambda desk: desk.fill(part, cumulative, updated_ns=stamp))

    @property
    def last_status(self) -> Status:
        if self.filled >= 100:
            return Status.FILLED
        if self.end == "open":
            return Status.PARTIAL if self.filled else Status.WORKING
        return Status[self.end.upper()]


def settle(desk: Desk, life: Life) -> None:
    """What a reconciliation brings at last: the last picture again, and every execution."""
    life.events[-1](desk)
    cumulative = 0
    for part in life.parts:
        cumulative += part
        desk.orders.note_execution(desk.execution(part, cumulative), **desk.stamps)


@st.composite
def lives(draw: st.DrawFn) -> Life:
    parts: list[int] = []
    while sum(parts) < 100 and draw(st.booleans()):
        parts.append(draw(st.integers(1, 100 - sum(parts))))
    return Life(parts, draw(st.sampled_from(["open", "canceled", "expired"])))


@pytest.mark.fault("C3")
@pytest.mark.invariant("I13")
@settings(max_examples=300, deadline=None)
@given(lives(), st.data())
def test_any_order_with_duplicates_ends_in_the_same_state(life: Life, data: st.DataObject):
    drawn = data.draw(st.lists(st.sampled_from(life.events), max_size=4))
    events = data.draw(st.permutations([*life.events, *drawn]))
    desk = Desk()
    order = desk.sent()
    outcomes = [event(desk) for event in events]
    settle(desk, life)
    assert booked(*outcomes) == life.filled
    assert order.executed_quantity == order.filled_quantity == life.filled
    assert order.status is life.last_status
    assert order.is_final is (life.last_status in (Status.FILLED, Status.CANCELED, Status.EXPIRED))
    assert [outcome.lock_symbol for outcome in outcomes if outcome.lock_symbol] == []


@pytest.mark.fault("C4")
@pytest.mark.invariant("I14")
@settings(max_examples=300, deadline=None)
@given(lives(), st.data())
def test_fills_never_fall(life: Life, data: st.DataObject):
    events = data.draw(st.permutations([*life.events, *life.events]))
    desk = Desk()
    order = desk.sent()
    seen = Decimal(0)
    for event in events:
        event(desk)
        assert order.filled_quantity >= seen
        seen = order.filled_quantity


@pytest.mark.invariant("I5")
@settings(max_examples=300, deadline=None)
@given(lives(), st.data())
def test_what_may_still_execute_is_never_counted_too_small(life: Life, data: st.DataObject):
    """However little is heard: what is booked and what is open cover what the broker executed and may yet execute."""
    count = data.draw(st.integers(0, len(life.events)))
    heard = data.draw(st.permutations(life.events))[:count]
    desk = Desk()
    order = desk.sent()
    outcomes = [event(desk) for event in heard]
    may_execute = Decimal(100) if life.end == "open" else life.filled
    assert booked(*outcomes) + order.open_quantity >= max(may_execute, life.filled)


# every small interleaving of what happens at once

Step = tuple[str, Callable[[Desk], object]]


def happenings() -> list[list[Step]]:
    """Channels that run beside each other, each in its own order. The broker fills 40, then cancels the rest."""

    def at(moment: int) -> Nanos:
        return Nanos(START_NS + moment * STEP_NS)

    return [
        [
            ("sending", lambda desk: desk.sending()),
            ("answer", lambda desk: desk.answer(status="pending_new", updated_ns=at(1))),
        ],
        [
            ("new", lambda desk: desk.update("new", updated_ns=at(2))),
            ("part", lambda desk: desk.fill(40, 40, updated_ns=at(3))),
            (
                "canceled",
                lambda desk: desk.update("canceled", status="canceled", filled_quantity=Decimal(40), updated_ns=at(5)),
            ),
        ],
        [
            ("want cancel", lambda desk: desk.cancel()),
            ("cancel taken", lambda desk: desk.cancel_answer()),
        ],
    ]


def interleavings(channels: list[list[Step]]) -> list[tuple[Step, ...]]:
    """All merges of the channels."""
    if not any(channels):
        return [()]
    found = []
    for index, channel in enumerate(channels):
        if channel:
            rest = [list(other) for other in channels]
            first = rest[index].pop(0)
            found += [(first, *others) for others in interleavings(rest)]
    return found


ALL = interleavings(happenings())


@pytest.mark.fault("A5")
@pytest.mark.fault("A8")
@pytest.mark.fault("B1")
@pytest.mark.fault("B2")
@pytest.mark.invariant("I4")
@pytest.mark.invariant("I5")
@pytest.mark.invariant("I13")
def test_submit_acknowledge_fill_and_cancel_in_every_interleaving():
    assert len(ALL) == 210
    for steps in ALL:
        names = [name for name, _ in steps]
        desk = Desk()
        order = desk.open()
        outcomes = []
        for name, step in steps:
            outcome = step(desk)
            if isinstance(outcome, Outcome):
                outcomes.append(outcome)
            covered = booked(*outcomes) + order.open_quantity
            assert covered >= (40 if "canceled" in names[: names.index(name) + 1] else 100), names
        assert booked(*outcomes) == 40, names
        assert order.status is Status.CANCELED, names
        assert order.is_final, names
        assert [outcome.lock_symbol for outcome in outcomes if outcome.lock_symbol] == [], names


@pytest.mark.fault("A2")
@pytest.mark.fault("A5")
@pytest.mark.invariant("I4")
def test_a_lost_answer_beside_the_stream_in_every_interleaving():
    steps: list[Step] = [
        ("doubt", lambda desk: desk.lose_answer()),
        ("new", lambda desk: desk.update("new", updated_ns=Nanos(START_NS + STEP_NS))),
        ("fill", lambda desk: desk.fill(100, 100, updated_ns=Nanos(START_NS + 2 * STEP_NS))),
        ("look up", lambda desk: desk.look_up(status="new", updated_ns=Nanos(START_NS + STEP_NS))),
    ]
    for order_of in permutations(steps):
        desk = Desk()
        order = desk.sent()
        outcomes = [outcome for _, step in order_of if isinstance(outcome := step(desk), Outcome)]
        assert order.status is Status.FILLED, [name for name, _ in order_of]
        assert booked(*outcomes) == 100
        assert order.is_final


# groups: an entry and its stop


@pytest.mark.invariant("I5")
@pytest.mark.fault("E3")
def test_an_entry_and_its_leg_never_count_for_a_position_that_cannot_be():
    desk = Desk()
    entry = desk.sent(order_class=OrderClass.OTO, stop_loss_price=Decimal(49))
    leg = desk.shown(
        broker_order_id="leg-1", client_order_id="leg-of-the-broker", side=Side.SELL, order_type="stop",
        order_class="oto", limit_price=None, stop_price=Decimal(49), status="held",
    )  # fmt: skip
    desk.answer(order_class="oto", legs=(leg,))
    assert desk.orders.open_quantities(IBM) == (100, 0, False), "a leg that is held sells nothing"
    desk.seconds = 1
    desk.fill(40, 40)
    assert desk.orders.open_quantities(IBM) == (60, 0, False)
    desk.fill(60, 100)
    assert entry.is_final
    assert desk.orders.open_quantities(IBM) == (0, 100, False), "now it can sell all of it"


@pytest.mark.fault("B7")
@pytest.mark.invariant("I14")
def test_both_legs_of_a_bracket_that_fill_are_too_much():
    desk = Desk()
    desk.sent(order_class=OrderClass.BRACKET, stop_loss_price=Decimal(49), take_profit_price=Decimal(52))
    leg: dict[str, object] = {"side": Side.SELL, "order_class": "bracket"}
    stop = desk.shown(
        **leg, broker_order_id="stop-1", client_order_id="s", order_type="stop", limit_price=None,
        stop_price=Decimal(49), status="held",
    )  # fmt: skip
    profit = desk.shown(**leg, broker_order_id="profit-1", client_order_id="p", limit_price=Decimal(52), status="new")
    desk.answer(order_class="bracket", legs=(profit, stop))
    desk.seconds = 1
    desk.fill(100, 100, order_class="bracket")
    orders = {order.broker_order_id: order for order in desk.orders.live()}
    assert {order.strategy for order in orders.values()} == {"momentum"}
    outcomes = []
    for order in list(orders.values()):
        desk.seconds += 1
        execution = desk.execution(100, 100)
        execution = type(execution)(
            **{name: getattr(execution, name) for name in execution.__struct_fields__}
            | {"broker_order_id": order.broker_order_id, "side": Side.SELL}
        )
        outcomes.append(desk.orders.note_execution(execution, **desk.stamps))
    assert [code for outcome in outcomes for _, code, _ in outcome.alerts] == ["overfill"]
    assert outcomes[-1].lock_symbol is not None
