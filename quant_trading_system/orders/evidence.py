"""What the broker says of an order, taken into the order: its id, its fills, its status, in this order of weight.

Decides what is new, what is old news, and what contradicts. Executions beat every status (I13); an older picture is
ignored; what the table refuses is said and reconciled.
"""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.broker import BrokerOrder, Execution
from quant_trading_system.core.money import ZERO, plain
from quant_trading_system.core.types import NANOS_PER_SECOND, Severity
from quant_trading_system.orders.making import role_of
from quant_trading_system.orders.order import STOP_LOSS, TAKE_PROFIT, Order
from quant_trading_system.orders.outcome import Work
from quant_trading_system.orders.status import (
    BELIEVED_DEAD,
    CORRECTIONS,
    EVENT_WORDS,
    EVENTS_LIKE_STATUS,
    FINAL_WORDS,
    TERMINAL,
    IllegalTransition,
    Status,
    Trigger,
    advance,
    meaning,
)

PENDING = frozenset({Trigger.CANCEL_ASKED, Trigger.REPLACE_ASKED})
SHOWN_LIVE = frozenset({Status.WORKING, Status.PARTIAL, Status.CANCELING, Status.REPLACING})
BY_EVIDENCE = TERMINAL - BELIEVED_DEAD
BACKWARD_NS_MIN = NANOS_PER_SECOND
"""A picture with fewer fills is a contradiction only where it is newer by more than stamps of one moment may differ."""


def take_execution(work: Work, execution: Execution, *, is_settled: bool = False) -> None:
    """Book a fill; a known one changes nothing (I13), more than was ordered locks the symbol (I14).

    A frame whose numbers cannot be is not booked: the broker's activities have the last word, which `is_settled` says.
    """
    order = work.order
    cumulative = execution.cumulative_quantity
    known = None if cumulative in order.inferred else order.executions.get(cumulative)
    if known is not None:
        if known != (execution.quantity, execution.price):
            work.alert(
                Severity.CRITICAL, "execution_contradicts", f"fill at {plain(cumulative)} came with other numbers"
            )
            work.lock("two different executions with one identity")
            work.reconcile("two different executions with one identity")
        return
    flaw = "" if is_settled else _flaw(order, execution)
    if flaw:
        work.alert(Severity.CRITICAL, "execution_contradicts", f"a fill at {plain(cumulative)} {flaw}; not booked")
        work.lock(f"a fill that cannot be: it {flaw}")
        work.reconcile("a fill that cannot be: the broker's activities tell")
        if cumulative < execution.quantity <= order.echoed_quantity:
            order.shown_filled = max(order.shown_filled, execution.quantity)  # the larger of both, at worst (I5)
        return
    order.make_room(execution)
    work.book(execution)  # the ledger knows what was booked before a restart
    if not order.note(execution):
        return
    newest = max(order.executions)
    if cumulative > order.quantity and order.quantity > 0:
        work.alert(Severity.CRITICAL, "overfill", f"{plain(cumulative)} shares filled of {plain(order.quantity)}")
        work.lock("filled more than was ordered")
        work.reconcile("overfill")
    elif _undone_by_legs(order) > _done_by_entry(order):
        text = f"legs filled {plain(_undone_by_legs(order))} shares of an entry of {plain(_done_by_entry(order))}"
        work.alert(Severity.CRITICAL, "overfill", text)
        work.lock("the legs of one entry filled more than it did")
        work.reconcile("overfill of legs")
    elif order.executed_quantity > max(newest, order.base_filled):
        work.alert(Severity.CRITICAL, "execution_overlaps", "executions sum to more than their cumulative quantity")
        work.lock("executions overlap")
        work.reconcile("executions overlap")
    advance_by_fill(work)


