"""Every method of alpaca-py's TradingClient gets what Alpaca gives: content, or Alpaca's own refusal."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import (
    ActivityType,
    AssetClass,
    AssetExchange,
    AssetStatus,
    CorporateActionType,
    OrderClass,
    OrderSide,
    OrderStatus,
    OrderType,
    PositionSide,
    QueryOrderStatus,
    TimeInForce,
)
from alpaca.trading.models import TradeAccount
from alpaca.trading.requests import (
    ClosePositionRequest,
    CreateWatchlistRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetCorporateAnnouncementsRequest,
    GetOptionContractsRequest,
    GetOrderByIdRequest,
    GetOrdersRequest,
    GetPortfolioHistoryRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    OrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
    UpdateWatchlistRequest,
)

from tests.contract.alpaca_py_support import Case, Desk, desk, public_methods

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    """The case of the method that has the function's name."""
    CASES[function.__name__.removeprefix("_")] = function
    return function


@pytest.mark.parametrize("method", public_methods(TradingClient))
def test_every_method_gets_what_alpaca_gives(method: str):
    assert method in CASES, f"expected a case for TradingClient.{method}"
    with desk() as at:
        CASES[method](at)


def test_there_is_no_case_without_a_method():
    assert set(CASES) <= set(public_methods(TradingClient))


# --- orders


def buy(symbol: str = "AAPL", qty: float = 4, **more: Any) -> MarketOrderRequest:
    tif = TimeInForce.GTC if "/" in symbol else TimeInForce.DAY
    return MarketOrderRequest(symbol=symbol, qty=qty, side=OrderSide.BUY, time_in_force=tif, **more)


def resting(price: float = 1.25, *, client_order_id: str | None = None, **more: Any) -> LimitOrderRequest:
    fields = {"symbol": "AAPL", "qty": 2, "side": OrderSide.BUY, "time_in_force": TimeInForce.GTC, **more}
    return LimitOrderRequest(limit_price=price, client_order_id=client_order_id, **fields)


def bracket() -> MarketOrderRequest:
    return buy(
        qty=1,
        order_class=OrderClass.BRACKET,
        take_profit=TakeProfitRequest(limit_price=5_000),
        stop_loss=StopLossRequest(stop_price=1.5, limit_price=1.25),
    )


def hold(at: Desk, *symbols: str, qty: float = 4) -> None:
    """Buy, and let a minute pass."""
    for symbol in symbols:
        at.trading.submit_order(buy(symbol, qty))
    at.exchange.step(60)


@case
def _submit_order(at: Desk) -> None:
    hold(at, "AAPL", qty=40)
    sell: dict[str, Any] = {"symbol": "AAPL", "qty": 1, "side": OrderSide.SELL, "time_in_force": TimeInForce.DAY}
    rise: dict[str, Any] = {"symbol": "SPY", "qty": 1, "side": OrderSide.BUY, "time_in_force": TimeInForce.DAY}
    coins: dict[str, Any] = {"symbol": "BTC/USD", "side": OrderSide.BUY, "time_in_force": TimeInForce.GTC}
    exits: dict[str, Any] = {
        "take_profit": TakeProfitRequest(limit_price=5_000),
        "stop_loss": StopLossRequest(stop_price=1.5),
    }
    wanted: list[tuple[OrderRequest, OrderType]] = [
        (buy("MSFT"), OrderType.MARKET),
        (resting(symbol="MSFT"), OrderType.LIMIT),
        (StopOrderRequest(**rise, stop_price=9_000), OrderType.STOP),
        (StopLimitOrderRequest(**rise, stop_price=9_000, limit_price=9_001), OrderType.STOP_LIMIT),
        (TrailingStopOrderRequest(**sell, trail_percent=5), OrderType.TRAILING_STOP),
        (TrailingStopOrderRequest(**sell, trail_price=10), OrderType.TRAILING_STOP),
        (LimitOrderRequest(**sell, limit_price=5_000, order_class=OrderClass.OCO, **exits), OrderType.LIMIT),
        (MarketOrderRequest(**rise, order_class=OrderClass.OTO, stop_loss=exits["stop_loss"]), OrderType.MARKET),
        (MarketOrderRequest(**{**rise, "symbol": "MSFT", "qty": None}, notional=500), OrderType.MARKET),
        (LimitOrderRequest(**coins, qty=0.001, limit_price=20_000), OrderType.LIMIT),
    ]
    for request, kind in wanted:
        order = at.trading.submit_order(request)
        assert (order.symbol, order.type, order.side) == (request.symbol, kind, request.side)
        assert order.order_class == (request.order_class or OrderClass.SIMPLE)
        assert order.status in (OrderStatus.ACCEPTED, OrderStatus.PENDING_NEW, OrderStatus.NEW)
    with pytest.raises(APIError) as caught:
        at.trading.submit_order(buy(qty=1_000_000))
    assert (caught.value.status_code, caught.value.code) == (403, 40310000)


