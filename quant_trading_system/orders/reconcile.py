"""The policy of reconciliation: what is done about each difference. Broker truth wins, and no order is sent (I16).

Orders and fills are facts, taken at once. A position or cash that no fill explains waits for a second sighting, since
activities may lag; then it is journaled, the symbol locked, and somebody told.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.broker import BrokerOrder, Execution
from quant_trading_system.core.types import NANOS_PER_SECOND, MonoNanos, Severity, Symbol
from quant_trading_system.orders.differences import Difference, DifferenceKind, OurBooks, diff

__all__ = [
    "Action",
    "AdjustPosition",
    "AdoptOrder",
    "AdoptPosition",
    "BookExecution",
    "Difference",
    "DifferenceKind",
    "LockSymbol",
    "ObserveOrder",
    "OurBooks",
    "RaiseAlert",
    "ReconcilePolicy",
    "SetCash",
    "Wait",
    "diff",
]

CONFIRMATION_SECONDS_MIN = 14.0
"""Two sightings lie a grid period of 15 s apart, less the jitter of a pass."""


class _Act(Struct, frozen=True, kw_only=True):
    """Base of the actions. `difference` is what the action answers, None for one that goes with another."""

    difference: Difference | None = None


class BookExecution(_Act, frozen=True, kw_only=True):
    execution: Execution


class ObserveOrder(_Act, frozen=True, kw_only=True):
    order: BrokerOrder


class AdoptOrder(_Act, frozen=True, kw_only=True):
    order: BrokerOrder


class AdoptPosition(_Act, frozen=True, kw_only=True):
    """Put signed shares that nobody here bought into the external book."""

    symbol: Symbol
    quantity: Decimal
    price: Decimal


class AdjustPosition(_Act, frozen=True, kw_only=True):
    """Make our position `quantity` signed shares, by a journal entry."""

    symbol: Symbol
    quantity: Decimal
    price: Decimal


class SetCash(_Act, frozen=True, kw_only=True):
    cash_usd: Decimal


class LockSymbol(_Act, frozen=True, kw_only=True):
    symbol: Symbol
    reason: str


class RaiseAlert(_Act, frozen=True, kw_only=True):
    severity: Severity
    code: str
    text: str


class Wait(_Act, frozen=True, kw_only=True):
    """Nothing yet: it must be seen again."""


Action = (
    BookExecution
    | ObserveOrder
    | AdoptOrder
    | AdoptPosition
    | AdjustPosition
    | SetCash
    | LockSymbol
    | RaiseAlert
    | Wait
)

_Sighting = tuple[DifferenceKind, str, Decimal]


class ReconcilePolicy:
    """Remembers what was seen before, so that a second sighting can be told from a first."""

    def __init__(self) -> None:
        self._first_seen: dict[_Sighting, int] = {}
        self._is_waiting = False

    @property
    def has_open_differences(self) -> bool:
        """Whether the last pass left a difference waiting for its second sighting."""
        return self._is_waiting

    def decide(
        self, differences: Sequence[Difference], *, mono_ns: MonoNanos, is_first_pass: bool = False
    ) -> tuple[Action, ...]:
        """What to do, in the order in which it must be done.

        On the first pass of a process nothing of ours is under way: cash, and positions of which our books know
        nothing, are taken over at once.
        """
        seen: dict[_Sighting, int] = {}
        actions: list[Action] = []
        for difference in differences:
            sighting = (difference.kind, difference.key, difference.gap)
            seen[sighting] = self._first_seen.get(sighting, mono_ns)
            is_confirmed = mono_ns - seen[sighting] >= CONFIRMATION_SECONDS_MIN * NANOS_PER_SECOND
            actions.extend(_actions(difference, is_confirmed=is_confirmed, is_first_pass=is_first_pass))
        self._first_seen = seen
        self._is_waiting = any(isinstance(action, Wait) for action in actions)
        return tuple(actions)


def _actions(difference: Difference, *, is_confirmed: bool, is_first_pass: bool) -> list[Action]:
    match difference.kind:
        case DifferenceKind.STATUS_GAP:
            assert difference.order is not None, "a status gap shows the broker's order"
            return [ObserveOrder(difference=difference, order=difference.order)]
        case DifferenceKind.ORPHAN_ORDER:
            assert difference.order is not None, "an orphan order is the broker's order"
            text = f"{difference.symbol}: an order that we did not send is open at the broker ({difference.brokers})"
            return [
                AdoptOrder(difference=difference, order=difference.order),
                RaiseAlert(severity=Severity.WARNING, code="external_order", text=text),
            ]
        case DifferenceKind.MISSING_FILL:
            assert difference.execution is not None, "a missing fill is an execution"
            return [BookExecution(difference=difference, execution=difference.execution)]
        case DifferenceKind.PHANTOM_POSITION if is_first_pass or is_confirmed:
            return _adopt(difference)
        case DifferenceKind.CASH_GAP if is_first_pass:
            return [SetCash(difference=difference, cash_usd=difference.price)]
        case DifferenceKind.SIGN_FLIP if not is_confirmed:
            return [_lock(difference), Wait(difference=difference)]
        case _ if not is_confirmed:
            return [Wait(difference=difference)]
        case _:
            return _confirmed(difference)


def _confirmed(difference: Difference) -> list[Action]:
    """A second sighting of what no fill explains."""
    text = (
        f"{difference.symbol or 'cash'}: {difference.kind}, ours {difference.ours}, the broker's {difference.brokers}"
    )
    if difference.kind is DifferenceKind.CASH_GAP:
        return [
            SetCash(difference=difference, cash_usd=difference.price),
            RaiseAlert(severity=Severity.INFO, code="cash_adjusted", text=text),
        ]
    alert = RaiseAlert(severity=Severity.CRITICAL, code=f"drift_{difference.kind}", text=text)
    if difference.kind is DifferenceKind.MISSING_ORDER:
        return [LockSymbol(difference=difference, symbol=_symbol(difference), reason=f"drift: {text}"), alert]
    adjust = AdjustPosition(
        difference=difference, symbol=_symbol(difference), quantity=difference.quantity, price=difference.price
    )
    return [adjust, _lock(difference), alert]


def _adopt(difference: Difference) -> list[Action]:
    text = f"{difference.symbol}: the broker holds {difference.brokers} shares that we did not buy; taken as external"
    return [
        AdoptPosition(
            difference=difference, symbol=_symbol(difference), quantity=difference.gap, price=difference.price
        ),
        RaiseAlert(severity=Severity.WARNING, code="external_position", text=text),
    ]


def _lock(difference: Difference) -> LockSymbol:
    reason = f"drift: {difference.kind}, ours {difference.ours}, the broker's {difference.brokers}"
    return LockSymbol(symbol=_symbol(difference), reason=reason)


def _symbol(difference: Difference) -> Symbol:
    assert difference.symbol is not None, f"{difference.kind} concerns a symbol"
    return difference.symbol
