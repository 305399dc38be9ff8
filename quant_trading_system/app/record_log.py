"""One log line for each signal, decision, order state, fill and repair. Decides their event names, keys and levels.

`client_order_id` is the thread: the same in the decision's line, in every line of its order and in those of its fills.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from quant_trading_system.core.clock import to_datetime
from quant_trading_system.core.money import plain
from quant_trading_system.core.records import (
    AuditRecord,
    DecisionRecord,
    DriftRecord,
    FillRecord,
    LockRecord,
    OrderRecord,
    ReconciliationRecord,
    Record,
)
from quant_trading_system.core.values import Signal

if TYPE_CHECKING:
    from decimal import Decimal

    from structlog.typing import FilteringBoundLogger

INPUTS_HASH_CHARACTERS = 12
UNREMARKABLE_PASSES = ("clean", "discarded")
"""Four a minute, all day: said below INFO."""


class RecordLog:
    """Writes what the engine wants remembered into the log, too, where it can be searched with everything else.

    Alerts are not among it: the log is a channel of alerts already. Equity, books and guards are measurements, whose
    place is the metrics.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._writers: dict[type[Record], Callable[[Any], None]] = {
            DecisionRecord: self._decision,
            OrderRecord: self._order,
            FillRecord: self._fill,
            LockRecord: self._lock,
            DriftRecord: self._drift,
            ReconciliationRecord: self._reconciliation,
            AuditRecord: self._audit,
        }

    def write(self, record: Record) -> None:
        """One line, or none for kinds that are no news."""
        writer = self._writers.get(type(record))
        if writer is not None:
            writer(record)

    def write_signal(self, signal: Signal, seconds: float) -> None:
        """What a strategy said, of which bar, on which inputs, and how long it thought."""
        self._log.debug(
            "signal",
            strategy=signal.strategy,
            symbol=signal.symbol,
            direction=signal.direction.value,
            strength=round(signal.strength, 6),
            confidence=round(signal.confidence, 6),
            reason=signal.reason,
            bar_ts=to_datetime(signal.bar_start_ns).isoformat(),
            inputs_hash=inputs_hash(signal.inputs),
            decision_ms=round(seconds * 1_000, 3),
        )

    def _decision(self, record: DecisionRecord) -> None:
        say = self._log.debug if record.outcome == "refused" else self._log.info  # a wish may be refused at every bar
        say(
            "decision",
            decision_id=record.decision_id,
            client_order_id=record.client_order_id,
            strategy=record.strategy,
            symbol=record.symbol,
            outcome=record.outcome,
            side=None if record.side is None else record.side.value,
            quantity=_text(record.quantity),
            limit_price=_text(record.limit_price),
            inputs_hash=inputs_hash(record.inputs),
            limits_version=record.limits_version,
            reason=record.reason,
        )

    def _order(self, record: OrderRecord) -> None:
        say = self._log.info if record.is_final else self._log.debug  # the steps on the way are in the database
        say(
            "order",
            client_order_id=record.client_order_id,
            order_id=record.broker_order_id,
            decision_id=record.decision_id,
            strategy=record.strategy,
            symbol=record.symbol,
            side=record.side.value,
            quantity=_text(record.quantity),
            limit_price=_text(record.limit_price),
            status=record.status,
            filled_quantity=_text(record.filled_quantity),
            reason=record.reason,
        )

    def _fill(self, record: FillRecord) -> None:
        self._log.info(
            "fill",
            client_order_id=record.client_order_id,
            order_id=record.broker_order_id,
            execution_id=record.execution_id,
            symbol=record.symbol,
            side=record.side.value,
            quantity=_text(record.quantity),
            price=_text(record.price),
            realised_usd=_text(record.realised_usd),
            slippage_bps=_text(record.slippage_bps),
            source=record.source,
        )

    def _lock(self, record: LockRecord) -> None:
        self._log.warning("lock", kind=record.kind, key=record.key, is_locked=record.is_locked, reason=record.reason)

    def _drift(self, record: DriftRecord) -> None:
        self._log.warning(
            "drift",
            kind=record.kind,
            symbol=record.symbol,
            ours=record.ours,
            brokers=record.brokers,
            action=record.action,
        )

    def _reconciliation(self, record: ReconciliationRecord) -> None:
        say = self._log.debug if record.result in UNREMARKABLE_PASSES else self._log.info
        say(
            "reconciliation",
            result=record.result,
            drifts=record.drifts,
            duration_s=round(record.duration_s, 3),
            reason=record.reason,
        )

    def _audit(self, record: AuditRecord) -> None:
        self._log.info(
            "audit",
            actor=record.actor,
            action=record.action,
            outcome=record.outcome,
            reason=record.reason,
            **{f"detail_{name}": text for name, text in record.details.items()},
        )


def inputs_hash(inputs: dict[str, float]) -> str:
    """Short hash of a signal's inputs: equal inputs, equal hash, in the signal's line and in the decision's."""
    return hashlib.sha256(msgspec.json.encode(sorted(inputs.items()))).hexdigest()[:INPUTS_HASH_CHARACTERS]


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)