def _flaw(order: Order, execution: Execution) -> str:
    """What is impossible about a fill, "" where nothing is: counted twice, or beyond the order out of nowhere."""
    end, begin = execution.cumulative_quantity, execution.cumulative_quantity - execution.quantity
    if begin < ZERO:
        return "moves more shares than it says to have filled in all"
    told = [(known, quantity) for known, (quantity, _) in order.executions.items() if known not in order.inferred]
    if any(begin < known and known - quantity < end for known, quantity in told):
        return "overlaps another one"
    if end > order.echoed_quantity > ZERO and begin > order.executed_quantity:
        return "is beyond the order, and what would lie between is not known"
    if begin >= order.echoed_quantity > ZERO:
        return "moves shares after the last one of the order"
    return ""


def _undone_by_legs(order: Order) -> Decimal:
    """Shares that the legs of this one's entry executed together (fault B7); 0 of an order that is no leg."""
    legs = () if order.parent is None else order.parent.legs.values()
    return sum((leg.executed_quantity for leg in legs), ZERO)


def _done_by_entry(order: Order) -> Decimal:
    """Shares that a leg's entry may have bought at most."""
    return ZERO if order.parent is None else max(order.parent.quantity, order.parent.filled_quantity)


def advance_by_fill(work: Work) -> None:
    """Let the status follow the executions."""
    order = work.order
    if order.executed_quantity <= 0:
        return
    is_complete = order.executed_quantity >= max(order.quantity, order.echoed_quantity) > 0
    step(work, Trigger.LAST_FILL if is_complete else Trigger.PART_FILL)


def take_picture(work: Work, shown: BrokerOrder, *, event_word: str | None = None, is_pass: bool = False) -> None:
    """Take the broker's picture of the order.

    Args:
        event_word: the name of the stream's event, None for an answer.
        is_pass: it is part of a reconciliation pass, which brings the executions, too.
    """
    order = work.order
    if order.is_external and shown.updated_ns >= order.broker_updated_ns:
        _follow(order, shown)
    _learn_identity(work, shown)
    _compare_echo(work, shown)
    age_ns = shown.updated_ns - order.broker_updated_ns
    if shown.filled_quantity < order.filled_quantity and _is_backward(work, shown):
        work.alert(
            Severity.CRITICAL,
            "filled_quantity_fell",
            f"from {plain(order.filled_quantity)} to {plain(shown.filled_quantity)} shares",
        )
        work.lock("the filled quantity fell")
        work.reconcile("the filled quantity fell")
        return
    is_credible = _take_filled(work, shown.filled_quantity, is_pass=is_pass)
    if event_word in CORRECTIONS:
        work.alert(Severity.CRITICAL, str(event_word), "the venue changed what it had reported")
        work.lock(f"{event_word}: only the broker's positions tell")
        work.reconcile(str(event_word))
        return
    if event_word is not None and event_word not in EVENTS_LIKE_STATUS and event_word not in EVENT_WORDS:
        work.alert(Severity.WARNING, "unknown_event", f"trade_updates said {event_word!r}")
        work.reconcile(f"unknown event {event_word!r}")
    if age_ns >= 0 and is_credible:
        _take_status(work, shown, event_word, is_pass=is_pass)


def step(work: Work, trigger: Trigger) -> bool:
    """Advance by the table; what it refuses is said and reconciled. Returns whether it was legal."""
    order = work.order
    before = order.status
    try:
        after = advance(before, trigger)
    except IllegalTransition as refused:
        work.alert(Severity.WARNING, "illegal_transition", str(refused))
        work.reconcile(f"illegal transition: {refused}")
        return False
    if after is not before:
        if before in BELIEVED_DEAD and after not in TERMINAL:
            work.alert(Severity.CRITICAL, "order_came_back", f"{before.name}, and now {trigger.name}")
        _enter(work, after)
    if order.status is Status.WORKING and order.filled_quantity > 0:
        _enter(work, advance(order.status, Trigger.PART_FILL))
    return True


def doubt(work: Work, reason: str) -> None:
    """Only the broker knows: ask it, at once and then on schedule."""
    if step(work, Trigger.DOUBT):
        work.order.reason = reason
        ask(work, reason)


