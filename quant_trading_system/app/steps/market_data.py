"""Step 8: history in, stream authenticated, the acknowledged subscription equal to the asked one, data fresh."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice

from quant_trading_system.adapters.alpaca.data_stream import CONNECTION_LIMIT, DataStream
from quant_trading_system.adapters.alpaca.streaming import StreamSettings
from quant_trading_system.app.inbox import Lane
from quant_trading_system.app.parts import Parts
from quant_trading_system.app.patience import ask_patiently
from quant_trading_system.app.stamps import stamps
from quant_trading_system.app.waiting import wait_until
from quant_trading_system.core.errors import ExitCode, OperatorError, TemporaryFailure, Unavailable, VenueError
from quant_trading_system.core.events import (
    BarSeen,
    HistorySeen,
    MarketEvent,
    QuoteSeen,
    StatusSeen,
    StreamDown,
    StreamUp,
    TradeSeen,
)
from quant_trading_system.core.failpoints import failpoint
from quant_trading_system.core.session import SessionCalendar
from quant_trading_system.core.types import NANOS_PER_SECOND, HealingAction, Nanos, Stream

SUBSCRIBED_SECONDS_MAX = 20.0
FRESH_SECONDS_MAX = 10.0
REAPED_SECONDS_MAX = 95.0  # Alpaca drops a connection that is gone after about 90 s
CONNECTION_LIMIT_WORDS = f"feed error {CONNECTION_LIMIT}"
STREAM_STOP_SECONDS_MAX = 1.5
BARS_SPARE = 2  # a symbol that trades in every other minute is warm as well
KINDS = ((TradeSeen, "trade"), (QuoteSeen, "quote"), (BarSeen, "bar"), (StatusSeen, "status"))


@asynccontextmanager
async def market_data(parts: Parts) -> AsyncIterator[str]:
    """Warm the indicators up from history, then listen.

    Raises:
        TemporaryFailure: no acknowledged subscription in time.
    """
    bars = await _warm_up(parts)
    problems: list[str] = []
    stream = DataStream(
        parts.endpoints,
        parts.credentials,
        parts.clock,
        lambda event: _tell(parts, event, problems),
        _BatchSink(parts),
        StreamSettings(silence_s=parts.settings.data.silence_seconds_max),
        symbols=parts.engine.streamed_symbols,
        is_open=lambda: parts.engine.is_session_open,
        rng=parts.rng,
        on_problem=lambda reason: parts.log.warning("market_data_unreadable", reason=reason),
        may_cycle=lambda reason: _may_cycle(parts, reason),
    )
    parts.supervisor.start("market-data", stream.run, owner="market")
    await _wait_subscribed(parts, problems)
    fresh = await _wait_fresh(parts)
    failpoint("step.market_data.entered")
    try:
        yield _ready_text(parts, bars, fresh)
    finally:
        await parts.supervisor.stop("market", timeout_s=STREAM_STOP_SECONDS_MAX)
    failpoint("step.market_data.left")


async def _is_subscribed(parts: Parts, problems: list[str]) -> bool:
    """Until the feed is up. One that counts our last connection still, as after a crash, is given time to drop it."""
    if await wait_until(lambda: parts.engine.is_feed_up, timeout_s=SUBSCRIBED_SECONDS_MAX):
        return True
    if not problems or CONNECTION_LIMIT_WORDS not in problems[-1]:
        return False
    parts.edge.say(f"      the feed still counts an earlier connection; waiting up to {REAPED_SECONDS_MAX:.0f} s")
    return await wait_until(lambda: parts.engine.is_feed_up, timeout_s=REAPED_SECONDS_MAX)


async def _may_cycle(parts: Parts, reason: str) -> bool:
    """A silent feed: its connection is made anew, as long as the day's budget lasts."""
    return await parts.healer.ask(HealingAction.SOCKET_CYCLE, Stream.MARKET_DATA.value, reason)


async def _wait_subscribed(parts: Parts, problems: list[str]) -> None:
    """Until the feed acknowledged what was asked.

    A standby that leads by now keeps its books and cancels; ending it would leave nobody. It waits for longer: the
    feed has one place for an account, and a leader that stands still holds it until it goes on or its line dies.

    Raises:
        TemporaryFailure: not in time.
    """
    while not await _is_subscribed(parts, problems):
        why = problems[-1] if problems else "no answer"
        said = f"market data not subscribed within {SUBSCRIBED_SECONDS_MAX:.0f} s: {why}"
        if not parts.settings.trade.is_standby:
            raise TemporaryFailure(
                said, fix="check the plan of the feed (broker.feed) and that no other program uses it"
            )
        if parts.report.limit is not None:
            parts.report.limit.reschedule(None)
        parts.log.error("leads_without_market_data", reason=why)
        parts.notifier.status(f"leads, but {said}")


