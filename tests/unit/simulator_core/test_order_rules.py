"""Every rule of the tables for new orders: request in, status, code and text out (reference 2.2, 2.5, 2.7, 2.12)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D

import msgspec
import pytest

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator import rules
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.instants import new_york_date, new_york_ns
from quant_trading_system.simulator.refusals import Refusal
from quant_trading_system.simulator.requests import OrderRequest
from tests.unit.simulator_core.desk_script import (
    CLOSE_NS,
    NEVER_PARTIAL,
    OPEN_NS,
    Floor,
    bracket_of,
    buy,
    grouped,
    order_request,
    refusal_of,
    sell,
)

SHARES = SimAsset(id="a", symbol="AAPL", name="Apple", exchange="NASDAQ")
COINS = SimAsset(
    id="c",
    symbol="BTC/USD",
    name="Bitcoin",
    exchange="CRYPTO",
    asset_class="crypto",
    min_order_size=D("0.0001"),
    min_trade_increment=D("0.000000001"),
    price_increment=D("0.001"),
)
SHORTING = replace(NEVER_PARTIAL, shorting_enabled=True)

LIMIT = {"type": "limit", "limit_price": "98"}
STOP = {"type": "stop", "stop_price": "105"}
STOP_LIMIT = {"type": "stop_limit", "stop_price": "105", "limit_price": "106"}
TRAILING = {"type": "trailing_stop", "trail_price": "1"}
TYPES = {"market": {}, "limit": LIMIT, "stop": STOP, "stop_limit": STOP_LIMIT, "trailing_stop": TRAILING}


def judged(request: OrderRequest, asset: SimAsset = SHARES) -> tuple[int, int | None, str] | None:
    """Status, code and text of a refusal by the rules alone; None where they have nothing against it."""
    try:
        rules.check_form(request)
        rules.check_for_asset(request, asset)
    except Refusal as refusal:
        return refusal.http_status, refusal.code, refusal.message
    return None


def invalid(message: str) -> tuple[int, int, str]:
    return 422, 40010001, message


def unprocessable(message: str) -> tuple[int, int, str]:
    return 422, 42210000, message


# --- the matrix of types and times ------------------------------------------------------------------------------------

WHOLE = {
    "market": "day gtc opg cls ioc fok",
    "limit": "day gtc opg cls ioc fok",
    "stop": "day gtc",
    "stop_limit": "day gtc",
    "trailing_stop": "day gtc",
}


@pytest.mark.parametrize("time_in_force", ["day", "gtc", "opg", "cls", "ioc", "fok"])
@pytest.mark.parametrize("kind", list(TYPES))
def test_whole_shares_go_with_the_times_of_their_type(kind, time_in_force):
    found = judged(buy(time_in_force=time_in_force, **TYPES[kind]))
    assert found == (None if time_in_force in WHOLE[kind].split() else invalid("invalid time_in_force"))


@pytest.mark.parametrize("time_in_force", ["day", "gtc", "opg", "cls", "ioc", "fok"])
@pytest.mark.parametrize("amount", [{"qty": "1.5"}, {"qty": None, "notional": "50"}])
@pytest.mark.parametrize("kind", ["market", "limit", "stop", "stop_limit"])
def test_fractions_and_amounts_are_for_the_day(kind, amount, time_in_force):
    found = judged(order_request(symbol="AAPL", side="buy", **TYPES[kind] | amount | {"time_in_force": time_in_force}))
    assert found == (None if time_in_force == "day" else unprocessable("fractional orders must be DAY orders"))


@pytest.mark.parametrize("time_in_force", ["day", "gtc", "opg", "cls", "ioc", "fok"])
@pytest.mark.parametrize("order_class", ["bracket", "oto"])
def test_groups_last_for_the_day_or_until_cancelled(order_class, time_in_force):
    legs = {"profit": "110", "stop": "95"} if order_class == "bracket" else {"stop": "95"}
    found = judged(grouped(buy(time_in_force=time_in_force), order_class, **legs))
    assert found == (None if time_in_force in ("day", "gtc") else invalid("invalid time_in_force"))


@pytest.mark.parametrize("time_in_force", ["day", "gtc", "opg", "cls", "ioc", "fok"])
@pytest.mark.parametrize("kind", ["market", "limit", "stop_limit"])
def test_coins_are_traded_until_cancelled_or_at_once(kind, time_in_force):
    found = judged(buy("BTC/USD", time_in_force=time_in_force, **TYPES[kind]), COINS)
    assert found == (None if time_in_force in ("gtc", "ioc") else unprocessable("invalid crypto time_in_force"))


@pytest.mark.parametrize("kind", ["stop", "trailing_stop"])
def test_coins_know_no_plain_stops(kind):
    found = judged(buy("BTC/USD", time_in_force="gtc", **TYPES[kind]), COINS)
    assert found == invalid("invalid order type for crypto order")


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (bracket_of(buy("BTC/USD", time_in_force="gtc")), "otoco"),
        (grouped(buy("BTC/USD", time_in_force="gtc"), "oto", stop="95"), "oto"),
        (grouped(sell("BTC/USD", time_in_force="gtc", **LIMIT), "oco", profit="110", stop="95"), "oco"),
    ],
)
def test_coins_know_no_groups(request_, name):
    assert judged(request_, COINS) == unprocessable(f"crypto orders not allowed for advanced order_class: {name}")


# --- one row a text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"symbol": None}, "symbol is required"),
        ({"side": "hold"}, "side must be either buy or sell"),
        ({"type": "iceberg"}, "invalid order type"),
        ({"time_in_force": "gtd"}, "invalid time_in_force"),
        ({"order_class": "ladder"}, "invalid order_class"),
        ({"position_intent": "to_the_moon"}, "invalid position_intent"),
        ({"qty": "0"}, "qty must be > 0"),
        ({"qty": "1", "notional": "5"}, "only one of qty or notional is accepted"),
        ({"qty": None}, "qty or notional is required"),
        ({"qty": None, "notional": "0.99"}, "notional must be >= 1.00"),
        ({"qty": "1.0000000001"}, "qty must have at most 9 decimal places"),
        ({"type": "limit"}, "limit orders require a limit price"),
        ({"type": "limit", "limit_price": "-1"}, "limit price must be > 0"),
        ({"type": "limit", "limit_price": "98", "stop_price": "97"}, "limit orders require only limit price"),
        ({"type": "stop"}, "stop orders require a stop price"),
        ({"type": "stop_limit", "stop_price": "105"}, "stop limit orders require both stop and limit price"),
        ({"stop_price": "105"}, "market orders require no stop or limit price"),
        ({"type": "trailing_stop"}, "trailing stop orders must specify one of trail_price or trail_percent"),
        (
            {"type": "trailing_stop", "trail_price": "1", "trail_percent": "1"},
            "trailing stop orders must specify one of trail_price or trail_percent",
        ),
        ({"type": "trailing_stop", "trail_percent": "0.09"}, "trail_percent must be >= 0.1"),
        ({"type": "trailing_stop", "trail_price": "0"}, "trail_price must be > 0"),
        ({"side": "sell", "type": "trailing_stop", "trail_percent": "100"}, "trail_percent must be < 100"),
        (TRAILING | {"stop_price": "99"}, "trailing stop orders require no stop or limit price"),
        ({"trail_percent": "1"}, "trail_price and trail_percent are only for trailing stop orders"),
        ({"client_order_id": "x" * 129}, "client_order_id must be no more than 128 characters"),
        (
            {"take_profit": {"limit_price": "110"}},
            "take_profit and stop_loss require an order_class of bracket, oco or oto",
        ),
        (
            {"order_class": "bracket", "stop_loss": {"stop_price": "95"}},
            "bracket orders require take_profit.limit_price",
        ),
        (
            {"order_class": "bracket", "take_profit": {"limit_price": "9"}},
            "bracket orders require stop_loss.stop_price",
        ),
        (
            LIMIT | {"order_class": "oco", "stop_loss": {"stop_price": "95"}},
            "oco orders require take_profit.limit_price",
        ),
        ({"order_class": "oto"}, "oto orders require either take_profit or stop_loss"),
        (
            {"order_class": "oto", "take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "95"}},
            "oto orders require either take_profit or stop_loss",
        ),
        ({"order_class": "oto", "stop_loss": {"stop_price": "0"}}, "stop_loss.stop_price must be > 0"),
    ],
)
def test_what_is_wrong_in_itself_is_invalid(fields, message):
    request = order_request(**{"symbol": "AAPL", "side": "buy", "qty": "1", **fields})
    assert judged(request) == invalid(message)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            buy(type="limit", limit_price="290.123"),
            "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        (
            buy(type="stop", stop_price="290.123"),
            "invalid stop_price 290.123. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        (
            bracket_of(buy(), profit="110.001"),
            "invalid take_profit.limit_price 110.001. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        (
            bracket_of(buy(), stop="95.001"),
            "invalid stop_loss.stop_price 95.001. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        (
            bracket_of(buy(), limit="94.999"),
            "invalid stop_loss.limit_price 94.999. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        (bracket_of(buy(qty="1.5")), "fractional orders must be simple orders"),
        (buy(qty=None, notional="10.001"), "notional value must be limited to 2 decimal places"),
        (buy(extended_hours=True), "extended hours order must be DAY or GTC limit orders"),
        (
            buy(extended_hours=True, **LIMIT | {"time_in_force": "ioc"}),
            "extended hours order must be DAY or GTC limit orders",
        ),
        (buy(extended_hours=True, **STOP), "stop orders are not eligible for extended hours trading"),
        (buy(extended_hours=True, **TRAILING), "stop orders are not eligible for extended hours trading"),
        (bracket_of(buy(extended_hours=True, **LIMIT)), "extended hours order must be DAY or GTC limit orders"),
        (grouped(sell(), "oco", profit="110", stop="95"), "oco orders must be limit orders"),
        (bracket_of(buy(**STOP)), "bracket orders must be market or limit orders"),
        (
            buy(advanced_instructions={"algorithm": "TWAP"}, time_in_force="gtc"),
            "advanced instructions only support DAY time_in_force",
        ),
    ],
)
def test_what_cannot_be_done_is_unprocessable(request_, message):
    assert judged(request_) == unprocessable(message)


@pytest.mark.parametrize("time_in_force", ["day", "gtc"])
def test_limit_orders_may_work_in_extended_hours(time_in_force):
    assert judged(buy(extended_hours=True, time_in_force=time_in_force, **LIMIT)) is None


def test_advanced_instructions_are_taken_and_change_nothing():
    floor = Floor()
    order = floor.submit(buy(advanced_instructions={"algorithm": "DMA", "destination": "NYSE"}))
    floor.wait()
    assert order.status == "filled"


@pytest.mark.parametrize(
    ("change", "request_", "message"),
    [
        ({"tradable": False}, buy(), 'asset "AAPL" is not tradable'),
        ({"fractionable": False}, buy(qty="1.5"), 'asset "AAPL" is not fractionable'),
        ({"fractionable": False}, buy(qty=None, notional="50"), 'asset "AAPL" is not fractionable'),
    ],
)
def test_what_the_asset_does_not_allow_is_unprocessable(change, request_, message):
    assert judged(request_, msgspec.structs.replace(SHARES, **change)) == unprocessable(message)


@pytest.mark.parametrize("request_", [buy("AAPL250620C00100000"), buy(order_class="mleg")])
def test_options_are_refused_as_to_an_account_without_the_permission(request_):
    refusal = refusal_of(rules.check_form, request_)
    assert (refusal.http_status, refusal.code) == (403, 40310000)


def test_an_oco_has_the_limit_of_its_take_profit():
    assert rules.entry_limit(grouped(sell(type="limit"), "oco", profit="110", stop="95")) == D(110)


# --- the windows of the auctions --------------------------------------------------------------------------------------

MONDAY = new_york_date(OPEN_NS)
OPG_TEXT = "opg orders must be submitted after 7:00pm and before 9:28am"
CLS_TEXT = "cls orders must be submitted after 7:00pm and before 3:55pm"


@pytest.mark.parametrize(
    ("time_in_force", "hour", "minute", "text"),
    [
        ("opg", 0, 1, None),
        ("opg", 9, 27, None),
        ("opg", 9, 28, OPG_TEXT),
        ("opg", 15, 0, OPG_TEXT),
        ("opg", 18, 59, OPG_TEXT),
        ("opg", 19, 0, None),
        ("cls", 9, 0, None),
        ("cls", 15, 49, None),
        ("cls", 15, 50, CLS_TEXT),
        ("cls", 18, 59, CLS_TEXT),
        ("cls", 19, 0, None),
        ("day", 15, 55, None),
    ],
)
def test_auction_orders_have_their_windows(time_in_force, hour, minute, text):
    now_ns = Nanos(new_york_ns(MONDAY, hour, minute))
    if text is None:
        rules.check_window(time_in_force, now_ns)
    else:
        refusal = refusal_of(rules.check_window, time_in_force, now_ns)
        assert (refusal.http_status, refusal.code, refusal.message) == (403, 40310000, text)


def test_on_a_half_day_closing_orders_end_before_the_early_close():
    friday = MONDAY.replace(day=27)  # the day after Thanksgiving
    rules.check_window("cls", Nanos(new_york_ns(friday, 12, 49)))
    assert refusal_of(rules.check_window, "cls", Nanos(new_york_ns(friday, 12, 50))).message == CLS_TEXT


# --- what the account and its other orders allow ----------------------------------------------------------------------


def test_the_first_thing_that_is_wrong_is_told():
    floor = Floor()
    floor.submit(buy(client_order_id="mine", **LIMIT))
    assert floor.refused(buy("NOPE", qty="0", client_order_id="mine")).message == "qty must be > 0"
    assert floor.refused(buy("NOPE", client_order_id="mine")).message == 'asset "NOPE" not found'
    assert floor.refused(buy(qty="999999", client_order_id="mine")).message == "client_order_id must be unique"


def test_an_order_is_found_by_the_id_of_its_asset():
    floor = Floor()
    assert floor.submit(buy(floor.exchange.asset("AAPL").id)).symbol == "AAPL"


@pytest.mark.parametrize(
    ("side", "held", "intent"),
    [("buy", 0, "buy_to_open"), ("buy", 5, "buy_to_open"), ("sell", 5, "sell_to_close"), ("sell", 0, "sell_to_open")],
)
def test_the_intent_follows_from_side_and_position(side, held, intent):
    floor = Floor(SHORTING)
    if held:
        floor.hold(held)
    request = order_request(symbol="AAPL", side=side, qty="1", position_intent=intent)
    assert floor.submit(request).position_intent == intent
    wrong = {"buy": "buy_to_close", "sell": "sell_to_open" if held else "sell_to_close"}[side]
    refusal = floor.refused(msgspec.structs.replace(request, position_intent=wrong))
    assert refusal.message == f"position intent mismatch, inferred: {intent}, specified: {wrong}"


def test_brackets_enter_and_ocos_exit():
    floor = Floor()
    refusal = floor.refused(grouped(sell(type="limit"), "oco", profit="110", stop="95"))
    assert (refusal.code, refusal.message) == (42210000, "oco orders must be exit orders")
    floor.hold(10)
    refusal = floor.refused(bracket_of(sell(), profit="90", stop="105"))
    assert (refusal.code, refusal.message) == (42210000, "bracket orders must be entry orders")


@pytest.mark.parametrize(
    ("legs", "body"),
    [
        ({"profit": "94", "stop": "95"}, {"message": "take_profit.limit_price must be > stop_loss.stop_price"}),
        (
            {"profit": "100", "stop": "95"},
            {"base_price": "100", "message": "take_profit.limit_price must be >= base_price + 0.01"},
        ),
        (
            {"profit": "110", "stop": "100"},
            {"base_price": "100", "message": "stop_loss.stop_price must be <= base_price - 0.01"},
        ),
    ],
)
def test_the_legs_of_a_bracket_lie_around_its_base_price(legs, body):
    floor = Floor()
    refusal = floor.refused(bracket_of(buy(), **legs))
    assert refusal.body() == {"code": 42210000, **body}


def test_the_base_price_of_a_limit_entry_is_its_limit():
    floor = Floor()
    request = buy(type="limit", limit_price="90")
    assert floor.refused(bracket_of(request, profit="110", stop="90")).extra == {"base_price": "90"}
    assert floor.submit(bracket_of(request, profit="90.01", stop="89.99")).is_open


def test_a_stop_below_the_market_is_for_sales_and_above_it_for_purchases():
    floor = Floor()
    floor.hold(10)
    refusal = floor.refused(sell(type="stop", stop_price="100"))
    assert refusal.body() == {
        "code": 42210000,
        "market_price": "100",
        "message": "stop price must be less than current price",
        "stop_price": "100",
    }


@pytest.mark.parametrize(
    ("existing", "candidate", "reason"),
    [
        (LIMIT | {"limit_price": "120"}, {}, "opposite side market/stop order exists"),
        ({"type": "stop", "stop_price": "90"}, LIMIT, "opposite side market/stop order exists"),
        (LIMIT | {"limit_price": "120"}, STOP, "opposite side market/stop order exists"),
        (LIMIT | {"limit_price": "120"}, LIMIT | {"limit_price": "119.99"}, None),
        (
            LIMIT | {"limit_price": "120"},
            LIMIT | {"limit_price": "120"},
            "sell order exists, buy limit price should be less than existing sell limit price",
        ),
        (
            {"type": "stop_limit", "stop_price": "95", "limit_price": "94"},
            LIMIT | {"limit_price": "94"},
            "sell order exists, buy limit price should be less than existing sell limit price",
        ),
    ],
)
def test_a_purchase_never_meets_an_open_sale_of_its_own(existing, candidate, reason):
    floor = Floor()
    floor.hold(10)
    sale = floor.submit(sell(**existing))
    if reason is None:
        assert floor.submit(buy(**candidate)).is_open
        return
    refusal = floor.refused(buy(**candidate))
    assert (refusal.http_status, refusal.code) == (403, 40310000)
    assert refusal.message == "potential wash trade detected. use complex orders"
    assert (refusal.extra["existing_order_id"], refusal.extra["reject_reason"]) == (sale.id, reason)
    if "buy limit price" in reason:
        assert refusal.extra["sell_limit_price"] == existing["limit_price"]
        assert refusal.extra["buy_limit_price"] == candidate["limit_price"]


def test_a_sale_never_meets_an_open_purchase_of_its_own():
    floor = Floor()
    floor.hold(10)
    purchase = floor.submit(buy(**LIMIT))
    refusal = floor.refused(sell(type="limit", limit_price="98"))
    assert refusal.extra == {
        "existing_order_id": purchase.id,
        "reject_reason": "opposite side limit order exists",
        "buy_limit_price": "98",
        "sell_limit_price": "98",
    }
    assert floor.submit(sell(type="limit", limit_price="98.01")).is_open


def test_groups_and_trailing_stops_may_stand_on_both_sides():
    floor = Floor()
    floor.hold(10)
    floor.submit(buy(**LIMIT))
    assert floor.submit(sell(type="trailing_stop", trail_percent="5", qty="4")).is_open
    assert floor.submit(grouped(sell(type="limit", qty="6"), "oco", profit="110", stop="95")).is_open
    assert floor.submit(bracket_of(buy(qty="1"))).is_open
    assert floor.submit(buy(qty="1")).is_open, "what stands on the other side is exempt too"


def test_no_order_turns_a_position_round():
    floor = Floor(SHORTING)
    floor.hold(10)
    refusal = floor.refused(sell(qty="11"))
    assert refusal.message == "insufficient qty available for order (requested: 11, available: 10)"
    floor.submit(sell(qty="10"))
    floor.wait()
    floor.submit(sell(qty="3"))
    floor.wait()
    assert floor.exchange.position("AAPL").qty == -3
    refusal = floor.refused(buy(qty="4"))
    assert refusal.http_status == 403
    assert refusal.extra["existing_qty"] == "-3"
    assert floor.submit(buy(qty="3")).position_intent == "buy_to_close"


def test_the_two_sides_are_not_opened_at_once():
    floor = Floor(SHORTING)
    purchase = floor.submit(buy(**LIMIT))
    refusal = floor.refused(sell(type="limit", limit_price="110"))
    assert (refusal.http_status, refusal.code) == (422, 42210000)
    assert refusal.message == "cannot open a short sell while a long buy order is open"
    floor.wait()
    floor.exchange.cancel(purchase.id)
    floor.wait()
    floor.submit(sell(type="limit", limit_price="110"))
    refusal = floor.refused(buy(**LIMIT))
    assert refusal.message == "cannot open a long buy while a short sell order is open"


def test_amounts_are_not_opened_while_something_closes():
    floor = Floor()
    floor.hold(10)
    floor.submit(sell(type="limit", limit_price="120", qty="1"))
    refusal = floor.refused(buy(qty=None, notional="50", type="limit", limit_price="98"))
    assert (refusal.http_status, refusal.code) == (422, 42210000)
    assert refusal.message == "unable to open new notional orders while having open closing position orders"


def test_short_sales_need_whole_shares_that_can_be_borrowed(monkeypatch):
    floor = Floor(SHORTING)
    assert floor.refused(sell(qty="0.5")).message == "fractional orders cannot be sold short"
    assert floor.refused(sell(qty=None, notional="50")).message == "fractional orders cannot be sold short"
    asset = floor.exchange.asset("AAPL")
    for change, time_in_force, text in (
        ({"shortable": False}, "day", 'asset "AAPL" cannot be sold short'),
        ({"borrow_status": "hard_to_borrow"}, "gtc", "only day orders are allowed for hard-to-borrow asset AAPL"),
        ({"borrow_status": "hard_to_borrow"}, "day", None),
    ):
        changed = msgspec.structs.replace(asset, **change)
        monkeypatch.setattr(floor.exchange._intake, "_find_asset", lambda _name, changed=changed: changed)
        request = sell(time_in_force=time_in_force)
        if text is None:
            assert floor.submit(request).is_open
        else:
            refusal = floor.refused(request)
            assert (refusal.code, refusal.message) == (42210000, text)


def test_a_fraction_costs_at_least_a_dollar():
    floor = Floor()
    refusal = floor.refused(buy(qty="0.005"))
    assert (refusal.http_status, refusal.message) == (403, "cost basis must be >= minimal amount of order 1")


def test_after_hours_a_market_order_waits_and_an_auction_order_for_today_is_too_late():
    floor = Floor()
    floor.until(CLOSE_NS)
    assert floor.submit(buy()).status == "accepted"
    assert floor.refused(buy(time_in_force="opg")).message == OPG_TEXT
