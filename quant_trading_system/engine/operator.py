"""What a person may ask of the running engine, and the answer each request gets. Every request is audited."""

from __future__ import annotations

from collections.abc import Callable

from quant_trading_system.core.effects import Answer, CancelEverything, ClearLatch, EngageLatch, RequestReconciliation
from quant_trading_system.core.events import OperatorAsked
from quant_trading_system.core.types import StrategyId, Symbol
from quant_trading_system.engine.desk import Desk
from quant_trading_system.engine.guarding import Guarding
from quant_trading_system.engine.healing import Healing
from quant_trading_system.engine.order_flow import OrderFlow
from quant_trading_system.engine.reconciling import Reconciling
from quant_trading_system.risk.causes import HEALING_EXHAUSTED

REASON_CHARACTERS_MAX = 500
OPERATOR_CHARACTERS_MAX = 64


class Operators:
    """Carries out operator commands: tightening at once, loosening only when it is safe."""

    def __init__(
        self, desk: Desk, *, flow: OrderFlow, guarding: Guarding, reconciling: Reconciling, healing: Healing
    ) -> None:
        self._desk = desk
        self._healing = healing
        self._flow = flow
        self._guarding = guarding
        self._reconciling = reconciling
        self._commands: dict[str, Callable[[OperatorAsked], tuple[bool, str]]] = {
            "pause": self._pause,
            "resume": self._resume,
            "cancel-all": self._cancel_all,
            "kill": self._kill,
            "reset": self._reset,
            "unlock": self._unlock,
            "enable": self._enable,
        }

    def on_asked(self, event: OperatorAsked) -> None:
        desk = self._desk
        command = self._commands.get(event.command)
        problem = _problem(event) if command is not None else f"unknown command {event.command!r}"
        if command is None or problem:
            accepted, text = False, problem
        else:
            accepted, text = command(event)
        desk.audit(
            event.operator,
            event.command,
            reason=event.reason,
            outcome="accepted" if accepted else f"refused: {text}",
            **event.arguments,
        )
        self._guarding.apply_changes()
        desk.emit(Answer(request_id=event.request_id, accepted=accepted, text=text))

    def _pause(self, event: OperatorAsked) -> tuple[bool, str]:
        desk = self._desk
        desk.guards.raise_cause(
            "paused", f"{event.operator}: {event.reason}", venue_ns=desk.venue_ns, mono_ns=desk.mono_ns
        )
        asked = 0
        if event.arguments.get("cancel") == "true":
            asked = self._flow.cancel_entries("paused by the operator")
        return True, f"paused: only orders that reduce exposure pass; {asked} entries asked to cancel"

    def _resume(self, _event: OperatorAsked) -> tuple[bool, str]:
        desk = self._desk
        if not any(cause.cause == "paused" for cause in desk.guards.causes()):
            return False, "not paused"
        desk.guards.clear_cause("paused", venue_ns=desk.venue_ns, mono_ns=desk.mono_ns)
        return True, f"pause lifted; trading state is {desk.guards.state}"

    def _cancel_all(self, event: OperatorAsked) -> tuple[bool, str]:
        live = list(self._desk.orders.live())
        self._desk.emit(CancelEverything(reason=event.reason or "cancel-all"))
        return (
            True,
            f"asked the broker to cancel all but protective stops; {len(live)} orders are known to be live",
        )

    def _kill(self, event: OperatorAsked) -> tuple[bool, str]:
        desk = self._desk
        desk.guards.raise_cause(
            "kill", f"{event.operator}: {event.reason}", venue_ns=desk.venue_ns, mono_ns=desk.mono_ns
        )
        desk.emit(EngageLatch(operator=event.operator, reason=event.reason))
        desk.emit(self._guarding.cancel_for_kill("kill switch"))
        return True, "kill switch engaged: no new order leaves; everything at the broker is being cancelled"

    def _reset(self, event: OperatorAsked) -> tuple[bool, str]:
        desk = self._desk
        is_healing_exhausted = any(cause.cause == HEALING_EXHAUSTED for cause in desk.guards.causes())
        accepted, text = desk.guards.reset(
            operator=event.operator,
            reason=event.reason,
            venue_ns=desk.venue_ns,
            mono_ns=desk.mono_ns,
            has_clean_reconciliation=self._reconciling.is_clean,
            has_unknown_orders=any(order.is_unknown for order in desk.orders.live()),
        )
        if accepted and is_healing_exhausted:
            self._healing.renew(event.operator)
        if accepted:
            desk.emit(ClearLatch(operator=event.operator, reason=event.reason))
        return accepted, text

    def _unlock(self, event: OperatorAsked) -> tuple[bool, str]:
        symbol = Symbol(event.arguments.get("symbol", ""))
        if any(order.is_unknown for order in self._desk.orders.live(symbol)):
            freed = self._desk.orders.allow_absence(symbol)
            if freed:
                self._desk.emit(RequestReconciliation(reason="an order may be absent"))
            known = f"; that the broker has {freed} of them is not held against their absence any more" if freed else ""
            return False, f"{symbol} has an order whose fate is unknown{known}"
        if not self._desk.unlock_symbol(symbol, f"{event.operator}: {event.reason}"):
            return False, f"{symbol or 'the symbol'} is not locked"
        return True, f"{symbol} is unlocked"

    def _enable(self, event: OperatorAsked) -> tuple[bool, str]:
        strategy = StrategyId(event.arguments.get("strategy", ""))
        if strategy not in self._desk.strategies:
            return False, f"no strategy {strategy!r}; there are {', '.join(sorted(self._desk.strategies))}"
        if not self._desk.unlock_strategy(strategy, f"{event.operator}: {event.reason}"):
            return False, f"{strategy} is not disabled"
        return True, f"{strategy} is enabled"


def _problem(event: OperatorAsked) -> str:
    """What is wrong with a request, or ""."""
    if not event.operator.strip() or len(event.operator) > OPERATOR_CHARACTERS_MAX:
        return f"operator must be a name of 1 to {OPERATOR_CHARACTERS_MAX} characters"
    if len(event.reason) > REASON_CHARACTERS_MAX:
        return f"reason must have at most {REASON_CHARACTERS_MAX} characters"
    if event.command in ("reset", "unlock", "enable") and not event.reason.strip():
        return f"{event.command} needs a reason"
    return ""
