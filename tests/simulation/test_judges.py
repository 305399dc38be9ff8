"""Every judge can find its invariant broken: the daemon is broken in one place, and the judge says so."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from quant_trading_system.adapters.alpaca import orders as order_client
from quant_trading_system.core.types import Latch
from quant_trading_system.core.values import Approved
from quant_trading_system.engine.engine import Engine
from quant_trading_system.engine.guarding import Guarding
from quant_trading_system.engine.stream_alarm import StreamAlarm
from quant_trading_system.ledger import books
from quant_trading_system.ledger.books import Ledger
from quant_trading_system.orders import ids
from quant_trading_system.orders.manager import OrderManager
from quant_trading_system.orders.order import Order
from quant_trading_system.orders.outcome import Work
from quant_trading_system.orders.settings import OrderSettings
from quant_trading_system.persistence.intents import IntentStore
from quant_trading_system.risk.gate import RiskGate
from quant_trading_system.risk.guards import Guards
from quant_trading_system.risk.healing import HealingBudget
from quant_trading_system.risk.kill import KillSwitch
from quant_trading_system.risk.rules.symbol_lock import SymbolLock
from tests.simulation.plan import Fault, Plan
from tests.simulation.run import run
from tests.simulation.shrink import invariants_of

CLEAR = Latch.CLEAR
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
    kill = Fault("kill", 10.0, 0.0, {"by": "between_check_and_write", "reset_after_s": 0.0})
    assert any("I9" in broken(kill, seed=seed) for seed in range(11, 21)), "who comes first is drawn by the seed"


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


def test_a_lock_that_keeps_nobody_out_is_found(monkeypatch: pytest.MonkeyPatch):
    _wrap(monkeypatch, SymbolLock, "check", lambda real, self, *asked: replace(real(self, *asked), passed=True))
    odd = Fault("odd_status", 25.0, 100.0, {"probability": 0.5, "status": "a_word_nobody_knows"})
    assert any("I24" in broken(odd, seed=seed) for seed in range(11, 16)), "one of them wants in again"


def test_words_that_lock_nothing_are_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Work, "lock", lambda _self, _reason: None)
    assert "I14" in broken(Fault("odd_status", 25.0, 100.0, {"probability": 0.5, "status": "a_word_nobody_knows"}))
    assert "I7" in broken(Fault("wrong_echo", 25.0, 100.0, {"probability": 1.0, "field": "qty", "more": 1.0}))


def test_a_healing_that_nobody_counts_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(HealingBudget, "take", lambda _self, _action, _mono_ns: True)
    deaths = [Fault("task_dies", 30.0 + 10 * number, 0.0, {"task": 0.9, "how": "raises"}) for number in range(4)]
    assert "healing" in broken(*deaths, tight=1.0)


def test_a_stream_that_is_never_cycled_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(StreamAlarm, "on_second", lambda _self: None)
    assert "stream" in broken(Fault("stream_mute", 25.0, 60.0, {}))


def test_an_engaged_copy_of_the_latch_that_nobody_reads_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        KillSwitch, "observe", lambda self, store, _latch, _reason: self._latches.update({store: CLEAR})
    )
    monkeypatch.setattr(Guarding, "on_latch", lambda self, event: self._desk.kill.observe(event.store, CLEAR, ""))
    _wrap(monkeypatch, Guards, "restore", lambda real, self, _saved, **how: real(self, None, **how))
    kill = Fault("kill", 30.0, 0.0, {"by": "operator", "reset_after_s": 0.0})
    assert "I9" in broken(kill, Fault("crash", 40.0, 0.0, {"down_s": 1.0}))


def test_a_fill_that_one_strategy_gets_alone_is_found(monkeypatch: pytest.MonkeyPatch):
    def first_takes_all(real: Callable[..., Any], execution: Any, allocations: Any, order_quantity: Decimal) -> Any:
        parts = real(execution, allocations, order_quantity)
        total = sum((part.quantity for part in parts), Decimal(0))
        return parts if len(parts) < 2 else (replace(parts[0], quantity=total),)

    real = books._parts
    monkeypatch.setattr(books, "_parts", lambda *asked: first_takes_all(real, *asked))
    assert any("I12" in broken(seed=seed, temperament=1.0) for seed in range(11, 16)), "two want one symbol at once"


def test_a_restored_database_that_keeps_its_name_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("quant_trading_system.persistence.instance.why_restored", lambda _mark, **_found: "")
    restored = Fault("database_restored", 90.0, 0.0, {"age_s": 60.0, "mark": 1.0, "down_s": 1.0})
    assert broken(restored) == frozenset(), "the orders at the broker tell it, too"
    monkeypatch.setattr("quant_trading_system.orders.survey.Survey.unknown", lambda _self, _known: ())
    assert "I3" in broken(restored)


def _wrap(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, wrapper: Callable[..., Any]) -> None:
    real = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *arguments, **how: wrapper(real, *arguments, **how))
