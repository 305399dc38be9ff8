"""What each answer means to its order: the gateway's, a cancel's, a look-up's. Decides what silence does not prove."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from quant_trading_system.core.events import (
    CancelAnswered,
    CancelInDoubt,
    Event,
    LookupAnswered,
    LookupFailed,
    OrderAnswered,
    OrderDropped,
    OrderInDoubt,
    OrderRefused,
    OrderSending,
)
from quant_trading_system.core.types import Severity
from quant_trading_system.orders.evidence import ask, begin_quarantine, doubt, step, take_picture
from quant_trading_system.orders.outcome import Work
from quant_trading_system.orders.refusals import is_definite, is_duplicate
from quant_trading_system.orders.settings import OrderSettings
from quant_trading_system.orders.status import Trigger


def on_sending(work: Work, event: Event, _settings: OrderSettings) -> None:
    if step(work, Trigger.SEND):
        work.order.sent_ns = event.venue_ns
        if work.order.is_unknown:
            begin_quarantine(work)


def on_answered(work: Work, event: Event, _settings: OrderSettings) -> None:
    assert isinstance(event, OrderAnswered)
    take_picture(work, event.order)


def on_refused(work: Work, event: Event, settings: OrderSettings) -> None:
    assert isinstance(event, OrderRefused)
    said = f"{event.http_status} {event.code if event.code is not None else '-'}: {event.message}"
    if work.order.broker_order_id is not None:
        work.alert(Severity.WARNING, "refused_but_known", f"the broker has it, yet answered {said}")
        ask(work, said, delays_s=settings.ask_delays_seconds)
    elif is_definite(event):
        if step(work, Trigger.REJECT):
            work.order.reason = said
    else:
        work.order.exists_at_broker = work.order.exists_at_broker or is_duplicate(event)
        work.alert(Severity.WARNING, "refusal_not_understood", said)
        doubt(work, said)


def on_doubt(work: Work, event: Event, _settings: OrderSettings) -> None:
    """An answer was lost. Where the stream has told already, nothing is in doubt (fault A5)."""
    assert isinstance(event, OrderInDoubt)
    if work.order.broker_order_id is None:
        work.order.exists_at_broker = work.order.exists_at_broker or event.is_duplicate
        doubt(work, event.reason)


def on_dropped(work: Work, event: Event, _settings: OrderSettings) -> None:
    assert isinstance(event, OrderDropped)
    if work.order.is_unknown and work.order.sent_ns is not None:
        work.alert(Severity.WARNING, "dropped_after_sending", event.reason)
        work.reconcile(f"dropped after sending: {event.reason}")
    elif step(work, Trigger.DROP):
        work.order.reason = event.reason


def on_cancel_answered(work: Work, event: Event, settings: OrderSettings) -> None:
    """A refused cancel says nothing about the order: it may be filled, final, or pending already (fault B1)."""
    assert isinstance(event, CancelAnswered)
    if not event.accepted and not work.order.is_final:
        ask(work, f"cancel refused: {event.http_status} {event.message}", delays_s=settings.ask_delays_seconds)


def on_cancel_doubt(work: Work, event: Event, settings: OrderSettings) -> None:
    assert isinstance(event, CancelInDoubt)
    if not work.order.is_final:
        ask(work, f"cancel in doubt: {event.reason}", delays_s=settings.ask_delays_seconds)


def on_lookup_answered(work: Work, event: Event, _settings: OrderSettings) -> None:
    assert isinstance(event, LookupAnswered)
    if event.order is not None:
        take_picture(work, event.order)
    elif work.order.broker_order_id is not None and not work.order.is_final:
        work.alert_once(Severity.CRITICAL, "order_not_shown", "the broker named it, and now says it has none")
    else:
        work.order.empty_answer_mono_ns = work.mono_ns


def on_lookup_failed(work: Work, event: Event, settings: OrderSettings) -> None:
    """No answer is no evidence; the schedule asks again."""


APPLIERS: Mapping[type[Event], Callable[[Work, Event, OrderSettings], None]] = MappingProxyType(
    {
        OrderSending: on_sending,
        OrderAnswered: on_answered,
        OrderRefused: on_refused,
        OrderInDoubt: on_doubt,
        OrderDropped: on_dropped,
        CancelAnswered: on_cancel_answered,
        CancelInDoubt: on_cancel_doubt,
        LookupAnswered: on_lookup_answered,
        LookupFailed: on_lookup_failed,
    }
)
