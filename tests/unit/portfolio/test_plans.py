"""Plans: what strategies want is netted, cut, priced and attributed, and no share is lost on the way."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_trading_system.core.money import QUANTITY_STEP
from quant_trading_system.core.types import Direction, Side, StrategyId, Symbol
from quant_trading_system.core.values import Allocation
from quant_trading_system.portfolio.netting import apportion, cross_inside
from quant_trading_system.portfolio.portfolio import NET, Portfolio
from quant_trading_system.portfolio.sizing import SizingMethod
from tests.unit.portfolio.wishes import IBM, MOMENTUM, REVERSION, THIRD, context, plan, portfolio, price, signal


def wanting(**targets: int) -> Portfolio:
    book = portfolio()
    for strategy, quantity in targets.items():
        book.set_target(StrategyId(strategy), IBM, Decimal(quantity))
    return book


# targets


def test_a_long_signal_sets_a_sized_target_and_exit_sets_none():
    book = portfolio()
    target = book.on_signal(signal(), context())
    assert (target.quantity, target.note) == (Decimal(47), "scaled from 25000 to 4750 USD by the position limit")
    assert target.weight_asked == pytest.approx(0.5)
    assert book.target(MOMENTUM, IBM) == Decimal(47)
    assert book.on_signal(signal(Direction.EXIT), context()).quantity == 0
    assert book.target(MOMENTUM, IBM) == 0


def test_a_short_signal_sets_a_negative_target():
    assert portfolio().on_signal(signal(Direction.SHORT), context()).quantity == Decimal(-47)


def test_who_never_spoke_wants_what_it_holds():
    book = portfolio()
    assert book.target(MOMENTUM, IBM) is None
    assert plan(book, {MOMENTUM: 10}).reason == "no change"


def test_after_a_restart_everybody_wants_what_it_holds():
    book = wanting(momentum=50)
    book.restore_targets({(MOMENTUM, IBM): Decimal(7)})
    assert book.target(MOMENTUM, IBM) == 7
    assert plan(book, {MOMENTUM: 7}).order is None


def test_wishes_can_be_forgotten_by_symbol_and_by_strategy():
    book = wanting(momentum=5, reversion=6)
    book.set_target(MOMENTUM, Symbol("AIG"), Decimal(8))
    book.clear(IBM)
    assert book.target(MOMENTUM, IBM) is None
    assert book.target(MOMENTUM, Symbol("AIG")) == 8
    book.clear_strategy(MOMENTUM)
    assert book.target(MOMENTUM, Symbol("AIG")) is None


@pytest.mark.requirement("R149")
@pytest.mark.parametrize(
    ("weights", "band", "said"),
    [
        (("0.6", "0.42"), "0.01", "add up to 1.00 at most, found 1.02"),
        (("-0.1", "0.5"), "0.01", "weight of zero or more for momentum"),
        (("0.5", "0.5"), "1", "drift band of 0 to 1"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, band, said):
    with pytest.raises(ValueError, match=said):
        Portfolio(
            weights=dict(zip((MOMENTUM, REVERSION), map(Decimal, weights), strict=True)),
            sizing=dict.fromkeys((MOMENTUM, REVERSION), SizingMethod.FIXED_FRACTION),
            drift_band_fraction=Decimal(band),
        )


def test_a_strategy_without_a_sizing_method_is_refused():
    with pytest.raises(ValueError, match="sizing method for momentum"):
        Portfolio(weights={MOMENTUM: Decimal(1)}, sizing={})


def test_thirds_written_in_decimals_are_accepted():
    assert portfolio().weight(THIRD) == Decimal("0.333")


# one order


def test_an_entry_is_one_marketable_limit_order_with_what_it_declares():
    order = plan(wanting(momentum=47), {MOMENTUM: 0}).order
    assert order is not None
    assert (order.side, order.quantity, order.strategy) == (Side.BUY, Decimal(47), MOMENTUM)
    assert (order.limit_price, order.reference_price) == (Decimal("100.03"), Decimal(100))
    assert order.declared_notional_usd == Decimal(4_700)
    assert order.allocations == (Allocation(MOMENTUM, Decimal(47)),)


@pytest.mark.requirement("R149")
@pytest.mark.requirement("R124")
def test_two_strategies_that_want_the_same_share_one_order():
    order = plan(wanting(momentum=30, reversion=20), {MOMENTUM: 0, REVERSION: 0}).order
    assert order is not None
    assert (order.quantity, order.strategy) == (Decimal(50), NET)
    assert order.allocations == (Allocation(MOMENTUM, Decimal(30)), Allocation(REVERSION, Decimal(20)))


@pytest.mark.requirement("R149")
def test_opposite_wishes_meet_inside_at_the_mid_and_only_the_rest_is_ordered():
    step = plan(wanting(momentum=30, reversion=0), {MOMENTUM: 0, REVERSION: 20})
    (transfer,) = step.transfers
    assert (transfer.from_strategy, transfer.to_strategy) == (REVERSION, MOMENTUM)
    assert (transfer.quantity, transfer.price) == (Decimal(20), Decimal(100))
    assert step.order is not None
    assert step.order.allocations == (Allocation(MOMENTUM, Decimal(10)),)


def test_wishes_that_cancel_out_need_no_order():
    step = plan(wanting(momentum=20, reversion=0), {MOMENTUM: 0, REVERSION: 20})
    assert (len(step.transfers), step.order, step.reason) == (1, None, "crossed inside")


def test_without_a_mid_nobody_meets_and_the_order_is_still_the_rest():
    step = plan(wanting(momentum=30, reversion=0), {MOMENTUM: 0, REVERSION: 20}, seen=price(bid=None))
    assert step.transfers == ()
    assert step.order is not None
    assert step.order.quantity == Decimal(10)


def test_an_order_without_a_quote_is_planned_on_the_last_print_for_the_gate_to_refuse():
    order = plan(wanting(momentum=10), {MOMENTUM: 0}, seen=price(bid=None, ask=None, last_trade=165.98)).order
    assert order is not None
    assert (order.reference_price, order.limit_price) == (Decimal("165.98"), Decimal("165.98"))


@pytest.mark.fault("D3")
def test_without_any_price_there_is_no_order():
    nothing = price(bid=None, ask=None, last_trade=None, last_close=None)
    step = plan(wanting(momentum=10), {MOMENTUM: 0}, seen=nothing)
    assert (step.order, step.transfers, step.reason) == (None, (), "no price")


@pytest.mark.requirement("R228")
def test_a_small_drift_is_left_alone():
    step = plan(wanting(momentum=47), {MOMENTUM: 40})
    assert (step.order, step.reason) == (None, "within drift band")
    assert plan(wanting(momentum=50), {MOMENTUM: 40}).order is not None
    assert plan(wanting(momentum=33), {MOMENTUM: 40}).reason == "within drift band"


@pytest.mark.requirement("R228")
def test_exits_and_entries_ignore_the_drift_band():
    assert plan(wanting(momentum=0), {MOMENTUM: 2}).order is not None
    assert plan(wanting(momentum=2), {MOMENTUM: 0}).order is not None


def test_a_large_change_is_cut_to_the_order_limit_and_goes_on_from_there():
    book = wanting(momentum=60, reversion=30)
    first = plan(book, {MOMENTUM: 0, REVERSION: 0}, order_max=5_000).order
    assert first is not None
    assert first.quantity == Decimal(49), "at the limit price, not the mid"
    assert first.note == "cut to the order limit of 5000 USD"
    assert first.allocations == (Allocation(MOMENTUM, Decimal(33)), Allocation(REVERSION, Decimal(16)))
    second = plan(book, {MOMENTUM: 33, REVERSION: 16}, order_max=5_000).order
    assert second is not None
    assert second.quantity == Decimal(41)


def test_an_order_limit_below_one_share_says_so():
    step = plan(wanting(momentum=5), {MOMENTUM: 0}, order_max=90)
    assert step.order is None
    assert step.reason.startswith("below one share")


def test_fractions_are_traded_only_where_they_are_allowed():
    book = portfolio()
    book.set_target(MOMENTUM, IBM, Decimal("10.5"))
    whole = plan(book, {MOMENTUM: 0}).order
    exact = plan(book, {MOMENTUM: 0}, is_fractionable=True).order
    assert whole is not None
    assert exact is not None
    assert (whole.quantity, exact.quantity) == (Decimal(10), Decimal("10.5"))
    book.set_target(MOMENTUM, IBM, Decimal(0))
    assert plan(book, {MOMENTUM: "0.4"}).reason == "below one share"


def test_a_long_position_closes_before_it_turns_short():
    order = plan(wanting(momentum=-20), {MOMENTUM: 30}).order
    assert order is not None
    assert (order.side, order.quantity) == (Side.SELL, Decimal(30))
    assert "must close first" in order.note


def test_the_note_says_what_scaled_each_target():
    book = portfolio()
    book.on_signal(signal(), context())
    order = plan(book, {MOMENTUM: 0}).order
    assert order is not None
    assert order.note == "scaled from 25000 to 4750 USD by the position limit"


# sums

SHARES = st.integers(0, 500)
STRATEGIES = (MOMENTUM, REVERSION, THIRD)


@pytest.mark.requirement("R124")
@given(
    held=st.tuples(SHARES, SHARES, SHARES),
    wanted=st.tuples(*[SHARES | st.none()] * 3),
    order_max=st.integers(50, 60_000),
    has_quote=st.booleans(),
)
def test_books_move_towards_their_targets_and_no_share_is_made_or_lost(held, wanted, order_max, has_quote):
    book = portfolio()
    before = dict(zip(STRATEGIES, map(Decimal, held), strict=True))
    targets = dict(before)
    for strategy, quantity in zip(STRATEGIES, wanted, strict=True):
        if quantity is not None:
            targets[strategy] = Decimal(quantity)
            book.set_target(strategy, IBM, Decimal(quantity))
    step = plan(book, before, order_max=order_max, seen=price() if has_quote else price(bid=None))
    after = dict(before)
    for transfer in step.transfers:
        after[transfer.from_strategy] -= transfer.quantity
        after[transfer.to_strategy] += transfer.quantity
    assert sum(after.values()) == sum(before.values())
    if step.order is None:
        assert step.reason
    else:
        for each in step.order.allocations:
            after[each.strategy] += each.quantity
        signed = step.order.quantity * step.order.side.sign
        assert sum(each.quantity for each in step.order.allocations) == signed
        assert sum(after.values()) == sum(before.values()) + signed
        assert step.order.quantity * step.order.limit_price <= order_max
    for strategy in STRATEGIES:
        assert min(before[strategy], targets[strategy]) <= after[strategy] <= max(before[strategy], targets[strategy])


@given(
    held=st.tuples(SHARES, SHARES, SHARES),
    wanted=st.tuples(SHARES, SHARES, SHARES),
)
def test_books_equal_their_targets_once_a_plan_without_cuts_is_filled(held, wanted):
    book = portfolio(band="0")
    after = dict(zip(STRATEGIES, map(Decimal, held), strict=True))
    targets = dict(zip(STRATEGIES, map(Decimal, wanted), strict=True))
    for strategy, quantity in targets.items():
        book.set_target(strategy, IBM, quantity)
    step = plan(book, after)
    for transfer in step.transfers:
        after[transfer.from_strategy] -= transfer.quantity
        after[transfer.to_strategy] += transfer.quantity
    for each in () if step.order is None else step.order.allocations:
        after[each.strategy] += each.quantity
    assert after == targets


def test_the_share_that_cannot_be_divided_goes_to_the_largest_remainder():
    shares = apportion({MOMENTUM: Decimal(1), REVERSION: Decimal(2)}, Decimal(1))
    assert shares == (Allocation(REVERSION, Decimal(1)),)


STEPS = st.integers(1, 10**13)


@given(wishes=st.lists(STEPS, min_size=1, max_size=6), part=st.integers(0, 10**9), sign=st.sampled_from([1, -1]))
def test_a_division_is_exact_fair_and_gives_nobody_more_than_the_wish(wishes, part, sign):
    total_steps = sum(wishes) * part // 10**9
    wanted = {StrategyId(f"s{index}"): sign * steps * QUANTITY_STEP for index, steps in enumerate(wishes)}
    total = sign * total_steps * QUANTITY_STEP
    shares = {each.strategy: each.quantity for each in apportion(wanted, total, step=QUANTITY_STEP)}
    assert sum(shares.values()) == total
    for strategy, wish in wanted.items():
        share = abs(shares.get(strategy, Decimal(0)))
        assert share <= abs(wish)
        assert abs(share - total_steps * abs(wish) / sum(wishes)) <= QUANTITY_STEP


@given(st.dictionaries(st.sampled_from([StrategyId(f"s{n}") for n in range(6)]), st.integers(-99, 99).map(Decimal)))
def test_meetings_conserve_shares_and_leave_wishes_of_one_sign(changes):
    meetings, rest = cross_inside(changes)
    left = dict(changes)
    for each in meetings:
        left[each.seller] += each.quantity
        left[each.buyer] -= each.quantity
        assert each.quantity > 0
    assert rest == {strategy: quantity for strategy, quantity in left.items() if quantity}
    assert len({quantity > 0 for quantity in rest.values()}) <= 1
