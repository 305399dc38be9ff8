"""Schemathesis asks the exchange everything that Alpaca's trading specification allows, and much that it forbids.

Half of what is asked is made by the schema alone, half with values that this world knows: its orders, its symbols,
prices near its prices. No answer may be a server's error, and every one must be known: by the specification, or by the
tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quant_trading_system.simulator.server.threaded import ThreadedExchange, threaded_exchange
from tests.contract.conformance_tables import is_excluded
from tests.contract.openapi_support import FOLDER, Operation, judge, needs_specifications, operation_of, operations

EXAMPLES = 60  # for each operation; about a minute and a half in all, and the same ones every time
STEP_EVERY = 12  # requests between two steps of the clock
STREAMS = ("/v2beta1/events/activities",)  # never ends; tests/contract/test_exchange_event_streams.py reads it

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
Dictionary = Mapping[str, tuple[Any, ...]]

BODY_WORDS: Dictionary = {
    "symbol": ("AAPL", "SPY", "BTC/USD", "BTCUSD", "NONE"),
    "symbols": (["AAPL"], ["AAPL", "NONE"], []),
    "name": ("first", "second", "x" * 65),
    "qty": ("1", 2, "0.5", "0", "-1", "1e3", "1e30", "1e-30", "NaN", "99999999999", "0.0000000001", None),
    "notional": ("500", 0.5, "1e40", None),
    "side": ("buy", "sell"),
    "type": ("market", "limit", "stop", "stop_limit", "trailing_stop"),
    "time_in_force": ("day", "gtc", "opg", "cls", "ioc", "fok"),
    "limit_price": ("100", "1000.5", "0.12345", "1e30", 1e-7, "-1", None),
    "stop_price": ("100", "1000.5", None),
    "trail_price": ("5", None),
    "trail_percent": ("1.5", None),
    "trail": ("3",),
    "order_class": ("", "simple", "bracket", "oco", "oto", "mleg"),
    "take_profit": ({"limit_price": "900"}, {}, None),
    "stop_loss": ({"stop_price": "50"}, {"stop_price": "50", "limit_price": "49"}, None),
    "position_intent": ("buy_to_open", "sell_to_close", None),
    "extended_hours": (True, False),
    "client_order_id": ("resting", "fresh", "x" * 129),
    "legs": (None,),
    "advanced_instructions": (None,),
}
QUERY_WORDS: Dictionary = {
    "symbols": ("AAPL", "AAPL,SPY,BTC/USD"),
    "client_order_id": ("resting", "none"),
    "name": ("first", "none"),
    "status": ("open", "closed", "all", "active"),
    "after": ("2024-06-03", "2024-06-03T13:31:00Z", "9999-12-31T23:59:59Z", "0001-01-01"),
    "until": ("2024-06-04", "1677-09-21T00:12:43Z"),
    "start": ("2024-06-03", "1900-01-01", "2262-04-12T00:00:00Z"),
    "end": ("2024-06-04", "9999-12-31"),
    "date": ("2024-06-03", "2024-02-30"),
    "percentage": ("50", "100", "0", "101", "1e-9"),
    "qty": ("1", "0", "1e30"),
    "page_token": ("20240603093200000::00000000-0000-4000-8000-000000000000", "x"),
    "period": ("1D", "1W", "1M", "1A", "0D", "99999A"),
    "timeframe": ("1Min", "5Min", "15Min", "1H", "1D"),
    "ca_types": ("dividend", "dividend,split"),
    "since": ("2024-05-01",),
    "markets": ("NYSE", "NYSE,OPRA", "NONE"),
    "time": ("2024-06-03T10:00:00-04:00",),
}


@dataclass
class World:
    """A running exchange with something in it, and how much it was asked."""

    exchange: ThreadedExchange
    session: requests.Session
    path_words: Dictionary
    asked: int = field(default=0)

    def ask(self, case: Any, words: Mapping[str, Mapping[str, Any]]) -> Any:
        for container, chosen in words.items():
            held = getattr(case, container)
            if isinstance(held, dict):
                held.update(chosen)
        self.asked += 1
        if self.asked % STEP_EVERY == 0:
            self.exchange.step(1)
        return case.call(base_url=self.exchange.url, session=self.session)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with threaded_exchange() as exchange, requests.Session() as session:
        session.headers.update({"APCA-API-KEY-ID": exchange.key_id, "APCA-API-SECRET-KEY": exchange.secret_key})
        order = {"symbol": "AAPL", "qty": "5", "side": "buy", "type": "market", "time_in_force": "day"}
        resting = order | {"type": "limit", "limit_price": "1", "client_order_id": "resting", "time_in_force": "gtc"}
        ids = [
            session.post(f"{exchange.url}/v2/orders", json=body, timeout=5).json()["id"] for body in (order, resting)
        ]
        exchange.step(5)
        watchlist = session.post(
            f"{exchange.url}/v2/watchlists", json={"name": "first", "symbols": ["AAPL"]}, timeout=5
        )
        lists = [watchlist.json()["id"]] if watchlist.ok else []
        yield World(
            exchange,
            session,
            {
                "order_id": (*ids, UNKNOWN_ID, "fake_id"),
                "symbol_or_asset_id": ("AAPL", "SPY", "BTC%2FUSD", "BTCUSD", "NONE", UNKNOWN_ID),
                "symbol": ("AAPL", "NONE"),
                "watchlist_id": (*lists, UNKNOWN_ID, "fake_id"),
                "activity_type": ("FILL", "CSD", "DIV", "NONE"),
                "market": ("NYSE", "NONE"),
            },
        )


TESTED = [
    operation
    for operation in (operations() if FOLDER.is_dir() else ())
    if operation.specification == "trading"
    and not is_excluded(operation.template)
    and operation.template not in STREAMS
]


@needs_specifications
@pytest.mark.xdist_group("schemathesis")
@pytest.mark.parametrize("operation", TESTED, ids=lambda operation: operation.name)
def test_every_answer_is_known_and_none_is_a_servers_error(world: World, operation: Operation):
    cases = _cases_of(world, operation)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, words=_words_of(world, operation))
    def ask(case: Any, words: Mapping[str, Mapping[str, Any]]) -> None:
        answer = world.ask(case, words)
        where = f"{case.method} {answer.request.url} {case.body!r}"
        assert answer.status_code < 500, f"{where}: {answer.status_code} {answer.content[:300]!r}"
        asked = operation_of(case.method, answer.request.path_url.partition("?")[0])
        if asked is not None:
            judge(asked, answer.status_code, answer.content)

    ask()


def _cases_of(world: World, operation: Operation) -> st.SearchStrategy[Any]:
    """What the schema allows, and what it forbids; with the right keys, for wrong ones hide everything else."""
    import schemathesis  # loads half a second of packages, for this file alone

    schema = schemathesis.openapi.from_path(str(FOLDER / "trading.yaml"))
    found = schema[operation.template][operation.method.upper()]
    keys = {str(name): str(value) for name, value in world.session.headers.items() if str(name).startswith("APCA")}
    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    return st.one_of([found.as_strategy(generation_mode=mode, headers=keys) for mode in modes])


def _words_of(world: World, operation: Operation) -> st.SearchStrategy[Mapping[str, Mapping[str, Any]]]:
    """Half the time nothing; else some known values for the path, the query and the body."""

    def some(words: Dictionary) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in words.items()})

    path = {name: words for name, words in world.path_words.items() if f"{{{name}}}" in operation.template}
    known = {"path_parameters": some(path), "query": some(QUERY_WORDS), "body": some(BODY_WORDS)}
    return st.one_of(st.just({}), st.fixed_dictionaries(known))
