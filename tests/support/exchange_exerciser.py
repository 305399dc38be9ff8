"""Random order operations of several clients against the exchange's core: whatever they do, its books must add up.

Everything is drawn from the seed: the same seed makes the same operations, in any process. What the exchange refuses is
part of the story and is counted; anything else that it raises, an AssertionError of a conservation law first, ends it.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from datetime import date
from decimal import Decimal
from typing import Any

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.corporate_actions import ActionKind, CorporateAction
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.instants import NANOS_PER_MS, new_york_ns
from quant_trading_system.simulator.journal import Journal
from quant_trading_system.simulator.market.generated import GeneratedMarket
from quant_trading_system.simulator.order_index import OrderQuery
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.requests import OrderChange, OrderRequest
from quant_trading_system.simulator.settings import ExchangeSettings

START_NS = new_york_ns(date(2024, 6, 3), 9, 30)
EQUITIES = ("AAPL", "AMZN", "JNJ", "JPM", "META", "MSFT", "NVDA", "QQQ", "SPY", "TSLA", "XOM")
PAIRS = ("BTC/USD", "ETH/USD")
REFUSED_WITH = frozenset({400, 403, 404, 422})
CHECK_EVERY = 100_000  # operations between two replays of the whole history; each entry is checked when it is made
REMEMBERED = 200  # orders that a client may still meddle with
NIGHT_SHARE = 3e-4  # of the operations, after which the clock goes to the next open

Json = dict[str, object]

OPERATIONS = {  # weight of each
    "market": 20,
    "limit": 20,
    "stop": 6,
    "trailing": 3,
    "bracket": 5,
    "oco": 3,
    "oto": 3,
    "auction": 2,
    "extended": 2,
    "notional": 4,
    "crypto": 6,
    "nonsense": 2,
    "cancel": 18,
    "replace": 12,
    "close": 4,
    "cancel_all": 0.3,
    "close_all": 0.05,
    "halt": 0.1,
    "bust": 0.02,
    "correct": 0.02,
    "transfer": 0.1,
    "announce": 0.02,
    "read": 4,
}


class Client:
    """One of several who trade on the account: its draws, and the orders that it remembers."""

    def __init__(self, number: int, seed: int) -> None:
        self.number = number
        self.random = random.Random(f"{seed}:{number}")
        self.order_ids: list[str] = []
        self._sent = 0

    def remember(self, *order_ids: str) -> None:
        self.order_ids.extend(order_ids)
        del self.order_ids[:-REMEMBERED]

    def some_order_id(self) -> str:
        if not self.order_ids or self.random.random() < 0.01:
            return "00000000-0000-4000-8000-000000000000"
        return self.random.choice(self.order_ids)

    def client_order_id(self) -> str:
        """A new name; one in a hundred is used again."""
        self._sent += self.random.random() >= 0.01
        return f"client-{self.number}-{self._sent}"


class Exerciser:
    """An exchange on a generated market, and the clients that trade on it.

    Args:
        seed: of everything.
        journal: where the exchange keeps its books; None keeps none.
    """

    def __init__(self, *, seed: int, clients: int = 5, journal: Journal | None = None) -> None:
        self._random = random.Random(seed)
        self.clients = [Client(number, seed) for number in range(clients)]
        self.counts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.exchange = Exchange(
            settings=ExchangeSettings(start_ns=Nanos(START_NS), seed=seed, cash=Decimal(100_000_000)),
            market=GeneratedMarket(seed=seed, start_ns=Nanos(START_NS), symbols=(*EQUITIES, *PAIRS), activity=0.1),
            journal=journal,
        )
        self._executions: deque[tuple[str, Decimal]] = deque(maxlen=REMEMBERED)
        self._announced = 0
        self._names = list(OPERATIONS)
        self._weights = list(OPERATIONS.values())

    def run(self, operations: int) -> None:
        """Do so many operations, one after another, each of a client drawn for it."""
        for done in range(1, operations + 1):
            client = self._random.choice(self.clients)
            name = self._random.choices(self._names, self._weights)[0]
            self._operate(client, name)
            self._pass_time()
            if done % CHECK_EVERY == 0:
                self.exchange.check()  # every conservation law over the whole history, every running total
        self.exchange.check()

    @property
    def digest(self) -> str:
        return str(self.exchange.ledger()["hash"])

    def _operate(self, client: Client, name: str) -> None:
        try:
            getattr(self, f"_{name}")(client)
        except Refusal as refusal:
            if refusal.http_status not in REFUSED_WITH:
                raise
            self.counts[f"{name} refused"] += 1
            self.refusals[refusal.message] += 1
        else:
            self.counts[name] += 1

    def _pass_time(self) -> None:
        if self._random.random() < NIGHT_SHARE:
            self._sleep()
            return
        self._advance(self.exchange.now_ns + self._random.randrange(1, 40) * NANOS_PER_MS)

    def _sleep(self) -> None:
        """To the next open; now and then half a day only, into the hours around a session."""
        now_ns = self.exchange.now_ns
        session = calendar.session_opening_after(now_ns)
        assert session is not None, "the calendar ends"
        self._advance(session.open_ns if self._random.random() < 0.7 else (now_ns + session.open_ns) // 2)
        self.counts["night"] += 1

    def _advance(self, until_ns: int) -> None:
        while self.exchange.now_ns < until_ns:
            self.exchange.advance(Nanos(until_ns))
            self.exchange.take_market_events()
        for event in self.exchange.take_order_events():
            self.counts[event.event] += 1
            if event.price is not None and event.execution_id is not None:
                self._executions.append((event.execution_id, event.price))

    # --- orders -------------------------------------------------------------------------------------------------------

    def _submit(self, client: Client, **fields: object) -> None:
        draw = client.random
        body: Json = {"symbol": draw.choice(EQUITIES), "side": draw.choice(("buy", "sell"))}
        body |= {"qty": str(draw.choice((1, 2, 7, 30, 100, 400, 2_500)))}
        body |= {"type": "market", "time_in_force": draw.choice(("day", "gtc")), **fields}
        if draw.random() < 0.5:
            body["client_order_id"] = client.client_order_id()
        order = self.exchange.submit(OrderRequest.from_body({k: v for k, v in body.items() if v is not None}))
        client.remember(order.id, *order.leg_ids)

    def _price(self, client: Client, symbol: str, *, low: float, high: float) -> str:
        """A price around the last trade's, in cents; one in fifty has more decimals than allowed."""
        trade = self.exchange.market.latest_trade(symbol)
        around = 100.0 if trade is None else trade.price
        decimals = 4 if client.random.random() < 0.02 else 2
        return f"{around * client.random.uniform(low, high):.{decimals}f}"

    def _symbol_and_side(self, client: Client) -> tuple[str, str, bool]:
        side = client.random.choice(("buy", "sell"))
        return client.random.choice(EQUITIES), side, side == "buy"

    def _market(self, client: Client) -> None:
        self._submit(client, time_in_force=client.random.choice(("day", "gtc", "ioc", "fok")))

    def _limit(self, client: Client) -> None:
        symbol = client.random.choice(EQUITIES)
        price = self._price(client, symbol, low=0.995, high=1.005)
        tif = client.random.choice(("day", "gtc", "ioc", "fok"))
        self._submit(client, symbol=symbol, type="limit", limit_price=price, time_in_force=tif)

    def _stop(self, client: Client) -> None:
        symbol, side, is_buy = self._symbol_and_side(client)
        low, high = (0.999, 1.01) if is_buy else (0.99, 1.001)
        fields: Json = {"type": "stop", "stop_price": self._price(client, symbol, low=low, high=high)}
        if client.random.random() < 0.5:
            fields |= {"type": "stop_limit", "limit_price": self._price(client, symbol, low=0.99, high=1.01)}
        self._submit(client, symbol=symbol, side=side, **fields)

    def _trailing(self, client: Client) -> None:
        name = client.random.choice(("trail_percent", "trail_price"))
        self._submit(client, type="trailing_stop", **{name: f"{client.random.uniform(0.05, 1.5):.2f}"})

    def _exits(self, client: Client, symbol: str, *, is_buy: bool) -> tuple[Json, Json]:
        """Take-profit and stop-loss around the market; one in ten is the wrong way round."""
        up = is_buy != (client.random.random() < 0.1)
        profit = self._price(client, symbol, low=1.001 if up else 0.99, high=1.01 if up else 0.999)
        loss: Json = {"stop_price": self._price(client, symbol, low=0.99 if up else 1.001, high=0.999 if up else 1.01)}
        if client.random.random() < 0.3:
            loss["limit_price"] = self._price(client, symbol, low=0.98, high=1.02)
        return {"limit_price": profit}, loss

    def _bracket(self, client: Client) -> None:
        symbol, side, is_buy = self._symbol_and_side(client)
        profit, loss = self._exits(client, symbol, is_buy=is_buy)
        entry: Json = {"order_class": "bracket", "take_profit": profit, "stop_loss": loss}
        if client.random.random() < 0.5:
            entry |= {"type": "limit", "limit_price": self._price(client, symbol, low=0.999, high=1.001)}
        self._submit(client, symbol=symbol, side=side, **entry)

    def _oco(self, client: Client) -> None:
        symbol, side, is_buy = self._symbol_and_side(client)
        profit, loss = self._exits(client, symbol, is_buy=not is_buy)
        classes: Json = {"order_class": "oco", "type": "limit", "take_profit": profit, "stop_loss": loss}
        self._submit(client, symbol=symbol, side=side, **classes)

    def _oto(self, client: Client) -> None:
        symbol, side, is_buy = self._symbol_and_side(client)
        profit, loss = self._exits(client, symbol, is_buy=is_buy)
        exit_leg: Json = {"take_profit": profit} if client.random.random() < 0.5 else {"stop_loss": loss}
        self._submit(client, symbol=symbol, side=side, order_class="oto", **exit_leg)

    def _auction(self, client: Client) -> None:
        symbol = client.random.choice(EQUITIES)
        fields: Json = {"time_in_force": client.random.choice(("opg", "cls"))}
        if client.random.random() < 0.5:
            fields |= {"type": "limit", "limit_price": self._price(client, symbol, low=0.98, high=1.02)}
        self._submit(client, symbol=symbol, **fields)

    def _extended(self, client: Client) -> None:
        symbol = client.random.choice(EQUITIES)
        price = self._price(client, symbol, low=0.99, high=1.01)
        self._submit(client, symbol=symbol, type="limit", limit_price=price, extended_hours=True)

    def _notional(self, client: Client) -> None:
        amount = f"{client.random.choice((0.5, 1, 25, 1_000, 50_000)):.2f}"
        fraction = f"{client.random.uniform(0.001, 9):.9f}"
        size: Json = {"qty": None, "notional": amount} if client.random.random() < 0.6 else {"qty": fraction}
        self._submit(client, time_in_force="day", **size)

    def _crypto(self, client: Client) -> None:
        pair = client.random.choice(PAIRS)
        symbol = client.random.choice((pair, pair.replace("/", "")))
        fields: Json = {"qty": f"{client.random.uniform(0.0001, 0.5):.9f}"}
        if client.random.random() < 0.4:
            fields |= {"type": "limit", "limit_price": self._price(client, pair, low=0.99, high=1.01)}
        self._submit(client, symbol=symbol, time_in_force=client.random.choice(("gtc", "ioc", "day")), **fields)

    def _nonsense(self, client: Client) -> None:
        """What no client should send: refused, and nothing else happens."""
        wrong: tuple[Json, ...] = (
            {"qty": "-1"},
            {"qty": "0"},
            {"qty": "1e30"},
            {"symbol": "FACEBOOK"},
            {"type": "limit"},
            {"time_in_force": "forever"},
            {"side": "hold"},
            {"notional": "10"},
            {"client_order_id": "x" * 129},
            {"order_class": "bracket"},
        )
        self._submit(client, **client.random.choice(wrong))

    # --- what is done to orders, positions and the account ------------------------------------------------------------

    def _cancel(self, client: Client) -> None:
        self.exchange.cancel(client.some_order_id())

    def _replace(self, client: Client) -> None:
        order_id = client.some_order_id()
        symbol = self.exchange.order(order_id).symbol
        change: Json = {}
        if client.random.random() < 0.6:
            change["qty"] = str(client.random.choice((1, 5, 60, 300)))
        if client.random.random() < 0.6:
            change["limit_price"] = self._price(client, symbol, low=0.99, high=1.01)
        if client.random.random() < 0.2:
            change["stop_price"] = self._price(client, symbol, low=0.99, high=1.01)
        if client.random.random() < 0.1:
            change["trail"] = f"{client.random.uniform(0.1, 2):.2f}"
        client.remember(self.exchange.replace(order_id, OrderChange.from_body(change)).id)

    def _close(self, client: Client) -> None:
        part: dict[str, Decimal] = {}
        if client.random.random() < 0.5:
            part["percentage"] = Decimal(client.random.randrange(1, 101))
        symbol = client.random.choice((*EQUITIES, *PAIRS)).replace("/", "")
        client.remember(self.exchange.close_position(symbol, **part).id)

    def _cancel_all(self, client: Client) -> None:
        del client
        self.exchange.cancel_all()

    def _close_all(self, client: Client) -> None:
        self.exchange.close_all(cancel_orders=client.random.random() < 0.8)

    # --- what happens beside the clients ------------------------------------------------------------------------------

    def _halt(self, client: Client) -> None:
        symbol = client.random.choice(EQUITIES)
        resumes = self.exchange.is_halted(symbol)
        self.exchange.set_status(
            symbol, "resume" if resumes else client.random.choices(("halt", "luld_pause"), (1, 20))[0]
        )

    def _some_execution(self, client: Client) -> tuple[str, Decimal]:
        return client.random.choice(self._executions) if self._executions else ("nobody's", Decimal(1))

    def _bust(self, client: Client) -> None:
        self.exchange.bust(self._some_execution(client)[0])

    def _correct(self, client: Client) -> None:
        execution_id, price = self._some_execution(client)
        if client.random.random() < 0.5:
            self.exchange.correct(execution_id, price=price + Decimal("0.01"))
        else:
            self.exchange.correct(execution_id, qty=Decimal(client.random.randrange(1, 50)))

    def _transfer(self, client: Client) -> None:
        self.exchange.transfer(Decimal(client.random.randrange(-50_000, 60_000)))

    def _announce(self, client: Client) -> None:
        """A split or a dividend that takes effect at the next open."""
        session = calendar.session_opening_after(self.exchange.now_ns)
        assert session is not None, "the calendar ends"
        self._announced += 1
        days = {"ex_date": session.day, "record_date": session.day, "process_date": session.day}
        about: dict[str, Any] = {"id": f"announced-{self._announced}", "symbol": client.random.choice(EQUITIES), **days}
        old, new = client.random.choice(((20, 21), (21, 20)))  # the market does not know of it: no fortune is made
        if client.random.random() < 0.5:
            kind: ActionKind = "forward_split" if new > old else "reverse_split"
            self.exchange.announce(CorporateAction(kind=kind, old_rate=Decimal(old), new_rate=Decimal(new), **about))
        else:
            self.exchange.announce(
                CorporateAction(kind="cash_dividend", cash=Decimal("0.37"), payable_date=session.day, **about)
            )

    def _read(self, client: Client) -> None:
        exchange = self.exchange
        account = exchange.account()
        held = account.long_market_value + account.short_market_value
        assert account.equity == account.cash + held, f"equity {account.equity}: cash {account.cash}, held {held}"
        assert account.buying_power >= 0, f"buying power: found {account.buying_power}"
        for view in exchange.positions():
            assert abs(view.qty_available) <= abs(view.qty), f"{view.symbol}: {view.qty_available} of {view.qty} free"
        open_orders = exchange.orders(OrderQuery(limit=500))
        assert all(order.is_open for order in open_orders), "expected open orders in the list of open orders"
        client.remember(*(order.id for order in open_orders[:5]))
