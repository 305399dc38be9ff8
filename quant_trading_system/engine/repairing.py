"""Carries out what the policy of reconciliation decided: books, adopts, locks, degrades and says so. Sends no order."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import assert_never

from quant_trading_system.core.activities import MoneyClass, cash_moved, money_class
from quant_trading_system.core.broker import Activity
from quant_trading_system.core.money import ONE, ZERO, plain
from quant_trading_system.core.records import DriftRecord, EntryRecord
from quant_trading_system.core.types import Nanos, StrategyId, Symbol
from quant_trading_system.core.values import Allocation
from quant_trading_system.engine.desk import Desk
from quant_trading_system.engine.journal import (
    INFERRED,
    book_changes,
    held_by,
    remember_entry,
    remember_void,
)
from quant_trading_system.engine.order_flow import OrderFlow
from quant_trading_system.ledger.fills import BookedFill
from quant_trading_system.orders.reconcile import (
    Action,
    AdjustPosition,
    AdoptOrder,
    AdoptPosition,
    BookCorporateAction,
    BookExecution,
    Degrade,
    EnterActivity,
    FreezeSymbol,
    LockSymbol,
    ObserveOrder,
    RaiseAlert,
    RestateOrder,
    SetCash,
    Wait,
)

EXTERNAL = StrategyId("external")
DRIFT = "drift"
BEGINNING = "beginning"
FOLLOWED_BY_A_PASS = (
    BookExecution,
    AdjustPosition,
    AdoptPosition,
    ObserveOrder,
    RestateOrder,
    BookCorporateAction,
)
"""After these a further pass follows at once, to see that the books agree now."""


class Repairing:
    """The hands of reconciliation."""

    def __init__(self, desk: Desk, flow: OrderFlow) -> None:
        self._desk = desk
        self._flow = flow
        self.is_degraded = False
        """Whether the pass at hand found what is not the matter of one symbol."""

    def carry_out(self, action: Action) -> bool:
        """Do one action. Returns whether a further pass should follow at once."""
        if isinstance(action, BookExecution | RestateOrder | ObserveOrder | AdoptOrder):
            self._repair_order(action)
        elif isinstance(action, LockSymbol | FreezeSymbol | Degrade | RaiseAlert | Wait):
            self._guard(action)
        else:
            self._repair_books(action)
        if action.difference is not None and not (isinstance(action, Wait) and not action.is_first):
            self._remember_drift(action)
        return isinstance(action, FOLLOWED_BY_A_PASS)

    def begin(self, since_ns: Nanos) -> None:
        """The account is looked at for the first time: what was executed before `since_ns` is in what it holds."""
        desk = self._desk
        desk.anchor_ns = since_ns
        desk.remember(
            EntryRecord(
                venue_ns=since_ns,
                seen_ns=desk.seen_ns,
                kind=BEGINNING,
                reference="",
                symbol=None,
                quantity=ZERO,
                price=ZERO,
                cash_usd=ZERO,
                parts=(),
                text="executions since this moment are booked",
            )
        )

    def anchor(self, activity: Activity) -> None:
        """The account had booked it before its cash was first looked at: it counts no more."""
        self._desk.entered[activity.activity_id] = None
        remember_entry(
            self._desk, "anchor", reference=activity.activity_id, symbol=activity.symbol, text=_say(activity)
        )

    # orders and executions

    def _repair_order(self, action: BookExecution | RestateOrder | ObserveOrder | AdoptOrder) -> None:
        desk = self._desk
        match action:
            case BookExecution():
                self._book_execution(action)
            case RestateOrder():
                self._restate(action)
            case ObserveOrder(order=broker_order):
                outcome = desk.orders.observe(
                    broker_order, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns, source="reconciliation"
                )
                self._flow.settle(outcome, source="reconciliation")
            case AdoptOrder(order=broker_order):
                adopted = desk.orders.adopt(broker_order, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns)
                desk.remember(adopted.to_record(venue_ns=desk.venue_ns, seen_ns=desk.seen_ns))
            case _:
                assert_never(action)

    def _book_execution(self, action: BookExecution) -> None:
        desk, execution = self._desk, action.execution
        order = desk.orders.by_broker_id(execution.broker_order_id)
        source = INFERRED if action.is_inferred else "activity"
        self._flow.book(execution, order, source=source)
        is_inferred = action.is_inferred and order is not None
        note = desk.orders.note_inferred if is_inferred else desk.orders.note_execution
        self._flow.settle(note(execution, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns), source=source)

    def _restate(self, action: RestateOrder) -> None:
        """Take out what the broker has no more, book what it has instead; what is equal stays."""
        desk = self._desk
        order = desk.orders.by_broker_id(action.broker_order_id)
        theirs = {fill.cumulative_quantity: fill for fill in action.executions}
        owners = _owners(desk.ledger.fills.of_order(action.broker_order_id))
        for booked in desk.ledger.fills.of_order(action.broker_order_id):
            told = theirs.get(booked.key[1])
            same = told is not None and (told.quantity, told.price) == (
                booked.execution.quantity,
                booked.execution.price,
            )
            if same:
                continue
            symbol = booked.execution.symbol
            before = _realised(desk, symbol)
            desk.ledger.void(booked.key)
            reason = "the broker took it back" if told is None else "the broker has other numbers"
            remember_void(desk, booked, _realised(desk, symbol) - before, source="broker", reason=reason)
            desk.moved_symbols.add(symbol)
            desk.remember_books(symbol)
        for execution in action.executions:
            self._flow.book(execution, order, source="activity", owners=owners)
        outcome = desk.orders.restate(
            action.broker_order_id, action.executions, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns
        )
        self._flow.settle(outcome, source="activity")
        if action.difference is not None and action.difference.symbol is not None:
            self._want_what_is_held(action.difference.symbol)

    # shares and cash

    def _repair_books(
        self, action: AdoptPosition | AdjustPosition | BookCorporateAction | EnterActivity | SetCash
    ) -> None:
        desk = self._desk
        match action:
            case AdoptPosition(symbol=symbol, quantity=quantity, price=price):
                before = held_by(desk, symbol)
                desk.ledger.adjust(symbol, EXTERNAL, quantity, price, "adopted from the broker")
                self._journal_shares("adoption", symbol, before, price, "held at the broker, not bought by us")
            case AdjustPosition(symbol=symbol, quantity=quantity, price=price):
                before = held_by(desk, symbol)
                desk.ledger.adjust_to(symbol, quantity, price, "broker shows otherwise, seen twice")
                self._want_what_is_held(symbol)
                self._journal_shares("adjustment", symbol, before, price, "the broker shows otherwise, seen twice")
            case BookCorporateAction():
                self._book_corporate(action)
            case EnterActivity(activity=activity):
                self._enter(activity)
            case SetCash(cash_usd=cash_usd):
                self._set_cash(cash_usd)
            case _:
                assert_never(action)

    def _book_corporate(self, action: BookCorporateAction) -> None:
        """One entry: every book keeps its part, and the sum is what the broker shows."""
        desk, symbol = self._desk, action.symbol
        cash_usd = sum((cash_moved(each) for each in action.activities), ZERO)
        before, held = held_by(desk, symbol), desk.ledger.position(symbol)
        kinds = ", ".join(dict.fromkeys(each.kind for each in action.activities))
        if action.moved_to is not None:
            desk.ledger.rename(symbol, action.moved_to)
            ratio = ZERO
            desk.remember_books(action.moved_to)
        else:
            price = action.price or desk.ledger.average_price(symbol)
            desk.ledger.reshape(symbol, action.quantity, cash_usd=cash_usd, price=price)
            ratio = action.quantity / held if held else ONE
        self._journal_shares(
            "corporate_action", symbol, before, action.price, f"{kinds} {plain(held)} → {plain(action.quantity)}",
            cash_usd=cash_usd, reference=action.activities[0].activity_id,
        )  # fmt: skip
        for activity in action.activities:
            desk.entered[activity.activity_id] = None
        for each in action.activities[1:]:
            remember_entry(desk, "corporate_action", reference=each.activity_id, symbol=symbol, text=_say(each))
        if action.moved_to is not None:
            self._want_what_is_held(action.moved_to)
        self._want_what_is_held(symbol)
        self._tell_change(symbol, ratio)

    def _tell_change(self, symbol: Symbol, ratio: Decimal) -> None:
        """What is measured in the old shares: prices, and the stops that others keep."""
        desk = self._desk
        if ratio == ONE:
            return
        if ratio > ZERO:
            desk.market.on_split(symbol, float(ratio))
        for listener in desk.share_changes:
            listener(symbol, ratio)

    def _enter(self, activity: Activity) -> None:
        desk = self._desk
        kind, amount_usd = money_class(activity), cash_moved(activity)
        desk.entered[activity.activity_id] = None
        kind = MoneyClass.INCOME if kind is MoneyClass.IN_LIEU else kind  # of shares that are in no book of ours
        desk.ledger.cash.enter(amount_usd, kind)
        if kind is MoneyClass.FLOW:
            desk.take_flow(activity.venue_ns, amount_usd)
        remember_entry(
            desk,
            kind.value,
            reference=activity.activity_id,
            symbol=activity.symbol,
            cash_usd=amount_usd,
            text=_say(activity),
        )

    def _set_cash(self, cash_usd: Decimal) -> None:
        """Take the broker's figure. Cash that came without a word is a flow until explained, what went is a loss."""
        desk = self._desk
        cash = desk.ledger.cash
        if cash.usd is None:
            desk.ledger.set_cash(cash_usd)
            return
        moved_usd = cash_usd - cash.usd
        desk.ledger.set_cash(cash_usd)
        desk.take_unexplained(desk.venue_ns, moved_usd)
        remember_entry(desk, "cash_gap", cash_usd=moved_usd, text=f"the broker shows {plain(cash_usd)} USD of cash")

    def _journal_shares(
        self,
        kind: str,
        symbol: Symbol,
        before: dict[StrategyId, Decimal],
        price: Decimal,
        text: str,
        *,
        cash_usd: Decimal = ZERO,
        reference: str = "",
    ) -> None:
        desk = self._desk
        parts = book_changes(before, held_by(desk, symbol))
        quantity = sum((part.quantity for part in parts), ZERO)
        remember_entry(
            desk,
            kind,
            reference=reference,
            symbol=symbol,
            quantity=quantity,
            price=price,
            cash_usd=cash_usd,
            parts=parts,
            text=text,
        )
        desk.remember_books(symbol)

    def _want_what_is_held(self, symbol: Symbol) -> None:
        """A repair is no wish: nobody may trade because of it."""
        desk = self._desk
        for strategy in desk.ledger.books(symbol):
            if strategy in desk.strategies:
                desk.portfolio.set_target(strategy, symbol, desk.ledger.book_quantity(strategy, symbol))

    # guarding

    def _guard(self, action: LockSymbol | FreezeSymbol | Degrade | RaiseAlert | Wait) -> None:
        desk = self._desk
        match action:
            case LockSymbol(symbol=symbol, reason=reason):
                desk.lock_symbol(symbol, reason)
                desk.drift_locks[symbol] = desk.mono_ns
            case FreezeSymbol(symbol=symbol, reason=reason):
                if symbol not in desk.symbol_locks:
                    desk.lock_symbol(symbol, reason)
                    desk.frozen[symbol] = desk.mono_ns
                elif symbol in desk.frozen:
                    desk.frozen[symbol] = desk.mono_ns
                self._cancel_ours(symbol, reason)
            case Degrade(reason=reason):
                self.is_degraded = True
                desk.guards.raise_cause(DRIFT, reason, venue_ns=desk.venue_ns, mono_ns=desk.mono_ns)
            case RaiseAlert(severity=severity, code=code, text=text):
                desk.alert(severity, code, text)
            case Wait():
                pass
            case _:
                assert_never(action)

    def _cancel_ours(self, symbol: Symbol, reason: str) -> None:
        """Orders of ours that were meant for other shares; stops are their keeper's."""
        for order in list(self._desk.orders.live(symbol)):
            if not order.is_external and not order.is_protection:
                self._flow.cancel(order.client_order_id, reason)

    def _remember_drift(self, action: Action) -> None:
        desk = self._desk
        difference = action.difference
        assert difference is not None, "only differences are drifts"
        if not desk.is_trading:
            desk.recovered.append(
                f"{difference.kind.replace('_', ' ')} {difference.symbol or ''}: ours {difference.ours}, "
                f"broker's {difference.brokers} → {type(action).__name__}"
            )
        desk.remember(
            DriftRecord(
                venue_ns=desk.venue_ns,
                seen_ns=desk.seen_ns,
                kind=difference.kind,
                symbol=difference.symbol,
                ours=difference.ours,
                brokers=difference.brokers,
                action=type(action).__name__,
            )
        )


def _owners(fills: Sequence[BookedFill]) -> tuple[Allocation, ...]:
    """Whose an order's executions were, for one that is not kept any more."""
    shares: dict[StrategyId, Decimal] = {}
    for part in (part for fill in fills for part in fill.parts):
        shares[part.strategy] = shares.get(part.strategy, ZERO) + part.quantity
    return tuple(Allocation(strategy, quantity) for strategy, quantity in shares.items())


def _realised(desk: Desk, symbol: Symbol) -> Decimal:
    return sum((book.realised_usd for book in desk.ledger.books(symbol).values()), ZERO)


def _say(activity: Activity) -> str:
    return f"{activity.kind} {activity.sub_kind} {activity.text}".replace("  ", " ").strip()
