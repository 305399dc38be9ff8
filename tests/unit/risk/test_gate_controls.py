"""Every control refuses what it must and lets pass what it may; the gate alone approves, and asks all of them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest
from msgspec import structs

from quant_trading_system.core.types import (
    InstrumentClass,
    Latch,
    Mode,
    MonoNanos,
    Nanos,
    OrderType,
    Side,
    Store,
    Stream,
    TimeInForce,
    TradingState,
)
from quant_trading_system.core.values import ControlResult, OrderIntent
from quant_trading_system.core.views import RiskView
from quant_trading_system.risk.context import RiskContext
from quant_trading_system.risk.gate import RiskGate
from quant_trading_system.risk.limits import RiskLimits
from quant_trading_system.risk.rules import ALL_RULES
from tests.unit.risk.builders import (
    MONO_NS,
    NOON_NS,
    exposure,
    holding,
    instrument,
    intent,
    money,
    price,
    recent,
    refused_by,
    review,
    selling,
    session,
    view,
)

DAY_LATER_NS = Nanos(NOON_NS + 86_400 * 10**9)
SENT_MANY = tuple(recent(30) for _ in range(20))
SENT_IN_AN_HOUR = tuple(recent(600) for _ in range(200))


def latched(store: Store, latch: Latch) -> Mapping[Store, Latch]:
    return dict.fromkeys(Store, Latch.CLEAR) | {store: latch}


def refusal(control: str, name: str, order: OrderIntent, picture: RiskView, limits: RiskLimits | None = None):
    return pytest.param(
        order, picture, limits, f"{control} {name}", marks=pytest.mark.control(control), id=f"{control}-{name}"
    )


REFUSALS = [
    *(
        refusal("P1", "kill_latch", intent(), view(latches=latched(store, latch)))
        for store in Store
        for latch in (Latch.ENGAGED, Latch.MISSING, Latch.UNREADABLE)
    ),
    refusal("P1", "trading_state", intent(), view(state=TradingState.REDUCING)),
    refusal("P1", "trading_state", intent(), view(state=TradingState.HALTED)),
    refusal("P1", "trading_state", intent(), view(is_stopping=True)),
    refusal("P2", "lease", intent(), view(lease_held=False)),
    refusal("P2", "lease", intent(), view(lease_deadline_mono_ns=MonoNanos(MONO_NS + 1_900_000_000))),
    refusal("P2", "lease", selling(), view(exposure=holding(), lease_held=False)),
    refusal("P4", "reconciliation", intent(), view(reconciliation_age_s=45.1)),
    refusal("P4", "reconciliation", intent(), view(reconciliation_age_s=None)),
    *(
        refusal("P4", "reconciliation", intent(), view(streams_up=dict.fromkeys(Stream, True) | {stream: False}))
        for stream in Stream
    ),
    refusal("P5", "session", intent(), view(session=session(is_open_by_calendar=False))),
    refusal("P5", "session", intent(), view(session=session(is_open_by_broker=False))),
    refusal("P5", "session", intent(), view(session=session(is_open_by_broker=None))),
    refusal("P5", "session", intent(), view(session=session(window_start_ns=Nanos(NOON_NS + 1)))),
    refusal("P5", "session", intent(), view(session=session(window_end_ns=NOON_NS))),
    refusal("P5", "session", selling(), view(exposure=holding(), session=session(is_open_by_broker=False))),
    refusal("P6", "instrument", intent(), view(instrument=None)),
    refusal("P6", "instrument", intent(), view(instrument=instrument(tradable=False))),
    refusal("P6", "instrument", intent(), view(instrument=instrument(active=False))),
    refusal("P6", "instrument", intent(), view(instrument=instrument(reference_only=True))),
    refusal("P6", "instrument", intent(), view(price=price(is_halted=True))),
    refusal("P6", "instrument", selling(), view(exposure=holding(), price=price(is_halted=True))),
    refusal(
        "P6",
        "instrument",
        intent(limit_price=Decimal("4.99"), reference_price=Decimal("4.99"), declared_notional_usd=Decimal("49.90")),
        view(price=price(bid=4.98, ask=4.99, vwap_30min=4.98)),
    ),
    refusal("P6", "instrument", intent(), view(instrument=instrument(average_volume_shares=9e5))),
    refusal("P6", "instrument", intent(), view(instrument=instrument(average_volume_usd=1e7))),
    refusal("P6", "instrument", intent(), view(mode=Mode.PAPER, instrument=instrument(average_volume_shares=None))),
    refusal("P6", "symbol_lock", intent(), view(symbol_lock="drift")),
    refusal("P6", "symbol_lock", intent(), view(exposure=exposure(has_unknown_order=True))),
    refusal("P7", "long_only", selling(), view()),
    refusal("P7", "long_only", selling(60), view(exposure=holding(50))),
    refusal("P7", "long_only", selling(40), view(exposure=holding(50, open_sell=Decimal(20)))),
    refusal("P8", "order_type", intent(order_type=OrderType.MARKET, limit_price=None), view()),
    refusal("P8", "order_type", intent(limit_price=None), view()),
    refusal(
        "P8", "order_type", intent(order_type=OrderType.STOP, limit_price=None, stop_price=Decimal("100.10")), view()
    ),
    refusal("P9", "time_in_force", intent(time_in_force=TimeInForce.GTC), view()),
    refusal(
        "P10",
        "order_value",
        intent(quantity=Decimal(50), declared_notional_usd=Decimal("5002.50")),
        view(),
    ),
    refusal(
        "P10",
        "order_value",
        intent(quantity=Decimal(150), declared_notional_usd=Decimal("15007.50")),
        view(money=money(last_equity_usd=Decimal(10_000_000))),
    ),
    refusal("P10", "order_value", intent(), view(money=money(last_equity_usd=None))),
    refusal("P11", "order_quantity", intent(quantity=Decimal(10_001)), view()),
    refusal("P11", "order_quantity", intent(), view(instrument=instrument(average_volume_shares=1_900.0))),
    refusal("P11", "order_quantity", intent(quantity=Decimal(0)), view()),
    refusal("P11", "order_quantity", intent(quantity=Decimal("NaN")), view()),
    refusal("P12", "units", intent(quantity=Decimal(1_000)), view()),
    refusal("P12", "units", intent(declared_notional_usd=Decimal(0)), view()),
    refusal("P13", "price_collar", intent(limit_price=Decimal("100.56")), view()),
    refusal("P13", "price_collar", selling(limit_price=Decimal("99.54")), view(exposure=holding())),
    refusal("P14", "price_band", intent(), view(price=price(vwap_30min=92.0))),
    refusal("P14", "price_band", intent(), view(price=price(vwap_30min=None, last_close=110.0))),
    refusal("P14", "price_band", intent(), view(price=price(vwap_30min=None, last_close=None))),
    refusal("P15", "market_data", intent(), view(price=None)),
    refusal("P15", "market_data", intent(), view(price=price(bid=None))),
    refusal("P15", "market_data", intent(), view(price=price(bid=100.2))),
    refusal("P15", "market_data", intent(), view(price=price(ask=100.7))),
    refusal("P15", "market_data", intent(), view(price=price(quote_age_s=2.1, feed_age_s=2.1))),
    refusal("P15", "market_data", intent(), view(price=price(quote_age_s=60.1, feed_age_s=0.1))),
    refusal("P15", "market_data", intent(), view(price=price(trade_age_s=60.1))),
    refusal("P15", "market_data", intent(), view(price=price(trade_age_s=None))),
    refusal("P15", "market_data", selling(), view(exposure=holding(), price=price(bid=None))),
    refusal("P15", "market_data", selling(), view(exposure=holding(), price=price(quote_age_s=5.1, feed_age_s=5.1))),
    refusal("P16", "increments", intent(limit_price=Decimal("100.105")), view()),
    refusal("P16", "increments", intent(quantity=Decimal("9.5")), view(instrument=instrument(fractionable=False))),
    refusal("P16", "increments", intent(quantity=Decimal("9.5"), time_in_force=TimeInForce.IOC), view()),
    refusal(
        "P17",
        "duplicate",
        intent(),
        view(recent=(recent(9, symbol="IBM", quantity=Decimal(10), price=Decimal("100.10"), is_final=False),)),
    ),
    refusal("P18", "self_cross", intent(), view(live_opposite_orders=1)),
    refusal("P19", "position_size", intent(), view(exposure=holding(91))),
    refusal("P19", "position_size", intent(), view(), RiskLimits(position_size_usd_max=Decimal(1_000))),
    refusal("P20", "exposure", intent(), view(exposure=exposure(gross_usd=Decimal(99_500), net_usd=Decimal(0)))),
    refusal("P20", "exposure", intent(), view(exposure=exposure(gross_usd=Decimal(0), net_usd=Decimal(99_500)))),
    refusal("P20", "exposure", intent(), view(exposure=exposure(gross_usd=Decimal("Infinity")))),
    refusal("P22", "buying_power", intent(), view(money=money(broker_buying_power_usd=Decimal(1_050)))),
    refusal("P22", "buying_power", intent(), view(money=money(own_buying_power_usd=Decimal(1_050)))),
    refusal("P22", "buying_power", intent(), view(money=money(own_buying_power_usd=None))),
    refusal("P23", "open_orders", intent(), view(exposure=exposure(open_orders_symbol=4))),
    refusal("P23", "open_orders", intent(), view(exposure=exposure(open_orders_total=30))),
    refusal("P24", "order_rate", intent(), view(recent=SENT_MANY)),
    refusal("P24", "order_rate", intent(), view(recent=SENT_IN_AN_HOUR)),
    refusal("P24", "order_rate", intent(), view(recent=tuple(recent(7_200) for _ in range(1_000)))),
    refusal("P24", "order_rate", intent(), view(recent=tuple(recent(30, strategy="momentum") for _ in range(10)))),
    refusal("P25", "strategy_lock", intent(), view(strategy_lock="raised")),
    refusal("P28", "turnover", intent(), view(recent=(recent(60, quantity=Decimal(199_500)),))),
    refusal("P29", "daily_loss", intent(), view(money=money(day_loss_ratio=Decimal("0.01")))),
    refusal("P29", "daily_loss", intent(), view(money=money(day_loss_ratio=None))),
    refusal(
        "P29",
        "daily_loss",
        intent(),
        view(money=money(day_pnl_usd=Decimal(-100))),
        RiskLimits(daily_loss_hard_usd=Decimal(100)),
    ),
    refusal("P30", "drawdown", intent(), view(money=money(drawdown_ratio=Decimal("0.05")))),
    refusal("P30", "drawdown", intent(), view(money=money(intraday_drawdown_ratio=Decimal("0.015")))),
    refusal("P30", "drawdown", intent(), view(money=money(drawdown_ratio=None))),
    refusal("P41", "equity_floor", intent(), view(money=money(equity_usd=Decimal(49_999)))),
    refusal("P41", "equity_floor", intent(), view(money=money(equity_usd=None))),
    refusal("P42", "positions", intent(), view(exposure=exposure(positions=16))),
    refusal(
        "P44",
        "exit_cooldown",
        intent(),
        view(recent=(recent(14 * 60, symbol="IBM", side=Side.SELL, quantity=Decimal(10)),)),
    ),
]


@pytest.mark.requirement("R086")
@pytest.mark.invariant("I10")
@pytest.mark.control(
    "P1", "P2", "P4", "P5", "P6", "P7", "P8", "P9", "P10", "P11", "P12", "P13", "P14", "P15", "P16", "P17", "P18",
    "P19", "P20", "P22", "P23", "P24", "P25", "P28", "P29", "P30", "P41", "P42", "P44",
)  # fmt: skip
@pytest.mark.parametrize(("order", "picture", "limits", "control"), REFUSALS)
def test_the_control_refuses(order, picture, limits, control):
    decision = review(order, picture, limits)
    assert control in refused_by(decision)
    assert decision.approved is None
    refusal = next(each for each in decision.refusals if f"{each.control} {each.name}" == control)
    assert refusal.reason or (refusal.measured and refusal.limit), "a refusal says why"


def test_every_rule_has_an_order_that_it_refuses_and_is_named_by_the_test_of_refusals():
    assert {parameters.values[3] for parameters in REFUSALS} == {f"{rule.control} {rule.name}" for rule in ALL_RULES}
    marks = [mark for mark in test_the_control_refuses.pytestmark if mark.name == "control"]
    assert {id_ for mark in marks for id_ in mark.args} == {rule.control for rule in ALL_RULES}


def test_an_ordinary_purchase_passes_every_control():
    decision = review(intent(), view())
    assert refused_by(decision) == set()
    assert decision.approved is not None
    assert decision.approved.intent == intent()
    assert decision.approved.limits_version == RiskGate(RiskLimits()).limits_version
    assert not decision.reduces_exposure


@pytest.mark.invariant("I6")
def test_the_record_names_every_control_in_its_fixed_order_however_many_refuse():
    order = [(rule.control, rule.name) for rule in ALL_RULES]
    for picture in (view(), view(price=None, instrument=None, lease_held=False)):
        assert [(each.control, each.name) for each in review(intent(), picture).controls] == order


def test_a_refusal_names_all_its_reasons():
    decision = review(intent(), view(price=None, symbol_lock="drift", reconciliation_age_s=99))
    assert {"P15 market_data", "P6 symbol_lock", "P4 reconciliation", "P13 price_collar"} <= refused_by(decision)


@pytest.mark.requirement("R092")
def test_without_a_price_there_is_no_order_not_even_to_close():
    for picture in (view(price=None), view(exposure=holding(), price=price(bid=None, ask=None))):
        order = selling() if picture.exposure.position else intent()
        assert "P15 market_data" in refused_by(review(order, picture))


@pytest.mark.invariant("I10")
def test_a_rule_that_raises_has_not_said_yes():
    class Broken:
        control = "P99"
        name = "broken"

        def check(self, intent: OrderIntent, context: RiskContext) -> ControlResult:
            raise ZeroDivisionError("one over nothing")

    decision = RiskGate(RiskLimits(), (Broken(),)).review(intent(), view())
    assert decision.approved is None
    assert "ZeroDivisionError" in decision.refusals[0].reason


ALLOWED_WHILE_REDUCING = [
    {"latches": dict.fromkeys(Store, Latch.ENGAGED)},
    {"state": TradingState.REDUCING},
    {"state": TradingState.HALTED},
    {"reconciliation_age_s": 300.0},
    {"streams_up": {Stream.MARKET_DATA: False, Stream.TRADE_UPDATES: False}},
    {"session": session(is_open_by_broker=None, window_end_ns=NOON_NS)},
    {"symbol_lock": "drift"},
    {"strategy_lock": "raised"},
    {"recent": SENT_MANY},
    {"money": money(day_loss_ratio=Decimal("0.5"), drawdown_ratio=Decimal("0.5"), equity_usd=Decimal(1))},
    {"money": money(day_loss_ratio=None, drawdown_ratio=None, own_buying_power_usd=None)},
    {"instrument": instrument(active=False, average_volume_usd=None), "mode": Mode.LIVE},
    {"price": price(ask=100.9, bid=99.99, trade_age_s=None, vwap_30min=None, last_close=None)},
]


@pytest.mark.requirement("R121")
@pytest.mark.parametrize("trouble", ALLOWED_WHILE_REDUCING, ids=lambda trouble: "-".join(trouble))
def test_closing_a_position_stays_possible(trouble):
    decision = review(selling(), view(**({"exposure": holding()} | trouble)))
    assert refused_by(decision) == set()
    assert decision.reduces_exposure


def test_closing_needs_at_least_one_link_to_the_broker():
    cut = view(exposure=holding(), reconciliation_age_s=300.0, streams_up=dict.fromkeys(Stream, False))
    assert refused_by(review(selling(), cut)) == {"P4 reconciliation"}


@pytest.mark.invariant("I11")
@pytest.mark.parametrize(
    ("position", "open_buy", "open_sell", "order", "reduces"),
    [
        (50, 0, 0, selling(50), True),
        (50, 0, 0, selling(51), False),
        (50, 0, 30, selling(20), True),
        (50, 0, 30, selling(21), False),
        (50, 100, 0, selling(50), True),
        (0, 0, 0, selling(1), False),
        (50, 0, 0, intent(), False),
        (-50, 0, 0, intent(quantity=Decimal(50)), True),
        (-50, 1, 0, intent(quantity=Decimal(50)), False),
        (-50, 0, 0, selling(1), False),
    ],
)
def test_an_order_reduces_only_if_it_can_neither_grow_nor_flip_the_position(
    position, open_buy, open_sell, order, reduces
):
    held = exposure(position=Decimal(position), open_buy=Decimal(open_buy), open_sell=Decimal(open_sell))
    assert review(order, view(exposure=held)).reduces_exposure is reduces


@pytest.mark.requirement("R087")
@pytest.mark.fault("E3")
@pytest.mark.invariant("I5")
def test_two_purchases_that_would_jointly_exceed_the_limit_do_not_both_pass():
    limits = RiskLimits(position_size_usd_max=Decimal(1_501))
    assert review(intent(), view(), limits).approved is not None
    reserved = exposure(open_buy=Decimal(10), symbol_usd=Decimal("1000.50"), gross_usd=Decimal("1000.50"))
    assert refused_by(review(intent(), view(exposure=reserved), limits)) == {"P19 position_size"}
    assert review(intent(), view(), limits).approved is not None  # the first one failed: its room is free again


def test_a_standing_quote_is_as_fresh_as_the_feed():
    assert review(intent(), view(price=price(quote_age_s=30.0, feed_age_s=0.2))).approved is not None


def test_a_wide_but_cheap_spread_of_ten_ticks_passes():
    cheap = price(bid=10.00, ask=10.10, last_trade=10.05, last_close=10.0, vwap_30min=10.0)
    order = intent(
        limit_price=Decimal("10.10"), reference_price=Decimal("10.05"), declared_notional_usd=Decimal("100.50")
    )
    assert review(order, view(price=cheap)).approved is not None


def test_windows_of_a_rate_slide_in_venue_time():
    later = view(recent=SENT_MANY, venue_ns=Nanos(NOON_NS + 31 * 10**9))
    assert review(intent(), later).approved is not None


def test_yesterdays_turnover_is_forgotten():
    tomorrow = view(
        recent=(recent(0, quantity=Decimal(199_500)),),
        venue_ns=DAY_LATER_NS,
        session=session(window_end_ns=Nanos(DAY_LATER_NS + 1)),
    )
    assert review(intent(), tomorrow).approved is not None


def test_a_final_order_is_no_duplicate():
    twin = recent(5, symbol="IBM", quantity=Decimal(10), price=Decimal("100.10"), is_final=True)
    assert review(intent(), view(recent=(twin,))).approved is not None


def test_an_exit_that_executed_nothing_starts_no_cooldown():
    unfilled = recent(60, symbol="IBM", side=Side.SELL, quantity=Decimal(0))
    assert review(intent(), view(recent=(unfilled,))).approved is not None


def test_volume_may_be_unknown_in_sim_alone():
    unknown = instrument(average_volume_shares=None, average_volume_usd=None)
    assert review(intent(), view(instrument=unknown)).approved is not None
    assert "P6 instrument" in refused_by(review(intent(), view(mode=Mode.LIVE, instrument=unknown)))


def test_broad_funds_may_be_larger_than_stocks():
    order = intent(quantity=Decimal(200), declared_notional_usd=Decimal(20_010))
    fund = instrument(instrument_class=InstrumentClass.BROAD_FUND)
    assert review(order, view(instrument=fund)).approved is not None
    assert {"P10 order_value", "P19 position_size"} <= refused_by(review(order, view()))


def test_what_was_approved_names_the_version_of_its_limits():
    loose, tight = RiskLimits(), RiskLimits(positions_max=3)
    approved = review(intent(), view(), tight).approved
    assert approved is not None
    assert approved.limits_version == RiskGate(tight).limits_version != RiskGate(loose).limits_version


def test_usage_is_told_without_an_intent():
    lines = {line.name: line for line in RiskGate(RiskLimits()).usage(view(recent=SENT_MANY))}
    assert lines["orders_per_minute"].usage == 1.0
    assert lines["gross_exposure"].usage == 0.0
    assert lines["daily_loss"].limit == "2.00%"
    blind = RiskGate(RiskLimits()).usage(view(money=money(**dict.fromkeys(structs.asdict(money()), None))))
    assert {line.measured for line in blind if line.name in {"daily_loss", "drawdown", "buying_power"}} == {"unknown"}