@case
def _get_orders(at: Desk) -> None:
    first = at.trading.submit_order(resting(client_order_id="first"))
    at.exchange.step(1)
    at.trading.submit_order(bracket())
    at.exchange.step(60)
    assert [order.id for order in at.trading.get_orders(GetOrdersRequest(side=OrderSide.BUY))] == [first.id]
    every = GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True, symbols=["AAPL"], limit=10)
    rolled = at.trading.get_orders(every)
    assert [len(order.legs or ()) for order in rolled] == [2, 0]
    flat = at.trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL))
    assert len(flat) == 4
    assert at.trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, after=rolled[0].submitted_at)) == [
        order for order in flat if order.submitted_at > rolled[0].submitted_at
    ]


@case
def _get_order_by_id(at: Desk) -> None:
    order = at.trading.submit_order(bracket())
    found = at.trading.get_order_by_id(order.id, GetOrderByIdRequest(nested=True))
    assert [leg.id for leg in found.legs] == [leg.id for leg in order.legs]
    assert at.trading.get_order_by_id(order.legs[0].id).status is OrderStatus.HELD
    with pytest.raises(APIError, match="order not found for"):
        at.trading.get_order_by_id(uuid4())


@case
def _get_order_by_client_id(at: Desk) -> None:
    order = at.trading.submit_order(resting(client_order_id="mine"))
    assert at.trading.get_order_by_client_id("mine").id == order.id
    with pytest.raises(APIError, match="order not found for other"):
        at.trading.get_order_by_client_id("other")


@case
def _replace_order_by_id(at: Desk) -> None:
    order = at.trading.submit_order(resting())
    at.exchange.step(1)
    new = at.trading.replace_order_by_id(order.id, ReplaceOrderRequest(qty=3, limit_price=1.5, client_order_id="new"))
    assert (new.replaces, new.qty, new.limit_price, new.client_order_id) == (order.id, "3", "1.5", "new")
    at.exchange.step(1)
    old = at.trading.get_order_by_id(order.id)
    assert (old.status, old.replaced_by) == (OrderStatus.REPLACED, new.id)


@case
def _cancel_order_by_id(at: Desk) -> None:
    order = at.trading.submit_order(resting())
    at.exchange.step(1)
    assert at.trading.cancel_order_by_id(order.id) is None
    at.exchange.step(1)
    assert at.trading.get_order_by_id(order.id).status is OrderStatus.CANCELED


@case
def _cancel_orders(at: Desk) -> None:
    ids = {at.trading.submit_order(resting(price)).id for price in (1, 2)}
    at.exchange.step(1)
    answers = at.trading.cancel_orders()
    assert {answer.id for answer in answers} == ids
    assert {answer.status for answer in answers} == {200}
    assert all(answer.body["id"] in map(str, ids) for answer in answers)
    at.exchange.step(1)
    assert at.trading.get_orders() == at.trading.cancel_orders() == []


# --- positions


@case
def _get_all_positions(at: Desk) -> None:
    assert at.trading.get_all_positions() == []
    hold(at, "AAPL", "MSFT")
    assert {(position.symbol, position.qty) for position in at.trading.get_all_positions()} == {
        ("AAPL", "4"),
        ("MSFT", "4"),
    }


@case
def _get_open_position(at: Desk) -> None:
    hold(at, "AAPL")
    hold(at, "BTC/USD", qty=0.1)
    position = at.trading.get_open_position("AAPL")
    assert (position.side, position.asset_class, position.exchange) == (
        PositionSide.LONG,
        AssetClass.US_EQUITY,
        AssetExchange.NASDAQ,
    )
    assert Decimal(position.cost_basis) == 4 * Decimal(position.avg_entry_price)
    assert at.trading.get_open_position(position.asset_id).symbol == "AAPL"
    coins = at.trading.get_open_position("BTCUSD")
    assert (coins.symbol, coins.asset_class, coins.exchange) == ("BTCUSD", AssetClass.CRYPTO, AssetExchange.CRYPTO)
    assert Decimal(coins.qty) == Decimal("0.1") * Decimal("0.9975")
    with pytest.raises(APIError, match="position does not exist"):
        at.trading.get_open_position("SPY")


@case
def _close_position(at: Desk) -> None:
    hold(at, "AAPL")
    part = at.trading.close_position("AAPL", ClosePositionRequest(percentage="25"))
    assert (part.qty, part.side, part.type) == ("1", OrderSide.SELL, OrderType.MARKET)
    at.exchange.step(60)
    rest = at.trading.close_position("AAPL")
    assert rest.qty == "3"
    at.exchange.step(60)
    with pytest.raises(APIError, match="position does not exist"):
        at.trading.close_position("AAPL")


