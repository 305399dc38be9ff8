"""What the real server was recorded to answer, asked of the exchange in the profile of the recording's date.

Each row is a fact: the kind of request, and the status, the keys and the text of the answer. Sources: EX alpaca_elixir
(2020), RB alpaca-trade-api for Ruby (2019 to 2023), RR AlpacaforR (2020 to 2021), CR and CW ccxt over REST (2022 to
2024) and over the stream (2026-09-18). An answer of 2021 and later has exactly the keys; older ones lacked what came
since.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from quant_trading_system.simulator.assets import DEFAULT_SYMBOLS
from quant_trading_system.simulator.server.settings import Profile, ServerSettings
from quant_trading_system.simulator.server.testing import RunningExchange, running_exchange
from tests.contract.exchange_support import Json, call, client_of, submit

pytestmark = pytest.mark.asyncio

SYMBOLS = ("AAPL", "AIV", "AMZN", "BRZU", "BYND", "CRM", "F", "FB", "GDX", "GOOG", "LSF", "NFLX", "TSLA")
"""The equities that the recordings trade; FFFFF, FACEBOOK, BLAH and FOOBAR exist nowhere."""
UNKNOWN_ID = "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415"


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ORDER_2019 = words(
    "id client_order_id created_at updated_at submitted_at filled_at expired_at canceled_at failed_at asset_id symbol"
    " asset_class qty filled_qty filled_avg_price order_type type side time_in_force limit_price stop_price status"
    " extended_hours replaced_at replaced_by replaces"
)
ORDER_2020 = ORDER_2019 | words("order_class legs")
ORDER_2021 = ORDER_2020 | words("notional trail_percent trail_price hwm")
ACCOUNT_2021 = words(
    "id account_number status currency buying_power regt_buying_power daytrading_buying_power cash portfolio_value"
    " pattern_day_trader trading_blocked transfers_blocked account_blocked created_at trade_suspended_by_user"
    " multiplier shorting_enabled equity last_equity long_market_value short_market_value initial_margin"
    " maintenance_margin last_maintenance_margin sma daytrade_count"
)
ACCOUNT_2024 = ACCOUNT_2021 | words(
    "admin_configurations user_configurations crypto_status effective_buying_power non_marginable_buying_power bod_dtbp"
    " accrued_fees position_market_value"
)
POSITION_2021 = words(
    "asset_id symbol exchange asset_class qty avg_entry_price side market_value cost_basis unrealized_pl"
    " unrealized_plpc unrealized_intraday_pl unrealized_intraday_plpc current_price lastday_price change_today"
)
ASSET_2021 = words("id class exchange symbol name status tradable marginable shortable easy_to_borrow")
CRYPTO_ASSET_2026 = ASSET_2021 | words(
    "maintenance_margin_requirement margin_requirement_long margin_requirement_short fractionable attributes"
    " min_order_size min_trade_increment price_increment"
)
CONFIGURATIONS_2020 = words("dtbp_check no_shorting pdt_check suspend_trade trade_confirm_email")
CONFIGURATIONS_2021 = CONFIGURATIONS_2020 | words("fractional_trading max_margin_multiplier")
FILL_2020 = words("id activity_type transaction_time type price qty side symbol leaves_qty order_id cum_qty")
HISTORY_2021 = words("timestamp equity profit_loss profit_loss_pct base_value timeframe")
WATCHLIST_ROW = words("id account_id created_at updated_at name")
ERROR = words("code message")
QTY_ERROR = ERROR | words("available existing_qty held_for_orders related_orders symbol")


@dataclass(frozen=True, slots=True)
class Scene:
    """An exchange of the recording's date."""

    exchange: RunningExchange
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, body: Json = None) -> tuple[int, Json]:
        return await call(self.session, method, path, body)

    async def order(self, **fields: object) -> tuple[int, Json]:
        return await submit(self.session, **fields)

    async def placed(self, **fields: object) -> Json:
        """An order that the venue has acknowledged."""
        status, order = await self.order(**fields)
        assert status == 200, order
        await self.exchange.step(1)
        return order

    async def held(self, symbol: str = "AAPL", qty: str = "2") -> None:
        """A position."""
        await self.placed(symbol=symbol, qty=qty)
        await self.exchange.step(60)

    async def watchlist(self, *symbols: str) -> Json:
        return (await self.ask("POST", "/v2/watchlists", {"name": "made before", "symbols": list(symbols)}))[1]


