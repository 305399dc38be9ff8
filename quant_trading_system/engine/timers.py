"""What the engine does when time passes: close bars every second, ask for a reconciliation on its grid."""

from __future__ import annotations

from quant_trading_system.core.effects import RequestReconciliation
from quant_trading_system.core.events import TimerFired
from quant_trading_system.core.types import NANOS_PER_SECOND, MonoNanos, Nanos, Severity, TimeInForce
from quant_trading_system.engine.desk import Desk
from quant_trading_system.engine.guarding import Guarding
from quant_trading_system.engine.healing import Healing
from quant_trading_system.engine.invariants import check_invariants
from quant_trading_system.engine.order_flow import OrderFlow
from quant_trading_system.engine.protection import Protection
from quant_trading_system.engine.reconciling import Reconciling
from quant_trading_system.engine.stream_alarm import StreamAlarm
from quant_trading_system.engine.trading import Trading

TURN_SECONDS_MAX = 45.0
"""So long a session that opens waits for a pass of its own: a split must not look like a loss."""
TOLD_NS_MIN = 300 * NANOS_PER_SECOND
"""A pass that began so long after the open told it as well: the night is booked, and the day's prices are known."""
SECOND = "second"
RECONCILE = "reconcile"


class Timers:
    """Dispatches timers by name."""

    def __init__(
        self,
        desk: Desk,
        *,
        flow: OrderFlow,
        trading: Trading,
        guarding: Guarding,
        healing: Healing,
        alarm: StreamAlarm,
        protection: Protection,
        reconciling: Reconciling,
    ) -> None:
        self._desk = desk
        self._healing = healing
        self._alarm = alarm
        self._flow = flow
        self._trading = trading
        self._guarding = guarding
        self._protection = protection
        self._reconciling = reconciling
        self._session_date: str | None = None
        self._turn_mono_ns: MonoNanos | None = None

    def on_fired(self, event: TimerFired) -> None:
        """Run the timer `event.name`.

        Raises:
            ValueError: a timer nobody knows.
        """
        if event.name == SECOND:
            self._on_second()
        elif event.name == RECONCILE:
            self._desk.emit(RequestReconciliation(reason="grid"))
        else:
            raise ValueError(f"unknown timer {event.name!r}")

    def _on_second(self) -> None:
        desk = self._desk
        for bar in desk.market.on_time(desk.venue_ns, desk.mono_ns):
            self._trading.on_bar(bar)
        self._roll_session()
        self._flow.on_time()
        self._alarm.on_second()
        self._healing.on_second()
        self._protection.look_at_all()
        self._guarding.on_second()
        self._reconciling.on_second()
        if desk.is_touched:  # a second in which nothing was written changed nothing that could be wrong
            desk.is_touched = False
            check_invariants(desk)

    def _roll_session(self) -> None:
        """A new session date begins when its day opens; the guards' day begins with it."""
        desk = self._desk
        session = desk.session()
        if session.date == self._session_date or not session.is_open_by_calendar:
            return
        if not self._is_night_told(session.open_ns):
            return
        desk.is_turning = False
        equity = desk.equity_usd()
        if equity is None:
            return
        self._turn_mono_ns = None
        self._session_date = session.date
        self._review_old_orders()
        self._guarding.begin_session(session.date, equity)

    def _is_night_told(self, open_ns: Nanos | None) -> bool:
        """Whether a pass told what the broker booked overnight, or none came for too long: only then is measured.

        A process that starts in the middle of a session read the broker on its way up, and trades without another pass.
        """
        desk, read_ns = self._desk, self._reconciling.good_pass_ns
        if open_ns is not None and read_ns is not None and read_ns >= open_ns + TOLD_NS_MIN:
            return True
        if self._turn_mono_ns is None:
            self._turn_mono_ns = desk.mono_ns
            desk.is_turning = True
            desk.emit(RequestReconciliation(reason="a session opens"))
            return False
        is_seen = desk.good_pass_mono_ns is not None and desk.good_pass_mono_ns >= self._turn_mono_ns
        return is_seen or desk.age_s(self._turn_mono_ns) >= TURN_SECONDS_MAX

    def _review_old_orders(self) -> None:
        """An order of the day that outlived its day is for a person to look at: a cancel stuck, or a fate unknown."""
        desk = self._desk
        for order in desk.orders.live():
            is_old = order.created_ns < (desk.session().open_ns or 0)
            if is_old and order.time_in_force != TimeInForce.GTC.value and not order.is_external:
                desk.alert(
                    Severity.CRITICAL,
                    "order_outlived_its_day",
                    f"{order.client_order_id} of {order.symbol} is {order.status.name} since an earlier day",
                    symbol=order.symbol,
                )