@case
def _close_all_positions(at: Desk) -> None:
    hold(at, "AAPL", "MSFT")
    at.trading.submit_order(resting(symbol="SPY"))
    at.exchange.step(1)
    answers = at.trading.close_all_positions(cancel_orders=True)
    assert {answer.status for answer in answers} == {200}
    assert {"AAPL", "MSFT"} <= {answer.symbol for answer in answers}
    at.exchange.step(60)
    assert at.trading.get_all_positions() == at.trading.get_orders() == []


# --- account


@case
def _get_account(at: Desk) -> None:
    account = at.trading.get_account()
    assert (account.cash, account.equity, account.multiplier) == ("100000", "100000", "4")
    assert account.buying_power == "400000"
    assert not any((account.trading_blocked, account.account_blocked, account.trade_suspended_by_user))
    hold(at, "AAPL")
    after = at.trading.get_account()
    basis = Decimal(at.trading.get_open_position("AAPL").cost_basis)
    assert Decimal(after.cash) == 100_000 - basis
    assert Decimal(after.equity) == Decimal(after.cash) + Decimal(after.long_market_value)


@case
def _get_account_configurations(at: Desk) -> None:
    configured = at.trading.get_account_configurations()
    assert (configured.no_shorting, configured.suspend_trade, configured.fractional_trading) == (False, False, True)
    assert (configured.max_margin_multiplier, configured.pdt_check) == ("4", None)


@case
def _set_account_configurations(at: Desk) -> None:
    wanted = at.trading.get_account_configurations()
    wanted.suspend_trade = True
    assert at.trading.set_account_configurations(wanted).suspend_trade
    assert at.trading.get_account().trade_suspended_by_user
    with pytest.raises(APIError, match="new orders are rejected by user request"):
        at.trading.submit_order(buy())


@case
def _get_portfolio_history(at: Desk) -> None:
    hold(at, "AAPL")
    at.exchange.jump_to("2024-06-05T12:00")
    history = at.trading.get_portfolio_history()
    assert history.timeframe == "1D"
    assert len(history.timestamp) == len(history.equity) == len(history.profit_loss) == len(history.profit_loss_pct) > 1
    assert history.equity[-1] == float(at.trading.get_account().equity)
    minutes = at.trading.get_portfolio_history(GetPortfolioHistoryRequest(period="1D", timeframe="5Min"))
    assert {later - earlier for earlier, later in zip(minutes.timestamp, minutes.timestamp[1:], strict=False)} == {300}


# --- clock, calendar, assets


@case
def _get_clock(at: Desk) -> None:
    clock = at.trading.get_clock()
    assert clock.is_open
    assert clock.next_close.isoformat() == "2024-06-03T16:00:00-04:00"
    assert clock.next_open.isoformat() == "2024-06-04T09:30:00-04:00"


@case
def _get_calendar(at: Desk) -> None:
    days = at.trading.get_calendar(GetCalendarRequest(start=date(2024, 7, 3), end=date(2024, 7, 5)))
    assert [(day.date, day.close.hour) for day in days] == [(date(2024, 7, 3), 13), (date(2024, 7, 5), 16)]


@case
def _get_all_assets(at: Desk) -> None:
    equities = at.trading.get_all_assets(GetAssetsRequest(asset_class=AssetClass.US_EQUITY, status=AssetStatus.ACTIVE))
    assert {"AAPL", "MSFT", "SPY"} <= {asset.symbol for asset in equities}
    coins = at.trading.get_all_assets(GetAssetsRequest(asset_class=AssetClass.CRYPTO))
    assert "BTC/USD" in {asset.symbol for asset in coins}
    assert all(coin.exchange is AssetExchange.CRYPTO and not coin.shortable for coin in coins)


@case
def _get_asset(at: Desk) -> None:
    asset = at.trading.get_asset("AAPL")
    assert (asset.name, asset.exchange, asset.tradable) == ("Apple Inc.", AssetExchange.NASDAQ, True)
    assert at.trading.get_asset(asset.id).symbol == "AAPL"
    assert at.trading.get_asset("BTCUSD").symbol == "BTC/USD"
    assert at.trading.get_asset("BTC%2FUSD").min_order_size is not None
    with pytest.raises(APIError, match="asset not found for FFFFF"):
        at.trading.get_asset("FFFFF")


# --- watchlists


def watchlist(at: Desk, *symbols: str) -> Any:
    return at.trading.create_watchlist(CreateWatchlistRequest(name="mine", symbols=list(symbols)))


def symbols_of(found: Any) -> list[str]:
    return [asset.symbol for asset in found.assets]


