"""What the stores say of the kill latch, together: engaged, missing and unreadable all block what adds risk."""

from __future__ import annotations

from collections.abc import Mapping

from quant_trading_system.core.types import Latch, Store


class KillSwitch:
    """Remembers the last word of each store. A store that has not been heard counts as missing."""

    def __init__(self) -> None:
        self._latches: dict[Store, Latch] = dict.fromkeys(Store, Latch.MISSING)
        self._reasons: dict[Store, str] = {}

    def observe(self, store: Store, latch: Latch, reason: str = "") -> None:
        self._latches[store] = latch
        self._reasons[store] = reason

    def latch(self, store: Store) -> Latch:
        return self._latches[store]

    def latches(self) -> Mapping[Store, Latch]:
        """A copy: what a decision was built on does not change under it."""
        return dict(self._latches)

    @property
    def is_engaged(self) -> bool:
        """Whether any store says ENGAGED: then everything is to be cancelled, too."""
        return any(latch is Latch.ENGAGED for latch in self._latches.values())

    @property
    def blocks(self) -> bool:
        """Whether nothing that adds risk may pass."""
        return any(latch is not Latch.CLEAR for latch in self._latches.values())

    @property
    def reason(self) -> str:
        """Why it is engaged, in the words of the first store that gave some, or ""."""
        engaged = (store for store, latch in self._latches.items() if latch is Latch.ENGAGED)
        return next((text for store in engaged if (text := self._reasons.get(store, ""))), "")
