"""What the engine wants done at the edge. The shell carries it out and answers with events."""

from __future__ import annotations

from msgspec import Struct

from quant_trading_system.core.records import Record
from quant_trading_system.core.types import BrokerOrderId, ClientOrderId, HealingAction, Stream
from quant_trading_system.core.values import Approved


class Effect(Struct, frozen=True, kw_only=True):
    """Base of all effects."""


class SendOrder(Effect, frozen=True, kw_only=True):
    """Store the intent durably, re-check, send. Answers: OrderSending and Answered, Refused or InDoubt; or Dropped."""

    approved: Approved


class CancelOrder(Effect, frozen=True, kw_only=True):
    """Cancel at the broker. Answers: CancelAnswered or CancelInDoubt."""

    client_order_id: ClientOrderId
    broker_order_id: BrokerOrderId
    reason: str


class CancelEverything(Effect, frozen=True, kw_only=True):
    """Cancel every order at the broker, ours or not, retrying until it shows none that can raise exposure.

    Protective stops stay, unless `spares_stops` is off.
    """

    reason: str
    spares_stops: bool = True


class AskOrder(Effect, frozen=True, kw_only=True):
    """Ask the broker by client order id. Answers: LookupAnswered or LookupFailed."""

    client_order_id: ClientOrderId
    reason: str


class RequestReconciliation(Effect, frozen=True, kw_only=True):
    """Run a pass now, besides the grid. Answers: BrokerSnapshot or SnapshotFailed."""

    reason: str


class EngageLatch(Effect, frozen=True, kw_only=True):
    """Write ENGAGED: latch file, then PostgreSQL, then Redis. Answers: LatchSeen for each."""

    operator: str
    reason: str


class ClearLatch(Effect, frozen=True, kw_only=True):
    """Write CLEAR everywhere after an accepted reset. Answers: LatchSeen for each."""

    operator: str
    reason: str


class CycleStream(Effect, frozen=True, kw_only=True):
    """Make a stream's connection anew. Answers: StreamDown, then StreamUp."""

    stream: Stream
    reason: str


class AllowHealing(Effect, frozen=True, kw_only=True):
    """The answer to HealingAsked, for the part that asked."""

    action: HealingAction
    target: str
    is_allowed: bool


class Remember(Effect, frozen=True, kw_only=True):
    """Store a row behind, in batches; show it to whoever listens."""

    record: Record


class Answer(Effect, frozen=True, kw_only=True):
    """The outcome of an operator's request, for the caller who waits."""

    request_id: str
    accepted: bool
    text: str
    details: dict[str, str] = {}
