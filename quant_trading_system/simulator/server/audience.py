"""Decides who gets a message: clients by channel and symbol, looked up once and remembered until somebody asks anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from quant_trading_system.simulator.server.feeds import asked_channel


class Subscriber(Protocol):
    """One connection and what it asked for."""

    def asked_for(self, channel: str, symbol: str) -> bool: ...


Client = TypeVar("Client", bound=Subscriber)


class Audience(Generic[Client]):
    """The subscribers of some feeds.

    A market has tens of thousands of messages a second and few subscribers, who seldom change their minds: a message
    costs one look into a dictionary of the (channel, symbol) pairs that were met since the last change.

    Args:
        clients: everyone who may be told something, at the moment.
    """

    def __init__(self, clients: Callable[[], Iterator[Client]]) -> None:
        self._clients = clients
        self._met: dict[tuple[str, str], tuple[Client, ...]] = {}
        self.is_empty = True

    def changed(self) -> None:
        """Somebody came, went, or asked for something else."""
        self._met.clear()
        self.is_empty = next(self._clients(), None) is None

    def of(self, channel: str, symbol: str) -> tuple[Client, ...]:
        key = (channel, symbol)
        found = self._met.get(key)
        if found is None:
            asked = asked_channel(channel)
            found = tuple(client for client in self._clients() if client.asked_for(asked, symbol))
            self._met[key] = found
        return found
