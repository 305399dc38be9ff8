"""What a campaign must have visited: every fault kind, every pair of them, every item of the "sometimes" list.

Decides when a campaign has seen enough. One that never met a path proves nothing of it: it fails and names the path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from types import MappingProxyType

from quant_trading_system.orders.status import TABLE
from tests.simulation.plan_kinds import KINDS, POINTS, REFUSALS

KIND_HITS_MIN, PAIR_SEEDS_MIN, ITEM_HITS_MIN = 1_000, 20, 50
FULL_SEEDS = 10_000
"""Below it the sums are reported; from it on a shortage fails the campaign."""
FAULT = "fault."

STATUS_WORDS = (
    "new", "partially_filled", "filled", "done_for_day", "canceled", "expired", "replaced", "pending_cancel",
    "pending_replace", "accepted", "pending_new", "accepted_for_bidding", "stopped", "rejected", "suspended",
    "calculated", "held", "pending_review",
)  # fmt: skip
"""Alpaca's 17 words and the SDKs' 18th."""
DRIFTS = (
    "missing_fill", "changed_execution", "status_gap", "orphan_order", "missing_order", "phantom_position",
    "lost_position", "quantity_gap", "sign_flip", "corporate_action", "cash_flow", "cash_gap",
)  # fmt: skip
"""The twelve kinds."""

SOMETIMES: tuple[str, ...] = (
    "unknown.entered", "unknown.resolved_live", "unknown.resolved_absent",
    "fill_before_ack", "cancel_race.fill_won", "cancel_race.cancel_won", "fill.inferred_then_real",
    "action.AdoptOrder", "action.AdoptPosition", "drift.sign_flip", "kill.between_check_and_write",
    "lease.lost_mid_submit", "commit.ambiguous_done", "commit.ambiguous_undone", "guard_trip.across_restart",
    "reconcile.overlaps_fill", "cause.feed_silent", "action.BookCorporateAction", "restored.open_orders",
    "stop.placed", "stop.replaced", "stop.died", "replace_chain.followed", "crash.five_deep", "takeover",
)  # fmt: skip

UNMET_BEFORE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # The gateway tells SENDING in the loop step of the first byte: no word of the broker finds an order READY.
        "READY": ("SENDING", "DROPPED"),
        # Nobody at the broker knows an order of which no byte left; one that hides until its absence is proven is no
        # fault that can be told from absence, so none is planned.
        "DROPPED": (),
    }
)
"""States that no seed leaves but for those named; unit tests hold the other pairs of the order table."""


def items() -> tuple[str, ...]:
    """Every name that must be reached often enough."""
    return (
        *SOMETIMES,
        *(f"status.{word}" for word in STATUS_WORDS),
        *(f"drift.{kind}" for kind in DRIFTS if f"drift.{kind}" not in SOMETIMES),
        *_refusals(),
        *_transitions(),
        *(f"crash.{name}" for name in POINTS),
    )


def shortages(reached: Mapping[str, int], *, minimum: int = ITEM_HITS_MIN) -> list[str]:
    """Items reached less often than `minimum`, with how often."""
    return [f"{name}: {reached.get(name, 0)} of {minimum}" for name in items() if reached.get(name, 0) < minimum]


def kind_shortages(reached: Mapping[str, int], *, minimum: int = KIND_HITS_MIN) -> list[str]:
    """Fault kinds that took effect less often than `minimum`."""
    hits = {kind.name: reached.get(FAULT + kind.name, 0) for kind in KINDS}
    return [f"{FAULT}{name}: {count} of {minimum}" for name, count in hits.items() if count < minimum]


def pair_shortages(pairs: Mapping[str, int], *, minimum: int = PAIR_SEEDS_MIN) -> list[str]:
    """Pairs of fault kinds that took effect in fewer seeds than `minimum`."""
    names = sorted(kind.name for kind in KINDS)
    return [
        f"{pair}: {pairs.get(pair, 0)} of {minimum}"
        for pair in (pair_name(*two) for two in combinations(names, 2))
        if pairs.get(pair, 0) < minimum
    ]


def pairs_of(reached: Iterable[str]) -> Iterator[str]:
    """The pairs of fault kinds that took effect in one seed."""
    kinds = sorted(name[len(FAULT) :] for name in reached if name.startswith(FAULT))
    return (pair_name(*two) for two in combinations(kinds, 2))


def pair_name(first: str, second: str) -> str:
    return f"{first}+{second}"


def _refusals() -> Iterator[str]:
    """Every refusal of the plan as the engine is told it."""
    names = dict.fromkeys(refusal.split()[0] + "." + refusal.split()[1].replace("-", "None") for refusal in REFUSALS)
    return (f"refusal.{name}" for name in names)


def _transitions() -> Iterator[str]:
    """Every change of status that the table allows."""
    pairs = dict.fromkeys((before.name, after.name) for (before, _), after in TABLE.items() if before is not after)
    return (f"transition.{before}.{after}" for before, after in pairs if after in UNMET_BEFORE.get(before, (after,)))
