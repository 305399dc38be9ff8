"""The policy of reconciliation: what is done about each difference. Broker truth wins, and no order is sent (I16).

Orders, fills and activities are facts, taken at once. What none of them explains waits for a second sighting, since
activities may lag; then it is journaled, the symbol locked, and somebody told. The table is in docs/reconciliation.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from quant_trading_system.core.broker import Activity, BrokerOrder, Execution
from quant_trading_system.core.money import plain
from quant_trading_system.core.types import NANOS_PER_SECOND, BrokerOrderId, MonoNanos, Severity, Symbol
from quant_trading_system.orders.differences import Difference, DifferenceKind, OurBooks
from quant_trading_system.orders.holdings import diff

__all__ = [
    "Action",
    "AdjustPosition",
    "AdoptOrder",
    "AdoptPosition",
    "BookCorporateAction",
    "BookExecution",
    "Degrade",
    "Difference",
    "DifferenceKind",
    "EnterActivity",
    "FreezeSymbol",
    "LockSymbol",
    "ObserveOrder",
    "OurBooks",
    "RaiseAlert",
    "ReconcilePolicy",
    "RestateOrder",
    "SetCash",
    "Wait",
    "diff",
]

CONFIRMATION_SECONDS_MIN = 15.0
FLUX_SECONDS_MAX = 30.0
"""So long a difference may change from pass to pass, or be explained by a working order; then it is judged as it is."""
CASH_GAP_USD_MAX = Decimal(10)
CASH_GAP_FRACTION_MAX = Decimal("0.001")
"""More cash than this, and a thousandth of what there is, going without a word is no rounding: no new exposure."""
SYMBOLS_IN_DRIFT_MAX = 2
"""Drift of more symbols in one pass is no matter of a symbol."""


class _Act(Struct, frozen=True, kw_only=True):
    """Base of the actions. `difference` is what the action answers, None for one that goes with another."""

    difference: Difference | None = None


class BookExecution(_Act, frozen=True, kw_only=True):
    execution: Execution
    is_inferred: bool = False


class RestateOrder(_Act, frozen=True, kw_only=True):
    """Put the broker's executions of an order in the place of ours."""

    broker_order_id: BrokerOrderId
    executions: tuple[Execution, ...]


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


class BookCorporateAction(_Act, frozen=True, kw_only=True):
    """Bring the books of a symbol to `quantity` signed shares, or to another symbol, as its activities say."""

    symbol: Symbol
    quantity: Decimal
    price: Decimal
    moved_to: Symbol | None
    activities: tuple[Activity, ...]


class EnterActivity(_Act, frozen=True, kw_only=True):
    """Book cash that is no trade."""

    activity: Activity


class SetCash(_Act, frozen=True, kw_only=True):
    cash_usd: Decimal


class LockSymbol(_Act, frozen=True, kw_only=True):
    symbol: Symbol
    reason: str


class FreezeSymbol(_Act, frozen=True, kw_only=True):
    """Lock a symbol until a later pass agrees on it."""

    symbol: Symbol
    reason: str


class Degrade(_Act, frozen=True, kw_only=True):
    """Take no new exposure at all: the difference is not the matter of one symbol."""

    reason: str


class RaiseAlert(_Act, frozen=True, kw_only=True):
    severity: Severity
    code: str
    text: str


class Wait(_Act, frozen=True, kw_only=True):
    """Nothing yet: it must be seen again. `is_first`: this is its first sighting."""

    is_first: bool = True


Action = (
    BookExecution
    | RestateOrder
    | ObserveOrder
    | AdoptOrder
    | AdoptPosition
    | AdjustPosition
    | BookCorporateAction
    | EnterActivity
    | SetCash
    | LockSymbol
    | FreezeSymbol
    | Degrade
    | RaiseAlert
    | Wait
)

OF_SHARES = frozenset(
    {
        DifferenceKind.PHANTOM_POSITION,
        DifferenceKind.LOST_POSITION,
        DifferenceKind.QUANTITY_GAP,
        DifferenceKind.SIGN_FLIP,
    }
)
"""One gap of shares has another of these names as soon as we trade beside it; seen again it is the same."""

_Sighting = tuple[DifferenceKind, str, Decimal]
_Subject = tuple[DifferenceKind, str]


