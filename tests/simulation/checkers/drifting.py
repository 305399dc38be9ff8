"""Whether a difference that nothing explains is treated as one: said, locked, degraded where it must be (C6, C7, D9).

Judges what a pass repaired by its own records: the table of docs/reconciliation.md, written down here again on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from quant_trading_system.core.effects import Effect, Remember
from quant_trading_system.core.events import AnyEvent
from quant_trading_system.core.records import AlertRecord, DriftRecord
from quant_trading_system.core.types import Symbol
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import Notes

REPAIRS = frozenset({"AdjustPosition", "RestateOrder"})
DRIFT = "drift"
HALF = Decimal("0.5")
HIDES_ACTIVITIES = ("read_empty", "read_partial", "read_stale", "database_restored")


class Drifting(Judge):
    """Looks at every step that repaired something."""

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._ratios: set[tuple[str, Decimal]] = set()
        symbols = notes.world.symbols
        for fault in notes.world.plan.faults:
            if fault.kind == "split" and not notes.has_planned(*HIDES_ACTIVITIES):
                new, old = map(Decimal, str(fault.parameters["ratio"]).split(":"))
                self._ratios.add((symbols[int(fault.parameters["symbol"]) % len(symbols)], new / old))
        if notes.has_planned("position_vanishes"):  # which may leave a half, too
            self._ratios = {(symbol, ratio) for symbol, ratio in self._ratios if ratio != HALF}

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        records = [effect.record for effect in effects if type(effect) is Remember]
        drifts = [each for each in records if type(each) is DriftRecord and each.action in REPAIRS]
        if not drifts:
            return
        told = [each.code for each in records if type(each) is AlertRecord]
        for drift in drifts:
            self._judge(drift, is_told=any(code.startswith(f"{DRIFT}_") for code in told))

    def _judge(self, drift: DriftRecord, *, is_told: bool) -> None:
        engine = self.world.engine
        assert engine is not None, "its step is judged"
        text = f"{drift.symbol}: {drift.kind}, ours {drift.ours}, the broker's {drift.brokers}"
        subject = f"{drift.kind} {drift.symbol} {self.world.incarnation}"
        if not is_told:
            self.notes.fail("C7", f"{subject} alert", f"{text}: nobody is told")
        if drift.symbol is not None and Symbol(drift.symbol) not in engine._desk.symbol_locks:
            self.notes.fail("C7", f"{subject} lock", f"{text}: the symbol is open")
        if drift.action != "AdjustPosition":
            return
        ours, brokers = Decimal(drift.ours), Decimal(drift.brokers)
        if ours and (drift.symbol, brokers / ours) in self._ratios:
            self.notes.fail("D9", f"{subject} split", f"{text}: that is what the split made of them")
        is_degraded = any(cause.cause == DRIFT for cause in engine._desk.guards.causes())
        if ours * brokers < 0 and not is_degraded:
            self.notes.fail("C7", f"{subject} state", f"{text}: the other sign, and new exposure is allowed")