def ask(work: Work, reason: str, *, delays_s: tuple[float, ...] = (1.0,)) -> None:
    """Ask by client id now; the next question is due after the next delay."""
    order = work.order
    work.ask(reason)
    delay_s = delays_s[min(order.asks, len(delays_s) - 1)]
    order.asks += 1
    order.next_ask_mono_ns = work.mono_ns + int(delay_s * NANOS_PER_SECOND)


def _enter(work: Work, status: Status) -> None:
    order = work.order
    order.status = status
    order.status_mono_ns = work.mono_ns
    order.asks = 0
    order.next_ask_mono_ns = 0
    order.contradiction = None  # what was refused there may be right here
    if status is Status.UNKNOWN:
        begin_quarantine(work)
    else:
        order.unknown_since_mono_ns = None


def begin_quarantine(work: Work) -> None:
    order = work.order
    order.unknown_since_mono_ns = work.mono_ns
    order.clean_passes = 0
    order.empty_answer_mono_ns = None


def _learn_identity(work: Work, shown: BrokerOrder) -> None:
    order = work.order
    if order.broker_order_id is None:
        order.broker_order_id = shown.broker_order_id
        order.acknowledged_ns = work.venue_ns
    elif order.broker_order_id != shown.broker_order_id:
        work.alert(
            Severity.CRITICAL,
            "two_orders_of_one_intent",
            f"broker orders {order.broker_order_id} and {shown.broker_order_id}",
        )
        work.lock("two broker orders of one intent")
        work.reconcile("two broker orders of one intent")


def _follow(order: Order, shown: BrokerOrder) -> None:
    """An order of the broker's making is what the broker says: it resizes legs, and a replacement is somebody's wish.

    So is a stop of ours after a corporate action, which multiplies shares and divides prices. What an order was sent
    for stays in its allocations.
    """
    if shown.quantity is not None:
        order.quantity = order.echoed_quantity = shown.quantity
    order.limit_price, order.stop_price = shown.limit_price, shown.stop_price


def _compare_echo(work: Work, shown: BrokerOrder) -> None:
    """What was approved is what was sent (I7): a different echo locks the symbol, and the larger quantity counts.

    Should the broker show another symbol or side, the order counts there as well (fault A13).
    """
    order = work.order
    if order.is_external:
        return
    differences = [
        f"{name} {theirs} instead of {ours}"
        for name, ours, theirs in (
            ("symbol", order.symbol, shown.symbol),
            ("side", order.side, shown.side),
            ("quantity", order.quantity, shown.quantity),
            ("limit price", order.limit_price, shown.limit_price),
            ("stop price", order.stop_price, shown.stop_price),
            ("type", order.order_type, str(shown.order_type)),
            *_leg_pairs(order, shown),
        )
        if ours != theirs
    ]
    if not differences:
        order.is_echoed = True
        return
    if order.is_protection and order.is_echoed and (order.symbol, order.side) == (shown.symbol, shown.side):
        work.alert(Severity.WARNING, "stop_altered", f"the broker shows {'; '.join(differences)}")
        work.reconcile("the broker altered a protective stop")
        _follow(order, shown)
        return
    order.echo_symbol = shown.symbol if shown.symbol != order.symbol else order.echo_symbol
    order.echo_side = shown.side if shown.side is not order.side else order.echo_side
    if shown.quantity is not None:
        order.echoed_quantity = max(order.echoed_quantity, shown.quantity)
    if differences and "echo_differs" not in order.alerts_raised:
        work.alert_once(Severity.CRITICAL, "echo_differs", f"the broker shows {'; '.join(differences)}")
        work.lock("the broker shows another order than was sent")
        work.reconcile("echo differs")


