"""What time does to an order: doubts are asked about, lateness is said, absence is proven. Nothing is final by time."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.money import ZERO, plain
from quant_trading_system.core.types import NANOS_PER_SECOND, Severity
from quant_trading_system.orders.evidence import ask, doubt, step
from quant_trading_system.orders.outcome import Work
from quant_trading_system.orders.settings import OrderSettings
from quant_trading_system.orders.status import TERMINAL, Status, Trigger

UNEXPLAINED_FILLS_SECONDS = 60.0

RESTING = frozenset({Status.WORKING, Status.PARTIAL, Status.REPLACING})
"""Time alone changes nothing about an order in these, unless its cancel is wanted."""


def watch(work: Work, settings: OrderSettings) -> None:
    """Look at one live order, about once a second."""
    match work.order.status:
        case Status.READY:
            _watch_answer(work, settings.ready_seconds_max, "the gateway did not say what became of it")
        case Status.SENDING:
            _watch_answer(work, settings.ack_seconds_max, "no acknowledgement")
        case Status.UNKNOWN:
            _watch_unknown(work, settings)
        case Status.CANCELING:
            _watch_cancel(work, settings)
        case status if status in TERMINAL:
            _watch_unexplained(work)
        case _:
            pass


def prove_absence(work: Work, settings: OrderSettings, *, started_mono_ns: int, is_seen: bool) -> None:
    """Count a clean pass that did not show an UNKNOWN order, from the end of its quarantine on.

    After so many passes and an empty answer to the question for its id, both of after the quarantine, it is absent
    (docs/adr/0007: no order is sent to probe for it). An order that the broker has named once is never absent: it is
    asked about.
    """
    order = work.order
    since_ns = order.unknown_since_mono_ns
    if order.broker_order_id is not None:
        if not is_seen and order.status not in TERMINAL and order.status_mono_ns < started_mono_ns:
            _ask_if_due(work, settings, "a complete pass did not show it")
        return
    if not order.is_unknown or since_ns is None:
        return
    if order.exists_at_broker:
        return  # it said that it has the order: that it shows none is the weaker word (fault A7)
    if is_seen:
        order.clean_passes = 0
        return
    quarantine_end_ns = since_ns + settings.quarantine_seconds * NANOS_PER_SECOND
    if started_mono_ns < quarantine_end_ns:
        return
    order.clean_passes += 1
    answer_ns = order.empty_answer_mono_ns
    if answer_ns is None or answer_ns < quarantine_end_ns or order.clean_passes < settings.clean_passes:
        return
    if step(work, Trigger.ABSENT):
        order.reason = f"absent: not in {order.clean_passes} clean passes, and the broker says it has none"
        work.alert(Severity.WARNING, "order_absent", order.reason)


def suspect(work: Work, gap: Decimal) -> None:
    """Shares that nobody can explain, as an order without an answer would have moved them: the broker has it."""
    order = work.order
    is_like = ZERO < gap * order.side.sign <= order.quantity
    is_open = order.broker_order_id is None and order.status in (Status.SENDING, Status.UNKNOWN)
    if not (is_like and is_open) or order.exists_at_broker:
        return
    order.exists_at_broker = True
    if order.is_unknown:
        work.alert(Severity.CRITICAL, "order_suspected", f"the broker holds {plain(gap)} shares that it may have moved")


def _watch_answer(work: Work, limit_s: float, text: str) -> None:
    if _age_s(work) < limit_s:
        return
    work.alert(Severity.WARNING, "order_late", f"{text} for {_age_s(work):.0f} s")
    doubt(work, f"{text} for {limit_s:.0f} s")


def _watch_unknown(work: Work, settings: OrderSettings) -> None:
    since_ns = work.order.unknown_since_mono_ns
    age_s = 0.0 if since_ns is None else (work.mono_ns - since_ns) / NANOS_PER_SECOND
    if age_s >= settings.unknown_alert_seconds:
        hidden = ", though the broker said that it has an order of this id" if work.order.exists_at_broker else ""
        text = f"fate unknown for {age_s:.0f} s{hidden}; the symbol is frozen"
        work.alert_once(Severity.CRITICAL, "order_unknown", text)
    _ask_if_due(work, settings, "its fate is unknown")


def _watch_cancel(work: Work, settings: OrderSettings) -> None:
    age_s = _age_s(work)
    for limit_s in settings.cancel_alert_seconds:
        if age_s >= limit_s:
            text = f"cancel not confirmed for {limit_s:.0f} s; it counts as live"
            work.alert_once(Severity.WARNING, "cancel_late", text, key=f"cancel_late_{limit_s}")
    if age_s >= settings.ack_seconds_max:
        _ask_if_due(work, settings, "its cancel is not confirmed")


def _watch_unexplained(work: Work) -> None:
    """A final status shows fills that no execution explains; the grid keeps looking for them."""
    order = work.order
    if _age_s(work) < UNEXPLAINED_FILLS_SECONDS:
        return
    if order.status is Status.REPLACED and order.successor is None:
        text = "replaced at the broker, and nobody shows by what; what is left of it counts as open"
        work.alert_once(Severity.CRITICAL, "replacement_unknown", text)
    else:
        text = f"{order.filled_quantity} shares filled by status, {order.executed_quantity} by executions"
        work.alert_once(Severity.CRITICAL, "fills_unexplained", text)


def _ask_if_due(work: Work, settings: OrderSettings, reason: str) -> None:
    if work.mono_ns >= work.order.next_ask_mono_ns:
        ask(work, reason, delays_s=settings.ask_delays_seconds)


def _age_s(work: Work) -> float:
    return (work.mono_ns - work.order.status_mono_ns) / NANOS_PER_SECOND
