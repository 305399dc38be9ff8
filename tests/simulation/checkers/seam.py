"""What the checkers may look at: the world's clock, the exchange's own books, committed rows, and the engine's view.

Decides nothing. Everything here is read; nothing of the code under test is asked for an opinion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Protocol

from quant_trading_system.engine.engine import Engine
from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.orders import SimOrder
from tests.simulation.backup import Losses
from tests.simulation.plan import Plan

Row = Mapping[str, Any]
PREFIX = "qts-"
"""Every client order id of this program begins so."""


class Tap(Protocol):
    """A REST request that reached the broker. `sent_mono_ns`: when its first byte left; `mono_ns`: when it arrived."""

    @property
    def venue_ns(self) -> int: ...
    @property
    def mono_ns(self) -> int: ...
    @property
    def sent_mono_ns(self) -> int: ...
    @property
    def sent_turn(self) -> int: ...
    @property
    def incarnation(self) -> int: ...
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def body(self) -> bytes | None: ...
    @property
    def params(self) -> Mapping[str, str]: ...


class World(Protocol):
    """The simulated world as far as a judge may see it."""

    plan: Plan
    symbols: tuple[str, ...]
    incarnation: int
    """The life that is watched. Others may run beside it: a second daemon, a former leader."""

    @property
    def enlarged(self) -> Mapping[str, int]:
        """Orders of which the broker took more shares than were asked for, and how many."""
        ...

    @property
    def revived(self) -> Mapping[str, int]:
        """Orders of which the broker took its final word back, and when, in venue time."""
        ...

    @property
    def told_absent(self) -> Mapping[str, int]:
        """Client ids of orders that the broker said it has not, and when that word reached the daemon last."""
        ...

    @property
    def exit_text(self) -> str:
        """Why the last process that ended by itself did so, in its own words."""
        ...

    losses: Losses
    """What a restored database does not know any more."""
    ends_s: float
    """When the run is over, in the daemon's seconds."""

    @property
    def elapsed_s(self) -> float: ...
    @property
    def mono_ns(self) -> int: ...
    @property
    def turn(self) -> int: ...
    def venue_ns(self) -> int: ...
    def mono_ns_of(self, server_s: float) -> int:
        """A moment by the database's clock, in the daemon's monotonic time."""
        ...

    @property
    def exchange(self) -> Exchange: ...
    @property
    def engine(self) -> Engine | None: ...
    @property
    def is_database_up(self) -> bool: ...
    def committed(self, table: str) -> Mapping[Any, Row]: ...
    def intent(self, client_order_id: str, sent_mono_ns: int) -> Row | None:
        """The committed row of an intent whose bytes left then, in the database that its sender had."""
        ...

    def file(self, name: str) -> bytes | None:
        """A file of the daemon's machine as a reader sees it, None where there is none."""
        ...

    def reach(self, name: str) -> None: ...
    def violation(self, text: str) -> None: ...


class Truth:
    """The exchange's own books, read beside its interfaces, so that no fault of an answer can colour them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def orders(self) -> Iterator[SimOrder]:
        """Every order of the account, also those whose client id another one took later."""
        return self._world.exchange._index.all()

    @property
    def by_id(self) -> Mapping[str, SimOrder]:
        """Every order by the broker's id, in the order in which they came."""
        return self._world.exchange._index._by_id

    def open_orders(self) -> list[SimOrder]:
        return self._world.exchange._index.open()

    def order(self, client_order_id: str) -> SimOrder | None:
        return self._world.exchange._index._by_client_id.get(client_order_id)

    def position(self, symbol: str) -> Decimal:
        return self._world.exchange._books.qty(symbol)

    def positions(self) -> dict[str, Decimal]:
        return {held.symbol: held.qty for held in self._world.exchange._books.positions()}

    @property
    def cash_usd(self) -> Decimal:
        return self._world.exchange._books.cash

    @property
    def executions(self) -> list[Execution]:
        return self._world.exchange._books.executions
