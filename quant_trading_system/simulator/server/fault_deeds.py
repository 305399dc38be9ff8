"""Decides what the world does when a plan says so: somebody trades, an order fills out of the blue, time leaps.

A deed that the exchange refuses is not lost: its refusal is told beside the rule.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from decimal import Decimal

from quant_trading_system.simulator.clock import VenueClock
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.order_index import OrderQuery
from quant_trading_system.simulator.refusals import Refusal, not_found
from quant_trading_system.simulator.server import wishes
from quant_trading_system.simulator.server.fault_kinds import DEED_KINDS, Kind
from quant_trading_system.simulator.server.fault_rules import FaultRule
from quant_trading_system.simulator.server.faults import Firing

ERROR = "error"  # what a rule keeps of a deed that was refused

Deed = Callable[[FaultRule, str | None], object]


class Deeds:
    """What others do to the account and its market."""

    def __init__(self, exchange: Exchange, clock: VenueClock, play: Callable[[], object]) -> None:
        self._exchange = exchange
        self._clock = clock
        self._play = play
        self._deeds: Mapping[Kind, Deed] = {
            Kind.EXTERNAL_ORDER: self._order_outside,
            Kind.FILL_ORDER: self._fill,
            Kind.BUST: self._take_back,
            Kind.CORRECT: self._take_back,
            Kind.TRADING_STATUS: self._set_status,
            Kind.TRANSFER: self._transfer,
            Kind.CORPORATE_ACTION: self._announce,
            Kind.CLOCK_STEP: self._step,
        }
        assert self._deeds.keys() == DEED_KINDS, "each deed is done somewhere"

    def do(self, firing: Firing, *, path_order_id: str | None = None) -> None:
        """Do what a rule says. `path_order_id` is the order that the request is about, where there is one."""
        try:
            self._deeds[firing.rule.kind](firing.rule, path_order_id)
        except Refusal as refusal:
            firing.kept[ERROR] = f"{refusal.http_status}: {refusal.message}"
        else:
            firing.kept.pop(ERROR, None)

    def _order_outside(self, rule: FaultRule, _path_order_id: str | None) -> None:
        assert rule.order is not None, "expected an order: the plan was checked"
        wishes.order_outside(self._exchange, rule.order)

    def _fill(self, rule: FaultRule, path_order_id: str | None) -> None:
        order_id = self._meant_order(rule, path_order_id)
        self._exchange.fill_out_of_the_blue(order_id, qty=_decimal(rule.qty), price=_decimal(rule.price))

    def _meant_order(self, rule: FaultRule, path_order_id: str | None) -> str:
        if rule.client_order_id is not None:
            return self._exchange.order_by_client_id(rule.client_order_id).id
        if path_order_id is not None:
            return path_order_id
        newest = self._exchange.orders(OrderQuery(status="open", limit=1, direction="desc"))
        if not newest:
            raise not_found("no order is open")
        return newest[0].id

    def _take_back(self, rule: FaultRule, _path_order_id: str | None) -> None:
        execution_id = rule.execution_id or self._last_execution()
        numbers = {"price": rule.price, "qty": rule.qty} if rule.kind is Kind.CORRECT else {}
        said = {name: value for name, value in numbers.items() if value is not None}
        wishes.bust(self._exchange, {"execution_id": execution_id, **said})

    def _last_execution(self) -> str:
        executions = self._exchange.ledger()["executions"]
        assert isinstance(executions, list), f"expected a list of executions, found {type(executions)}"
        if not executions:
            raise not_found("nothing was executed")
        return str(executions[-1]["execution_id"])

    def _set_status(self, rule: FaultRule, _path_order_id: str | None) -> None:
        wishes.set_status(self._exchange, {"symbol": rule.symbol, "status": rule.trading_status})

    def _transfer(self, rule: FaultRule, _path_order_id: str | None) -> None:
        wishes.transfer(self._exchange, {"amount_usd": rule.amount_usd})

    def _announce(self, rule: FaultRule, _path_order_id: str | None) -> None:
        assert rule.action is not None, "expected an action: the plan was checked"
        wishes.announce(self._exchange, rule.action)

    def _step(self, rule: FaultRule, _path_order_id: str | None) -> None:
        self._clock.step(rule.step_seconds, time.monotonic_ns())
        self._play()


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