Ask = Callable[[Scene], Awaitable[tuple[int, Json]]]


@dataclass(frozen=True, slots=True)
class Fact:
    """One recorded exchange. `first` says that the answer is a list whose first row has the keys."""

    source: str
    ask: Ask
    status: int
    keys: frozenset[str] = frozenset()
    says: tuple[str, ...] = ()  # the recorded text, or the newer form of it where one is known
    code: tuple[int, ...] = ()
    profile: Profile = Profile.LEGACY_2021
    is_whole: bool = True  # whether there are no other keys
    path: tuple[str | int, ...] = ()  # where in the answer the keys are
    start: str = "2021-06-17T14:17"


def asks(method: str, path: str, body: Json = None) -> Ask:
    return lambda scene: scene.ask(method, path, body)


def orders(**fields: object) -> Ask:
    return lambda scene: scene.order(**fields)


WEEKEND = "2020-05-24T18:25"
NIGHT_2020 = "2020-06-08T22:38"
EVENING = "2021-06-17T16:54"


async def _replace_while_queued(scene: Scene) -> tuple[int, Json]:
    _, order = await scene.order(symbol="AAPL")
    return await scene.ask("PATCH", f"/v2/orders/{order['id']}", {"qty": 3})


async def _replace_filled(scene: Scene) -> tuple[int, Json]:
    order = await scene.placed(symbol="AAPL")
    await scene.exchange.step(60)
    return await scene.ask("PATCH", f"/v2/orders/{order['id']}", {"qty": 200})


async def _replace_beyond_means(scene: Scene) -> tuple[int, Json]:
    order = await scene.placed(symbol="BRZU", type="limit", limit_price="5", time_in_force="gtc")
    return await scene.ask("PATCH", f"/v2/orders/{order['id']}", {"qty": 100_000, "limit_price": 30})


async def _replace(scene: Scene) -> tuple[int, Json]:
    order = await scene.placed(symbol="BRZU", type="limit", limit_price="5", qty="10", time_in_force="gtc")
    change = {"qty": 100, "limit_price": 5.25, "client_order_id": "MY_ORDER_ID_3"}
    status, new = await scene.ask("PATCH", f"/v2/orders/{order['id']}", change)
    assert (new["replaces"], new["status"], new["client_order_id"]) == (order["id"], "new", "MY_ORDER_ID_3")
    assert (new["qty"], new["limit_price"], new["created_at"]) == ("100", "5.25", order["created_at"])
    return status, new


async def _cancel(scene: Scene) -> tuple[int, Json]:
    order = await scene.placed(type="limit", limit_price="1")
    return await scene.ask("DELETE", f"/v2/orders/{order['id']}")


async def _sell_more_than_held(scene: Scene) -> tuple[int, Json]:
    await scene.held("AMZN", "1")
    status, error = await scene.order(symbol="AMZN", qty="2", side="sell", type="stop", stop_price="2")
    assert (error["available"], error["existing_qty"], error["held_for_orders"]) == ("1", "1", "0")
    assert (error["related_orders"], error["symbol"]) == ([], "AMZN")
    return status, error


async def _close_what_is_held_for_orders(scene: Scene) -> tuple[int, Json]:
    await scene.held()
    order = await scene.placed(qty="2", side="sell", type="limit", limit_price="9000", time_in_force="gtc")
    status, error = await scene.ask("DELETE", "/v2/positions/AAPL")
    assert (error["available"], error["existing_qty"], error["held_for_orders"]) == ("0", "2", "2")
    assert error["related_orders"] == [order["id"]]
    return status, error


async def _close(scene: Scene) -> tuple[int, Json]:
    await scene.held()
    status, order = await scene.ask("DELETE", "/v2/positions/AAPL")
    assert (order["qty"], order["side"], order["type"], order["time_in_force"]) == ("2", "sell", "market", "day")
    assert order["status"] == "accepted"
    return status, order


