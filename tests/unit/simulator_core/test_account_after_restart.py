"""A killed exchange knows everything of its account that was answered before."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from quant_trading_system.core.types import NANOS_PER_SECOND
from quant_trading_system.simulator.configurations import AccountFlags
from quant_trading_system.simulator.exchange import Exchange
from quant_trading_system.simulator.journal import Journal
from quant_trading_system.simulator.portfolio_history import HistoryQuery
from tests.support.scripted_market import ScriptedMarket
from tests.unit.simulator_core.desk_script import CLOSE_NS, OPEN_NS, Floor, buy, sell
from tests.unit.simulator_core.test_corporate_effects import FOUR_FOR_ONE, FRIDAY, TUESDAY, action, turn_to

DAY_NS = 86_400 * NANOS_PER_SECOND


@pytest.fixture
def path(tmp_path):
    return tmp_path / "exchange.journal"


def killed(floor: Floor, path) -> Floor:
    """Another exchange on what the first one left on disk, which was neither told nor closed; the same prices."""
    again = Floor.__new__(Floor)
    again.market = ScriptedMarket(floor.market.symbols, start_ns=floor.exchange.now_ns, last_close=100.0)
    again.market._trades, again.market._quotes = floor.market._trades, floor.market._quotes
    again.exchange = Exchange(settings=floor.exchange.settings, market=again.market, journal=Journal(path))
    again.events = []
    again.exchange.check()
    return again


def test_transfers_busts_and_corrections_are_in_the_books_again(path):
    floor = Floor(journal=Journal(path))
    floor.exchange.transfer(D(500))
    for qty in ("10", "20"):
        floor.submit(buy(qty=qty))
        floor.wait()
    first, second = (row["execution_id"] for row in floor.exchange.ledger()["executions"])  # type: ignore[attr-defined]
    floor.exchange.bust(first)
    floor.exchange.correct(second, price=D(99))
    again = killed(floor, path)
    assert again.exchange.ledger() == floor.exchange.ledger()
    assert again.exchange.account() == floor.exchange.account()
    assert again.exchange.activities() == floor.exchange.activities()
    again.exchange.transfer(D(1))
    assert len({entry.id for entry in again.exchange.activities()}) == 3, "ids go on"


def test_what_was_held_over_night_is_known_to_have_been(path):
    floor = Floor(journal=Journal(path))
    floor.hold(10)
    turn_to(floor, TUESDAY)
    again = killed(floor, path)
    assert again.exchange.account() == floor.exchange.account()
    assert again.exchange.account().buying_power == 4 * (floor.exchange.account().last_equity - 300)


def test_the_turn_of_a_day_is_not_repeated(path):
    floor = Floor(journal=Journal(path))
    floor.hold(10)
    floor.exchange.announce(FOUR_FOR_ONE)
    floor.exchange.announce(action("cash_dividend", symbol="AAPL", cash="0.5", payable_date=FRIDAY))
    turn_to(floor, TUESDAY)
    again = killed(floor, path)
    assert again.exchange.ledger() == floor.exchange.ledger()
    assert again.exchange.account() == floor.exchange.account()
    assert again.exchange.positions() == floor.exchange.positions()
    for each in (floor, again):
        turn_to(each, FRIDAY)
        assert each.exchange.position("AAPL").qty == 40
        assert each.exchange.account().intraday_adjustments == D("5"), "what was owed before the kill is paid after it"


def test_what_was_announced_before_is_applied_after(path):
    floor = Floor(journal=Journal(path))
    floor.hold(10)
    floor.exchange.announce(FOUR_FOR_ONE)
    again = killed(floor, path)
    turn_to(again, TUESDAY)
    assert again.exchange.position("AAPL").qty == 40


def test_a_new_symbol_stays_new(path):
    floor = Floor(journal=Journal(path))
    floor.hold(10)
    asset_id = floor.exchange.asset("AAPL").id
    floor.exchange.announce(action("name_change", new_symbol="MSFT"))
    turn_to(floor, TUESDAY)
    again = killed(floor, path)
    assert again.exchange.asset(asset_id).symbol == "MSFT"
    assert again.exchange.position(asset_id).symbol == "MSFT"


def test_adjusted_orders_stay_adjusted_and_reserve_what_they_did(path):
    floor = Floor(journal=Journal(path))
    floor.submit(buy(qty="10", type="limit", limit_price="90", time_in_force="gtc"))
    floor.wait()
    floor.exchange.announce(FOUR_FOR_ONE)
    turn_to(floor, TUESDAY)
    again = killed(floor, path)
    (order,) = again.exchange.orders()
    assert (order.qty, order.limit_price) == (D(40), D("22.5"))
    assert again.exchange.account().buying_power == floor.exchange.account().buying_power == 400_000 - 900


def test_crypto_fees_are_posted_once(path):
    floor = Floor(symbols=("AAPL", "BTC/USD"), quoted=False, journal=Journal(path))
    floor.quote(999.0, 1000.0, symbol="BTC/USD", bid_size=1e3, ask_size=1e3)
    floor.submit(buy("BTC/USD", qty="1", time_in_force="gtc"))
    floor.wait()
    again = killed(floor, path)
    again.until(OPEN_NS + DAY_NS)
    third = killed(again, path)
    third.until(OPEN_NS + 2 * DAY_NS)
    assert [row.activity_type for row in third.exchange.activities()] == ["CFEE", "FILL"]


def test_configurations_and_watchlists_are_kept_and_flags_are_not(path):
    floor = Floor(journal=Journal(path))
    floor.exchange.configure({"max_margin_multiplier": "1", "no_shorting": True})
    lists = floor.exchange.watchlists
    kept = lists.create({"name": "kept", "symbols": ["AAPL", "MSFT"]}, floor.exchange.now_ns)
    gone = lists.create({"name": "gone"}, floor.exchange.now_ns)
    kept = lists.remove(kept, "AAPL")
    lists.delete(gone)
    floor.exchange.account_flags = AccountFlags(trading_blocked=True)
    again = killed(floor, path)
    assert again.exchange.configurations == floor.exchange.configurations
    assert again.exchange.account().multiplier == 1
    assert again.exchange.watchlists.all() == [kept]
    assert not again.exchange.account().trading_blocked
    fresh = again.exchange.watchlists.create({"name": "fresh"}, again.exchange.now_ns)
    assert fresh.id not in (kept.id, gone.id)


def test_history_goes_on_where_it_was(path):
    floor = Floor(journal=Journal(path))
    floor.submit(sell(qty="100"))
    for price in (100.0, 101.0, 102.0):
        floor.wait(60)
        floor.trade(price)
    floor.until(CLOSE_NS + 60 * NANOS_PER_SECOND)
    query = HistoryQuery(period="1D", timeframe="1Min")
    again = killed(floor, path)
    assert again.exchange.portfolio_history(query) == floor.exchange.portfolio_history(query)
    daily = HistoryQuery(period="1W", timeframe="1D")
    assert again.exchange.portfolio_history(daily) == floor.exchange.portfolio_history(daily)
