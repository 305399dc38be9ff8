"""Splits, corrections and cash that is no trade: the books sum to the broker's, to the last share and digit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_trading_system.core.activities import MoneyClass
from quant_trading_system.core.broker import Execution
from quant_trading_system.core.types import StrategyId, Symbol
from quant_trading_system.ledger.book import Book
from quant_trading_system.ledger.books import EXTERNAL, Ledger
from quant_trading_system.ledger.corporate import reshaped, share_out
from tests.unit.ledger.test_ledger import IBM, MOMENTUM, REVERSION, dec, fill, ledger, picture, wants

BOOKS = st.dictionaries(
    st.sampled_from([MOMENTUM, REVERSION, StrategyId("third"), EXTERNAL]),
    st.tuples(st.integers(-400, 400), st.integers(1, 50_000)),
    min_size=1,
)
RATIOS = st.tuples(st.integers(1, 50), st.integers(1, 50))


@pytest.mark.fault("D9")
@pytest.mark.fault("D10")
@pytest.mark.invariant("I12")
@given(held=BOOKS, ratio=RATIOS)
def test_shares_after_a_split_sum_to_the_brokers_and_nobody_is_a_share_off(held, ratio):
    shares = {strategy: Decimal(quantity) for strategy, (quantity, _) in held.items()}
    before = sum(shares.values())
    if not before:
        return
    total = Decimal(int(before * ratio[0] / ratio[1]))
    after = share_out(shares, total)
    assert sum(after.values()) == total
    for strategy, quantity in shares.items():
        assert abs(after[strategy] - quantity * total / before) <= 1
        assert after[strategy] == after[strategy].to_integral_value()


@given(held=BOOKS, ratio=RATIOS, cents=st.integers(0, 20_000))
@pytest.mark.invariant("I12")
@pytest.mark.invariant("I18")
def test_a_split_moves_no_money_but_what_the_fraction_brought(held, ratio, cents):
    books = {
        strategy: Book(Decimal(quantity), Decimal(quantity * price) / 100, Decimal(price) / 7 // Decimal("0.01"))
        for strategy, (quantity, price) in held.items()
        if quantity
    }
    before = sum(book.quantity for book in books.values())
    if not before:
        return
    total, cash = Decimal(int(before * ratio[0] / ratio[1])), Decimal(cents) / 100
    after = reshaped(books, total=total, cash_usd=cash, price=Decimal(37))
    assert sum(book.quantity for book in after.values()) == total
    paid = [sum(book.cost_usd - book.realised_usd for book in each.values()) for each in (books, after)]
    assert paid[1] == paid[0] - cash
    assert all(book.cost_usd == 0 for book in after.values() if not book.quantity)


def test_fractions_are_shared_to_the_ninth_digit():
    after = share_out({MOMENTUM: dec("1.5"), REVERSION: dec("0.25")}, dec("12.333333333"))
    assert sum(after.values()) == dec("12.333333333")


@pytest.mark.fault("D10")
def test_a_split_to_nothing_closes_the_books_and_realises_what_the_fraction_brought():
    books = ledger()
    books.apply(fill(3, 10), wants(momentum=3), dec(3))
    books.reshape(IBM, dec(0), cash_usd=dec(24), price=dec(80))
    assert books.books(IBM)[MOMENTUM] == Book(dec(0), dec(0), dec(-6))
    assert books.cash_usd == 10_000 - 30 + 24
    books.assert_conserved()


def test_a_new_name_takes_the_shares_and_their_cost_along():
    books = ledger()
    new = Symbol("META")
    books.apply(fill(10, 100), wants(momentum=7, reversion=3), dec(10))
    books.adjust(new, EXTERNAL, dec(2), dec(90), "adopted")
    books.rename(IBM, new)
    assert books.positions() == {new: dec(12)}
    assert books.books(new)[MOMENTUM] == Book(dec(7), dec(700))
    books.assert_conserved()


FILLS = [
    fill(6, 100, cumulative=6, at=1),
    fill(4, 101, cumulative=10, at=2),
    fill(5, 103, order="b2", cumulative=5, at=3),
    fill(8, 99, order="b3", cumulative=8, at=4),
]


@pytest.mark.fault("C12")
@pytest.mark.invariant("I13")
@given(order=st.permutations(FILLS), gone=st.sets(st.integers(0, 3)), again=st.booleans())
def test_what_is_taken_back_leaves_the_books_as_if_it_had_never_been(order: list[Execution], gone, again):
    found, expected = ledger(), ledger()
    for each in order:
        found.apply(each, wants(momentum=10), dec(10))
    for number in gone:
        found.void((FILLS[number].broker_order_id, FILLS[number].cumulative_quantity))
        found.assert_conserved()
        if again:
            found.apply(FILLS[number], wants(momentum=10), dec(10))
    for number, each in enumerate(FILLS):
        if again or number not in gone:
            expected.apply(each, wants(momentum=10), dec(10))
    assert found.books(IBM).get(MOMENTUM, Book()) == expected.books(IBM).get(MOMENTUM, Book())
    assert found.cash_usd == expected.cash_usd
    found.assert_conserved()


@pytest.mark.fault("C5")
@pytest.mark.invariant("I13")
@given(
    cuts=st.sets(st.integers(1, 19)),
    order=st.randoms(use_true_random=False),
    first=st.integers(0, 20),
)
def test_real_fills_take_the_place_of_the_inferred_one_however_they_are_cut_and_in_any_order(cuts, order, first):
    ends = sorted({*cuts, 20})
    real = [fill(end - start, 100, cumulative=end, at=end) for start, end in zip([0, *ends], ends, strict=False)]
    arriving = list(real)
    order.shuffle(arriving)
    found, expected = ledger(), ledger()
    for number, each in enumerate(arriving):
        if number == min(first, len(arriving) - 1):
            booked = sum(f.execution.quantity for f in found.fills.of_order(each.broker_order_id))
            if booked == max((f.key[1] for f in found.fills.of_order(each.broker_order_id)), default=0) < 20:
                rest = fill(dec(20) - booked, 100, cumulative=20, at=20)
                found.apply(rest, wants(momentum=20), dec(20), is_inferred=True)
                assert found.position(IBM) == 20
        found.apply(each, wants(momentum=20), dec(20))
        found.assert_conserved()
    for each in real:
        expected.apply(each, wants(momentum=20), dec(20))
    assert picture(found) == picture(expected)


@pytest.mark.invariant("I18")
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["fill", "flow", "fee", "income", "adjust", "cash", "split", "cross"]), st.integers(1, 60)
        ),
        max_size=30,
    )
)
def test_cash_and_cost_are_always_what_came_in(steps):
    books = Ledger()
    books.set_cash(dec(10_000))
    for number, (step, amount) in enumerate(steps):
        match step:
            case "fill":
                books.apply(fill(amount, amount, order=f"b{number}", at=number), wants(momentum=amount), dec(amount))
            case "flow" | "fee" | "income":
                books.cash.enter(dec(amount if step != "fee" else -amount), MoneyClass(step))
            case "adjust":
                books.adjust(IBM, EXTERNAL, dec(-amount), dec(number), "the broker shows otherwise")
            case "cash":
                books.set_cash(dec(9_000 + amount))
            case "split":
                books.reshape(IBM, books.position(IBM) * 3, cash_usd=dec(amount) / 100, price=dec(9))
            case _:
                books.transfer(MOMENTUM, REVERSION, IBM, dec(amount), dec(number + 1))
        books.assert_conserved()
        assert sum(book.quantity for book in books.books(IBM).values()) == books.position(IBM)