async def _position(scene: Scene) -> tuple[int, Json]:
    await scene.held()
    return await scene.ask("GET", "/v2/positions/AAPL")


async def _short_position(scene: Scene) -> tuple[int, Json]:
    await scene.placed(symbol="FB", qty="100", side="sell")
    await scene.exchange.step(60)
    status, position = await scene.ask("GET", "/v2/positions/FB")
    assert (position["qty"], position["side"]) == ("-100", "short")
    assert position["market_value"].startswith("-")
    assert position["cost_basis"].startswith("-")
    return status, position


async def _fills(scene: Scene) -> tuple[int, Json]:
    await scene.held()
    return await scene.ask("GET", "/v2/account/activities?activity_types=FILL%2CTRANS")


async def _activity_range(scene: Scene) -> tuple[int, Json]:
    await scene.held()
    return await scene.ask(
        "GET", "/v2/account/activities?until=2021-07-01&after=2021-05-18&direction=desc&page_size=50"
    )


async def _bracket(scene: Scene) -> tuple[int, Json]:
    status, order = await scene.order(
        symbol="AAPL",
        qty=5,
        type="limit",
        limit_price=25,
        order_class="bracket",
        take_profit={"limit_price": 35},
        stop_loss={"stop_price": 15},
        extended_hours=False,
        client_order_id="BRACKET_ORDER_ID",
    )
    profit, loss = order["legs"]
    assert (order["status"], profit["status"], loss["status"]) == ("accepted", "held", "held")
    assert (profit["type"], profit["limit_price"], loss["type"], loss["stop_price"]) == ("limit", "35", "stop", "15")
    assert profit["submitted_at"] == loss["submitted_at"] == order["submitted_at"]
    assert {leg["order_class"] for leg in order["legs"]} == {"bracket"}
    return status, order


async def _oco(scene: Scene) -> tuple[int, Json]:
    await scene.held("AMZN", "3")
    status, order = await scene.order(
        symbol="AMZN",
        qty="1",
        side="sell",
        type="limit",
        order_class="oco",
        take_profit={"limit_price": "9000"},
        stop_loss={"stop_price": "1.5"},
    )
    assert (order["status"], order["limit_price"], len(order["legs"])) == ("accepted", "9000", 1)
    assert (order["legs"][0]["status"], order["legs"][0]["type"]) == ("held", "stop")
    return status, order


async def _oto(scene: Scene) -> tuple[int, Json]:
    status, order = await scene.order(symbol="BYND", qty="2", order_class="oto", stop_loss={"stop_price": "1.5"})
    assert (order["status"], order["legs"][0]["status"], order["legs"][0]["type"]) == ("accepted", "held", "stop")
    return status, order


async def _trailing(scene: Scene) -> tuple[int, Json]:
    await scene.held("AMZN", "3")
    status, order = await scene.order(symbol="AMZN", qty="1", side="sell", type="trailing_stop", trail_percent="5")
    assert order["status"] == "new"
    assert float(order["stop_price"]) == pytest.approx(float(order["hwm"]) * 0.95)
    return status, order


async def _trailing_buy(scene: Scene) -> tuple[int, Json]:
    status, order = await scene.order(symbol="LSF", qty="1", side="buy", type="trailing_stop", trail_price="5")
    assert float(order["stop_price"]) == pytest.approx(float(order["hwm"]) + 5)
    return status, order


async def _notional(scene: Scene) -> tuple[int, Json]:
    status, order = await scene.order(symbol="AAPL", notional=500, qty=None, extended_hours=False)
    assert (order["notional"], order["qty"], order["status"]) == ("500", None, "accepted")
    return status, order


async def _fractional(scene: Scene) -> tuple[int, Json]:
    status, order = await scene.order(symbol="AAPL", qty=1.8, extended_hours=False)
    assert (order["notional"], order["qty"], order["status"]) == (None, "1.8", "accepted")
    return status, order


async def _watchlist_of(scene: Scene) -> tuple[int, Json]:
    status, made = await scene.ask(
        "POST", "/v2/watchlists", {"name": "to make money", "symbols": ["AAPL", "GOOG", "TSLA"]}
    )
    assert [asset["symbol"] for asset in made["assets"]] == ["AAPL", "GOOG", "TSLA"]
    return status, made


