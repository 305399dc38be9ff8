"""Whether protective stops are equal to what strategies hold, once the faults are over (control P34, design Orders 7).

Where strategies declare stops, the broker holds one for the whole shares that they hold net, and none for what nobody
holds. By then each had a minute and more to be placed, resized or cancelled. A control for each strategy (P34) asks for
its own whole shares: fractions of several, left by a split, make no share that one of them could sell.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from quant_trading_system.core.types import BrokerOrderId, Symbol
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import Notes
from tests.simulation.daemon import STOP_FRACTION

ZERO = Decimal(0)
EXTERNAL = "external"
EXHAUSTED = "healing_exhausted"
CENT = Decimal("0.01")
PRICE_FRACTION = Decimal("0.005")
"""An entry fills so far off the price that its leg was built on (control P13)."""


class Stopping(Judge):
    """Compares the broker's stops with the books at the end."""

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._prices: dict[str, Decimal | None] = {}

    def at_end(self) -> None:
        engine = self.world.engine
        if engine is None or not self.world.plan.switches.get("stops") or not self.notes.is_quiet:
            return
        desk = engine._desk
        if any(cause.cause == EXHAUSTED for cause in desk.guards.causes()):
            return  # a person has to come first
        stops: dict[str, list[Decimal]] = defaultdict(list)
        self._prices.clear()
        for order in self.truth.open_orders():
            known = desk.orders.by_broker_id(BrokerOrderId(order.id))
            if known is not None and known.is_protection and order.status != "held":  # its entry is under way
                stops[order.symbol].append((order.qty or ZERO) - order.filled_qty)
                if known.replaces is None:  # else a person moved it
                    self._prices[order.symbol] = order.stop_price
        for symbol in sorted({*stops, *desk.ledger.positions()}):
            self._judge(symbol, stops[symbol])

    def _judge(self, symbol: str, stops: list[Decimal]) -> None:
        engine = self.world.engine
        assert engine is not None, "looked at before"
        books = engine._desk.ledger.books(Symbol(symbol))
        own = [book.quantity for strategy, book in books.items() if strategy != EXTERNAL]
        held, there = sum(own, ZERO), self.truth.position(symbol)
        whole = sum((abs(quantity) // 1 for quantity in own if quantity * held > ZERO), ZERO)
        wanted = min(abs(held) // 1, abs(there) // 1, whole) if held * there > ZERO else ZERO
        if not stops and self._is_hindered(symbol):
            return
        if stops != ([wanted] if wanted > ZERO else []):
            sold = ", ".join(map(str, stops)) or "nothing"
            text = f"at the end stops of {symbol} sell {sold}, strategies hold {held}, the account {there}"
            self.notes.fail("P34", symbol, text)
        elif stops:
            self._judge_price(symbol)

    def _judge_price(self, symbol: str) -> None:
        """It lies where the loss is what was declared: of several strategies' prices, the nearest to the market."""
        engine, there = self.world.engine, self._prices.get(symbol)
        assert engine is not None, "looked at before"
        books = engine._desk.ledger.books(Symbol(symbol))
        own = [book for strategy, book in books.items() if strategy != EXTERNAL and book.quantity > ZERO]
        wanted = max((book.cost_usd / book.quantity * (1 - STOP_FRACTION) for book in own), default=None)
        if there is not None and wanted is not None and abs(there - wanted) > wanted * PRICE_FRACTION + CENT:
            self.notes.fail("P34", f"{symbol} price", f"the stop of {symbol} lies at {there}, declared is {wanted:.2f}")

    def _is_hindered(self, symbol: str) -> bool:
        """Whether another order may take the shares that it would sell, or a refused stop waits for its next try."""
        engine = self.world.engine
        assert engine is not None, "looked at before"
        is_unknown = any(order.is_unknown for order in engine._desk.orders.live(Symbol(symbol)))
        others = [order for order in self.truth.open_orders() if order.symbol == symbol and order.stop_price is None]
        _, next_try_ns = engine._protection._tries.get(Symbol(symbol), (0, 0))
        return is_unknown or bool(others) or next_try_ns > self.world.mono_ns
