"""The stream of corporate actions. Decides when an action is told: at the midnight of the day it is declared.

Replay is of everything that is known; ids are functions of the action, so that a client resumes after a restart too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from aiohttp import web

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.instants import NANOS_PER_MS, new_york_ns
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.server.action_wire import Json, action_json
from quant_trading_system.simulator.server.actions import FIRST_DAY, LAST_DAY, KnownActions
from quant_trading_system.simulator.server.errors import invalid_data
from quant_trading_system.simulator.server.event_span import Span, read_span
from quant_trading_system.simulator.server.event_wire import ulid, ulid_number
from quant_trading_system.simulator.server.stamps import stamp_text

ACTIONS_PATH = "/v1beta1/events/corporate-actions"
LOOK_NS = NANOS_PER_MINUTE  # of venue time between two looks for new actions
REGION = "us"
REGIONS = ("all", "us", "non_us")
LAST_EVENT_HEADER = "Last-Event-Id"
_SUFFIX = "_corporateaction_event"
TYPES = tuple(
    kind + _SUFFIX
    for kind in (
        "cash_dividend",
        "cash_merger",
        "equity_partial_call",
        "forward_split",
        "name_change",
        "redemption",
        "reorganization",
        "reverse_split",
        "rights_distribution",
        "spin_off",
        "stock_and_cash_merger",
        "stock_dividend",
        "stock_merger",
        "unit_split",
        "worthless_removal",
    )
)
_SEQUENCE_BYTES = 10  # what a ULID has beside its time


@dataclass(frozen=True, slots=True)
class ActionEvent:
    """The news of one action."""

    action: CorporateAction
    stamp_ns: int

    @property
    def number(self) -> int:
        return ulid_number(self.stamp_ns, self._sequence)

    @property
    def type(self) -> str:
        return self.action.kind + _SUFFIX

    @property
    def _sequence(self) -> int:
        return int.from_bytes(blake2b(self.action.id.encode(), digest_size=_SEQUENCE_BYTES).digest(), "big")

    def data(self) -> Json:
        return {
            "action": "insert",
            "at": stamp_text(self.stamp_ns),
            "ca": action_json(self.action, lambda rate: format(rate, "f")),
            "event_id": ulid(self.stamp_ns, self._sequence),
            "event_type": self.type,
            "region": REGION,
        }


Listener = Callable[[ActionEvent], None]


class ActionEvents:
    """All actions as they become known.

    Args:
        start_ns: when the world began.
    """

    def __init__(self, known: KnownActions, *, start_ns: int, now_ns: Callable[[], int]) -> None:
        self._known = known
        self._start_ns = start_ns
        self._now_ns = now_ns
        self._listeners: dict[Listener, None] = {}
        self._told: dict[str, None] = {}  # ids of what was known at the last look
        self._looked_ns = 0

    def history(self) -> Sequence[ActionEvent]:
        """What is known, in the order in which it became known."""
        known = self._known(None, FIRST_DAY, LAST_DAY)
        return sorted(map(self._event, known), key=lambda event: event.number)

    def listen(self, listener: Listener) -> None:
        if not self._listeners:
            self._told = dict.fromkeys(event.action.id for event in self.history())
        self._listeners[listener] = None

    def leave(self, listener: Listener) -> None:
        self._listeners.pop(listener, None)

    def tick(self) -> None:
        """Tell what has become known since the last look; nothing is looked for when nobody listens."""
        now_ns = self._now_ns()
        if not self._listeners or now_ns - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = now_ns
        for event in self.history():
            if event.action.id not in self._told:
                self._told[event.action.id] = None
                for listener in tuple(self._listeners):
                    listener(event)

    def _event(self, action: CorporateAction) -> ActionEvent:
        if action.declared_date is not None:
            return ActionEvent(action, new_york_ns(action.declared_date))
        # Nobody says when it was declared: it was known when the world began, or is older than the world.
        return ActionEvent(action, min(new_york_ns(action.ex_date), self._start_ns))


class FilteredEvents:
    """The events that one client wants."""

    def __init__(self, events: ActionEvents, *, types: Sequence[str], region: str) -> None:
        self._events = events
        self._types = types
        self._is_ours = region in ("all", REGION)
        self._listening: dict[Listener, Listener] = {}

    def history(self) -> Sequence[ActionEvent]:
        return [event for event in self._events.history() if self._is_wanted(event)]

    def listen(self, listener: Listener) -> None:
        def tell(event: ActionEvent) -> None:
            if self._is_wanted(event):
                listener(event)

        self._listening[listener] = tell
        self._events.listen(tell)

    def leave(self, listener: Listener) -> None:
        tell = self._listening.pop(listener, None)
        if tell is not None:
            self._events.leave(tell)

    def _is_wanted(self, event: ActionEvent) -> bool:
        return self._is_ours and (not self._types or event.type in self._types)


def read_filters(query: Mapping[str, str]) -> tuple[Sequence[str], str]:
    """The types and the region asked for; no types are all.

    Raises:
        Refusal: 400 with the valid values.
    """
    types = [part for part in query.get("type", "").split(",") if part]
    for name in types:
        if name not in TYPES:
            raise invalid_data(f"invalid type: {name}, valid values are: {', '.join(TYPES)}")
    region = query.get("region", "").lower() or "all"
    if region not in REGIONS:
        raise invalid_data(f"invalid region: {region}, valid values are: {', '.join(REGIONS)}")
    return types, region


def read_action_span(request: web.Request, now_ns: int) -> Span:
    """The span asked for; unlike those of order events its ids are included, and its end is not in the future.

    Raises:
        Refusal: 400 where it makes no sense.
    """
    values = dict(request.query)
    if LAST_EVENT_HEADER in request.headers:
        values.pop("since", None)
        values["since_id"] = request.headers[LAST_EVENT_HEADER]
    try:
        span = read_span(values)
    except Refusal as refusal:
        raise invalid_data(refusal.message) from None
    if (span.until_ns or 0) > now_ns or (span.until_id or 0) >= ulid_number(now_ns + NANOS_PER_MS, 0):
        raise invalid_data("until cannot be in the future")
    since_id = span.since_id - 1 if span.since_id else span.since_id
    return Span(since_ns=span.since_ns, until_ns=span.until_ns, since_id=since_id, until_id=span.until_id)