async def _watchlist_renamed(scene: Scene) -> tuple[int, Json]:
    made = await scene.watchlist("AAPL", "GOOG")
    await scene.exchange.step(60)
    status, changed = await scene.ask("PUT", f"/v2/watchlists/{made['id']}", {"name": "New Name of watchlist"})
    assert (changed["name"], changed["assets"]) == ("New Name of watchlist", [])
    assert changed["updated_at"] > made["updated_at"]
    return status, changed


async def _watchlist_added_to(scene: Scene) -> tuple[int, Json]:
    made = await scene.watchlist("AAPL")
    await scene.exchange.step(60)
    status, changed = await scene.ask("POST", f"/v2/watchlists/{made['id']}", {"symbol": "F"})
    assert [asset["symbol"] for asset in changed["assets"]] == ["AAPL", "F"]
    assert changed["updated_at"] == made["updated_at"]
    return status, changed


async def _watchlist_removed_from(scene: Scene) -> tuple[int, Json]:
    made = await scene.watchlist("F")
    status, changed = await scene.ask("DELETE", f"/v2/watchlists/{made['id']}/F")
    assert changed["assets"] == []
    return status, changed


async def _watchlist_removed_from_by_name(scene: Scene) -> tuple[int, Json]:
    await scene.ask("POST", "/v2/watchlists", {"name": "FAANG", "symbols": ["AAPL", "FB"]})
    return await scene.ask("DELETE", "/v2/watchlists:by_name/GOOG?name=FAANG")


async def _watchlist_deleted_by_name(scene: Scene) -> tuple[int, Json]:
    await scene.ask("POST", "/v2/watchlists", {"name": "_FANG", "symbols": ["AAPL", "FB"]})
    return await scene.ask("DELETE", "/v2/watchlists:by_name?name=_FANG")


async def _watchlists(scene: Scene) -> tuple[int, Json]:
    await scene.watchlist("AAPL")
    await scene.ask("POST", "/v2/watchlists", {"name": "newer"})
    status, listed = await scene.ask("GET", "/v2/watchlists")
    assert [row["name"] for row in listed] == ["made before", "newer"]
    return status, listed


async def _config(scene: Scene) -> tuple[int, Json]:
    status, configured = await scene.ask(
        "PATCH", "/v2/account/configurations", {"no_shorting": True, "suspend_trade": True}
    )
    assert (configured["no_shorting"], configured["suspend_trade"]) == (True, True)
    return status, configured


async def _as_a_form(scene: Scene) -> tuple[int, Json]:
    """The Ruby client sends JSON under the type of a form."""
    body = b'{"symbol":"AAPL","qty":5,"side":"buy","type":"limit","time_in_force":"day","limit_price":20}'
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with scene.session.post("/v2/orders", data=body, headers=headers) as answer:
        return answer.status, await answer.json()


LONG_NAME = "a name for a watchlist that is longer than the sixty-four characters which are allowed"
NOT_FOUND = (f"order not found for {UNKNOWN_ID}",)
QTY_TEXT = "insufficient qty available for order (requested: 2, available: {})"

