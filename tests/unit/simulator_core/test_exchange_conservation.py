"""Whatever clients do, cash and shares add up, running totals are true, and the same story has the same books."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.journal import Journal
from quant_trading_system.simulator.order_index import OrderQuery
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.requests import OrderChange
from quant_trading_system.simulator.settings import ExchangeSettings
from tests.support.scripted_market import ScriptedMarket
from tests.unit.simulator_core.desk_script import CLOSE_NS, OPEN_NS, Floor, order_request

SYMBOLS = ("AAPL", "MSFT")
BUSY = ExchangeSettings(start_ns=OPEN_NS, seed=7, partial_fill_probability=0.5)
cents = st.integers(9_500, 10_500)

submits = st.tuples(
    st.just("submit"),
    st.sampled_from(SYMBOLS),
    st.sampled_from(("buy", "sell")),
    st.sampled_from(("1", "7", "150", "0.37", "900")),
    st.sampled_from(("market", "limit", "stop", "stop_limit")),
    st.sampled_from(("day", "gtc", "ioc", "fok")),
    cents,
    cents,
)
operations = st.lists(
    st.one_of(
        submits,
        submits,
        st.tuples(st.just("quote"), st.sampled_from(SYMBOLS), cents, st.integers(0, 20), st.integers(1, 500)),
        st.tuples(st.just("trade"), st.sampled_from(SYMBOLS), cents, st.integers(1, 500)),
        st.tuples(st.just("wait"), st.sampled_from((0.002, 0.01, 1.0))),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("replace"), st.integers(0, 30), st.sampled_from(("5", "60")), cents),
        st.tuples(st.just("close"), st.sampled_from(SYMBOLS)),
        st.tuples(st.just("flatten")),
        st.tuples(st.just("night")),
    ),
    min_size=20,
    max_size=40,
)


def play(floor: Floor, script) -> None:
    """Do what the script says, with shares to sell; what the exchange refuses is part of the story."""
    for symbol in SYMBOLS:
        floor.quote(99.99, 100.01, symbol=symbol, bid_size=1e6, ask_size=1e6)
        floor.submit(order_request(symbol=symbol, side="buy", qty="400"))
        floor.wait()
    refused = []
    for name, *arguments in script:
        try:
            globals()[f"_{name}"](floor, *arguments)
        except Refusal as refusal:
            refused.append(refusal.http_status)
        check(floor)
    assert set(refused) <= {403, 404, 422}


def check(floor: Floor) -> None:
    exchange = floor.exchange
    exchange.check()  # conservation over the whole history, and every running total
    account = exchange.account()
    assert account.equity == account.cash + account.long_market_value + account.short_market_value
    for view in exchange.positions():
        assert 0 <= abs(view.qty_available) <= abs(view.qty)


def _submit(floor, symbol, side, qty, kind, tif, limit_cents, stop_cents):
    fields = {"symbol": symbol, "side": side, "qty": qty, "type": kind, "time_in_force": tif}
    if kind in ("limit", "stop_limit"):
        fields["limit_price"] = f"{limit_cents / 100:.2f}"
    if kind in ("stop", "stop_limit"):
        fields["stop_price"] = f"{stop_cents / 100:.2f}"
    floor.submit(order_request(**fields))


def _quote(floor, symbol, bid_cents, spread_cents, size):
    floor.quote(bid_cents / 100, (bid_cents + spread_cents) / 100, symbol=symbol, bid_size=size, ask_size=size)


def _trade(floor, symbol, price_cents, size):
    floor.trade(price_cents / 100, size, symbol=symbol)


def _wait(floor, seconds):
    floor.wait(seconds)


def _cancel(floor, place):
    if orders := floor.exchange.orders(OrderQuery(status="all", limit=500)):
        floor.exchange.cancel(orders[place % len(orders)].id)


def _replace(floor, place, qty, limit_cents):
    if orders := floor.exchange.orders(OrderQuery(status="all", limit=500)):
        change = OrderChange.from_body({"qty": qty, "limit_price": f"{limit_cents / 100:.2f}"})
        floor.exchange.replace(orders[place % len(orders)].id, change)


def _close(floor, symbol):
    floor.exchange.close_position(symbol)


def _flatten(floor):
    floor.exchange.close_all(cancel_orders=True)


def _night(floor):
    session = floor.market.session_closing_after(floor.exchange.now_ns)
    floor.until(session.close_ns)
    floor.until(floor.market.session_closing_after(session.close_ns).open_ns)


@settings(max_examples=60, deadline=None)
@given(script=operations)
def test_cash_and_shares_are_conserved_whatever_clients_do(script):
    floor = Floor(BUSY)
    play(floor, script)
    floor.wait(5)
    stuck = [order.status for order in floor.exchange.orders(OrderQuery(limit=500)) if "pending" in order.status]
    assert stuck == [], "every request comes to an end"


@settings(max_examples=25, deadline=None)
@given(script=operations)
def test_the_same_story_makes_the_same_books_and_survives_a_kill_at_its_end(script):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        told, kept = Floor(BUSY), Floor(BUSY, journal=Journal(path))
        play(told, script)
        play(kept, script)
        expected = told.exchange.ledger()["hash"]
        assert kept.exchange.ledger()["hash"] == expected
        again = Exchange(
            settings=kept.exchange.settings,
            market=ScriptedMarket(kept.market.symbols, start_ns=OPEN_NS, last_close=100.0),
            journal=Journal(path),
        )
        assert again.ledger()["hash"] == expected


def test_another_seed_makes_other_ids_and_other_parts():
    floors = [Floor(BUSY, seed=seed) for seed in (1, 2)]
    hashes = set()
    for floor in floors:
        for _ in range(5):
            _submit(floor, "AAPL", "buy", "100", "market", "day", 0, 0)
            floor.wait()
        hashes.add(floor.exchange.ledger()["hash"])
    assert len(hashes) == 2


def test_the_ledger_has_exactly_the_shape_of_the_interface():
    floor = Floor()
    floor.hold(10)
    ledger: dict[str, Any] = floor.exchange.ledger()
    assert list(ledger) == ["cash", "positions", "orders", "executions", "hash", "fees", "activities"]
    assert ledger["positions"] == [{"symbol": "AAPL", "qty": "10", "avg_entry_price": "100.01"}]
    (row,) = ledger["executions"]
    assert list(row) == [
        "execution_id",
        "order_id",
        "client_order_id",
        "symbol",
        "side",
        "qty",
        "price",
        "fee",
        "timestamp",
    ]
    assert (row["qty"], row["price"], row["fee"], row["side"]) == ("10", "100.01", "0", "buy")
    assert row["timestamp"].endswith("Z")
    assert len(ledger["hash"]) == 64


@pytest.mark.parametrize("slices", [1, 7, 500])
def test_how_finely_time_is_cut_changes_nothing(slices):
    floor = Floor(BUSY)
    floor.hold(500)
    _submit(floor, "AAPL", "sell", "150", "limit", "day", 10_100, 0)
    for at in range(slices):
        floor.until(OPEN_NS + (CLOSE_NS - OPEN_NS) * (at + 1) // slices)
    whole = Floor(BUSY)
    whole.hold(500)
    _submit(whole, "AAPL", "sell", "150", "limit", "day", 10_100, 0)
    whole.until(CLOSE_NS)
    assert floor.exchange.ledger()["hash"] == whole.exchange.ledger()["hash"]
