"""Control P5: the regular session is open by calendar and by the broker's clock, away from its edges."""

from __future__ import annotations

from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.rules.base import answer


class SessionOpen:
    """New exposure needs both sources to say open, and venue time inside the window.

    An order that reduces exposure may use the whole session, and a broker whose clock was not heard does not stop it;
    one that says closed does. A protective stop may come at any hour: it rests, and trades in the session alone.
    """

    control = "P5"
    name = "session"

    def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
        session, now_ns = context.view.session, context.view.venue_ns
        if context.is_protective_stop(intent):
            passed = True
        elif context.reduces_exposure:
            passed = session.is_open_by_calendar and session.is_open_by_broker is not False
        else:
            start_ns, end_ns = session.window_start_ns, session.window_end_ns
            is_inside = start_ns is not None and end_ns is not None and start_ns <= now_ns < end_ns
            passed = session.is_open_by_calendar and session.is_open_by_broker is True and is_inside
        broker = {True: "open", False: "closed", None: "not heard"}[session.is_open_by_broker]
        calendar = "open" if session.is_open_by_calendar else "closed"
        return answer(
            self,
            passed=passed,
            measured=f"calendar {calendar}, broker {broker}",
            limit="open by both, inside the window",
            reason=f"outside the session or its window: calendar {calendar}, broker {broker}",
        )
