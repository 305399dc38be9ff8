"""A plan that went wrong meets the real gate on a real picture: it is refused, recorded, and not one byte leaves.

Each order is put where the portfolio puts its own, so that the picture is the engine's, made of what the exchange said;
and each situation shows beside it the largest order that may pass.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from msgspec import structs

from quant_trading_system.core.events import LatchSeen, LeaseSeen, StreamDown
from quant_trading_system.core.money import to_decimal
from quant_trading_system.core.records import DecisionRecord
from quant_trading_system.core.types import (
    InstrumentClass,
    Latch,
    MonoNanos,
    OrderType,
    Side,
    Store,
    Stream,
    Symbol,
    TimeInForce,
)
from quant_trading_system.core.values import OrderIntent
from quant_trading_system.risk.limits import ClassLimits, RiskLimits
from tests.support.floor import MOMENTUM, SYMBOL, Floor, failed, scripted_floor

MSFT = Symbol("MSFT")
WARM_SECONDS = 125  # the first bar misses prints; the next is what prices are compared with
EVERYTHING = ClassLimits(
    order_value_fraction=Decimal(1), order_value_usd=Decimal(10**6), position_fraction=Decimal(1)
)  # so that a limit of the whole account is the one that is met


def wide(**changes: object) -> RiskLimits:
    """Limits of a single order and position out of the way."""
    return RiskLimits(classes=dict.fromkeys(InstrumentClass, EVERYTHING), **changes)  # type: ignore[arg-type]


def put(
    floor: Floor,
    quantity: int | str,
    *,
    side: Side = Side.BUY,
    limit: str | None = None,
    symbol: Symbol = SYMBOL,
    **changes: object,
) -> DecisionRecord:
    """Put one order before the engine's own gate, let everything follow, and return what was decided."""
    desk = floor.engine._desk
    mark = desk.market.mark(symbol)
    assert mark is not None
    price, shares = to_decimal(mark), Decimal(quantity)
    intent = OrderIntent(
        client_order_id=desk.orders.new_client_order_id(MOMENTUM),
        strategy=MOMENTUM,
        symbol=symbol,
        side=side,
        quantity=shares,
        order_type=OrderType.LIMIT,
        limit_price=Decimal(limit) if limit else price + Decimal("0.01") * side.sign,
        stop_price=None,
        time_in_force=TimeInForce.DAY,
        reference_price=price,
        declared_notional_usd=shares * price,
        allocations=(),
        decision_id=f"planted-{len(floor.decisions)}",
        decided_ns=desk.venue_ns,
        decided_mono_ns=desk.mono_ns,
        reason="a plan that may be wrong",
    )
    floor.engine._trading.review(structs.replace(intent, **changes))
    floor.tell_clock()  # any event: what follows from the review is performed with it
    floor.advance(1)
    return floor.decisions[-1]


def warm_floor(limits: RiskLimits | None = None, *, symbols: tuple[str, ...] = (SYMBOL, MSFT)) -> Floor:
    floor = scripted_floor(symbols=symbols, limits=limits)
    floor.advance(WARM_SECONDS)
    return floor


def must_pass(decision: DecisionRecord) -> None:
    assert (decision.outcome, failed(decision)) == ("approved", set())


# size and money


@pytest.mark.requirement("R068")
@pytest.mark.control("P10")
def test_an_order_is_worth_five_percent_of_the_equity_at_most():
    floor = warm_floor()
    must_pass(put(floor, 49))
    too_large = put(warm_floor(), 50)
    assert failed(too_large) == {"order_value"}
    assert "5000" in too_large.reason


@pytest.mark.requirement("R068")
@pytest.mark.control("P10")
def test_an_order_is_worth_fifteen_thousand_dollars_at_most_whatever_the_account_holds():
    stock = ClassLimits(order_value_fraction=Decimal(1), order_value_usd=Decimal(15_000), position_fraction=Decimal(1))
    limits = RiskLimits(classes=dict.fromkeys(InstrumentClass, stock))
    must_pass(put(warm_floor(limits), 149))
    assert failed(put(warm_floor(limits), 150)) == {"order_value"}


@pytest.mark.requirement("R065")
@pytest.mark.control("P19")
def test_a_position_grows_to_ten_percent_of_the_equity_and_no_further():
    floor = warm_floor()
    must_pass(put(floor, 49))
    must_pass(put(floor, 48))
    held = floor.positions()
    assert held == floor.broker_positions() == {SYMBOL: Decimal(97)}
    assert failed(put(floor, 4)) == {"position_size"}
    assert floor.positions() == floor.broker_positions() == held


