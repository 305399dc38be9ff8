"""Plays the faults of a plan: one function a kind, by the names of `plan_kinds`. Decides what each really does.

A function is given a `Stage` and begins its fault there; what it bends is unbent when the fault's time is over, at the
latest when the healing phase begins.
"""

from __future__ import annotations

from tests.simulation.faults import broker, orders, process, requests, stores, streams
from tests.simulation.faults.stage import Player, Stage

PLAYERS: dict[str, Player] = {
    **requests.PLAYERS,
    **broker.PLAYERS,
    **orders.PLAYERS,
    **streams.PLAYERS,
    **stores.PLAYERS,
    **process.PLAYERS,
}

__all__ = ["PLAYERS", "Stage"]