def _leg_pairs(order: Order, shown: BrokerOrder) -> list[tuple[str, object, object]]:
    """What was asked of the legs, and what the broker made of it; nothing where it shows none."""
    if not shown.legs:
        return []
    prices = {role_of(leg): leg.stop_price if role_of(leg) == STOP_LOSS else leg.limit_price for leg in shown.legs}
    pairs: list[tuple[str, object, object]] = [
        ("stop-loss price", order.stop_loss_price, prices.get(STOP_LOSS)),
        ("take-profit price", order.take_profit_price, prices.get(TAKE_PROFIT)),
    ]
    pairs += [("quantity of a leg", order.quantity, leg.quantity) for leg in shown.legs]
    return pairs + [("side of a leg", order.side.opposite, leg.side) for leg in shown.legs]


def _is_backward(work: Work, shown: BrokerOrder) -> bool:
    order = work.order
    newest_ns = max(order.broker_updated_ns, order.last_execution_ns)
    return newest_ns > 0 and shown.updated_ns - newest_ns >= BACKWARD_NS_MIN


def _take_filled(work: Work, shown_filled: Decimal, *, is_pass: bool) -> bool:
    """Take the filled quantity over. Returns whether it can be: more than was ordered only a whole pass can say."""
    order = work.order
    if shown_filled > order.echoed_quantity > 0:
        work.alert_once(Severity.CRITICAL, "overfill", f"{plain(shown_filled)} shares filled")
        work.lock("filled more than was ordered")
        if not is_pass and shown_filled > order.executed_quantity:
            work.reconcile("filled more than was ordered: a pass and the activities tell")
            return False
    order.shown_filled = max(order.shown_filled, shown_filled)
    if order.shown_filled > order.executed_quantity and not is_pass:
        work.reconcile(
            f"the status shows {plain(order.shown_filled)} shares filled, executions {plain(order.executed_quantity)}"
        )
    return True


def _telling(shown: BrokerOrder, event_word: str | None) -> str:
    """The word to go by: of an order that ended, a refused cancel tells no more than its end."""
    if event_word is None or event_word not in EVENT_WORDS or shown.status in FINAL_WORDS:
        return shown.status
    return event_word


def _take_status(work: Work, shown: BrokerOrder, event_word: str | None, *, is_pass: bool) -> None:
    order = work.order
    word = _telling(shown, event_word)
    trigger = EVENT_WORDS.get(word, meaning(word))
    is_news = shown.updated_ns > order.broker_updated_ns
    if order.status in TERMINAL and order.broker_status in FINAL_WORDS and not is_news:
        return  # a replay of what led here
    if trigger is Trigger.DOUBT:
        work.alert_once(Severity.CRITICAL, "unknown_status", f"the broker's word {shown.status!r}", key=shown.status)
        work.lock(f"unknown broker status {shown.status!r}")
    if order.contradiction == (word, shown.updated_ns):
        return  # said, refused and reconciled before; a pass repeats it
    if trigger in PENDING and order.status not in SHOWN_LIVE and order.status not in BY_EVIDENCE:
        step(work, Trigger.LIVE)  # what waits for its cancel or its replacement is there
    if not step(work, trigger):
        order.contradiction = (word, shown.updated_ns)  # of an event's word: the status beside it stands
        return
    if trigger is Trigger.LAST_FILL and not is_pass:
        # all that the broker took, whatever number it says to have filled; in a whole pass that number holds: shares
        # may be taken back
        order.shown_filled = max(order.shown_filled, order.quantity, shown.quantity or ZERO)
    order.broker_status = shown.status
    order.broker_updated_ns = max(order.broker_updated_ns, shown.updated_ns)
    if trigger is Trigger.REJECT and not order.reason:
        order.reason = "rejected by the broker"
    if trigger is Trigger.REPLACE_DONE:
        if order.successor is not None and shown.replaced_by not in (None, order.successor.broker_order_id):
            order.successor = None  # it was refused; what really took the place is not known yet
        work.reconcile(f"replaced by {shown.replaced_by}")
