"""The broker's failures that only this package tells apart. Decides nothing."""

from __future__ import annotations

from quant_trading_system.core.errors import Unavailable, VenueError


class BudgetExhausted(Unavailable):
    """The request budget had no room in time. Nothing was sent."""


class CircuitOpen(Unavailable):
    """The target failed too often lately and is being left alone. Nothing was sent."""


class Unreachable(Unavailable):
    """No connection was made: nobody is there, or the way there is closed."""


class NoSuchPath(Unavailable):
    """Whoever answers does not know the path: a proxy, or an interface that is not whole. It proves nothing."""


class RateLimited(Unavailable):
    """A read was answered 429. Asking again at once would make it worse."""


class Unreadable(Unavailable):
    """A read was answered with something that is not what was asked for. It proves nothing."""


class BrokerAuthError(VenueError):
    """The broker refuses the keys, or what they may see. Trying again does not help; a person must act."""


class StreamEnded(Exception):
    """A stream's connection is over.

    Args:
        reason: why, in words for a person.
        wait_s: least time to stay away before the next attempt, in seconds.
    """

    def __init__(self, reason: str, *, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s
