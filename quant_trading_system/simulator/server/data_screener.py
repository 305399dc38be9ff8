"""Who traded and who moved most. Decides it by the newest daily bars, before the open those of the session before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from quant_trading_system.core.types import NANOS_PER_MINUTE
from quant_trading_system.simulator.corporate_actions import SPLITS, AdjustmentFactors
from quant_trading_system.simulator.events import SimBar
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.market.source import DAY
from quant_trading_system.simulator.server.actions import effective_actions
from quant_trading_system.simulator.server.data_query import DataQuery
from quant_trading_system.simulator.server.data_rows import data_answer
from quant_trading_system.simulator.server.errors import invalid_data
from quant_trading_system.simulator.server.pacing import Pacer
from quant_trading_system.simulator.server.stamps import stamp_text
from quant_trading_system.simulator.server.venue import VENUE, Venue

TOP_DEFAULT = 10
ACTIVES_MAX, MOVERS_MAX = 100, 50
BACK_NS = 10 * 24 * 60 * NANOS_PER_MINUTE  # a week with its holidays: two sessions for sure
CHANGE_DECIMALS, PRICE_DECIMALS = 2, 4
CRYPTO_DECIMALS = 9  # many pairs cost less than a cent


@dataclass(frozen=True, slots=True)
class _Move:
    symbol: str
    price: float
    change: float
    percent: float


def add_screener_routes(router: web.UrlDispatcher) -> None:
    router.add_get("/v1beta1/screener/stocks/most-actives", _most_actives)
    router.add_get("/v1beta1/screener/{market_type}/movers", _movers)


async def _most_actives(request: web.Request) -> web.Response:
    venue, query = request.app[VENUE], DataQuery(request.query)
    is_by_trades = query.choice("by", ("volume", "trades"), "volume") == "trades"
    top = query.whole("top", TOP_DEFAULT, low=1, high=ACTIVES_MAX)
    days: list[SimBar] = []
    pacer = Pacer()
    for symbol in _symbols(venue, is_crypto=False):
        await pacer.breathe()
        days.extend(_last_days(venue, symbol)[-1:])
    days.sort(key=lambda bar: (-(bar.trade_count if is_by_trades else bar.volume), bar.symbol))
    rows = [{"symbol": bar.symbol, "volume": round(bar.volume), "trade_count": bar.trade_count} for bar in days[:top]]
    return data_answer({"most_actives": rows, "last_updated": stamp_text(venue.exchange.now_ns)})


async def _movers(request: web.Request) -> web.Response:
    venue, query = request.app[VENUE], DataQuery(request.query)
    market_type = request.match_info["market_type"]
    if market_type not in ("stocks", "crypto"):
        raise invalid_data(f"invalid market type: {market_type}")
    is_crypto = market_type == "crypto"
    top = query.whole("top", TOP_DEFAULT, low=1, high=MOVERS_MAX)
    moves: list[_Move] = []
    pacer = Pacer()
    for symbol in _symbols(venue, is_crypto=is_crypto):
        await pacer.breathe()
        days = _last_days(venue, symbol)
        if len(days) > 1:
            moves.append(_move(venue, *days[-2:]))
    gainers = sorted((move for move in moves if move.change > 0), key=lambda move: (-move.percent, move.symbol))
    losers = sorted((move for move in moves if move.change < 0), key=lambda move: (move.percent, move.symbol))
    return data_answer(
        {
            "gainers": _rows(gainers[:top], is_crypto=is_crypto),
            "losers": _rows(losers[:top], is_crypto=is_crypto),
            "market_type": market_type,
            "last_updated": stamp_text(venue.exchange.now_ns),
        }
    )


def _symbols(venue: Venue, *, is_crypto: bool) -> list[str]:
    return [symbol for symbol in venue.market.symbols if ("/" in symbol) is is_crypto]


def _last_days(venue: Venue, symbol: str) -> Sequence[SimBar]:
    now_ns = venue.exchange.now_ns
    return venue.market.bars(symbol, DAY, now_ns - BACK_NS, now_ns)


def _move(venue: Venue, before: SimBar, now: SimBar) -> _Move:
    """The change from one day's close to the other's price, of shares of the same kind."""
    first, last = new_york_date(before.ts_ns), new_york_date(now.ts_ns)
    happened = effective_actions(venue.market, first + timedelta(days=1), last)
    own = [action for action in happened if action.symbol == now.symbol]
    factors = AdjustmentFactors(own, kinds=SPLITS, close_before=lambda _day: None)
    close = before.close * factors.at(first).price
    change = now.close - close
    return _Move(now.symbol, now.close, change, 100.0 * change / close)


def _rows(moves: Sequence[_Move], *, is_crypto: bool) -> list[dict[str, object]]:
    return [
        {
            "symbol": move.symbol,
            "percent_change": round(move.percent, CHANGE_DECIMALS),
            "change": round(move.change, CRYPTO_DECIMALS if is_crypto else CHANGE_DECIMALS),
            "price": round(move.price, CRYPTO_DECIMALS if is_crypto else PRICE_DECIMALS),
        }
        for move in moves
    ]