def _ready_text(parts: Parts, bars: int, fresh: str) -> str:
    warm = min((each.warm_symbols for each in parts.engine.view().strategies), default=0)
    return f"{len(parts.engine.streamed_symbols)} symbols · {bars} bars of history · {warm} warm · {fresh}"


def _tell(parts: Parts, event: StreamUp | StreamDown, problems: list[str]) -> None:
    if isinstance(event, StreamDown):
        problems[:] = [event.reason]
    parts.inbox.put(event, Lane.ORDERS)


class _BatchSink:
    """Puts a frame of market data into the inbox and counts it by kind."""

    def __init__(self, parts: Parts) -> None:
        self._inbox = parts.inbox
        self._metrics = parts.metrics
        self._names = dict(KINDS)

    def __call__(self, events: list[MarketEvent]) -> None:
        self._inbox.put_market(events)
        if self._metrics is not None:
            for kind, count in Counter(map(type, events)).items():
                self._metrics.on_market_messages(self._name(kind), count)

    def _name(self, kind: type[MarketEvent]) -> str:
        name = self._names.get(kind)
        if name is None:
            name = next((name for base, name in KINDS if issubclass(kind, base)), "other")
            self._names[kind] = name
        return name


async def _warm_up(parts: Parts) -> int:
    """Read one-minute bars of the last sessions and hand them to the engine. Returns how many."""
    most = parts.settings.data.warm_up_bars
    if most == 0:
        return 0
    now_ns = parts.clock.venue_ns()
    started_ns = parts.clock.mono_ns()
    try:
        history = await ask_patiently(
            lambda: parts.read.bars(
                parts.engine.streamed_symbols, start_ns=history_start_ns(now_ns, most), end_ns=now_ns, timeframe="1Min"
            )
        )
    except Unavailable as error:
        parts.log.warning("no_history", reason=str(error))
        parts.edge.say(f"      no history: {error}; the indicators warm up from the stream")
        if parts.metrics is not None:
            parts.metrics.on_data_fallback("no_history")
        return 0
    except VenueError as error:
        raise OperatorError(
            f"history for the warm-up cannot be read: {error}",
            fix="check the data plan, or set data.warm_up_bars = 0 to warm up from the stream",
            exit_code=ExitCode.BROKER,
        ) from error
    if parts.metrics is not None:
        parts.metrics.on_data_fetch((parts.clock.mono_ns() - started_ns) / NANOS_PER_SECOND)
    told = 0
    for symbol, bars in history.items():
        newest = islice((bar for bar in reversed(bars) if parts.engine.is_in_session(bar.start_ns)), most)
        regular = tuple(newest)[::-1]
        parts.inbox.put(HistorySeen(symbol=symbol, bars=regular, **stamps(parts.clock)), Lane.ORDERS)
        told += len(regular)
        if not regular and parts.metrics is not None:
            parts.metrics.on_data_fallback("empty_history")  # warms up from the stream instead
    return told


def history_start_ns(now_ns: int, bars: int) -> Nanos:
    """The open of the latest session from which on there are twice as many minutes of past sessions as bars wanted."""
    calendar = SessionCalendar()
    missing_ns = BARS_SPARE * bars * 60 * NANOS_PER_SECOND
    start_ns = Nanos(now_ns)
    while missing_ns > 0:
        session = calendar.previous_session(start_ns)
        missing_ns -= session.close_ns - session.open_ns
        start_ns = session.open_ns
    return start_ns


async def _wait_fresh(parts: Parts) -> str:
    """In session, wait for a first message; a quiet feed is said, and the gate refuses until it speaks."""
    if not parts.engine.is_session_open:
        return "the market is closed"
    if await wait_until(lambda: parts.engine.feed_age_s is not None, timeout_s=FRESH_SECONDS_MAX):
        return "fresh"
    return f"no message within {FRESH_SECONDS_MAX:.0f} s: nothing is traded until data comes"
