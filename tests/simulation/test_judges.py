"""Every judge can find its invariant broken: the daemon is broken in one place, and the judge says so."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from quant_trading_system.adapters.alpaca import orders as order_client
from quant_trading_system.core.values import Approved
from quant_trading_system.engine.engine import Engine
from quant_trading_system.engine.guarding import Guarding
from quant_trading_system.ledger.books import Ledger
from quant_trading_system.orders import ids
from quant_trading_system.orders.manager import OrderManager
from quant_trading_system.orders.order import Order
from quant_trading_system.orders.settings import OrderSettings
from quant_trading_system.persistence.intents import IntentStore
from quant_trading_system.risk.gate import RiskGate
from tests.simulation.plan import Fault, Plan
from tests.simulation.run import run
from tests.simulation.shrink import invariants_of

SWITCHES = {
    "venue_speed": 8.0,
    "symbols": 2.0,
    "strategies": 2.0,
    "temperament": 0.8,
    "partial_fill_probability": 0.2,
    "resting_probability": 0.3,
    "broker_latency_ms": 15.0,
    "stream_latency_ms": 5.0,
    "first_life": 1.0,
}


def broken(*faults: Fault, seed: int = 11, **switches: float) -> frozenset[str]:
    """The invariants that a half hour with these faults breaks."""
    return invariants_of(run(Plan(seed=seed, faults=faults, switches={**SWITCHES, **switches})).violations)


def test_the_daemon_as_it_is_breaks_none_of_them():
    lost = Fault("post_answer_lost", 25.0, 40.0, {"probability": 0.5, "how": "504"})
    assert broken(lost, Fault("crash", 50.0, 0.0, {"down_s": 2.0})) == frozenset()


def test_an_intent_that_is_not_stored_is_found(monkeypatch: pytest.MonkeyPatch):
    async def forget(self: IntentStore, approved: Approved, *, payload: bytes, epoch: int) -> None:
        """Say that it is stored."""

    monkeypatch.setattr(IntentStore, "commit", forget)
    assert "I1" in broken()


def test_an_id_that_is_another_function_is_found(monkeypatch: pytest.MonkeyPatch):
    real = ids.client_order_id
    monkeypatch.setattr(ids, "client_order_id", lambda *, account, **parts: real(account=f"{account}?", **parts))
    assert "I3" in broken()


def test_bytes_that_are_not_what_was_approved_are_found(monkeypatch: pytest.MonkeyPatch):
    real = order_client.payload
    monkeypatch.setattr("quant_trading_system.app.gateway.payload", lambda intent: real(_doubled(intent)))
    monkeypatch.setattr(order_client, "payload", lambda intent: real(_doubled(intent)))
    assert "I7" in broken()


def _doubled(intent: Any) -> Any:
    from msgspec.structs import replace

    return replace(intent, quantity=intent.quantity * 2)


def test_an_absence_that_is_believed_too_soon_is_found(monkeypatch: pytest.MonkeyPatch):
    hasty = OrderSettings(quarantine_seconds=1.0, clean_passes=0)
    _wrap(monkeypatch, OrderManager, "__init__", lambda real, self, **how: real(self, **{**how, "settings": hasty}))
    late = Fault("post_delayed", 25.0, 60.0, {"probability": 1.0, "delay_s": 40.0, "how": "timeout"})
    assert "I4" in broken(late)


def test_exposure_without_orders_of_unknown_fate_is_found(monkeypatch: pytest.MonkeyPatch):
    real = Order.claims
    monkeypatch.setattr(Order, "claims", lambda self: () if self.is_unknown else real(self))
    mute = Fault("order_mute", 25.0, 60.0, {"lookup": "timeout"})
    assert any("I5" in broken(mute, seed=seed) for seed in range(11, 16)), "one of them executes"


def test_a_control_that_was_taken_out_of_the_gate_is_found(monkeypatch: pytest.MonkeyPatch):
    def without_one(real: Callable[..., None], self: RiskGate, limits: Any, rules: Any = None) -> None:
        real(self, limits, rules)
        self._rules = self._rules[:-1]

    _wrap(monkeypatch, RiskGate, "__init__", without_one)
    assert "I6" in broken()


def test_an_order_behind_an_engaged_kill_switch_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Engine, "refusal_before_write", lambda _self, _approved, *, mono_ns: None)
    kill = Fault("kill", 30.0, 0.0, {"by": "between_check_and_write", "reset_after_s": 0.0})
    assert any("I9" in broken(kill, seed=seed) for seed in range(11, 16)), "who comes first is drawn by the seed"


def test_a_kill_switch_that_cancels_nothing_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("quant_trading_system.engine.guarding.CancelEverything", lambda **_how: _nothing())
    monkeypatch.setattr("quant_trading_system.engine.operator.CancelEverything", lambda **_how: _nothing())
    assert "I9" in broken(Fault("kill", 30.0, 0.0, {"by": "operator", "reset_after_s": 0.0}))


def _nothing() -> Any:
    from quant_trading_system.core.effects import RequestReconciliation

    return RequestReconciliation(reason="instead of a cancel")


def test_shares_that_no_execution_brought_are_found(monkeypatch: pytest.MonkeyPatch):
    def one_more(real: Callable[..., Any], self: Ledger, execution: Any, *rest: Any, **how: Any) -> Any:
        result = real(self, execution, *rest, **how)
        if result.is_new:
            self.adjust(execution.symbol, "external", Decimal(1), execution.price, "planted")  # type: ignore[arg-type]
        return result

    _wrap(monkeypatch, Ledger, "apply", one_more)
    assert "I12" in broken()


def test_a_state_that_never_heals_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Guarding, "on_store", lambda self, event: self._raise("redis_down", "planted"))
    assert {"quiet", "liveness"} <= broken()


def _wrap(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, wrapper: Callable[..., Any]) -> None:
    real = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *arguments, **how: wrapper(real, *arguments, **how))
