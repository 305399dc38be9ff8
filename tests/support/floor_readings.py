"""What came of it: the records of a floor, and the question whether its books equal the exchange's."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.records import AlertRecord, DecisionRecord, FillRecord, OrderRecord, Record
from quant_trading_system.core.types import Symbol, TradingState
from quant_trading_system.core.values import Approved
from quant_trading_system.core.views import OrderView
from quant_trading_system.engine.engine import Engine
from quant_trading_system.simulator.exchange import Exchange

SYMBOL = Symbol("AAPL")


class Readings:
    """The reading half of a floor: changes nothing."""

    engine: Engine
    exchange: Exchange
    records: list[Record]
    _earlier_records: list[Record]

    def of(self, kind: type[Record]) -> list[Record]:
        return [record for record in self.records if isinstance(record, kind)]

    @property
    def decisions(self) -> list[DecisionRecord]:
        return [record for record in self.records if isinstance(record, DecisionRecord)]

    @property
    def fills(self) -> list[FillRecord]:
        return [record for record in self.records if isinstance(record, FillRecord)]

    @property
    def order_rows(self) -> list[OrderRecord]:
        return [record for record in self.records if isinstance(record, OrderRecord)]

    @property
    def alerts(self) -> list[AlertRecord]:
        return [record for record in self.records if isinstance(record, AlertRecord)]

    @property
    def live(self) -> tuple[OrderView, ...]:
        """Orders that may still move shares, as the engine sees them."""
        return self.engine.view().open_orders

    def state(self) -> TradingState:
        return self.engine.view().state

    @property
    def causes(self) -> set[str]:
        return {cause.cause for cause in self.engine.view().causes}

    def status_of(self, approved: Approved) -> str:
        """The last status stored of an order."""
        rows = [row for row in self.order_rows if row.client_order_id == approved.intent.client_order_id]
        return rows[-1].status

    def alerted(self, code: str) -> list[AlertRecord]:
        return [alert for alert in self.alerts if alert.code == code]

    def books(self, symbol: Symbol = SYMBOL) -> dict[str, Decimal]:
        """Each strategy's shares, as the engine believes."""
        return {
            str(strategy): quantity
            for view in self.engine.view().positions
            if view.symbol == symbol
            for strategy, quantity in view.books
        }

    def positions(self) -> dict[str, Decimal]:
        """What the engine believes."""
        return {str(view.symbol): view.quantity for view in self.engine.view().positions}

    def broker_positions(self) -> dict[str, Decimal]:
        """What the exchange's own books say."""
        return {view.symbol: view.qty for view in self.exchange.positions()}

    def must_agree(self) -> None:
        """Positions, cash and executions equal the exchange's ledger, exactly."""
        ledger = self.exchange.ledger()
        assert self.positions() == self.broker_positions()
        assert self.engine.view().cash_usd == Decimal(str(ledger["cash"]))
        theirs = ledger["executions"]
        assert isinstance(theirs, list)
        booked = sorted((fill.broker_order_id, fill.quantity, fill.price) for fill in self._all_fills())
        executed = sorted((row["order_id"], Decimal(row["qty"]), Decimal(row["price"])) for row in theirs)
        assert booked == executed

    def _all_fills(self) -> list[FillRecord]:
        return [each for each in (*self._earlier_records, *self.records) if isinstance(each, FillRecord)]


def failed(decision: DecisionRecord) -> set[str]:
    """Names of the controls that refused."""
    return {result.name for result in decision.controls if not result.passed}
