"""A thousand drifts of twelve kinds: each is found within 16 s, called what it is, repaired, and no order is sent."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

import pytest
from msgspec import structs

from quant_trading_system.core.events import BrokerSnapshot, OrderUpdated
from quant_trading_system.core.records import DriftRecord
from quant_trading_system.core.types import Direction, Symbol
from quant_trading_system.orders.differences import DifferenceKind as Kind
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.requests import OrderRequest
from quant_trading_system.simulator.settings import ExchangeSettings
from tests.support.floor import MOMENTUM, MORNING, REVERSION, Floor
from tests.support.scripted_market import ScriptedMarket

SYMBOLS = ("AAPL", "BAC", "IBM", "MSFT")
FOUND_SECONDS_MAX = 16
SETTLED_SECONDS_MAX = 35  # two periods and 5 s (I15)
DRIFTS = 1_000
FLOORS = 50
HIDDEN = "hidden"
LARGE = 40  # shares: enough to be split, and more than `some`
CASH_USD = Decimal(100_000_000)  # so much that no drift is a loss worth stopping for


class Account:
    """A floor whose broker changes behind its back: what is entered as hidden is no activity that anybody is told."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        market = ScriptedMarket(SYMBOLS, start_ns=MORNING)
        settings = ExchangeSettings(start_ns=MORNING, partial_fill_probability=0.0, cash=CASH_USD)
        exchange = Exchange(settings=settings, market=market, journal=None)
        self.floor = Floor(symbols=SYMBOLS, start_ns=MORNING, is_scripted=True, market=market, exchange=exchange)
        self.floor.start()
        self.floor.filter_snapshot = self._show
        self._hidden_orders: set[str] = set()
        for strategy, symbol in ((MOMENTUM, "AAPL"), (REVERSION, "AAPL"), (MOMENTUM, "MSFT")):
            self.floor.scripts[strategy].wish(Symbol(symbol), Direction.LONG)
        self.floor.next_bar()
        self.floor.advance(3)
        assert set(self.floor.positions()) == {"AAPL", "MSFT"}
        for strategy in (MOMENTUM, REVERSION):  # what drifts away is not to be bought again
            for symbol in SYMBOLS:
                held = self.floor.engine._desk.ledger.book_quantity(strategy, Symbol(symbol))
                self.floor.engine._desk.portfolio.set_target(strategy, Symbol(symbol), held)

    def _show(self, snapshot: BrokerSnapshot) -> BrokerSnapshot:
        return structs.replace(
            snapshot,
            activities=tuple(each for each in snapshot.activities if each.text != HIDDEN),
            open_orders=tuple(each for each in snapshot.open_orders if each.broker_order_id not in self._hidden_orders),
        )

    # what the broker's side does

    def enter(self, kind: str, symbol: str | None = None, *, text: str = HIDDEN, **amounts: object) -> None:
        exchange = self.floor.exchange
        exchange._bookkeeper.enter(
            kind,
            new_york_date(exchange.now_ns),
            exchange.now_ns,
            symbol=symbol,
            description=text,
            **amounts,  # type: ignore[arg-type]
        )

    def move_shares(self, symbol: str, change: Decimal) -> None:
        """Shares that come or go, and nobody says why."""
        self.enter("JNLS", symbol, position_qty=change, position_cost=change * 100)

    def trade(self, quantity: int, *, rests: bool = False) -> str:
        """The owner's own order in the broker's app, which adds to what is held or opens; its id."""
        symbol = self.rng.choice(SYMBOLS)
        is_short = self.floor.broker_positions().get(symbol, Decimal(0)) < 0
        request = OrderRequest(
            symbol=symbol,
            qty=Decimal(quantity),
            side="sell" if is_short else "buy",
            type="limit" if rests else "market",
            limit_price=Decimal(200 if is_short else 50) if rests else None,
            time_in_force="day",
        )
        return self.floor.exchange.external_order(request).id

    def mute(self) -> None:
        """From now on no frame of `trade_updates` arrives."""
        self.floor.filter_update = lambda _update: ()

    def unmute(self) -> None:
        def pass_on(update: OrderUpdated) -> list[OrderUpdated]:
            return [update]

        self.floor.filter_update = pass_on

    def held(self, *, at_least: int = 1) -> str:
        positions = self.floor.broker_positions()
        return self.rng.choice([symbol for symbol in SYMBOLS if abs(positions.get(symbol, Decimal(0))) >= at_least])

    def tidy_up(self) -> None:
        """Nothing rests any more, one symbol at least is not held, one is held amply."""
        self.unmute()
        self._hidden_orders.clear()
        self.floor.exchange.cancel_all()
        positions = self.floor.broker_positions()
        if len(positions) == len(SYMBOLS):
            symbol = self.rng.choice(SYMBOLS)
            self.move_shares(symbol, -positions[symbol])
            self.floor.advance(SETTLED_SECONDS_MAX)
        if not any(abs(quantity) >= LARGE for quantity in positions.values()):
            self.trade(2 * LARGE)
        self.floor.advance(self.rng.randint(2, 17))  # at any place between two slots of the grid

    def some(self) -> Decimal:
        return Decimal(self.rng.randint(1, 40))

    # the drifts

    def missing_fill(self) -> None:
        self.mute()
        self.trade(self.rng.randint(1, 9))

    def status_gap(self) -> None:
        order_id = self.trade(1, rests=True)
        self.floor.advance(1)
        self.mute()
        self.floor.exchange.cancel(order_id)

    def orphan_order(self) -> None:
        self.mute()
        self.trade(1, rests=True)

    def missing_order(self) -> None:
        order_id = self.trade(1, rests=True)
        self.floor.advance(1)
        self._hidden_orders.add(order_id)

    def phantom_position(self) -> None:
        free = [symbol for symbol in SYMBOLS if symbol not in self.floor.broker_positions()]
        self.move_shares(self.rng.choice(free), self.some())

    def lost_position(self) -> None:
        symbol = self.held()
        self.move_shares(symbol, -self.floor.broker_positions()[symbol])

    def quantity_gap(self) -> None:
        symbol = self.held(at_least=2)
        held = self.floor.broker_positions()[symbol]
        sign = 1 if held > 0 else -1
        change = self.rng.choice([self.some(), -Decimal(self.rng.randint(1, int(abs(held)) - 1))])
        self.move_shares(symbol, change * sign)

    def sign_flip(self) -> None:
        symbol = self.held()
        held = self.floor.broker_positions()[symbol]
        self.move_shares(symbol, -held - self.some() * (1 if held > 0 else -1))

    def changed_execution(self) -> None:
        order_id = self.trade(self.rng.randint(3, 9))
        self.floor.advance(2)
        self.mute()
        execution = next(each for each in self.floor.exchange._books.executions if each.order_id == order_id)
        match self.rng.choice(["bust", "price", "quantity"]):
            case "bust":
                self.floor.exchange.bust(execution.execution_id)
            case "price":
                self.floor.exchange.correct(execution.execution_id, price=execution.price + Decimal("0.07"))
            case _:
                self.floor.exchange.correct(execution.execution_id, qty=execution.qty - 1)

    def corporate_action(self) -> None:
        symbol = self.held(at_least=LARGE // 2)
        held = self.floor.broker_positions()[symbol]
        match self.rng.choice(["split", "reverse", "stock dividend"]):
            case "split":
                self._split(symbol, held, held * self.rng.choice([2, 3, 7]))
            case "reverse":
                self._split(symbol, held, Decimal(int(held / 10)), cash=Decimal("31.17"))
            case _:
                given = Decimal(int(held / 5))
                self.enter("DIV", symbol, text="stock", sub_type="SDIV", qty=given, position_qty=given)

    def _split(self, symbol: str, before: Decimal, after: Decimal, *, cash: Decimal = Decimal(0)) -> None:
        self.enter("SPLIT", symbol, text="REMOVE", qty=-before, position_qty=-before, position_cost=-before * 100)
        self.enter("SPLIT", symbol, text="ADD", qty=after, position_qty=after, position_cost=before * 100)
        if cash:
            self.enter("SPLIT", symbol, text="Cash in lieu", net_amount=cash, cash=cash)

    def cash_flow(self) -> None:
        amount = Decimal(self.rng.randint(1, 500_00)) / 100
        match self.rng.choice(["deposit", "withdrawal", "dividend", "fee", "interest"]):
            case "deposit":
                self.floor.exchange.transfer(amount)
            case "withdrawal":
                self.floor.exchange.transfer(-amount)
            case "dividend":
                self.enter("DIV", "AAPL", text="cash", sub_type="CDIV", qty=Decimal(7), net_amount=amount, cash=amount)
            case "fee":
                self.enter("FEE", text="TAF", net_amount=-amount, cash=-amount)
            case _:
                self.enter("INT", text="interest", net_amount=amount, cash=amount)

    def cash_gap(self) -> None:
        amount = Decimal(self.rng.choice([-1, 1]) * self.rng.randint(2, 900_00)) / 100
        self.enter("MISC", net_amount=amount, cash=amount)

    # what the engine's side finds

    def drifts(self, since: int) -> list[DriftRecord]:
        return [record for record in self.floor.records[since:] if isinstance(record, DriftRecord)]

    def inject(self, kind: Kind) -> tuple[int, set[str], set[str]]:
        """Make one drift. The seconds until it was found, the kinds found then, and all until it was settled."""
        actions: dict[Kind, Callable[[], None]] = {each: getattr(self, each.value) for each in Kind}
        began = len(self.floor.records)
        actions[kind]()
        seconds = 0
        while not (found := {drift.kind for drift in self.drifts(began)}) and seconds < 2 * FOUND_SECONDS_MAX:
            self.floor.advance(1)
            seconds += 1
        self.floor.advance(SETTLED_SECONDS_MAX)
        return seconds, found, {drift.kind for drift in self.drifts(began)}


def agree(floor: Floor) -> bool:
    return floor.positions() == floor.broker_positions() and floor.engine.view().cash_usd == Decimal(
        str(floor.exchange.ledger()["cash"])
    )


@pytest.mark.requirement("R117")
@pytest.mark.requirement("R119")
@pytest.mark.invariant("I12")
@pytest.mark.invariant("I15")
@pytest.mark.invariant("I16")
@pytest.mark.invariant("I18")
@pytest.mark.parametrize("part", range(FLOORS))
def test_each_drift_is_found_within_16_s_called_what_it_is_and_repaired_without_an_order(part: int):
    account = Account(seed=part)
    kinds = [kind for _ in range(2) for kind in Kind][: DRIFTS // FLOORS]
    account.rng.shuffle(kinds)
    posted = len(account.floor.posted)
    for number, kind in enumerate(kinds):
        account.tidy_up()
        seconds, found, all_kinds = account.inject(kind)
        where = f"part {part}, drift {number}"
        assert seconds <= FOUND_SECONDS_MAX, f"{where}: {kind} was not found within {FOUND_SECONDS_MAX} s"
        assert found == {kind.value}, f"{where}: {kind} was called {found}"
        assert all_kinds == {kind.value}, f"{where}: {kind} led to {all_kinds}"
        assert agree(account.floor), f"{where}: after {kind} the books differ"
    assert len(account.floor.posted) == posted
    account.floor.engine._desk.ledger.assert_conserved()
