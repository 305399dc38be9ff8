"""The ledger conserves shares, counts each execution once, in any order, and earns at average cost."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_trading_system.core.broker import Execution
from quant_trading_system.core.events import RestoredBook
from quant_trading_system.core.types import BrokerOrderId, ExecutionId, Nanos, Side, StrategyId, Symbol
from quant_trading_system.core.values import Allocation
from quant_trading_system.ledger.book import Book, moved
from quant_trading_system.ledger.books import EXTERNAL, Ledger
from quant_trading_system.ledger.split import split_fill
from quant_trading_system.ledger.tape import KEPT_MAX

IBM, BAC = Symbol("IBM"), Symbol("BAC")
MOMENTUM, REVERSION, THIRD = StrategyId("momentum"), StrategyId("reversion"), StrategyId("third")


def dec(value: object) -> Decimal:
    return Decimal(str(value))


def fill(
    quantity: object = 10,
    price: object = 100,
    *,
    cumulative: object | None = None,
    order: str = "b1",
    side: Side = Side.BUY,
    symbol: Symbol = IBM,
    at: int = 1,
) -> Execution:
    total = quantity if cumulative is None else cumulative
    return Execution(
        execution_id=ExecutionId(f"{order}/{total}"),
        broker_order_id=BrokerOrderId(order),
        client_order_id=None,
        symbol=symbol,
        side=side,
        quantity=dec(quantity),
        price=dec(price),
        cumulative_quantity=dec(total),
        venue_ns=Nanos(at),
    )


def wants(**shares: object) -> tuple[Allocation, ...]:
    return tuple(Allocation(StrategyId(name), dec(quantity)) for name, quantity in shares.items())


def ledger(cash: object = 10_000) -> Ledger:
    made = Ledger()
    made.set_cash(dec(cash))
    return made


def picture(books: Ledger) -> object:
    """Everything the ledger knows, comparable."""
    return (
        books.cash_usd,
        {
            symbol: {strategy: book for strategy, book in books.books(symbol).items() if book != Book()}
            for symbol in books.symbols()
        },
    )


# average cost


@pytest.mark.requirement("R122")
@pytest.mark.parametrize(
    ("changes", "quantity", "cost", "realised"),
    [
        ([(100, 10)], 100, 1000, 0),
        ([(100, 10), (100, 20)], 200, 3000, 0),
        ([(100, 10), (-40, 12)], 60, 600, 80),
        ([(100, 10), (-100, 9)], 0, 0, -100),
        ([(100, 10), (-150, 12)], -50, -600, 200),
        ([(-100, 10), (40, 8)], -60, -600, 80),
        ([(-100, 10), (100, 11)], 0, 0, -100),
        ([(-100, 10), (150, 8)], 50, 400, 200),
        ([(3, 10), (-1, 10), (-1, 10), (-1, 13)], 0, 0, 3),
    ],
    ids=[
        "open-long",
        "add",
        "close-part",
        "close-all-at-a-loss",
        "flip-to-short",
        "short-close-part",
        "short-close-at-a-loss",
        "flip-to-long",
        "thirds",
    ],
)
def test_profit_is_realised_at_average_cost(changes, quantity, cost, realised):
    book = Book()
    for change, price in changes:
        book = moved(book, dec(change), dec(price))
    assert book == Book(dec(quantity), dec(cost), dec(realised))


@given(st.lists(st.tuples(st.integers(-500, 500), st.integers(1, 10_000)), max_size=40))
def test_cost_less_profit_is_exactly_the_cash_that_flowed(changes):
    book = Book()
    flowed = Decimal(0)
    for change, cents in changes:
        price = dec(cents) / 100
        book = moved(book, dec(change), price)
        flowed += change * price
    assert book.cost_usd - book.realised_usd == flowed
    assert book.quantity == sum(change for change, _ in changes)
    assert (book.quantity == 0) <= (book.cost_usd == 0)


# one execution, once


@pytest.mark.requirement("R124")
@pytest.mark.invariant("I12")
def test_a_fill_goes_to_the_books_of_the_strategies_that_wanted_it():
    books = ledger()
    result = books.apply(fill(10, 100), wants(momentum=7, reversion=3), dec(10))
    assert result.is_new
    assert result.allocations == wants(momentum=7, reversion=3)
    assert books.book_quantity(MOMENTUM, IBM) == 7
    assert books.position(IBM) == 10
    assert books.cash_usd == 9_000
    assert books.positions() == {IBM: dec(10)}
    books.assert_conserved()


@pytest.mark.invariant("I13")
@pytest.mark.fault("C3")
def test_the_same_execution_counts_once_whatever_its_id():
    books = ledger()
    books.apply(fill(10, 100), wants(momentum=10), dec(10))
    before = picture(books)
    again = books.apply(fill(10, 100), wants(momentum=10), dec(10))
    assert not again.is_new
    assert again.allocations == ()
    assert picture(books) == before


def test_what_nobody_here_wanted_is_external():
    books = ledger()
    result = books.apply(fill(10, 100), (), dec(10))
    assert result.allocations == (Allocation(EXTERNAL, dec(10)),)
    assert books.book_quantity(EXTERNAL, IBM) == 10


def test_a_sale_realises_what_its_book_earned():
    books = ledger()
    books.apply(fill(10, 100), wants(momentum=10), dec(10))
    result = books.apply(fill(4, 110, order="b2", side=Side.SELL, at=2), wants(momentum=-4), dec(4))
    assert result.realised_usd == 40
    assert books.realised(MOMENTUM) == books.realised() == 40
    assert books.unrealised(MOMENTUM, {IBM: dec(105)}) == 30
    assert books.equity({IBM: dec(105)}) == dec(10_000) + 40 + 30


@pytest.mark.invariant("I18")
def test_equity_is_start_plus_realised_plus_unrealised():
    books = ledger()
    books.apply(fill(10, "100.37"), wants(momentum=7, reversion=3), dec(10))
    books.apply(fill(3, "101.11", order="b2", side=Side.SELL, at=2), wants(reversion=-3), dec(3))
    marks = {IBM: dec("99.99")}
    profit = books.realised() + sum(books.unrealised(strategy, marks) for strategy in (MOMENTUM, REVERSION))
    assert books.equity(marks) == dec(10_000) + profit


def test_equity_without_a_mark_is_an_error_not_a_guess():
    books = ledger()
    books.apply(fill(), wants(momentum=10), dec(10))
    with pytest.raises(KeyError):
        books.equity({})


FILLS = [
    (fill(6, 100, cumulative=6, at=1), wants(momentum=7, reversion=3)),
    (fill(4, 101, cumulative=10, at=2), wants(momentum=7, reversion=3)),
    (fill(5, 103, order="b2", cumulative=5, side=Side.SELL, at=3), wants(momentum=-5)),
    (fill(8, 99, order="b3", cumulative=8, at=3), ()),
    (fill(7, 98, order="b4", cumulative=7, side=Side.SELL, at=4), wants(momentum=-2, reversion=-5)),
    (fill(3, 97, order="b4", cumulative=10, side=Side.SELL, at=4), wants(momentum=-2, reversion=-5)),
]


def total(entry: tuple[Execution, Sequence[Allocation]]) -> Decimal:
    return sum((abs(part.quantity) for part in entry[1]), Decimal(0)) or entry[0].quantity


@pytest.mark.invariant("I12")
@pytest.mark.invariant("I13")
@pytest.mark.fault("C3")
@given(st.permutations([*FILLS, *FILLS[::2]]))
def test_neither_order_nor_repetition_of_fills_changes_the_books(arrived):
    expected, found = ledger(), ledger()
    for entry in FILLS:
        expected.apply(entry[0], entry[1], total(entry))
    for entry in arrived:
        found.apply(entry[0], entry[1], total(entry))
        found.assert_conserved()
    assert picture(found) == picture(expected)


def test_a_late_fill_beyond_what_is_kept_still_counts():
    books = ledger(1_000_000)
    for number in range(KEPT_MAX + 10):
        books.apply(fill(1, 100, order=f"b{number}", at=number + 2), wants(momentum=1), dec(1))
    books.apply(fill(5, 90, order="late", at=1), wants(momentum=5), dec(5))
    assert books.position(IBM) == KEPT_MAX + 15
    books.assert_conserved()


# sharing a fill


@given(
    weights=st.lists(st.integers(1, 400), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 2_000), max_size=6),
    sign=st.sampled_from([1, -1]),
)
def test_parts_of_a_filled_order_are_its_allocations_however_it_was_filled(weights, cuts, sign):
    quantity = sum(weights)
    wanted = tuple(Allocation(StrategyId(f"s{n}"), dec(weight * sign)) for n, weight in enumerate(weights))
    ends = sorted({cut for cut in cuts if 0 < cut < quantity} | {quantity})
    shares = dict.fromkeys((each.strategy for each in wanted), Decimal(0))
    start = 0
    for end in ends:
        parts = split_fill(
            wanted, cumulative=dec(end), quantity=dec(end - start), order_quantity=dec(quantity), sign=sign
        )
        assert sum(part.quantity for part in parts) == (end - start) * sign
        for part in parts:
            assert part.quantity * sign > 0
            assert part.quantity == part.quantity.to_integral_value()
            shares[part.strategy] += part.quantity
        start = end
    assert tuple(Allocation(strategy, share) for strategy, share in shares.items()) == wanted


@pytest.mark.parametrize("weights", [(1, 1, 1), (5, 3, 1), (1, 1, 1, 1, 6), (7, 2)], ids=str)
def test_share_by_share_nobody_is_ever_taken_back_from(weights):
    wanted = tuple(Allocation(StrategyId(f"s{n}"), dec(weight)) for n, weight in enumerate(weights))
    shares = dict.fromkeys((each.strategy for each in wanted), Decimal(0))
    for end in range(1, sum(weights) + 1):
        (part,) = split_fill(wanted, cumulative=dec(end), quantity=dec(1), order_quantity=dec(sum(weights)), sign=1)
        assert part.quantity == 1
        shares[part.strategy] += 1
    assert tuple(shares.values()) == weights


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=5))
def test_fractions_are_shared_exactly_too(ends):
    wanted = wants(momentum="1.5", reversion="0.000000003")
    start, shared = Decimal(0), Decimal(0)
    for end in sorted({dec(end) / 10**12 * dec("1.500000003") for end in ends}):
        stop = end.quantize(Decimal("0.000000001"))
        if stop <= start:
            continue
        parts = split_fill(wanted, cumulative=stop, quantity=stop - start, order_quantity=dec("1.500000003"), sign=1)
        shared += sum((part.quantity for part in parts), Decimal(0))
        start = stop
    assert shared == start


# journal entries


@pytest.mark.invariant("I12")
def test_an_internal_cross_moves_shares_between_books_and_no_cash():
    books = ledger()
    books.apply(fill(10, 100), wants(momentum=10), dec(10))
    books.transfer(MOMENTUM, REVERSION, IBM, dec(4), dec(105))
    assert books.book_quantity(MOMENTUM, IBM) == 6
    assert books.book_quantity(REVERSION, IBM) == 4
    assert books.realised(MOMENTUM) == 20
    assert books.cash_usd == 9_000
    books.assert_conserved()


def test_a_fill_learnt_after_a_cross_undoes_no_cross():
    books = ledger()
    books.apply(fill(10, 100, at=5), wants(momentum=10), dec(10))
    books.transfer(MOMENTUM, REVERSION, IBM, dec(4), dec(105))
    books.apply(fill(5, 90, order="late", at=1), wants(momentum=5), dec(5))
    assert books.book_quantity(MOMENTUM, IBM) == 11
    assert books.book_quantity(REVERSION, IBM) == 4
    books.assert_conserved()


@pytest.mark.fault("C6")
def test_a_position_of_the_broker_is_adopted_as_external():
    books = ledger()
    books.adjust(IBM, EXTERNAL, dec(25), dec(90), "adopted")
    assert books.books(IBM) == {EXTERNAL: Book(dec(25), dec(2_250))}
    assert books.cash_usd == 10_000
    books.assert_conserved()


@pytest.mark.fault("C7")
@pytest.mark.parametrize(
    ("shown", "momentum", "reversion", "external", "changed"),
    [
        (100, 60, 30, 10, ()),
        (120, 60, 30, 30, ()),
        (95, 60, 30, 5, ()),
        (60, 40, 20, 0, (MOMENTUM, REVERSION)),
        (0, 0, 0, 0, (MOMENTUM, REVERSION)),
        (-50, 0, 0, -50, (MOMENTUM, REVERSION)),
    ],
)
def test_books_follow_the_broker_external_first_then_strategies_in_proportion(
    shown, momentum, reversion, external, changed
):
    books = ledger(100_000)
    books.apply(fill(90, 100), wants(momentum=60, reversion=30), dec(90))
    books.adjust(IBM, EXTERNAL, dec(10), dec(100), "adopted")
    assert books.adjust_to(IBM, dec(shown), dec(100), "seen twice") == changed
    held = [books.book_quantity(strategy, IBM) for strategy in (MOMENTUM, REVERSION, EXTERNAL)]
    assert held == [momentum, reversion, external]
    assert books.position(IBM) == shown
    books.assert_conserved()


def test_closing_without_a_price_realises_nothing():
    books = ledger()
    books.apply(fill(10, 100), wants(momentum=10), dec(10))
    books.adjust_to(IBM, dec(0), dec(0), "the broker holds none")
    assert books.realised() == 0


@pytest.mark.invariant("I13")
def test_a_restored_ledger_knows_what_it_booked():
    books = Ledger()
    books.restore(
        [RestoredBook(strategy=MOMENTUM, symbol=IBM, quantity=dec(10), cost_usd=dec(1_000), realised_usd=dec(5))],
        [(BrokerOrderId("b1"), dec(10))],
        dec(9_000),
    )
    assert not books.apply(fill(10, 100), wants(momentum=10), dec(10)).is_new
    assert books.is_booked((BrokerOrderId("b1"), dec(10)))
    assert books.cumulative(BrokerOrderId("b1")) == 10
    assert books.cumulative(BrokerOrderId("b2")) == 0
    books.apply(fill(4, 110, order="b2", side=Side.SELL), wants(momentum=-4), dec(4))
    assert books.books(IBM)[MOMENTUM] == Book(dec(6), dec(600), dec(45))
    assert books.average_price(IBM) == 100
    assert books.cash_usd == 9_440
    books.assert_conserved()


def test_cash_that_is_not_known_stays_unknown():
    books = Ledger()
    books.apply(fill(), wants(momentum=10), dec(10))
    assert books.cash_usd is None


@pytest.mark.parametrize("broken", [fill(0), fill(-1), fill("NaN"), fill(1, "NaN"), fill(1, -1)], ids=str)
def test_a_fill_that_moves_nothing_is_a_bug(broken):
    with pytest.raises((AssertionError, ArithmeticError)):
        ledger().apply(broken, wants(momentum=10), dec(10))


def test_allocations_have_the_sign_of_their_order():
    with pytest.raises(AssertionError, match="sign"):
        ledger().apply(fill(10), wants(momentum=12, reversion=-2), dec(10))


def test_symbols_keep_their_own_books():
    books = ledger()
    books.apply(fill(10, 100), wants(momentum=10), dec(10))
    books.apply(fill(10, 100, order="b2", side=Side.SELL, at=2), wants(momentum=-10), dec(10))
    books.apply(fill(3, 14, order="b3", symbol=BAC, at=3), wants(reversion=3), dec(3))
    assert books.symbols() == (BAC, IBM)
    assert books.positions() == {BAC: dec(3)}
    assert books.average_price(IBM) == 0
    assert books.books(Symbol("SPY")) == {}
    assert books.book_quantity(THIRD, IBM) == books.position(Symbol("SPY")) == 0
