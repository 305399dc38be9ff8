"""What happened while the daemon was down, for the person who starts it and for whoever asks later.

Decides what is told and in which order: the worst first. It is read off the records that recovery itself makes, so it
tells what was really booked and done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct, structs

from quant_trading_system.core.clock import to_datetime
from quant_trading_system.core.events import Restored
from quant_trading_system.core.money import ZERO, plain
from quant_trading_system.core.records import (
    CorrectionRecord,
    DriftRecord,
    EntryRecord,
    FillRecord,
    OrderRecord,
    Record,
)
from quant_trading_system.core.session import SessionCalendar
from quant_trading_system.core.types import NANOS_PER_SECOND, Nanos, TradingState
from quant_trading_system.core.views import EngineView
from quant_trading_system.persistence.lease_sessions import Holder

LINES_MAX = 12  # on the terminal; the rest is counted, and whole in the API
FACTS_MAX = 500  # of each kind; a daemon that was away for a year must start too
DAY_NS = 86_400 * NANOS_PER_SECOND
UNKNOWN = "UNKNOWN"
EXTERNAL = "external"
CASH_KINDS = ("flow", "income", "fee", "in_lieu", "cash_gap")


class OrderFate(Struct, frozen=True, kw_only=True):
    """One order of ours: what the database said of it, and what is so."""

    client_order_id: str
    symbol: str
    side: str
    quantity: str
    filled_quantity: str
    filled_average_price: str | None
    was: str
    status: str

    @property
    def text(self) -> str:
        done = f", {self.filled_quantity} filled at {self.filled_average_price}" if self.filled_average_price else ""
        return f"{self.side} {self.quantity} {self.symbol} ({self.client_order_id}): {self.was} → {self.status}{done}"


class Trade(Struct, frozen=True, kw_only=True):
    """Fills of one symbol and side that were booked at the start, together."""

    symbol: str
    side: str
    quantity: str
    average_price: str
    fills: int
    is_external: bool


class RestartReport(Struct, frozen=True, kw_only=True):
    """Everything that differs from what the last process knew. `lines`: the same for people, the worst first."""

    down_since: str | None = None
    down_seconds: float | None = None
    last_holder: str = ""
    is_first_start: bool = False
    restored: str = ""
    orders: tuple[OrderFate, ...] = ()
    unknown_orders: tuple[OrderFate, ...] = ()
    trades: tuple[Trade, ...] = ()
    repairs: tuple[str, ...] = ()
    corporate_actions: tuple[str, ...] = ()
    cash_flows: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    missed_sessions: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


class RestartTally:
    """Listens to the records of a start, and afterwards for the fate of orders that was unknown then."""

    def __init__(self, *, previous: Holder | None, restored: Restored, why_restored: str, wall_ns: int) -> None:
        self._restored = restored
        self._was = {order.client_order_id: order for order in restored.orders}
        self._orders: dict[str, OrderRecord] = {}
        self._fills: list[FillRecord] = []
        self._drifts: list[DriftRecord] = []
        self._entries: list[EntryRecord] = []
        self._corrections: list[CorrectionRecord] = []
        self._is_over = False
        self._why_restored = why_restored
        self._down_s = None if previous is None else previous.age_s
        self._holder = "" if previous is None else f"pid {previous.pid} on {previous.host}"
        self._wall_ns = wall_ns
        self.report = RestartReport(is_first_start=restored.is_first_start, restored=why_restored)

    def keep(self, record: Record) -> bool:
        """Take in one record. Returns whether the report changed after it was given out."""
        match record:
            case OrderRecord() if not self._is_over or record.client_order_id in self._open_questions:
                self._orders[record.client_order_id] = record
                return self._is_over and self._settle()
            case FillRecord() if not self._is_over and len(self._fills) < FACTS_MAX:
                self._fills.append(record)
            case DriftRecord() if not self._is_over and len(self._drifts) < FACTS_MAX:
                self._drifts.append(record)
            case EntryRecord() if not self._is_over and len(self._entries) < FACTS_MAX:
                self._entries.append(record)
            case CorrectionRecord() if not self._is_over and len(self._corrections) < FACTS_MAX:
                self._corrections.append(record)
            case _:
                pass
        return False

    def conclude(self, view: EngineView, *, venue_ns: Nanos, calendar: SessionCalendar) -> RestartReport:
        """The report, once the first pass agreed."""
        self._is_over = True
        since_ns = self._restored.last_stop_ns
        fates = self._fates()
        down_ns = None if self._down_s is None else self._wall_ns - round(self._down_s * NANOS_PER_SECOND)
        self.report = RestartReport(
            down_since=None if down_ns is None else to_datetime(Nanos(down_ns)).isoformat(timespec="seconds"),
            down_seconds=None if self._down_s is None else round(self._down_s, 1),
            last_holder=self._holder,
            is_first_start=self._restored.is_first_start,
            restored=self._why_restored,
            orders=tuple(fate for fate in fates if fate.was != UNKNOWN and fate.status != fate.was),
            unknown_orders=tuple(fate for fate in fates if fate.was == UNKNOWN),
            trades=_trades(self._fills),
            repairs=_repairs(self._drifts),
            corporate_actions=tuple(
                f"{each.symbol}: {each.text} ({_signed(each.quantity)} shares)"
                for each in self._entries
                if each.kind == "corporate_action"
            ),
            cash_flows=tuple(
                f"{each.kind.replace('_', ' ')} {_signed(each.cash_usd)} USD{_because(each.text)}"
                for each in self._entries
                if each.kind in CASH_KINDS
            ),
            corrections=tuple(
                f"{each.side} {each.symbol}: now {plain(each.quantity)} at {plain(each.price)}"
                for each in self._corrections
            ),
            causes=tuple(
                f"{cause.state}: {cause.cause}{_because(cause.detail)}"
                for cause in view.causes
                if cause.state is not TradingState.ACTIVE
            ),
            locks=(
                *(f"{symbol} is locked{_because(reason)}" for symbol, reason in sorted(view.locks.items())),
                *(
                    f"strategy {each.strategy} is off{_because(each.disabled_reason)}"
                    for each in view.strategies
                    if not each.is_enabled
                ),
            ),
            missed_sessions=() if since_ns is None else missed_sessions(calendar, since_ns, venue_ns),
        )
        self.report = structs.replace(self.report, lines=_lines(self.report))
        return self.report

    @property
    def _open_questions(self) -> frozenset[str]:
        return frozenset(fate.client_order_id for fate in self.report.unknown_orders if fate.status == UNKNOWN)

    def _settle(self) -> bool:
        before = self.report.unknown_orders
        unknown = tuple(self._fate(fate.client_order_id) for fate in before)
        if unknown == before:
            return False
        self.report = structs.replace(self.report, unknown_orders=unknown)
        self.report = structs.replace(self.report, lines=_lines(self.report))
        return True

    def _fates(self) -> list[OrderFate]:
        return [self._fate(client_order_id) for client_order_id in self._was]

    def _fate(self, client_order_id: str) -> OrderFate:
        was = self._was[client_order_id]  # type: ignore[index]
        now = self._orders.get(client_order_id)
        filled = was.filled_quantity if now is None else now.filled_quantity
        value_usd = was.filled_value_usd if now is None else now.filled_value_usd
        return OrderFate(
            client_order_id=client_order_id,
            symbol=was.symbol,
            side=was.side.value,
            quantity=plain(was.quantity),
            filled_quantity=plain(filled),
            filled_average_price=_price(value_usd, filled),
            was=was.status,
            status=was.status if now is None else now.status,
        )


def missed_sessions(calendar: SessionCalendar, since_ns: Nanos, now_ns: Nanos) -> tuple[str, ...]:
    """New York dates of the regular sessions that passed, wholly or in part, between the two venue times."""
    dates: list[str] = []
    day_ns = since_ns
    while day_ns < now_ns + DAY_NS and len(dates) < FACTS_MAX:
        try:
            session = calendar.session_at(day_ns)
        except ValueError:  # past the calendar's last day nothing is known to have been open
            break
        if session is not None and session.open_ns < now_ns and session.close_ns > since_ns:
            date = to_datetime(session.open_ns).date().isoformat()
            if date not in dates:
                dates.append(date)
        day_ns = Nanos(day_ns + DAY_NS)
    return tuple(dates)


def _lines(report: RestartReport) -> tuple[str, ...]:
    """The worst first: what is not known, what does not trade, what was mended, then what simply happened."""
    if report.is_first_start and not report.restored:
        return ("first start: nothing to recover", *report.repairs)
    lines: list[str] = []
    if report.restored:
        lines.append(f"the database was restored: {report.restored}")
    lines += [f"order of unknown fate: {fate.text}" for fate in report.unknown_orders if fate.status == UNKNOWN]
    lines += [f"still {cause}" for cause in report.causes]
    lines += report.locks
    lines += [f"fate found: {fate.text}" for fate in report.unknown_orders if fate.status != UNKNOWN]
    lines += [f"corporate action {each}" for each in report.corporate_actions]
    lines += [f"corrected execution {each}" for each in report.corrections]
    lines += report.repairs
    lines += [_trade_line(trade) for trade in report.trades if trade.is_external]
    lines += [fate.text for fate in report.orders]
    lines += [_trade_line(trade) for trade in report.trades if not trade.is_external]
    lines += report.cash_flows
    if report.missed_sessions:
        lines.append(f"sessions in which nobody traded, at least in part: {', '.join(report.missed_sessions)}")
    if report.down_seconds is not None:
        lines.insert(0, f"down for {report.down_seconds:.1f} s, since {report.down_since} ({report.last_holder})")
    if len(lines) == (report.down_seconds is not None):
        lines.append("nothing happened at the broker while the daemon was down")
    return tuple(lines)


def shown_lines(lines: Sequence[str]) -> list[str]:
    """What fits on a terminal."""
    if len(lines) <= LINES_MAX:
        return list(lines)
    left = len(lines) - LINES_MAX
    return [*lines[:LINES_MAX], f"and {left} more: GET /api/v1/reconciliation, or restart.json in the state directory"]


def _trades(fills: Sequence[FillRecord]) -> tuple[Trade, ...]:
    groups: dict[tuple[bool, str, str], list[FillRecord]] = {}
    for fill in fills:
        is_external = any(part.strategy == EXTERNAL for part in fill.allocations)
        groups.setdefault((is_external, fill.symbol, fill.side.value), []).append(fill)
    return tuple(
        Trade(
            symbol=symbol,
            side=side,
            quantity=plain(sum((fill.quantity for fill in each), ZERO)),
            average_price=_price(
                sum((fill.quantity * fill.price for fill in each), ZERO), sum((fill.quantity for fill in each), ZERO)
            )
            or "0",
            fills=len(each),
            is_external=is_external,
        )
        for (is_external, symbol, side), each in sorted(groups.items())
    )


def _repairs(drifts: Sequence[DriftRecord]) -> tuple[str, ...]:
    """Differences that are neither a fill nor an order's state: those are told as such."""
    told = Counter(
        f"{drift.kind.replace('_', ' ')}{f' {drift.symbol}' if drift.symbol else ''}: ours {drift.ours}, "
        f"the broker's {drift.brokers} → {drift.action}"
        for drift in drifts
        if drift.kind not in ("missing_fill", "status_gap") and drift.action != "Wait"
    )
    return tuple(told)


def _trade_line(trade: Trade) -> str:
    who = "traded by somebody else" if trade.is_external else "booked"
    return f"{who}: {trade.side} {trade.quantity} {trade.symbol} at {trade.average_price} in {trade.fills} fills"


def _because(text: str) -> str:
    return f": {text}" if text else ""


def _signed(amount: Decimal) -> str:
    return f"+{plain(amount)}" if amount > ZERO else plain(amount)


def _price(value_usd: Decimal, quantity: Decimal) -> str | None:
    return None if not quantity else plain((value_usd / quantity).quantize(Decimal("0.0001")))
