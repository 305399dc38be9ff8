"""Whether a difference that nothing explains is treated as one: said, locked, degraded where it must be (C6, C7, D9).

Judges what a pass repaired by its own records: the table of docs/reconciliation.md, written down here again on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

from quant_trading_system.core.effects import Effect, Remember
from quant_trading_system.core.events import AnyEvent, OperatorAsked
from quant_trading_system.core.records import AlertRecord, DriftRecord, LockRecord
from quant_trading_system.core.types import Symbol
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import SECOND_NS, Notes
from tests.simulation.limits import LIMITS

REPAIRS = frozenset({"AdjustPosition", "RestateOrder"})
TOLD: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "AdoptOrder": ("external_order", "order_replaced_outside"),
        "AdoptPosition": ("external_position",),
        "BookCorporateAction": ("corporate_action", "drift_corporate_action"),
        "EnterActivity": ("cash_flow",),
        "LockSymbol": ("drift_missing_order",),
    }
)
"""Besides repairs: what is said of them."""
LOCKING = frozenset({*REPAIRS, "LockSymbol", "BookCorporateAction"})
LOCKED_AT_SIGHT = frozenset({"sign_flip", "changed_execution"})
DRIFT = "drift"
HALF = Decimal("0.5")
SYMBOLS_MAX = 2
GAP_USD, GAP_FRACTION = Decimal(10), Decimal("0.001")
HIDES_ACTIVITIES = ("read_empty", "read_partial", "read_stale", "database_restored")


class Drifting(Judge):
    """Looks at every step that repaired something."""

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._ratios: set[tuple[str, Decimal]] = set()
        symbols = notes.world.symbols
        self._drifted_ns: dict[str, int] = {}
        """When a symbol drifted last, by the records."""
        quiet_s = float(str(LIMITS["quiet_seconds"])) / notes.world.plan.hurry
        self._quiet_ns = int((quiet_s - 0.5) * SECOND_NS)
        for fault in notes.world.plan.faults:
            if fault.kind == "split" and not notes.has_planned(*HIDES_ACTIVITIES):
                new, old = map(Decimal, str(fault.parameters["ratio"]).split(":"))
                self._ratios.add((symbols[int(fault.parameters["symbol"]) % len(symbols)], new / old))
        if notes.has_planned("position_vanishes"):  # which may leave a half, too
            self._ratios = {(symbol, ratio) for symbol, ratio in self._ratios if ratio != HALF}

    def on_start(self) -> None:
        self._drifted_ns.clear()

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        records = [effect.record for effect in effects if type(effect) is Remember]
        drifts = [each for each in records if type(each) is DriftRecord]
        if drifts:
            told = {each.code for each in records if type(each) is AlertRecord}
            for drift in drifts:
                self._judge(drift, told)
            self._judge_cash(drifts, told)
            self._judge_many(drifts)
        for record in records:
            if type(record) is LockRecord and not record.is_locked and record.kind == "symbol":
                self._judge_end(record.key, event)

    def _judge(self, drift: DriftRecord, told: set[str]) -> None:
        engine = self.world.engine
        assert engine is not None, "its step is judged"
        text = f"{drift.symbol}: {drift.kind}, ours {drift.ours}, the broker's {drift.brokers}"
        subject = f"{drift.kind} {drift.symbol} {self.world.incarnation}"
        is_repair = drift.action in REPAIRS
        if is_repair and not any(code.startswith(f"{DRIFT}_") for code in told):
            self.notes.fail("C7", f"{subject} alert", f"{text}: nobody is told")
        elif drift.action in TOLD and not told.intersection(TOLD[drift.action]):
            self.notes.fail("C7", f"{subject} alert", f"{text}: {drift.action}, and nobody is told")
        is_at_sight = drift.action == "Wait" and drift.kind in LOCKED_AT_SIGHT
        if drift.symbol is not None and (drift.action in LOCKING or is_at_sight):
            if Symbol(drift.symbol) not in engine._desk.symbol_locks:
                self.notes.fail("C7", f"{subject} lock", f"{text}: the symbol is open")
            if is_repair:
                self._drifted_ns[drift.symbol] = self.world.mono_ns
        if drift.action == "AdjustPosition":
            self._judge_adjustment(drift, text, subject)
            self._judge_wishes(Symbol(str(drift.symbol)), text, subject)
        if drift.action == "BookCorporateAction" and not self._is_booked(drift):
            self.notes.fail("D9", f"{subject} booked", f"{text}: the books do not say so afterwards")
        if drift.kind == "sign_flip" and drift.action in ("Wait", "AdjustPosition") and not self._is_degraded:
            self.notes.fail("C7", f"{subject} state", f"{text}: the other sign, and new exposure is allowed")

    def _is_booked(self, drift: DriftRecord) -> bool:
        """Whether our shares are those that the broker shows, as a whole and by the sum of the books."""
        engine, words = self.world.engine, drift.brokers.split()
        assert engine is not None, "its step is judged"
        if len(words) < 2 or words[1] != "after":
            return True  # they go on under another name
        ledger, symbol = engine._desk.ledger, Symbol(str(drift.symbol))
        sums = sum((book.quantity for book in ledger.books(symbol).values()), Decimal(0))
        return sums == ledger.position(symbol) == Decimal(words[0])

    def _judge_wishes(self, symbol: Symbol, text: str, subject: str) -> None:
        """A repair is no wish: nobody may trade because of it (I16)."""
        engine = self.world.engine
        assert engine is not None, "its step is judged"
        desk = engine._desk
        for strategy in desk.strategies:
            held, wanted = desk.ledger.book_quantity(strategy, symbol), desk.portfolio.target(strategy, symbol)
            if strategy in desk.ledger.books(symbol) and wanted is not None and abs(wanted) > abs(held):
                self.notes.fail("I16", f"{subject} {strategy}", f"{text}: {strategy} holds {held}, and wants {wanted}")

    @property
    def _is_degraded(self) -> bool:
        engine = self.world.engine
        assert engine is not None, "its step is judged"
        return any(cause.cause == DRIFT for cause in engine._desk.guards.causes())

    def _judge_adjustment(self, drift: DriftRecord, text: str, subject: str) -> None:
        ours, brokers = Decimal(drift.ours), Decimal(drift.brokers)
        if ours and (drift.symbol, brokers / ours) in self._ratios:
            self.notes.fail("D9", f"{subject} split", f"{text}: that is what the split made of them")
        if ours * brokers < 0 and not self._is_degraded:
            self.notes.fail("C7", f"{subject} state", f"{text}: the other sign, and new exposure is allowed")

    def _judge_cash(self, drifts: Sequence[DriftRecord], told: set[str]) -> None:
        """Cash that moved without a word is said; much of it is no rounding. One that activities explain is none."""
        if any(each.action == "EnterActivity" for each in drifts):
            return
        for drift in drifts:
            if drift.action != "SetCash":
                continue
            gap_usd, shown_usd = abs(Decimal(drift.ours) - Decimal(drift.brokers)), abs(Decimal(drift.brokers))
            is_large = gap_usd > max(GAP_USD, GAP_FRACTION * shown_usd)
            if ("drift_cash_gap" if is_large else "cash_adjusted") not in told or (is_large and not self._is_degraded):
                text = f"cash {drift.ours}, the broker's {drift.brokers}: told {', '.join(sorted(told)) or 'nothing'}"
                self.notes.fail("C7", f"cash {self.world.incarnation}", f"{text}, degraded: {self._is_degraded}")

    def _judge_many(self, drifts: Sequence[DriftRecord]) -> None:
        """Drift of many symbols in one pass is no matter of a symbol."""
        symbols = {each.symbol for each in drifts if each.action in REPAIRS}
        if len(symbols) > SYMBOLS_MAX and not self._is_degraded:
            self.notes.fail("C7", f"many {self.world.incarnation}", f"{len(symbols)} symbols drifted in one pass")

    def _judge_end(self, symbol: str, event: AnyEvent) -> None:
        """A lock for drift ends by a person, or when passes agreed for the quiet period."""
        since_ns = self._drifted_ns.pop(symbol, None)
        if since_ns is None or isinstance(event, OperatorAsked):
            return
        quiet_s = (self.world.mono_ns - since_ns) / SECOND_NS
        if self.world.mono_ns - since_ns < self._quiet_ns:
            due_s = self._quiet_ns / SECOND_NS
            text = f"the lock of {symbol} ended {quiet_s:.1f} s after its drift, {due_s:.1f} s are due"
            self.notes.fail("C7", f"quiet {symbol} {self.world.incarnation}", text)
