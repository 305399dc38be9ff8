"""What the Overview page shows, as texts, bars, tables and a curve. Decides which fact stands where and in which tone.

The template renders this model for a reader without JavaScript; the live module puts the same model into the same
places by `textContent`. There is no second description of the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from decimal import Decimal

import msgspec
from msgspec import Struct

from quant_trading_system.core.clock import to_new_york
from quant_trading_system.core.records import DecisionRecord, EquityRecord
from quant_trading_system.core.types import NANOS_PER_SECOND, Latch, Mode, TradingState
from quant_trading_system.core.views import EngineView, LimitView, OrderView, PositionView, SessionView
from quant_trading_system.dashboard import curve, words
from quant_trading_system.dashboard.json_views import latch_state
from quant_trading_system.dashboard.port import StartupStep
from quant_trading_system.dashboard.words import BAD, GOOD, MUTED, NOTHING, PLAIN, WARN

ROWS_MAX = 50
DECISIONS_SHOWN = 10
FRESH_DATA_SECONDS = 5.0
FRESH_RECONCILIATION_SECONDS = 45.0  # control P4
NEAR_LIMIT = 0.75
REGULAR_CLOSE = time(16, 0)
DAY_LOSS_CONTROL = "P29"
DRAWDOWN_CONTROL = "P30"


class Text(Struct, frozen=True):
    """A text and its tone."""

    t: str
    k: str = PLAIN


class Bar(Struct, frozen=True):
    """How much of a limit is used: `ratio` 0 to 1 for the width, and the words beside it."""

    ratio: float
    t: str
    k: str = PLAIN


class Overview(Struct, frozen=True, kw_only=True):
    """The page. `texts`, `bars` and `rows` are keyed by the element they fill; `flags` are attributes of the body."""

    title: str
    mode: str
    flags: dict[str, str]
    texts: dict[str, Text]
    bars: dict[str, Bar]
    rows: dict[str, list[list[Text]]]
    curve: curve.Curve


class Facts(Struct, frozen=True, kw_only=True):
    """Everything the page is made of."""

    mode: Mode
    band: str
    account: str
    version: str
    view: EngineView | None
    steps: tuple[StartupStep, ...]
    decisions: Sequence[DecisionRecord]
    points: Sequence[EquityRecord]
    history_note: str


def build(facts: Facts) -> Overview:
    """The page at this moment; before the engine runs it shows the eight steps and dashes."""
    view = facts.view
    mode_text = " · ".join(part for part in (facts.mode.value.upper(), facts.band) if part)
    if facts.mode is Mode.LIVE:
        mode_text = f"{mode_text} · …{facts.account[-4:]}"
    state = "STARTING" if view is None else view.state.value
    texts = {
        "band": Text(mode_text),
        "account": Text(f"account {facts.account}" if facts.account else "account not known yet", MUTED),
        "version": Text(facts.version),
        "history-note": Text(facts.history_note, WARN),
        **(_starting_texts() if view is None else _texts(view)),
    }
    return Overview(
        title=f"{mode_text} · {state} · AlphaTrade",
        mode=facts.mode.value,
        flags={"mode": facts.mode.value, "band": facts.band.lower(), "state": state.lower(), **_started(facts.steps)},
        texts=texts,
        bars=_bars(view),
        rows={
            "steps": [_step(step) for step in facts.steps],
            "decisions": [_decision(decision) for decision in facts.decisions[:DECISIONS_SHOWN]],
            **_rows(view),
        },
        curve=curve.draw(
            facts.points,
            base_usd=None if view is None else view.money.last_equity_usd,
            now_ns=0 if view is None else view.venue_ns,
            now_usd=None if view is None else view.money.equity_usd,
        ),
    )


def encode(page: Overview) -> bytes:
    """The page as one line of JSON for the live module."""
    return msgspec.json.encode(page)


def _started(steps: Sequence[StartupStep]) -> dict[str, str]:
    is_done = bool(steps) and all(step.state == "ready" for step in steps)
    return {"started": "yes" if is_done else "no"}


def _starting_texts() -> dict[str, Text]:
    names = (
        *("clock-time", "clock-session", "clock-next", "equity", "day-pnl", "day-pnl-ratio", "drawdown", "exposure"),
        *("buying-power", "cash", "data-age", "reconciliation", "stream-data", "stream-orders", "kill", "unknown"),
        *("positions-count", "orders-count"),
    )
    return {name: Text(NOTHING, MUTED) for name in names} | {
        "state": Text("STARTING", WARN),
        "state-why": Text("the eight steps are under way; no order is sent before they are done", MUTED),
    }


def _texts(view: EngineView) -> dict[str, Text]:
    return {**_state(view), **_clock(view), **_money(view), **_health(view)}


def _state(view: EngineView) -> dict[str, Text]:
    tone = {TradingState.ACTIVE: GOOD, TradingState.REDUCING: WARN, TradingState.HALTED: BAD}[view.state]
    if view.is_stopping:
        why = "stopping in order: no new orders, entries are cancelled"
    elif view.causes:
        why = "see the causes below"
    else:
        why = "nothing is blocked"
    return {"state": Text(view.state.value, tone), "state-why": Text(why, MUTED)}


def _clock(view: EngineView) -> dict[str, Text]:
    session = view.session
    is_open = session.is_open_by_calendar and session.is_open_by_broker is not False
    if session.is_open_by_calendar and session.is_open_by_broker is False:
        word, tone = "calendar says open, broker says closed", WARN
    elif is_open:
        word, tone = "open" + (", half day" if _is_half_day(session) else ""), GOOD
    else:
        word, tone = "closed", MUTED
    return {
        "clock-time": Text(words.clock(view.venue_ns, "%a %d %b %Y  %H:%M:%S")),
        "clock-session": Text(word, tone),
        "clock-next": Text(_next_bell(view, is_open=is_open), MUTED),
    }


def _next_bell(view: EngineView, *, is_open: bool) -> str:
    session = view.session
    if is_open and session.close_ns is not None:
        left_s = (session.close_ns - view.venue_ns) / NANOS_PER_SECOND
        return f"closes in {words.span(left_s)}, at {words.clock(session.close_ns, '%H:%M')}"
    opens_ns = session.next_open_ns
    if session.open_ns is not None and session.open_ns > view.venue_ns:
        opens_ns = session.open_ns
    if opens_ns is None:
        return "next session not known"
    wait_s = (opens_ns - view.venue_ns) / NANOS_PER_SECOND
    return f"opens in {words.span(max(0.0, wait_s))}, {words.clock(opens_ns, '%a %d %b %H:%M')}"


def _is_half_day(session: SessionView) -> bool:
    return session.close_ns is not None and to_new_york(session.close_ns).time() < REGULAR_CLOSE


def _money(view: EngineView) -> dict[str, Text]:
    money = view.money
    day_ratio = None
    if money.day_pnl_usd is not None and money.last_equity_usd:
        day_ratio = money.day_pnl_usd / money.last_equity_usd
    tone = words.tone_of(money.day_pnl_usd)
    return {
        "equity": Text(words.money(money.equity_usd)),
        "day-pnl": Text(words.money(money.day_pnl_usd, signed=True), tone),
        "day-pnl-ratio": Text(words.percent(day_ratio, signed=True), tone),
        "drawdown": Text(words.percent(money.drawdown_ratio)),
        "exposure": Text(words.percent(view.exposure_ratio)),
        "buying-power": Text(words.money(money.broker_buying_power_usd)),
        "cash": Text(words.money(view.cash_usd)),
    }


def _health(view: EngineView) -> dict[str, Text]:
    is_open = view.session.is_open_by_calendar
    data_age_s = view.stream_last_message_age_s.get("market_data")
    reconciliation_age_s = view.reconciliation_age_s
    latch = latch_state(view)
    stores = ", ".join(f"{store} {latch.lower()}" for store, latch in sorted(view.latches.items()))
    is_known = latch == Latch.CLEAR
    return {
        "data-age": Text(words.span(data_age_s), _freshness(data_age_s, FRESH_DATA_SECONDS if is_open else None)),
        "reconciliation": Text(
            words.span(reconciliation_age_s), _freshness(reconciliation_age_s, FRESH_RECONCILIATION_SECONDS)
        ),
        "stream-data": _stream(view, "market_data"),
        "stream-orders": _stream(view, "trade_updates"),
        "kill": Text("clear" if is_known else f"{latch} ({stores})", GOOD if is_known else BAD),
        "unknown": Text(str(view.unknown_orders), BAD if view.unknown_orders else PLAIN),
        "positions-count": Text(str(sum(1 for position in view.positions if position.quantity))),
        "orders-count": Text(str(len(view.open_orders))),
    }


def _freshness(age_s: float | None, limit_s: float | None) -> str:
    """Grey where nothing is expected now, red where nothing ever came though it should have."""
    if limit_s is None:
        return MUTED
    if age_s is None:
        return BAD
    return GOOD if age_s <= limit_s else BAD


def _stream(view: EngineView, name: str) -> Text:
    is_up = view.streams_up.get(name, False)
    return Text("up" if is_up else "down", GOOD if is_up else BAD)


def _bars(view: EngineView | None) -> dict[str, Bar]:
    if view is None:
        return {"day-loss": Bar(0.0, NOTHING, MUTED), "drawdown": Bar(0.0, NOTHING, MUTED)}
    return {
        "day-loss": _bar([limit for limit in view.limits if limit.control == DAY_LOSS_CONTROL]),
        "drawdown": _bar([limit for limit in view.limits if limit.control == DRAWDOWN_CONTROL]),
    }


def _bar(limits: Sequence[LimitView]) -> Bar:
    """The limit used most among several of one control."""
    measured = [limit for limit in limits if limit.usage is not None]
    if not measured:
        return Bar(0.0, f"limit {limits[0].limit}" if limits else NOTHING, MUTED)
    top = max(measured, key=lambda limit: limit.usage or 0.0)
    usage = top.usage or 0.0
    tone = BAD if usage >= 1 else WARN if usage >= NEAR_LIMIT else GOOD
    return Bar(min(1.0, max(0.0, usage)), f"{top.measured} of {top.limit}", tone)


def _rows(view: EngineView | None) -> dict[str, list[list[Text]]]:
    if view is None:
        return {name: [] for name in ("causes", "positions", "orders", "strategies", "limits", "locks")}
    used = sorted((limit for limit in view.limits if limit.usage is not None), key=lambda limit: -(limit.usage or 0.0))
    return {
        "causes": [
            [
                Text(cause.cause.replace("_", " "), "strong"),
                Text(cause.detail),
                Text(_since(view, cause.since_ns), MUTED),
            ]
            for cause in view.causes
        ],
        "positions": [_position(position, view) for position in view.positions if position.quantity][:ROWS_MAX],
        "orders": [_order(order, view) for order in view.open_orders[:ROWS_MAX]],
        "strategies": [
            [
                Text(strategy.strategy, "strong"),
                Text("on" if strategy.is_enabled else "off", GOOD if strategy.is_enabled else BAD),
                Text(
                    words.money(strategy.realized_usd + strategy.unrealized_usd, signed=True),
                    _num(strategy.realized_usd + strategy.unrealized_usd),
                ),
                Text(
                    strategy.disabled_reason or f"{strategy.warm_symbols} of {len(strategy.symbols)} symbols warm",
                    MUTED,
                ),
            ]
            for strategy in view.strategies
        ],
        "limits": [
            [
                Text(f"{limit.control} {limit.name.replace('_', ' ')}"),
                Text(limit.measured, "num"),
                Text(limit.limit, "num"),
                Text(f"{(limit.usage or 0.0) * 100:.0f} %", f"num {_bar([limit]).k}"),
            ]
            for limit in used[:8]
        ],
        "locks": [[Text(symbol, "strong"), Text(reason)] for symbol, reason in sorted(view.locks.items())],
    }


def _since(view: EngineView, since_ns: int) -> str:
    return f"for {words.span(max(0.0, (view.venue_ns - since_ns) / NANOS_PER_SECOND))}"


def _num(amount: Decimal | None) -> str:
    return f"num {words.tone_of(amount)}".strip()


def _position(position: PositionView, view: EngineView) -> list[Text]:
    equity = view.money.equity_usd
    share = None
    if position.market_value_usd is not None and equity:
        share = position.market_value_usd / equity
    is_agreed = position.broker_quantity is None or position.broker_quantity == position.quantity
    quantity = words.shares(position.quantity, signed=False)
    books = ", ".join(f"{strategy} {words.shares(shares)}" for strategy, shares in position.books) or "no book"
    return [
        Text(position.symbol, "strong"),
        Text(
            quantity if is_agreed else f"{quantity} (broker {words.shares(position.broker_quantity)})",
            "num" if is_agreed else "num bad",
        ),
        Text(words.price(position.average_entry_price), "num wide"),
        Text(words.price(position.mark_price), "num"),
        Text(words.money(position.unrealized_usd, signed=True), _num(position.unrealized_usd)),
        Text(words.percent(share), "num wide"),
        Text(books, "books"),
        Text(words.span(position.mark_age_s), "num muted"),
    ]


def _order(order: OrderView, view: EngineView) -> list[Text]:
    age_s = (view.venue_ns - order.created_ns) / NANOS_PER_SECOND
    limit = order.limit_price if order.limit_price is not None else order.stop_price
    return [
        Text(order.symbol, "strong"),
        Text(order.side.value, GOOD if order.side.sign > 0 else BAD),
        Text(f"{words.shares(order.filled_quantity)} / {words.shares(order.quantity)}", "num"),
        Text(words.price(limit), "num"),
        Text(order.status, BAD if order.status == "UNKNOWN" else PLAIN),
        Text(order.strategy, "wide"),
        Text(words.span(max(0.0, age_s)), "num muted"),
    ]


def _decision(decision: DecisionRecord) -> list[Text]:
    tone = {"approved": GOOD, "refused": WARN, "dry_run": MUTED}.get(decision.outcome, MUTED)
    wanted = NOTHING
    if decision.side is not None:
        wanted = f"{decision.side.value} {words.shares(decision.quantity)} at {words.price(decision.limit_price)}"
    return [
        Text(words.clock(decision.venue_ns), "num muted"),
        Text(decision.symbol, "strong"),
        Text(decision.outcome.replace("_", " "), tone),
        Text(wanted),
        Text(decision.reason or NOTHING, "reason"),
        Text(decision.strategy, "wide muted"),
    ]


def _step(step: StartupStep) -> list[Text]:
    tone = {"ready": GOOD, "starting": WARN, "failed": BAD}.get(step.state, MUTED)
    return [
        Text(str(step.number), "num muted"),
        Text(step.name),
        Text(step.state, tone),
        Text(words.span(step.seconds) if step.state in ("ready", "failed") else "", "num muted"),
        Text(step.detail, "muted wide"),
    ]
