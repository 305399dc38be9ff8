"""The form of a judge: which requests, steps and moments it looks at. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from quant_trading_system.core.effects import Effect
from quant_trading_system.core.events import AnyEvent
from tests.simulation.checkers.notes import Notes
from tests.simulation.checkers.seam import Tap


class Judge:
    """One judge of some invariants. What it does not override costs nothing."""

    invariants: ClassVar[tuple[str, ...]] = ()
    watches: ClassVar[tuple[type, ...]] = ()
    """Events after which `on_step` is called; () for none. Effects of any step are seen by `on_effects`."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.world = notes.world
        self.truth = notes.truth

    def on_request(self, tap: Tap) -> None:
        """A request arrived at the broker, which has not acted yet."""

    def on_reply(self, tap: Tap) -> None:
        """The broker acted."""

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        """A step of the engine had effects."""

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        """A step of the engine about an event that this judge watches."""

    def on_second(self) -> None:
        """The engine handled its timer of a second."""

    def on_start(self) -> None:
        """A process of the daemon starts."""

    def on_crash(self) -> None:
        """A process of the daemon is gone."""

    def on_exit(self, code: int) -> None:
        """A process of the daemon ended by itself."""

    def at_end(self) -> None:
        """The market's time is over."""