FACTS: Sequence[Fact] = (
    # --- orders
    Fact("EX 2020-05-24", orders(symbol="TSLA", qty=1), 200, ORDER_2020, is_whole=False, start=WEEKEND),
    Fact("EX 2020-05-26", orders(symbol="TSLA", qty=10_000_000), 403, ERROR | words("buying_power cost_basis"),
         ("insufficient buying power",), (40310000,)),
    Fact("EX 2020-05-26", orders(symbol="FACEBOOK", qty=1), 422, ERROR,
         ('asset "FACEBOOK" not found',), (42210000,)),
    Fact("RB 2019-07-11", orders(symbol="AAPL", qty=5, type="limit", extended_hours=True), 422, ERROR,
         ("limit orders require a limit price",), (40010001,)),
    Fact("RB 2019-07-09", orders(symbol="AAPL", qty=5, type="limit", limit_price=20, extended_hours=True,
                                 client_order_id="MY_ORDER_ID"), 200, ORDER_2019, is_whole=False, start=EVENING),
    Fact("RB 2020-02-16", _bracket, 200, ORDER_2020, is_whole=False, start="2020-02-15T22:43"),
    Fact("RB 2020-02-16", _bracket, 200, ORDER_2020, is_whole=False, path=("legs", 1), start="2020-02-15T22:43"),
    Fact("RB 2021-04-20", _fractional, 200, ORDER_2021),
    Fact("RB 2021-04-20", _notional, 200, ORDER_2021),
    Fact("RB 2021-04-20", _as_a_form, 200, ORDER_2021),
    Fact("RR 2021-06-17", _oco, 200, ORDER_2021),
    Fact("RR 2021-06-17", _oco, 200, ORDER_2021, path=("legs", 0)),
    Fact("RR 2021-06-17", _oto, 200, ORDER_2021),
    Fact("RR 2021-06-17", _trailing, 200, ORDER_2021),
    Fact("RR 2021-06-17", _trailing_buy, 200, ORDER_2021),
    Fact("RR 2021-06-17", orders(symbol="BYND", qty="1", type="stop", stop_price="900.83"), 200, ORDER_2021,
         start=EVENING),
    Fact("RR 2021-01-26", _sell_more_than_held, 403, QTY_ERROR, (QTY_TEXT.format(1),), (40310000,)),
    Fact("EX 2020-05-24", asks("GET", "/v2/orders?status=all"), 200),
    Fact("EX 2020-05-26", asks("GET", f"/v2/orders/{UNKNOWN_ID}"), 404, ERROR, NOT_FOUND, (40410000,)),
    Fact("EX 2020-05-26", asks("GET", "/v2/orders/fake_id"), 422, ERROR, ("order_id is missing",), (40010001,)),
    Fact("EX 2020-05-26", asks("GET", f"/v2/orders:by_client_order_id?client_order_id={UNKNOWN_ID}"), 404, ERROR,
         NOT_FOUND, (40410000,)),
    Fact("EX 2020-05-26", asks("DELETE", f"/v2/orders/{UNKNOWN_ID}"), 404, ERROR, NOT_FOUND, (40410000,)),
    Fact("RB 2019-07-11", _cancel, 204),
    Fact("RB 2019-09-19", asks("DELETE", "/v2/orders"), 207),
    Fact("RB 2019-09-19", asks("PATCH", f"/v2/orders/{UNKNOWN_ID}", {"qty": 105, "time_in_force": "gtc"}), 404, ERROR,
         NOT_FOUND, (40410000,)),
    Fact("RB 2019-09-19", _replace, 200, ORDER_2019, is_whole=False),
    Fact("RB 2019-09-19", _replace_filled, 422, ERROR,
         ("unable to replace order, order is not open",), (42210000,)),
    Fact("RB 2019-09-19", _replace_beyond_means, 403, ERROR, ("insufficient buying power",), (40310000,)),
    Fact("EX 2020-05-25", _replace_while_queued, 422, ERROR,
         ("unable to replace order, order isn't sent to exchange yet",), (40010001,), start=WEEKEND),
    # --- positions
    Fact("RR 2021-06-03", _position, 200, POSITION_2021),
    Fact("RB 2019-07-09", _short_position, 200, POSITION_2021),
    Fact("EX 2020-06-02", asks("GET", "/v2/positions/F"), 404, ERROR, ("position does not exist",), (40410000,)),
    Fact("EX 2020-06-02", asks("DELETE", "/v2/positions/F"), 404, ERROR, ("position does not exist",), (40410000,)),
    Fact("RR 2021-06-03", _close, 200, ORDER_2021),
    Fact("RR 2021-06-03", _close_what_is_held_for_orders, 403, QTY_ERROR, (QTY_TEXT.format(0),), (40310000,)),
    Fact("RB 2019-09-19", asks("DELETE", "/v2/positions"), 207),
    Fact("RR 2021-06-03", asks("DELETE", "/v2/positions?cancel_orders=TRUE"), 207),
    # --- account
    Fact("RR 2021-06-01", asks("GET", "/v2/account"), 200, ACCOUNT_2021),
    Fact("CR 2024-12", asks("GET", "/v2/account"), 200, ACCOUNT_2024, is_whole=False, profile=Profile.BEFORE_2026_07),
    Fact("EX 2020-06-11", asks("PATCH", "/v2/account/configurations", {"trade_confirm_email": "none"}), 200,
         CONFIGURATIONS_2020, is_whole=False),
    Fact("RR 2021-06-02", _config, 200, CONFIGURATIONS_2021),
    Fact("EX 2020-06-11", _fills, 200, FILL_2020, is_whole=False, path=(0,)),
    Fact("RR 2021-06-02", _activity_range, 200, FILL_2020 | {"order_status"}, path=(0,)),
    Fact("EX 2020-06-11", asks("GET", "/v2/account/activities/FFFFF"), 422, ERROR, ("invalid activity type: FFFFF",),
         (40010001,)),
    Fact("RB 2020-05-22", asks("GET", "/v2/account/activities/DIV"), 200),
    Fact("EX 2020-06-11", asks("GET", "/v2/account/portfolio/history"), 200, HISTORY_2021),
    Fact("RR 2021-06-01", asks("GET", "/v2/account/portfolio/history?period=1D&timeframe=1Min&date_end=2021-06-16"
                                      "&extended_hours=APCA-PRO"), 200, HISTORY_2021),
    # --- clock, calendar, assets
    Fact("EX 2020-06-09", asks("GET", "/v2/clock"), 200, words("timestamp is_open next_open next_close"),
         start=NIGHT_2020),
    Fact("EX 2020-06-09", asks("GET", "/v2/calendar?end=2020-03-01&start=2020-02-10"), 200,
         words("date open close session_open session_close"), path=(0,)),
    Fact("RR 2020-12-29", asks("GET", "/v2/assets/TSLA"), 200, ASSET_2021),
    Fact("EX 2020-06-09", asks("GET", "/v2/assets/FFFFF"), 404, ERROR, ("asset not found for FFFFF",), (40410000,)),
    Fact("CW 2026-09-18", asks("GET", "/v2/assets?asset_class=crypto"), 200, CRYPTO_ASSET_2026, path=(0,),
         profile=Profile.CURRENT, start="2024-06-03T09:31"),
    # --- watchlists
    Fact("EX 2020-06-11", _watchlist_of, 200, WATCHLIST_ROW | {"assets"}),
    Fact("RR 2021-01-19", _watchlist_of, 200, ASSET_2021, path=("assets", 0)),
    Fact("EX 2020-06-11", asks("POST", "/v2/watchlists", {"name": LONG_NAME, "symbols": ["AAPL"]}), 422, ERROR,
         ("name must be no more than 64 characters",), (40010001,)),
    Fact("EX 2020-06-11", _watchlists, 200, WATCHLIST_ROW, path=(0,)),
    Fact("EX 2020-06-11", _watchlist_renamed, 200, WATCHLIST_ROW | {"assets"}),
    Fact("EX 2020-06-11", _watchlist_added_to, 200, WATCHLIST_ROW | {"assets"}),
    Fact("EX 2020-06-11", _watchlist_removed_from, 200, WATCHLIST_ROW | {"assets"}),
    Fact("RR 2021-01-19", _watchlist_removed_from_by_name, 200, WATCHLIST_ROW | {"assets"}),
    Fact("RR 2021-01-19", _watchlist_deleted_by_name, 204),
    Fact("EX 2020-06-11", asks("GET", "/v2/watchlists/fake_id"), 422, ERROR, ("watchlist is required",), (40010001,)),
    Fact("EX 2020-06-11", asks("GET", f"/v2/watchlists/{UNKNOWN_ID}"), 404, ERROR,
         (f"watchlist not found: {UNKNOWN_ID}",), (40410000,)),
)  # fmt: skip


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: f"{fact.source} {getattr(fact.ask, '__name__', '')}")
async def test_the_exchange_answers_as_was_recorded(fact: Fact):
    server = ServerSettings(requests_per_minute=0, profile=fact.profile)
    async with (
        running_exchange(symbols=SYMBOLS, start=fact.start, server=server) as exchange,
        client_of(exchange) as session,
    ):
        status, answer = await fact.ask(Scene(exchange, session))
    assert status == fact.status, answer
    for step in fact.path:
        answer = answer[step]
    if fact.keys:
        assert fact.keys - set(answer) == set(), "expected the recorded keys"
        assert not fact.is_whole or set(answer) == fact.keys, "expected no other keys"
    if fact.says:
        assert answer["message"] in fact.says
        assert answer["code"] in fact.code


