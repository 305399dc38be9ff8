"""What goes wrong, how often, in which order: drawn from a seed. Section 12 of the protocol's description, as a table.

A schedule begins when the client first listens, unless it is rude from the first request, and is over on request:
afterwards everything is answered as on a good day, so that books can be compared.
"""

from __future__ import annotations

import random
from collections import Counter

SUBMIT, CANCEL, READ, LIST, CLOCK, ACCOUNT = "submit", "cancel", "read", "list", "clock", "account"
TRADE_HANDSHAKE, TRADE_LOGIN, TRADE_EVENT, TRADE_TICK = "trade_handshake", "trade_login", "trade_event", "trade_tick"
DATA_HANDSHAKE, DATA_LOGIN, DATA_TICK, DATA_BAR = "data_handshake", "data_login", "data_tick", "data_bar"

Entry = tuple[str, float, int]
"""Kind, probability at each opportunity, at most so often."""

TABLE: dict[str, tuple[Entry, ...]] = {
    SUBMIT: (
        ("accept_then_504", 0.08, 3),
        ("accept_then_cut", 0.08, 3),
        ("accept_then_silence", 0.04, 1),
        ("accept_then_empty", 0.05, 2),
        ("accept_then_truncated", 0.05, 2),
        ("lost_504", 0.05, 2),
        ("lost_cut", 0.05, 2),
        ("too_many_bare", 0.05, 2),
        ("too_many_told", 0.05, 2),
        ("refused_buying_power", 0.05, 1),
        ("filled_before_answer", 0.10, 5),
        ("late_reject", 0.06, 2),
        ("unknown_status", 0.05, 1),
        ("rests", 0.15, 6),
    ),
    CANCEL: (("stuck", 0.2, 2), ("fill_first", 0.2, 3), ("error_500", 0.1, 2), ("cut", 0.1, 2)),
    READ: (
        ("html_502", 0.03, 5),
        ("error_500", 0.03, 5),
        ("too_many_bare", 0.02, 3),
        ("empty_body", 0.02, 3),
        ("truncated", 0.02, 3),
        ("cut", 0.02, 3),
        ("slow", 0.03, 4),
        ("extra_fields", 0.2, 1_000),
        ("offset_stamps", 0.1, 1_000),
        ("numbers", 0.1, 1_000),
    ),
    LIST: (("empty_list", 0.04, 4), ("stale", 0.05, 5), ("partial_page", 0.04, 4)),
    CLOCK: (("html_401", 0.05, 2), ("skewed", 0.05, 2)),
    ACCOUNT: (("blocked", 0.02, 1), ("new_status", 0.02, 1), ("stale_buying_power", 0.2, 20)),
    TRADE_HANDSHAKE: (("too_many", 0.3, 2),),
    TRADE_LOGIN: (("silent", 0.2, 1), ("new_form_refused", 0.2, 2), ("not_listening", 0.1, 1)),
    TRADE_EVENT: (
        ("dropped", 0.06, 6),
        ("replayed", 0.12, 20),
        ("late", 0.08, 10),
        ("unknown_word", 0.04, 3),
        ("bare", 0.08, 10),
        ("no_new", 0.08, 10),
    ),
    TRADE_TICK: (("starve", 0.004, 1), ("close_1000", 0.004, 1), ("abort", 0.004, 1), ("error_frame", 0.003, 1)),
    DATA_HANDSHAKE: (("too_many", 0.2, 1),),
    DATA_LOGIN: (("connection_limit", 0.15, 1), ("auth_timeout", 0.15, 1)),
    DATA_TICK: (("mute", 0.004, 1), ("close", 0.004, 1), ("slow_client", 0.003, 1)),
    DATA_BAR: (("doubled", 0.2, 10), ("updated", 0.3, 50), ("corrections", 0.2, 20), ("unknown_kind", 0.1, 10)),
}


class Schedule:
    """Draws what happens at each opportunity. A swarm: each seed leaves about half of the kinds out."""

    def __init__(
        self,
        seed: int,
        *,
        is_rude_start: bool = False,
        boost: float = 1.0,
        only: tuple[str, ...] = (),
        without: tuple[str, ...] = (),
    ) -> None:
        self._rng = random.Random(seed)
        self._boost = boost
        self.is_on = is_rude_start
        self.is_over = False
        self.counts: Counter[str] = Counter()
        chosen: dict[str, tuple[Entry, ...]] = {}
        for point, entries in TABLE.items():
            kept = tuple(
                entry for entry in entries if (f"{point}.{entry[0]}" in only if only else self._rng.random() < 0.6)
            )
            chosen[point] = tuple(entry for entry in kept if f"{point}.{entry[0]}" not in without)
        self._table = chosen

    def begin(self) -> None:
        """The client is ready: from now on things go wrong."""
        self.is_on = not self.is_over

    def end(self) -> None:
        """A good day from now on."""
        self.is_on, self.is_over = False, True

    def draw(self, point: str) -> str | None:
        """What goes wrong at this opportunity; None: nothing."""
        if not self.is_on:
            return None
        for kind, probability, most in self._table[point]:
            name = f"{point}.{kind}"
            if self.counts[name] < most and self._rng.random() < min(1.0, probability * self._boost):
                self.counts[name] += 1
                return kind
        return None

    def chance(self, probability: float) -> bool:
        return self._rng.random() < probability

    def between(self, low: float, high: float) -> float:
        return self._rng.uniform(low, high)