@pytest.mark.requirement("R066")
@pytest.mark.requirement("R219")
@pytest.mark.control("P19")
def test_the_amount_that_was_set_for_a_position_wins_where_it_is_the_smaller():
    floor = warm_floor(RiskLimits(position_size_usd_max=Decimal(3_000)))
    must_pass(put(floor, 29))
    assert failed(put(floor, 1)) == {"position_size"}


@pytest.mark.requirement("R067")
@pytest.mark.control("P42")
def test_one_symbol_more_than_the_most_that_may_be_held_is_refused():
    floor = warm_floor(RiskLimits(positions_max=1))
    must_pass(put(floor, 10))
    assert failed(put(floor, 10, symbol=MSFT)) == {"positions"}
    must_pass(put(floor, 10))


@pytest.mark.requirement("R073")
@pytest.mark.control("P22")
def test_a_purchase_leaves_five_percent_of_the_buying_power():
    must_pass(put(warm_floor(wide()), 949))
    assert failed(put(warm_floor(wide()), 950)) == {"buying_power"}


@pytest.mark.control("P20")
def test_everything_held_and_ordered_together_stays_within_the_exposure_that_was_set():
    floor = warm_floor(wide(gross_exposure_fraction=Decimal("0.06")))
    must_pass(put(floor, 40))
    assert failed(put(floor, 20, symbol=MSFT)) == {"exposure"}
    must_pass(put(floor, 19, symbol=MSFT))


@pytest.mark.control("P28")
def test_what_is_bought_and_sold_in_a_day_is_bounded():
    floor = warm_floor(RiskLimits(turnover_fraction_max=Decimal("0.06")))
    must_pass(put(floor, 40))
    assert failed(put(floor, 20)) == {"turnover"}


# too much of the same


@pytest.mark.requirement("R094")
@pytest.mark.control("P17")
def test_the_same_order_again_is_refused_while_the_first_is_on_its_way_and_names_it():
    floor = warm_floor()
    first = put(floor, 10, limit="99.90")
    must_pass(first)
    again = put(floor, 10, limit="99.90")
    assert failed(again) == {"duplicate"}
    assert str(first.client_order_id) in again.reason
    assert len(floor.posted) == len(floor.exchange.orders()) == 1


@pytest.mark.control("P18")
def test_an_order_never_meets_one_of_our_own():
    floor = warm_floor()
    must_pass(put(floor, 40))
    must_pass(put(floor, 10, limit="99.90"))
    assert failed(put(floor, 10, side=Side.SELL)) == {"self_cross"}


@pytest.mark.control("P23")
def test_four_orders_of_a_symbol_may_rest_and_no_fifth():
    floor = warm_floor()
    for quantity in (1, 2, 3, 4):
        must_pass(put(floor, quantity, limit="99.90"))
    assert failed(put(floor, 5, limit="99.90")) == {"open_orders"}
    must_pass(put(floor, 5, symbol=MSFT))


@pytest.mark.control("P24")
def test_the_eleventh_order_of_a_strategy_within_a_minute_is_refused_and_a_minute_later_there_is_room():
    floor = warm_floor()
    for quantity in range(1, 11):
        must_pass(put(floor, quantity))
    assert failed(put(floor, 11)) == {"order_rate"}
    floor.advance(50)
    must_pass(put(floor, 11))


@pytest.mark.control("P44")
def test_a_symbol_that_was_left_is_left_alone_for_fifteen_minutes():
    floor = warm_floor()
    must_pass(put(floor, 10))
    must_pass(put(floor, 10, side=Side.SELL))
    assert floor.positions() == {}
    assert failed(put(floor, 10)) == {"exit_cooldown"}
    floor.advance(14 * 60 + 55)
    assert failed(put(floor, 10)) == {"exit_cooldown"}
    floor.advance(5)
    must_pass(put(floor, 10))


# an order that is wrong in itself


def price_moved(floor: Floor) -> None:
    floor.advance(3, price=109.0)


def nothing(_floor: Floor) -> None:
    """The market stays as it is."""


