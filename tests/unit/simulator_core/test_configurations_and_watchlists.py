"""What the holder may set: configurations that take effect on orders, and watchlists with Alpaca's texts."""

from __future__ import annotations

import pytest

from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.watchlists import SYMBOLS_MAX, WATCHLISTS_MAX
from tests.unit.simulator_core.desk_script import Floor, buy, sell

NO_FRACTIONS = "fractional trading is disabled for this account"
ID = "9e107d9d-372b-4b6d-a9c7-2f3e5c4b1a00"


def refusal_of(action, *args, **kwargs) -> Refusal:
    with pytest.raises(Refusal) as caught:
        action(*args, **kwargs)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "request_fields", "text"),
    [
        ({"suspend_trade": True}, {"qty": "1"}, "new orders are rejected by user request"),
        ({"fractional_trading": False}, {"qty": "0.5"}, NO_FRACTIONS),
        (
            {"fractional_trading": False},
            {"qty": None, "notional": "5"},
            NO_FRACTIONS,
        ),
    ],
)
def test_a_configuration_takes_effect_on_the_next_order_and_can_be_taken_back(fields, request_fields, text):
    floor = Floor()
    before = floor.exchange.configurations
    floor.exchange.configure(fields)
    refusal = refusal_of(floor.submit, buy(**request_fields))
    assert (refusal.http_status, refusal.code, refusal.message) == (403, 40310000, text)
    floor.exchange.configure({name: not value for name, value in fields.items()})
    assert floor.exchange.configurations == before
    assert floor.submit(buy(**request_fields)).is_open


def test_suspended_trading_is_told_of_in_the_account():
    floor = Floor()
    floor.exchange.configure({"suspend_trade": True})
    assert floor.exchange.account().trade_suspended_by_user


def test_no_shorting_makes_the_account_long_only():
    floor = Floor()
    floor.exchange.configure({"no_shorting": True})
    assert refusal_of(floor.submit, sell(qty="1")).message == "account is not allowed to short"
    assert not floor.exchange.account().shorting_enabled


@pytest.mark.parametrize(("multiplier", "power"), [("1", 100_000), ("2", 200_000), ("4", 400_000)])
def test_the_highest_multiplier_is_the_holders_wish(multiplier, power):
    floor = Floor()
    floor.exchange.configure({"max_margin_multiplier": multiplier})
    account = floor.exchange.account()
    assert (account.multiplier, account.buying_power == power) == (int(multiplier), True)


def test_no_wish_raises_what_the_broker_grants():
    floor = Floor(multiplier=2)
    floor.exchange.configure({"max_margin_multiplier": "4"})
    assert floor.exchange.account().multiplier == 2


@pytest.mark.parametrize(
    "body",
    [
        {"suspend_trade": "yes"},
        {"no_shorting": 1},
        {"max_margin_multiplier": "3"},
        {"max_margin_multiplier": 4},
        {"trade_confirm_email": "some"},
        {"max_options_trading_level": 4},
        {"max_options_trading_level": True},
        {"pdt_check": "never"},
    ],
)
def test_a_value_that_cannot_be_changes_nothing(body):
    floor = Floor()
    before = floor.exchange.configurations
    assert refusal_of(floor.exchange.configure, {"trade_confirm_email": "none", **body}).http_status == 422
    assert floor.exchange.configurations == before


def test_unknown_configurations_are_ignored():
    floor = Floor()
    assert floor.exchange.configure({"colour": "red"}) == floor.exchange.configure({})


def test_a_watchlist_keeps_its_order_and_follows_its_verbs():
    floor = Floor()
    lists = floor.exchange.watchlists
    made = lists.create({"name": "mine", "symbols": ["SPY", "AAPL"]}, floor.exchange.now_ns)
    assert [asset.symbol for asset in lists.assets(made)] == ["SPY", "AAPL"]
    floor.wait()
    added = lists.add(made, {"symbol": "MSFT"})
    assert [asset.symbol for asset in lists.assets(added)] == ["SPY", "AAPL", "MSFT"]
    assert added.updated_at_ns == made.updated_at_ns, "what is added is no update (recorded 2020-06-11)"
    removed = lists.remove(added, "SPY")
    assert lists.remove(removed, "SPY") == removed
    renamed = lists.update(removed, {"name": "yours", "symbols": ["AAPL", "MSFT"]}, floor.exchange.now_ns)
    assert [asset.symbol for asset in lists.assets(renamed)] == ["AAPL", "MSFT"]
    assert renamed.updated_at_ns > made.updated_at_ns
    assert lists.find(name="yours") == lists.find(watchlist_id=made.id.replace("-", "")) == renamed
    replaced = lists.update(renamed, {"symbols": ["SPY"]}, floor.exchange.now_ns)
    assert ([asset.symbol for asset in lists.assets(replaced)], replaced.name) == (["SPY"], "yours")
    lists.delete(replaced)
    assert lists.all() == []


def test_watchlists_refuse_in_the_recorded_words():
    floor = Floor()
    lists, now_ns = floor.exchange.watchlists, floor.exchange.now_ns
    made = lists.create({"name": "mine", "symbols": ["AAPL"]}, now_ns)
    cases = [
        (refusal_of(lists.create, {"name": "x" * 65}, now_ns), 422, "name must be no more than 64 characters"),
        (refusal_of(lists.create, {"name": "mine"}, now_ns), 422, "watchlist name must be unique"),
        (refusal_of(lists.create, {}, now_ns), 422, "name is required"),
        (refusal_of(lists.create, {"name": 5}, now_ns), 400, "request body format is invalid"),
        (refusal_of(lists.create, {"name": "n", "symbols": "AAPL"}, now_ns), 400, "request body format is invalid"),
        (refusal_of(lists.create, {"name": "n", "symbols": ["NONE"]}, now_ns), 404, "asset not found for NONE"),
        (refusal_of(lists.find, watchlist_id="fake_id"), 422, "watchlist is required"),
        (refusal_of(lists.find, watchlist_id=ID), 404, f"watchlist not found: {ID}"),
        (refusal_of(lists.find, name="none"), 404, "watchlist not found: none"),
        (refusal_of(lists.update, made, {}, now_ns), 422, "name or symbols is required"),
        (refusal_of(lists.add, made, {}), 422, "symbol is required"),
        (refusal_of(lists.add, made, {"symbol": "AAPL"}), 422, "duplicate symbol: AAPL"),
        (refusal_of(lists.remove, made, "NONE"), 404, "asset not found for NONE"),
    ]
    for refusal, status, text in cases:
        assert (refusal.http_status, refusal.message) == (status, text)


def test_watchlists_have_bounds():
    floor = Floor(symbols=tuple(f"S{number}" for number in range(SYMBOLS_MAX + 1)), quoted=False)
    lists, now_ns = floor.exchange.watchlists, floor.exchange.now_ns
    names = [asset.symbol for asset in floor.exchange.assets()]
    assert refusal_of(lists.create, {"name": "big", "symbols": names}, now_ns).http_status == 422
    full = lists.create({"name": "big", "symbols": names[:-1]}, now_ns)
    assert refusal_of(lists.add, full, {"symbol": names[-1]}).http_status == 422
    for number in range(WATCHLISTS_MAX - 1):
        lists.create({"name": f"list {number}"}, now_ns)
    assert refusal_of(lists.create, {"name": "one more"}, now_ns).http_status == 422
