"""What happened to orders lately, for event streams that are resumed (reference 8). Decides how much of it is kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from quant_trading_system.simulator.events import OrderEvent
from quant_trading_system.simulator.restore import EVENTS_KEPT_MAX
from quant_trading_system.simulator.server.event_wire import ulid_number

Json = dict[str, object]
WriteEvent = Callable[[OrderEvent, int], Json | None]
"""What is told of an event and the time of its publication; None where the profile knows no such event."""


@dataclass(frozen=True, slots=True)
class Logged:
    """An order event and when it was published."""

    event: OrderEvent
    published_ns: int
    write: WriteEvent

    @property
    def stamp_ns(self) -> int:
        return self.event.timestamp_ns

    @property
    def number(self) -> int:
        """What its id stands for."""
        return ulid_number(self.event.timestamp_ns, self.event.sequence)

    def data(self) -> Json | None:
        return self.write(self.event, self.published_ns)


class EventLog:
    """The last EVENTS_KEPT_MAX order events.

    Args:
        restored: those of the journal, of an exchange that goes on; when they were published is not known any more and
            taken to be when they happened.
    """

    def __init__(self, write: WriteEvent, restored: Iterable[OrderEvent] = ()) -> None:
        self._write = write
        self._kept: deque[Logged] = deque(
            (Logged(event, event.timestamp_ns, write) for event in restored), maxlen=EVENTS_KEPT_MAX
        )
        self._listeners: dict[Callable[[Logged], None], None] = {}

    def add(self, event: OrderEvent, *, published_ns: int) -> None:
        """Keep an event and tell those who listen."""
        logged = Logged(event, published_ns, self._write)
        self._kept.append(logged)
        for listener in tuple(self._listeners):
            listener(logged)

    def history(self) -> list[Logged]:
        """Everything that is kept, oldest first."""
        return list(self._kept)

    def listen(self, listener: Callable[[Logged], None]) -> None:
        self._listeners[listener] = None

    def leave(self, listener: Callable[[Logged], None]) -> None:
        self._listeners.pop(listener, None)