async def test_keys_that_are_not_the_accounts_are_refused_in_the_words_of_the_time():
    server = ServerSettings(requests_per_minute=0, profile=Profile.LEGACY_2021)
    async with running_exchange(server=server) as exchange, aiohttp.ClientSession(exchange.url) as session:
        status, error = await call(session, "GET", "/v2/account")
    assert status == 401
    assert error == {"code": 40110000, "message": "access key verification failed : verification failure"}


async def test_closing_everything_fails_for_what_is_still_held_as_recorded_on_2021_06_03():
    server = ServerSettings(requests_per_minute=0, profile=Profile.LEGACY_2021)
    async with (
        running_exchange(symbols=SYMBOLS, start="2021-06-03T14:34", server=server) as exchange,
        client_of(exchange) as session,
    ):
        scene = Scene(exchange, session)
        exits: dict[str, Any] = {
            "take_profit": {"limit_price": "9000"},
            "stop_loss": {"stop_price": "2", "limit_price": "1"},
        }
        await scene.placed(symbol="AMZN", qty="1", order_class="bracket", **exits)
        await exchange.step(60)
        status, rows = await scene.ask("DELETE", "/v2/positions?cancel_orders=TRUE")
    assert status == 207
    cancelled, position = rows
    parent = cancelled["body"]
    profit, loss = parent["legs"]
    assert (cancelled["symbol"], cancelled["status"]) == (profit["id"], 200)
    assert (parent["status"], loss["status"]) == ("filled", "held")
    assert set(parent) == set(profit) == ORDER_2021
    assert (position["symbol"], position["status"]) == ("AMZN", 403)
    assert set(position["body"]) == QTY_ERROR
    assert position["body"]["related_orders"] == [profit["id"]]