class ReconcilePolicy:
    """Remembers what was seen before, so that a second sighting can be told from a first."""

    def __init__(self) -> None:
        self._first_seen: dict[_Sighting, int] = {}
        self._subjects: dict[_Subject, int] = {}
        self._told: set[_Subject] = set()
        self._due_mono_ns: int | None = None

    @property
    def has_open_differences(self) -> bool:
        """Whether the last pass left a difference waiting for its second sighting."""
        return self._due_mono_ns is not None

    def wants_another_look(self, mono_ns: int) -> bool:
        """Whether what waits was first seen so long ago that the next pass decides."""
        return self._due_mono_ns is not None and mono_ns >= self._due_mono_ns

    def sight(self, differences: Sequence[Difference], *, mono_ns: MonoNanos) -> None:
        """Differences that wait for a pass that reads further back were seen here first."""
        for difference in differences:
            kind = DifferenceKind.QUANTITY_GAP if difference.kind in OF_SHARES else difference.kind
            self._first_seen.setdefault((kind, difference.key, difference.gap), mono_ns)

    def decide(
        self,
        differences: Sequence[Difference],
        *,
        mono_ns: MonoNanos,
        is_first_pass: bool = False,
        is_partial: bool = False,
    ) -> tuple[Action, ...]:
        """What to do, in the order in which it must be done.

        On the first pass of a process nothing of ours is under way: positions of which our books know nothing are
        taken over at once. What a partial look does not show is still waiting.
        """
        seen: dict[_Sighting, int] = {}
        subjects: dict[_Subject, int] = {}
        actions: list[Action] = []
        waits: list[int] = []
        told: set[_Subject] = set()
        for difference in differences:
            kind = DifferenceKind.QUANTITY_GAP if difference.kind in OF_SHARES else difference.kind
            sighting = (kind, difference.key, difference.gap)
            subject = (kind, difference.key)
            seen[sighting] = self._first_seen.get(sighting, mono_ns)
            subjects[subject] = self._subjects.get(subject, mono_ns)
            is_confirmed = mono_ns >= _due_ns(difference, seen[sighting], subjects[subject])
            if is_confirmed and difference.kind is DifferenceKind.MISSING_ORDER and subject in self._told:
                actions.append(_lock(difference))  # it was said; the lock stays fresh as long as it lasts
                told.add(subject)
                continue
            if is_confirmed:
                told.add(subject)
            decided = _actions(difference, is_confirmed=is_confirmed, is_first_pass=is_first_pass)
            if any(isinstance(action, Wait) for action in decided):
                waits.append(_due_ns(difference, seen[sighting], subjects[subject]))
                wait = Wait(difference=difference, is_first=subject not in self._subjects)
                decided = [wait if isinstance(action, Wait) else action for action in decided]
            actions.extend(decided)
        if is_partial:
            seen, subjects, told = {**self._first_seen, **seen}, {**self._subjects, **subjects}, self._told | told
            waits += [] if self._due_mono_ns is None else [self._due_mono_ns]
        self._first_seen, self._subjects, self._told = seen, subjects, told
        self._due_mono_ns = min(waits, default=None)
        return (*actions, *_degrade_for_many(actions))


def _due_ns(difference: Difference, seen_ns: int, subject_ns: int) -> int:
    """From when on another sighting confirms it."""
    in_the_end_ns = subject_ns + int(FLUX_SECONDS_MAX * NANOS_PER_SECOND)
    if difference.is_in_flux:
        return in_the_end_ns
    return min(in_the_end_ns, seen_ns + int(CONFIRMATION_SECONDS_MIN * NANOS_PER_SECOND))


def _actions(difference: Difference, *, is_confirmed: bool, is_first_pass: bool) -> list[Action]:
    match difference.kind:
        case DifferenceKind.STATUS_GAP:
            assert difference.order is not None, "a status gap shows the broker's order"
            drift = difference if difference.is_settled else None  # else it is but another word for the same
            return [ObserveOrder(difference=drift, order=difference.order)]
        case DifferenceKind.ORPHAN_ORDER:
            return _adopt_order(difference)
        case DifferenceKind.CORPORATE_ACTION:
            return _corporate(difference, is_confirmed=is_confirmed or is_first_pass)
        case DifferenceKind.MISSING_FILL if difference.is_settled or is_confirmed:
            return _book(difference)
        case DifferenceKind.CASH_FLOW if difference.is_settled or is_confirmed or is_first_pass:
            return _enter(difference)
        case DifferenceKind.PHANTOM_POSITION if is_first_pass or is_confirmed:
            return _adopt(difference)
        case DifferenceKind.CASH_GAP if _takes_back(difference):
            return [SetCash(difference=difference, cash_usd=difference.price)]
        case _:
            return _confirmed(difference) if is_confirmed else _seen_once(difference)


def _takes_back(difference: Difference) -> bool:
    """Whether an activity explains afterwards what the cash was set to without a word."""
    return difference.is_settled


def _seen_once(difference: Difference) -> list[Action]:
    """A first sighting of what may pass by itself; shares of which it is not known whose they are lock the symbol."""
    wait = Wait(difference=difference)
    match difference.kind:
        case DifferenceKind.SIGN_FLIP:
            return [_lock(difference), _degrade(difference), wait]
        case DifferenceKind.CHANGED_EXECUTION:
            return [_lock(difference), wait]
        case _:
            return [wait]


def _book(difference: Difference) -> list[Action]:
    assert difference.execution is not None, "a missing fill is an execution"
    return [BookExecution(difference=difference, execution=difference.execution, is_inferred=not difference.is_settled)]


