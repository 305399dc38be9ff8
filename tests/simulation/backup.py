"""A database that is taken back to what it was: what is lost by that, and who could know it. Decides nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tests.simulation.daemon import STATE_DIR

if TYPE_CHECKING:
    from tests.simulation.world import World

MARK = f"{STATE_DIR}/high-water"
"""Where the state directory remembers how far its database had come: a digest, then one JSON object."""


class Losses(Struct, kw_only=True):
    """`intents` were committed once and are gone; `at_ns` is when (monotonic), `tokens` what the database was called.

    `mark` is what the state directory knew then, where that proves that the database is an older one; `guards` is the
    newest row of the guards in the backup: one that comes after it was written by a life that knew the mark.
    """

    at_ns: int = 0
    intents: dict[Any, Mapping[str, Any]] = {}
    tokens: set[str] = set()
    mark: Mapping[str, Any] | None = None
    guards: Mapping[str, Any] | None = None
    is_renewed: bool = True
    """Whether a life that came after the last restore has begun under a token of its own."""


def restore_database(world: World, age_s: float, *, has_mark: bool) -> None:
    """Put the database of `age_s` ago in its place, beside a state directory that knows of it or does not."""
    losses, before = world.losses, dict(world.committed("intents"))
    if not has_mark:
        world.disk.remove_outside(MARK)
    losses.tokens |= {str(row["token"]) for row in world.committed("instance").values()}
    world.database.restore_backup(age_s)
    now = world.committed("intents")
    lost = {key: row for key, row in before.items() if key not in now}
    losses.intents |= lost
    losses.at_ns = world.mono_ns_now()
    losses.mark = _proving(world, world.disk.read(MARK))
    losses.guards = next(reversed(list(world.committed("guards").values())), None)
    losses.is_renewed = losses.mark is None and not _shown_at_broker(world, lost)


def _proving(world: World, raw: bytes | None) -> Mapping[str, Any] | None:
    """The mark, where it is ahead of the database."""
    if raw is None:
        return None
    mark: dict[str, Any] = msgspec.json.decode(raw.partition(b"\n")[2])
    sequence = max((row["sequence"] for row in world.committed("intents").values()), default=0)
    epoch = max((row["epoch"] for row in world.committed("lease").values()), default=0)
    return mark if mark["sequence"] > sequence or mark["epoch"] > epoch else None


def _shown_at_broker(world: World, lost: Mapping[Any, Mapping[str, Any]]) -> bool:
    """Whether the broker has an order of which the database has lost the intent by this restore."""
    known = world.exchange._index._by_client_id
    return any(client_order_id in known for (client_order_id,) in lost)