@case
def _create_watchlist(at: Desk) -> None:
    made = watchlist(at, "SPY", "AAPL")
    assert (made.name, symbols_of(made)) == ("mine", ["SPY", "AAPL"])
    assert made.account_id == at.trading.get_account().id


@case
def _get_watchlists(at: Desk) -> None:
    made = watchlist(at, "SPY")
    found = {each.id: each for each in at.trading.get_watchlists()}
    assert (found[made.id].name, found[made.id].assets) == ("mine", None)


@case
def _get_watchlist_by_id(at: Desk) -> None:
    made = watchlist(at, "SPY")
    assert at.trading.get_watchlist_by_id(made.id) == made
    with pytest.raises(APIError, match="watchlist not found"):
        at.trading.get_watchlist_by_id(uuid4())


@case
def _update_watchlist_by_id(at: Desk) -> None:
    made = watchlist(at, "SPY")
    wanted = UpdateWatchlistRequest(name="other", symbols=["MSFT", "AAPL"])
    changed = at.trading.update_watchlist_by_id(made.id, wanted)
    assert (changed.id, changed.name, symbols_of(changed)) == (made.id, "other", ["MSFT", "AAPL"])


@case
def _add_asset_to_watchlist_by_id(at: Desk) -> None:
    made = watchlist(at, "SPY")
    assert symbols_of(at.trading.add_asset_to_watchlist_by_id(made.id, "AAPL")) == ["SPY", "AAPL"]


@case
def _remove_asset_from_watchlist_by_id(at: Desk) -> None:
    made = watchlist(at, "SPY", "AAPL")
    assert symbols_of(at.trading.remove_asset_from_watchlist_by_id(made.id, "SPY")) == ["AAPL"]


@case
def _delete_watchlist_by_id(at: Desk) -> None:
    made = watchlist(at, "SPY")
    at.trading.delete_watchlist_by_id(made.id)
    with pytest.raises(APIError, match="watchlist not found"):
        at.trading.get_watchlist_by_id(made.id)


# --- corporate actions


def announcements(at: Desk) -> list[Any]:
    asked = GetCorporateAnnouncementsRequest(
        ca_types=[CorporateActionType.DIVIDEND], since=date(2024, 4, 1), until=date(2024, 6, 28)
    )
    found: list[Any] = at.trading.get_corporate_announcements(asked)
    return found


@case
def _get_corporate_announcements(at: Desk) -> None:
    found = announcements(at)
    assert found
    assert {each.ca_type for each in found} == {CorporateActionType.DIVIDEND}
    assert all(each.cash > 0 and each.initiating_symbol for each in found)


@case
def _get_corporate_announcement_by_id(at: Desk) -> None:
    one = announcements(at)[0]
    assert at.trading.get_corporate_announcement_by_id(one.id) == one
    with pytest.raises(APIError) as caught:
        at.trading.get_corporate_announcement_by_id(uuid4())
    assert caught.value.status_code == 404


# --- options: Alpaca's own refusal of an account without them


def refused_as_option_call(call: Any, *arguments: Any) -> None:
    with pytest.raises(APIError) as caught:
        call(*arguments)
    assert (caught.value.status_code, caught.value.code) == (403, 40310000)


@case
def _get_option_contracts(at: Desk) -> None:
    refused_as_option_call(at.trading.get_option_contracts, GetOptionContractsRequest(underlying_symbols=["AAPL"]))


@case
def _get_option_contract(at: Desk) -> None:
    refused_as_option_call(at.trading.get_option_contract, "AAPL240621C00200000")


@case
def _exercise_options_position(at: Desk) -> None:
    refused_as_option_call(at.trading.exercise_options_position, "AAPL240621C00200000")


# --- the plain verbs under all of these


@case
def _get(at: Desk) -> None:
    assert at.trading.get("/account")["cash"] == "100000"
    fills = at.trading.get("/account/activities", {"activity_types": ActivityType.FILL.value})
    assert fills == []


@case
def _post(at: Desk) -> None:
    order = {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day"}
    answer = at.trading.post("/orders", order)
    assert (UUID(answer["id"]).version, answer["qty"]) == (4, "1")


@case
def _put(at: Desk) -> None:
    made = watchlist(at, "SPY")
    assert at.trading.put(f"/watchlists/{made.id}", {"name": "other", "symbols": []})["assets"] == []


@case
def _patch(at: Desk) -> None:
    assert at.trading.patch("/account/configurations", {"trade_confirm_email": "none"})["trade_confirm_email"] == "none"


@case
def _delete(at: Desk) -> None:
    order = at.trading.submit_order(resting())
    at.exchange.step(1)
    assert at.trading.delete(f"/orders/{order.id}") is None


@case
def _response_wrapper(at: Desk) -> None:
    raw = at.trading.get("/account")
    assert at.trading.response_wrapper(TradeAccount, raw, **raw) == at.trading.get_account()