def _confirmed(difference: Difference) -> list[Action]:
    """A second sighting of what no fill explains."""
    text = _text(difference)
    if difference.kind is DifferenceKind.CASH_GAP:
        return _take_cash(difference, text)
    alert = RaiseAlert(severity=Severity.CRITICAL, code=f"drift_{difference.kind}", text=text)
    if difference.kind is DifferenceKind.MISSING_ORDER:
        return [LockSymbol(difference=difference, symbol=_symbol(difference), reason=f"drift: {text}"), alert]
    if difference.kind is DifferenceKind.CHANGED_EXECUTION:
        order_id = BrokerOrderId(difference.key)
        restate = RestateOrder(difference=difference, broker_order_id=order_id, executions=difference.executions)
        return [restate, _lock(difference), alert]
    adjust = AdjustPosition(
        difference=difference, symbol=_symbol(difference), quantity=difference.quantity, price=difference.price
    )
    flip = [_degrade(difference)] if difference.kind is DifferenceKind.SIGN_FLIP else []
    return [adjust, _lock(difference), *flip, alert]


def _adopt_order(difference: Difference) -> list[Action]:
    assert difference.order is not None, "an orphan order is the broker's order"
    text = f"{difference.symbol}: an order that we did not send is open at the broker ({difference.brokers})"
    return [
        AdoptOrder(difference=difference, order=difference.order),
        RaiseAlert(severity=Severity.WARNING, code="external_order", text=text),
    ]


def _adopt(difference: Difference) -> list[Action]:
    text = f"{difference.symbol}: the broker holds {difference.brokers} shares that we did not buy; taken as external"
    return [
        AdoptPosition(
            difference=difference, symbol=_symbol(difference), quantity=difference.gap, price=difference.price
        ),
        RaiseAlert(severity=Severity.WARNING, code="external_position", text=text),
    ]


def _corporate(difference: Difference, *, is_confirmed: bool) -> list[Action]:
    """What is settled is booked; what does not fit the shares that are shown waits, then the shares shown are right."""
    symbol, text = _symbol(difference), _text(difference)
    freeze = [FreezeSymbol(symbol=each, reason=f"corporate action: {text}") for each in _symbols(difference)]
    if not (difference.is_settled or is_confirmed):
        return [*freeze, Wait(difference=difference)]
    book = BookCorporateAction(
        difference=difference,
        symbol=symbol,
        quantity=difference.quantity,
        price=difference.price,
        moved_to=difference.moved_to,
        activities=difference.activities,
    )
    if difference.is_settled or not difference.gap:
        return [book, *freeze, RaiseAlert(severity=Severity.WARNING, code="corporate_action", text=text)]
    alert = RaiseAlert(severity=Severity.CRITICAL, code=f"drift_{difference.kind}", text=text)
    return [book, _lock(difference), alert]


def _enter(difference: Difference) -> list[Action]:
    (activity,) = difference.activities
    return [
        EnterActivity(difference=difference, activity=activity),
        RaiseAlert(severity=Severity.INFO, code="cash_flow", text=_text(difference)),
    ]


def _take_cash(difference: Difference, text: str) -> list[Action]:
    take = SetCash(difference=difference, cash_usd=difference.price)
    gap_usd, shown_usd = abs(difference.gap), abs(difference.price)
    if gap_usd <= max(CASH_GAP_USD_MAX, CASH_GAP_FRACTION_MAX * shown_usd):
        return [take, RaiseAlert(severity=Severity.INFO, code="cash_adjusted", text=text)]
    alert = RaiseAlert(severity=Severity.CRITICAL, code="drift_cash_gap", text=f"{plain(difference.gap)} USD; {text}")
    return [take, _degrade(difference), alert]


def _degrade_for_many(actions: Sequence[Action]) -> list[Action]:
    """Drift in one symbol locks the symbol; in many at once it is the account's."""
    drifting = {action.symbol for action in actions if isinstance(action, LockSymbol)}
    if len(drifting) <= SYMBOLS_IN_DRIFT_MAX:
        return []
    return [Degrade(reason=f"{len(drifting)} symbols drifted in one pass: {', '.join(sorted(drifting))}")]


def _lock(difference: Difference) -> LockSymbol:
    reason = f"drift: {difference.kind}, ours {difference.ours}, the broker's {difference.brokers}"
    return LockSymbol(symbol=_symbol(difference), reason=reason)


def _degrade(difference: Difference) -> Degrade:
    return Degrade(reason=_text(difference))


def _text(difference: Difference) -> str:
    subject = difference.symbol or "cash"
    return f"{subject}: {difference.kind}, ours {difference.ours}, the broker's {difference.brokers}"


def _symbol(difference: Difference) -> Symbol:
    assert difference.symbol is not None, f"{difference.kind} concerns a symbol"
    return difference.symbol


def _symbols(difference: Difference) -> list[Symbol]:
    return [_symbol(difference)] if difference.moved_to is None else [_symbol(difference), difference.moved_to]
