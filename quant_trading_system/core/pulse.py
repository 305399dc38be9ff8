"""How a task shows life to whoever watches over it. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable

Pulse = Callable[[float | None], None]
"""Called with the seconds that the next step may take at most, 0 for one that ends at once; None: nothing is owed."""


def no_pulse(_for_s: float | None) -> None:
    """Nobody watches."""