WRONG = [
    pytest.param(nothing, {"quantity": 10_001}, wide(), "order_quantity", marks=pytest.mark.control("P11"), id="P11"),
    pytest.param(
        nothing,
        {"quantity": 40, "declared_notional_usd": Decimal(40)},
        None,
        "units",
        marks=pytest.mark.control("P12"),
        id="P12-shares-taken-for-dollars",
    ),
    pytest.param(
        nothing, {"quantity": 10, "limit": "100.51"}, None, "price_collar", marks=pytest.mark.control("P13"), id="P13"
    ),
    pytest.param(price_moved, {"quantity": 10}, None, "price_band", marks=pytest.mark.control("P14"), id="P14"),
    pytest.param(
        nothing, {"quantity": 10, "limit": "100.005"}, None, "increments", marks=pytest.mark.control("P16"), id="P16"
    ),
    pytest.param(
        nothing,
        {"quantity": 10, "order_type": OrderType.MARKET, "limit_price": None},
        None,
        "order_type",
        marks=pytest.mark.control("P8"),
        id="P8",
    ),
    pytest.param(
        nothing,
        {"quantity": 10, "time_in_force": TimeInForce.GTC},
        None,
        "time_in_force",
        marks=pytest.mark.control("P9"),
        id="P9",
    ),
    pytest.param(
        nothing, {"quantity": 10, "side": Side.SELL}, None, "long_only", marks=pytest.mark.control("P7"), id="P7"
    ),
]


@pytest.mark.requirement("R086")
@pytest.mark.parametrize(("happens", "order", "limits", "control"), WRONG)
def test_an_order_that_is_wrong_is_refused_by_name_and_nothing_is_sent(
    happens: Callable[[Floor], None], order: dict[str, object], limits: RiskLimits | None, control: str
):
    floor = warm_floor(limits)
    happens(floor)
    decision = put(floor, **order)  # type: ignore[arg-type]
    assert control in failed(decision)
    assert decision.outcome == "refused"
    assert control in decision.reason
    assert (floor.sent, floor.posted, floor.order_rows, floor.exchange.orders()) == ([], [], [], [])
    if happens is nothing:
        must_pass(put(floor, 10))


# a moment at which nothing new may be bought


def engage_the_latch(floor: Floor) -> None:
    floor.tell(LatchSeen(store=Store.DATABASE, latch=Latch.ENGAGED, reason="drill", **floor.stamps()))


def lose_the_lease(floor: Floor) -> None:
    floor.keeps_lease = False
    deadline = MonoNanos(floor.mono_ns + 1_900_000_000)
    floor.tell(LeaseSeen(held=True, epoch=1, deadline_mono_ns=deadline, **floor.stamps()))


def cut_trade_updates(floor: Floor) -> None:
    floor.tell(StreamDown(stream=Stream.TRADE_UPDATES, reason="cut", **floor.stamps()))


def stop_the_feed(floor: Floor) -> None:
    floor.quotes = floor.prints = False
    floor.advance(3)


def delist(floor: Floor) -> None:
    desk = floor.engine._desk
    desk.instruments[SYMBOL] = structs.replace(desk.instruments[SYMBOL], tradable=False)


@pytest.mark.requirement("R086")
@pytest.mark.parametrize(
    ("happens", "control"),
    [
        pytest.param(
            engage_the_latch,
            "kill_latch",
            marks=[pytest.mark.control("P1"), pytest.mark.requirement("R043"), pytest.mark.requirement("R045")],
            id="P1",
        ),
        pytest.param(lose_the_lease, "lease", marks=pytest.mark.control("P2"), id="P2"),
        pytest.param(cut_trade_updates, "reconciliation", marks=pytest.mark.control("P4"), id="P4"),
        pytest.param(
            stop_the_feed,
            "market_data",
            marks=[pytest.mark.control("P15"), pytest.mark.requirement("R128")],
            id="P15",
        ),
        pytest.param(delist, "instrument", marks=pytest.mark.control("P6"), id="P6"),
    ],
)
def test_at_such_a_moment_an_order_that_would_pass_is_refused(happens: Callable[[Floor], None], control: str):
    must_pass(put(warm_floor(), 10))
    floor = warm_floor()
    happens(floor)
    decision = put(floor, 10)
    assert control in failed(decision)
    refused_first = next(result.name for result in decision.controls if not result.passed)
    assert refused_first == {"reconciliation": "trading_state"}.get(control, control)  # a stream that is down: REDUCING
    assert (floor.posted, floor.exchange.orders()) == ([], [])


@pytest.mark.requirement("R129")
@pytest.mark.control("P15")
def test_one_symbol_that_falls_silent_is_refused_by_itself_and_the_others_are_not_made_fresh_or_stale_by_it():
    floor = warm_floor()
    floor.spoil = lambda quote: structs.replace(quote, symbol=Symbol("NONE")) if quote.symbol == MSFT else quote
    floor.prices.pop(MSFT)
    floor.symbols = (SYMBOL,)
    floor.advance(61)
    assert "market_data" in failed(put(floor, 10, symbol=MSFT))
    must_pass(put(floor, 10))