async def test_cancelling_everything_lists_the_newest_first_as_recorded_on_2021_06_17():
    server = ServerSettings(requests_per_minute=0, profile=Profile.LEGACY_2021)
    async with (
        running_exchange(symbols=SYMBOLS, start="2021-06-17T14:17", server=server) as exchange,
        client_of(exchange) as session,
    ):
        scene = Scene(exchange, session)
        await scene.held("AMZN", "5")
        common: dict[str, Any] = {"symbol": "AMZN", "qty": "1", "side": "sell"}
        exits: dict[str, Any] = {"take_profit": {"limit_price": "9000"}, "stop_loss": {"stop_price": "1.5"}}
        oco = await scene.placed(**common, type="limit", order_class="oco", **exits)
        trailing = await scene.placed(**common, type="trailing_stop", trail_price="10")
        oto = await scene.placed(symbol="BYND", qty="2", order_class="oto", stop_loss={"stop_price": "1.5"})
        await exchange.step(60)
        status, rows = await scene.ask("DELETE", "/v2/orders")
    assert status == 207
    assert [row["id"] for row in rows] == [oto["legs"][0]["id"], trailing["id"], oco["id"]]
    assert {row["status"] for row in rows} == {200}
    of_leg, of_trailing, of_oco = (row["body"] for row in rows)
    assert (of_leg["id"], of_leg["status"], len(of_leg["legs"])) == (oto["id"], "filled", 1)
    assert (of_trailing["status"], of_oco["status"], of_oco["legs"]) == ("canceled", "pending_cancel", None)


async def test_a_world_that_nobody_shaped_lists_what_the_recordings_trade():
    async with running_exchange(symbols=DEFAULT_SYMBOLS) as exchange, client_of(exchange) as session:
        _, listed = await call(session, "GET", "/v2/assets?status=active")
        assert {asset["symbol"] for asset in listed} >= set(SYMBOLS)
        for unknown in ("FFFFF", "FACEBOOK", "BLAH", "FOOBAR"):
            assert (await call(session, "GET", f"/v2/assets/{unknown}"))[0] == 404
