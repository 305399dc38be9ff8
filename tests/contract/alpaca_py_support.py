"""alpaca-py 0.44, unmodified, with every answer that it gets judged by Alpaca's schemas."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from alpaca.data.historical import CryptoHistoricalDataClient, StockHistoricalDataClient
from alpaca.trading.client import TradingClient

from quant_trading_system.simulator.server.threaded import ThreadedExchange, threaded_exchange
from tests.contract.openapi_support import check_answer

Case = Callable[["Desk"], None]


@dataclass(frozen=True, slots=True)
class Desk:
    """An exchange and the three clients that alpaca-py has for it (whose answers its types do not know: Any)."""

    exchange: ThreadedExchange
    trading: Any
    stocks: Any
    crypto: Any


@contextmanager
def desk(**options: Any) -> Iterator[Desk]:
    """A desk at an exchange whose clock stands until it is told to move."""
    with threaded_exchange(**options) as exchange:
        keys = (exchange.key_id, exchange.secret_key)
        yield Desk(
            exchange,
            judged(TradingClient(*keys, url_override=exchange.url)),
            judged(StockHistoricalDataClient(*keys, url_override=exchange.url)),
            judged(CryptoHistoricalDataClient(*keys, url_override=exchange.url)),
        )


def judged(client: Any) -> Any:
    """The client, with a hook of its `requests` session that reads what comes before the client does."""

    def judge(answer: requests.Response, **_: Any) -> None:
        assert answer.request.method is not None
        path = answer.request.path_url.partition("?")[0]
        check_answer(answer.request.method, path, answer.status_code, answer.content)

    client._session.hooks["response"].append(judge)
    return client


def public_methods(kind: type) -> list[str]:
    """Everything that a client offers, found by looking rather than by remembering."""
    return [name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")]
