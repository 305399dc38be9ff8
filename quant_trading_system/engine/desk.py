"""The engine's state in one place: the stages, what the broker said last, the three stamps, and the effects so far.

Decides nothing about trading; it knows how to measure money and exposure, and how to ask for effects.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal

from quant_trading_system.core.activities import unexplained_flow
from quant_trading_system.core.broker import BrokerAccount, ClockReading
from quant_trading_system.core.effects import Effect, Remember
from quant_trading_system.core.events import Event
from quant_trading_system.core.money import ZERO, to_decimal
from quant_trading_system.core.records import AlertRecord, AuditRecord, GuardRecord, LockRecord, PositionRecord, Record
from quant_trading_system.core.session import SessionCalendar
from quant_trading_system.core.types import (
    NANOS_PER_SECOND,
    BrokerOrderId,
    ClientOrderId,
    MonoNanos,
    Nanos,
    Severity,
    Store,
    StrategyId,
    Stream,
    Symbol,
)
from quant_trading_system.core.values import Instrument
from quant_trading_system.core.views import SessionView
from quant_trading_system.engine.config import EngineConfig
from quant_trading_system.ledger.book import Book
from quant_trading_system.ledger.books import Ledger
from quant_trading_system.market.state import Market
from quant_trading_system.orders.manager import OrderManager
from quant_trading_system.orders.reconcile import ReconcilePolicy
from quant_trading_system.portfolio.portfolio import Portfolio
from quant_trading_system.risk.gate import RiskGate
from quant_trading_system.risk.guards import Guards
from quant_trading_system.risk.healing import HealingBudget
from quant_trading_system.risk.kill import KillSwitch
from quant_trading_system.strategy.base import Strategy

FLOWS_KEPT = 1_000

EMPTY_BOOK = Book()


class Desk:
    """Working state shared by the engine's parts. Only the engine's own methods change it."""

    def __init__(
        self,
        config: EngineConfig,
        *,
        calendar: SessionCalendar,
        market: Market,
        strategies: Mapping[StrategyId, Strategy],
        portfolio: Portfolio,
        gate: RiskGate,
        guards: Guards,
        orders: OrderManager,
        ledger: Ledger,
        protective_stops: Mapping[StrategyId, Decimal] | None = None,
    ) -> None:
        self.config = config
        self.calendar = calendar
        self.market = market
        self.strategies = dict(strategies)
        self.protective_stops = dict(protective_stops or {})
        """Loss, as a fraction of what was paid, at which the broker sells what a strategy holds."""
        self.portfolio = portfolio
        self.gate = gate
        self.guards = guards
        self.kill = KillSwitch()
        self.healing = HealingBudget(config.healing)
        self.orders = orders
        self.ledger = ledger
        self.policy = ReconcilePolicy()

        self.venue_ns = Nanos(0)
        self.seen_ns = Nanos(0)
        self.mono_ns = MonoNanos(0)

        self.instruments: dict[Symbol, Instrument] = {}
        self.account: BrokerAccount | None = None
        self.account_mono_ns: MonoNanos | None = None
        self.broker_positions: dict[Symbol, Decimal] = {}
        self.moved_symbols: set[Symbol] = set()
        """Filled since the last pass: what the broker holds of them is not known to the share."""
        self.reading: ClockReading | None = None
        self.reading_mono_ns = MonoNanos(0)
        self.streams_up: dict[Stream, bool] = dict.fromkeys(Stream, False)
        self.link_back_mono_ns = MonoNanos(0)
        """When `trade_updates` came back last: only a pass that began later knows what was missed."""
        self.stores_up: dict[Store, bool] = {}
        self.lease_held = False
        self.lease_deadline_mono_ns = MonoNanos(0)
        self.good_pass_mono_ns: MonoNanos | None = None
        self.symbol_locks: dict[Symbol, str] = {}
        self.strategy_locks: dict[StrategyId, str] = {}
        self.last_signal_ns: dict[StrategyId, Nanos] = {}
        self.entry_deadline_ns: dict[tuple[StrategyId, Symbol], Nanos] = {}
        self.is_trading = False
        self.is_stopping = False
        self.reconciliations = 0
        self.drifts = 0
        self.events_handled = 0
        self.decisions_made = 0
        self.recovered: list[str] = []
        self.drift_locks: dict[Symbol, MonoNanos] = {}
        """Symbols locked for drift, and when the drift was seen last."""
        self.is_touched = True
        """Whether any effect followed since the invariants were looked at: nothing changes without one."""
        self._marks: dict[Symbol, tuple[float, Decimal]] = {}
        """The last mark of each symbol, and the same as a Decimal: a second needs it several times."""
        self.stored_books: dict[Symbol, dict[StrategyId, None]] = {}  # rows must follow books that are gone
        self._effects: list[Effect] = []
        self._begin_bookkeeping()

    def _begin_bookkeeping(self) -> None:
        """What reconciliation keeps of the account besides the ledger."""
        self.foreign_orders: list[ClientOrderId] = []
        """Orders at the broker that another database of this program made (fault K1)."""
        self.forgotten_orders: list[ClientOrderId] = []
        """Orders at the broker that this database made and does not know: it was restored (fault F13)."""
        self.is_turning = False
        """A session opened, and no pass has told yet what the broker booked before it."""
        self.frozen: dict[Symbol, MonoNanos] = {}
        """Symbols locked by a corporate action until a later pass agrees on them, and since when."""
        self.share_changes: list[Callable[[Symbol, Decimal], None]] = []
        """Who is told that each share of a symbol became so many; 0: none is left under this symbol."""
        self.broker_prices: dict[Symbol, Decimal] = {}
        """What the broker valued a share at in the last pass, USD, for symbols that no feed brings."""
        self.entered: dict[str, None] = {}
        """Activities of the broker that are booked, by id."""
        self.anchor_ns: Nanos | None = None
        """Since when, in venue time, executions are ours to book: those before made what was adopted at first."""
        self.flows: deque[tuple[Nanos, Decimal]] = deque(maxlen=FLOWS_KEPT)
        """Deposits and withdrawals: when, and how many USD."""
        self.unexplained_flow_usd = ZERO
        """What of them came without a word, and no activity explained."""
        self.base_ns = Nanos(0)
        """The close that the broker's `last_equity` is of."""

    def new_decision_id(self) -> str:
        self.decisions_made += 1
        return f"{self.config.instance}-{self.seen_ns:x}-{self.decisions_made}"

    # stamps and session

    def stamp(self, event: Event) -> None:
        """Take over an event's three stamps. Venue time does not go back."""
        self.venue_ns = max(self.venue_ns, event.venue_ns)
        self.seen_ns = event.seen_ns
        self.mono_ns = max(self.mono_ns, event.mono_ns)

    def age_s(self, mono_ns: int) -> float:
        return (self.mono_ns - mono_ns) / NANOS_PER_SECOND

    def session(self) -> SessionView:
        """The session now, by calendar and by the broker's clock."""
        limits = self.config.limits
        age_s = None if self.reading is None else self.age_s(self.reading_mono_ns)
        reading = self.reading if age_s is not None and age_s <= self.config.broker_clock_seconds_max else None
        return self.calendar.view(
            self.venue_ns,
            reading=reading,
            reading_age_s=age_s,
            start_offset_minutes=limits.session_start_offset_minutes,
            end_offset_minutes=limits.session_end_offset_minutes,
        )

    def is_in_session(self, venue_ns: int) -> bool:
        """Whether a moment lies in the regular session of its New York date, by the calendar."""
        session = self.calendar.session_at(venue_ns)
        return session is not None and session.open_ns <= venue_ns < session.close_ns

    @property
    def last_close_ns(self) -> Nanos:
        """The close of the last regular session that is over, venue time, by the calendar."""
        return self.calendar.previous_session(self.venue_ns).close_ns

    @property
    def session_date(self) -> str:
        return self.session().date

    # stops

    def standing_stops(self) -> frozenset[BrokerOrderId]:
        """Protective stops that the broker has."""
        return frozenset(
            order.broker_order_id
            for order in self.orders.live()
            if order.is_protection and order.broker_order_id is not None
        )

    def positions_without_stop(self) -> dict[Symbol, Decimal]:
        """What is held of symbols for which the broker holds no stop of ours."""
        guarded = {order.symbol for order in self.orders.live() if order.is_protection and order.is_cancelable}
        return {symbol: held for symbol, held in sorted(self.ledger.positions().items()) if symbol not in guarded}

    # money

    def mark(self, symbol: Symbol) -> Decimal | None:
        """Price a position is valued at, USD: mid of a sane quote, else last trade, last close, the broker's price."""
        price = self.market.mark(symbol)
        if price is None:
            return self.broker_prices.get(symbol)
        known = self._marks.get(symbol)
        if known is None or known[0] != price:
            known = self._marks[symbol] = (price, to_decimal(price))
        return known[1]

    def flows_usd(self) -> Decimal:
        """Deposits less withdrawals since the close that the day's profit is measured from, USD."""
        return sum((amount for at_ns, amount in self.flows if at_ns > self.base_ns), ZERO)

    def take_flow(self, venue_ns: Nanos, amount_usd: Decimal) -> None:
        """Cash came or went that is neither profit nor loss."""
        if amount_usd:
            self.flows.append((venue_ns, amount_usd))
            self.guards.on_flow(amount_usd)
            self.remember_guards()  # in the step that books it: a crash loses both or none

    def take_unexplained(self, venue_ns: Nanos, moved_usd: Decimal) -> None:
        """The broker's cash moved without a word."""
        flow_usd = unexplained_flow(self.unexplained_flow_usd, moved_usd)
        self.unexplained_flow_usd += flow_usd
        self.take_flow(venue_ns, flow_usd)

    def equity_usd(self) -> Decimal | None:
        """Cash plus positions at their marks; None while cash or one mark is unknown."""
        cash = self.ledger.cash_usd
        if cash is None:
            return None
        total = cash
        for symbol, quantity in self.ledger.positions().items():
            mark = self.mark(symbol)
            if mark is None:
                return None
            total += quantity * mark
        return total

    def limit_equity_usd(self) -> Decimal | None:
        """What sizes are measured by, USD: the equity now or at the last close, whichever is less (the gate's E)."""
        equity = self.equity_usd()
        if equity is None or self.account is None:
            return None
        return min(equity, self.account.last_equity_usd)

    def capital_usd(self) -> Decimal | None:
        """What strategies may use, USD: the setting, never more than the equity (R231)."""
        equity = self.equity_usd()
        if equity is None or self.config.capital_usd is None:
            return equity
        return min(equity, self.config.capital_usd)

    # effects

    def emit(self, effect: Effect) -> None:
        self.is_touched = True
        self._effects.append(effect)

    def remember(self, record: Record) -> None:
        self.is_touched = True
        self._effects.append(Remember(record=record))

    def alert(self, severity: Severity, code: str, text: str, **context: str) -> None:
        self.remember(
            AlertRecord(
                venue_ns=self.venue_ns,
                seen_ns=self.seen_ns,
                severity=severity,
                code=code,
                text=text,
                context=context,
            )
        )

    def audit(self, actor: str, action: str, *, reason: str, outcome: str, **details: str) -> None:
        self.remember(
            AuditRecord(
                venue_ns=self.venue_ns,
                seen_ns=self.seen_ns,
                actor=actor,
                action=action,
                reason=reason,
                outcome=outcome,
                details=details,
            )
        )

    def remember_books(self, symbol: Symbol) -> None:
        """Store every strategy's book of `symbol` as it is now, and as empty one of which nothing is left."""
        books = self.ledger.books(symbol)
        stored = self.stored_books.setdefault(symbol, {})
        stored.update(dict.fromkeys(books))
        for strategy in stored:
            book = books.get(strategy, EMPTY_BOOK)
            self.remember(
                PositionRecord(
                    venue_ns=self.venue_ns,
                    seen_ns=self.seen_ns,
                    strategy=strategy,
                    symbol=symbol,
                    quantity=book.quantity,
                    cost_usd=book.cost_usd,
                    realised_usd=book.realised_usd,
                )
            )

    def remember_guards(self) -> None:
        self.remember(GuardRecord(venue_ns=self.venue_ns, seen_ns=self.seen_ns, **self.guards.durable_state()))

    def lock_symbol(self, symbol: Symbol, reason: str) -> None:
        if self.symbol_locks.get(symbol) == reason:
            return
        self.symbol_locks[symbol] = reason
        self._remember_lock("symbol", symbol, reason, is_locked=True)
        self.alert(Severity.WARNING, "symbol_locked", f"{symbol} is locked: {reason}", symbol=symbol)

    def unlock_symbol(self, symbol: Symbol, reason: str) -> bool:
        if self.symbol_locks.pop(symbol, None) is None:
            return False
        self._remember_lock("symbol", symbol, reason, is_locked=False)
        return True

    def lock_strategy(self, strategy: StrategyId, reason: str) -> None:
        self.strategy_locks[strategy] = reason
        self.portfolio.clear_strategy(strategy)  # what it holds stays wanted, what it wanted more is forgotten
        self._remember_lock("strategy", strategy, reason, is_locked=True)
        self.alert(Severity.CRITICAL, "strategy_disabled", f"strategy {strategy} is off: {reason}", strategy=strategy)

    def unlock_strategy(self, strategy: StrategyId, reason: str) -> bool:
        if self.strategy_locks.pop(strategy, None) is None:
            return False
        self._remember_lock("strategy", strategy, reason, is_locked=False)
        return True

    def take_effects(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects

    @property
    def has_effects(self) -> bool:
        return bool(self._effects)

    def _remember_lock(self, kind: str, key: str, reason: str, *, is_locked: bool) -> None:
        self.remember(
            LockRecord(
                venue_ns=self.venue_ns,
                seen_ns=self.seen_ns,
                kind=kind,
                key=key,
                reason=reason,
                is_locked=is_locked,
            )
        )


def reserved_price(limit_price: Decimal | None, reference_price: Decimal) -> Decimal:
    """Price at which an open order counts against money, USD a share."""
    return limit_price if limit_price is not None else reference_price


def signed_range(position: Decimal, open_buy: Decimal, open_sell: Decimal) -> Decimal:
    """Largest |position| that open orders can lead to, in shares."""
    return max(abs(position + open_buy), abs(position - open_sell), abs(position), ZERO)
