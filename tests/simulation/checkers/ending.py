"""Whether everything heals: once the faults are over our picture becomes the broker's, in time, and trading can go on.

Judges I15 (convergence) every second of the healing phase and at the end, and liveness: nobody is UNKNOWN for ever, no
state, lock or alert is without a cause, a life is there and may send again unless something lasting says why not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from quant_trading_system.core.effects import Effect, Remember
from quant_trading_system.core.events import AnyEvent
from quant_trading_system.core.records import AlertRecord, DriftRecord, LockRecord
from quant_trading_system.core.types import ClientOrderId, Latch, Severity, Store, Stream, Symbol, TradingState
from quant_trading_system.engine.engine import Engine
from quant_trading_system.orders.order import Order
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import AGREED_S, SECOND_NS, START_S, Notes

CENT = Decimal("0.01")
MARKETS = frozenset({"stop_executed", "stop_missing"})
"""Alerts that tell what the market did: a quiet day has stops that trade."""
OVERTAKING = frozenset({"status_gap", "missing_fill"})
"""A pass may be faster than the stream: then it tells first what the stream tells next, on the quietest day. An order
that is older than the list of the closed ones is not shown at all once it filled, and waits for the stream."""
FEED_AGE_S = 5.0
CYCLE_S = 5.0
"""So long a socket that was cut may take to be there again."""
CYCLED = "trade_updates_down"
FLUX_S = 30.0
"""So much longer, at most, shares and cash that the fill of an order of ours would explain wait for its execution."""

EXHAUSTED = "healing_exhausted"
"""The actions of a day are used up: what is broken stays so until a person comes (issue, self-healing with limits)."""
LASTING = {
    "kill": ("kill", "kill_then_crash", "latch_torn"),
    "kill_state_unreadable": ("latch_torn", "disk_full", "redis_restored", "kill", "kill_then_crash"),
    "daily_loss_soft": (), "daily_loss_hard": (), "drawdown_soft": (), "drawdown_hard": (),
    "intraday_drawdown_soft": (), "intraday_drawdown_hard": (), "equity_floor": (),
    "reconciliation_age": (), "drift": (), "loop_lag": (), "clock_skew": (), "disk": (), "commit_latency": (),
    "inbox_overflow": (), "incidents": (), EXHAUSTED: (),
}  # fmt: skip
"""Causes that may outlast the faults: latched ones and those that wait for quiet seconds (controls.md). With kinds:
only where one of these was planned; without: where any fault was."""
QUIET = frozenset({"reconciliation_age", "drift", "loop_lag", "clock_skew", "disk", "commit_latency", "inbox_overflow"})
EXITS = {
    6: ("login_refused", "rest_down", "blackhole", "read_fails", "connect_refused", "swizzle", "rate_limited"),
    7: ("database_emptied", "lease_lost", "takeover", "second_daemon", "suspend", "disk_full", "latch_torn"),
}
"""Exit codes that need a fault of one of these kinds; 5 and 75 (try again) need any, the others never happen."""

NEVER = re.compile(r"ended: (?!Cancelled)\w*(Bug|Error|Unavailable|Unreachable|InDoubt|Refused)\(|task perform-")
PLANNED = "the plan lets it fail"
"""What ends no daemon: an error of ours, or one of the broker's. Of a plan's own making a task may fail."""


class Ending(Judge):
    """Looks at every second from the end of the chaos on."""

    invariants = ("I15",)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._ended_late = False
        """A life of some length ended by itself, too late for the next one to begin: it had waited for a person, to be
        allowed to look who leads. Starts that fail again and again are none."""
        self._books_agreed_s: float | None = None
        self._orders_agreed_s: float | None = None
        self._known_s: float | None = None
        self._last_gap = ""
        self._flux_s: float | None = None
        """When the gap was last one that the fill of an order of ours would explain."""
        self._suspicions = ""
        """What alerts said of orders that unexplained shares may come from."""

    @property
    def _chaos_s(self) -> float:
        return self.world.ends_s - self.world.plan.heal_s

    def on_exit(self, code: int) -> None:
        """A process ended by itself: with a reason that the plan holds, and never of a bug."""
        lived_s = self.world.elapsed_s - self.notes.born_s
        self._ended_late = lived_s > AGREED_S and self.world.elapsed_s > self.world.ends_s - START_S
        kinds = EXITS.get(code)
        is_expected = code == 0 or (code in (5, 75) and bool(self.world.plan.faults))
        if kinds is not None:
            is_expected = self.notes.has_planned(*kinds)
        if not is_expected:
            self.notes.fail("exit", str(code), f"the daemon ended with exit code {code}")
        if NEVER.search(self.world.exit_text) and PLANNED not in self.world.exit_text:
            self.notes.fail("exit", "by itself", f"the daemon ended: {self.world.exit_text[:120]}")

    def on_crash(self) -> None:
        self._books_agreed_s = self._orders_agreed_s = self._known_s = None

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        """A seed without a fault is a quiet day: nothing is drifting, locked or alarming."""
        for effect in effects:
            if type(effect) is not Remember:
                continue
            record = effect.record
            if type(record) is AlertRecord and record.code == "order_suspected":
                self._suspicions += record.text
            if self.world.plan.faults:
                continue
            is_alarm = (
                type(record) is AlertRecord and record.severity is not Severity.INFO and record.code not in MARKETS
            )
            is_lock = type(record) is LockRecord and record.is_locked
            is_drift = type(record) is DriftRecord and not _is_overtaking(record) and self.world.elapsed_s > START_S
            if is_alarm or is_lock or is_drift:
                self.notes.fail("quiet", f"{type(record).__name__}", f"without any fault: {record}")

    def on_second(self) -> None:
        now_s = self.world.elapsed_s
        if now_s < self._chaos_s:
            return
        engine = self.world.engine
        assert engine is not None, "its timer was handled"
        if self._books_agreed_s is None:
            self._last_gap = self._gap_of_books(engine)
            if not self._last_gap:
                self._books_agreed_s = now_s
            elif self._may_be_a_fill(engine):
                self._flux_s = now_s
        if self._orders_agreed_s is None and not self._gap_of_orders(engine, is_strict=False):
            self._orders_agreed_s = now_s
        if self._known_s is None and not any(self._is_doubtful(order) for order in engine._desk.orders.live()):
            self._known_s = now_s

    def at_end(self) -> None:
        engine = self.world.engine
        if engine is None:
            if not self._ended_late:
                self.notes.fail("liveness", "life", "no daemon is alive at the end")
            return
        self._judge_times(engine)
        for text in self._why_not_trading(engine):
            self.notes.fail("liveness", text[:40], f"at the end {text}")
        if self.notes.is_quiet:
            self._judge_end(engine)

    def _judge_end(self, engine: Engine) -> None:
        rows = [] if self.notes.waits_for_a_person else list(self._gaps_of_rows())
        stored = f"{rows[0]} ({len(rows)} such rows)" if rows else ""
        asked_s = (
            self.notes.born_s + START_S + AGREED_S + self.world.plan.quarantine_s
        )  # until then a young life may have doubts
        is_strict = asked_s <= self.world.ends_s
        books = self._gap_of_books(engine) if self.notes.had_time_to_agree else ""
        for gap in (books, self._gap_of_orders(engine, is_strict=is_strict), stored):
            if gap:
                self.notes.fail("I15", f"end {gap[:40]}", f"at the end {gap}")

    # convergence

    def _judge_times(self, engine: Engine) -> None:
        begin_s = max(self._chaos_s, self.notes.born_s + START_S)
        limit_s = begin_s + AGREED_S
        if limit_s > self.world.ends_s:
            return
        books_s = limit_s if self._flux_s is None else limit_s + FLUX_S
        if books_s <= self.world.ends_s and (self._books_agreed_s is None or self._books_agreed_s > books_s):
            gap = self._last_gap or "they agreed late"
            text = f"books agreed at {self._books_agreed_s} s, the limit was {books_s} s: {gap}"
            self.notes.fail("I15", "books", text)
        if self._orders_agreed_s is None or self._orders_agreed_s > limit_s:
            gap = self._gap_of_orders(engine, is_strict=False)
            text = f"orders agreed at {self._orders_agreed_s} s, the limit was {limit_s} s: {gap or 'late'}"
            self.notes.fail("I15", "orders", text)
        limit_s += self.world.plan.quarantine_s
        if limit_s <= self.world.ends_s and (self._known_s is None or self._known_s > limit_s):
            text = f"no order was UNKNOWN from {self._known_s} s on, the limit was {limit_s} s"
            self.notes.fail("I15", "unknown", text)

    def _gap_of_books(self, engine: Engine) -> str:
        ledger = engine._desk.ledger
        ours, brokers = dict(ledger.positions()), self.truth.positions()
        if ours != brokers:
            return f"we hold {_say(ours)}, the broker {_say(brokers)}"
        for symbol in ours:
            books = sum((book.quantity for book in ledger.books(symbol).values()), Decimal(0))
            if books != ours[symbol]:
                return f"the books of {symbol} add up to {books}, the position is {ours[symbol]}"
        cash_usd = ledger.cash_usd
        if cash_usd is None or abs(cash_usd - self.truth.cash_usd) > CENT:
            return f"our cash is {cash_usd} USD, the broker's {self.truth.cash_usd} USD"
        return ""

    def _may_be_a_fill(self, engine: Engine) -> bool:
        """Whether an order of ours that works could have moved shares that differ, and the cash moved with them."""
        ledger, brokers = engine._desk.ledger, self.truth.positions()
        if ledger.cash_usd is None or abs(ledger.cash_usd - self.truth.cash_usd) <= CENT:
            return False
        symbols = {*brokers, *ledger.positions()}
        gaps = {symbol: brokers.get(symbol, Decimal(0)) - ledger.position(Symbol(symbol)) for symbol in symbols}
        return any(
            0 < gaps.get(order.symbol, Decimal(0)) * order.side.sign <= order.open_quantity
            for order in engine._desk.orders.live()
        )

    def _gap_of_orders(self, engine: Engine, *, is_strict: bool) -> str:
        """Live orders of ours against the open ones there; UNKNOWN ones have their own limit."""
        orders = list(engine._desk.orders.live())
        live = {
            each.client_order_id for each in orders if (is_strict and self._is_doubtful(each)) or not each.is_unknown
        }
        unknown = {each.client_order_id for each in orders if each.is_unknown}
        there = {order.client_order_id for order in self.truth.open_orders()}
        if not is_strict:
            there -= unknown
        if live == there:
            return ""
        return f"we know {sorted(live - there)} that the broker has not, it has {sorted(there - live)} that we have not"

    def _is_doubtful(self, order: Order) -> bool:
        """Whether an order is UNKNOWN without the plan having brought shares about that look as if it had traded.

        Such shares are no proof that the broker lacks it: it stays so for a person, who was told at once.
        """
        if not order.is_unknown:
            return False
        looks_traded = order.client_order_id in self._suspicions
        return not (looks_traded and self.notes.has_planned("position_appears", "position_vanishes"))

    def _gaps_of_rows(self) -> Iterator[str]:
        """What is stored of orders at the end is what the broker has."""
        there = {order.client_order_id: order for order in self.truth.orders()}
        for (client_order_id,), row in self.world.committed("orders").items():
            order = there.get(client_order_id)
            if order is None or self._came_back_unseen(client_order_id):
                continue
            if row["is_final"] == order.is_open:
                yield f"{client_order_id} is stored {row['status']}, the broker has it {order.status}"
            elif order.status == "filled" and row["status"] != "FILLED":
                yield f"{client_order_id} is stored {row['status']}, the broker has it filled"
            elif row["filled_quantity"] != order.filled_qty and not self.notes.has_planned("bust", "correct"):
                yield f"{client_order_id} is stored with {row['filled_quantity']} filled, there {order.filled_qty}"

    def _came_back_unseen(self, client_order_id: str) -> bool:
        """Whether the broker took its final word on an order back when the life that had heard it was over.

        The next one takes up no orders that ended: it books the shares, which `books` judges, and the row stays.
        """
        engine = self.world.engine
        if engine is None or client_order_id not in self.world.revived:
            return False
        return engine._desk.orders.get(ClientOrderId(client_order_id)) is None

    # liveness

    def _why_not_trading(self, engine: Engine) -> Iterator[str]:
        """Everything that forbids an order now and has no lasting cause."""
        yield from self._why_not_active(engine)
        if not any(cause.cause == EXHAUSTED for cause in engine._desk.guards.causes()):
            yield from self._why_not_linked(is_cycling=self._is_cycling(engine))
        if not self.world.plan.faults and engine._desk.symbol_locks:
            yield f"locked are {engine._desk.symbol_locks}"

    def _why_not_active(self, engine: Engine) -> Iterator[str]:
        desk = engine._desk
        has_faults = bool(self.world.plan.faults)
        causes = desk.guards.causes()
        if any(cause.cause == EXHAUSTED for cause in causes) and has_faults:
            return
        for cause in causes:
            if cause.cause == CYCLED and self._is_cycling(engine):
                continue
            if cause.cause == "redis_down" and self._is_mirror_lost():
                continue
            kinds = LASTING.get(cause.cause)
            is_quiet_over = (
                cause.cause in QUIET and desk.config.limits.quiet_seconds + 2 * AGREED_S < self.world.plan.heal_s
            )
            if is_quiet_over or kinds is None or not has_faults or (kinds and not self.notes.has_planned(*kinds)):
                yield f"the state is {desk.guards.state} for {cause.cause}: {cause.detail}"
        if desk.guards.state is not TradingState.ACTIVE and not causes:
            yield f"the state is {desk.guards.state} without a cause"

    def _is_cycling(self, engine: Engine) -> bool:
        """Whether trade_updates was cut a moment ago to be made anew: a minute after the last time it may be again, for
        what it had lost before the faults were over."""
        since = self.notes.hearing.shut_since.get("streams")
        is_lately = since is not None and self.world.mono_ns - since[0] < CYCLE_S * SECOND_NS
        return is_lately and bool(self.world.plan.faults) and Stream.TRADE_UPDATES in engine._healing._cycling

    def _is_mirror_lost(self) -> bool:
        """Whether neither the latch's file nor its mirror can be read: what the mirror has to say only a person knows,
        and until he resets, Redis is not used."""
        latches = self.notes.hearing.latches
        is_lost = all(latches[store] is Latch.UNREADABLE for store in (Store.LATCH_FILE, Store.REDIS))
        return is_lost and self.notes.has_planned("latch_torn", "disk_full")

    def _why_not_linked(self, *, is_cycling: bool) -> Iterator[str]:
        hearing = self.notes.hearing
        if any(latch is not Latch.CLEAR for latch in hearing.latches.values()) and not self.notes.has_planned(
            "kill", "kill_then_crash", "latch_torn", "disk_full", "redis_restored"
        ):
            yield f"the kill latch is {hearing.latches}"
        if not all(hearing.streams.values()) and not is_cycling:
            yield f"streams are {hearing.streams}"
        if not all(
            is_up or (store is Store.REDIS and self._is_mirror_lost()) for store, is_up in hearing.stores.items()
        ):
            yield f"stores are {hearing.stores}"
        lease = hearing.lease
        if lease is None or not lease.held or lease.deadline_mono_ns - self.world.mono_ns < 2 * SECOND_NS:
            yield f"the lease is {lease}"
        pass_ns = hearing.good_pass_ns
        if pass_ns is None or self.world.mono_ns - pass_ns > 2 * 15 * SECOND_NS:
            yield "there was no good pass for 30 s"
        if self.world.mono_ns - hearing.feed_ns > FEED_AGE_S * SECOND_NS:
            yield "the feed is silent"


def _say(positions: Mapping[Any, Decimal]) -> str:
    return ", ".join(f"{symbol} {quantity}" for symbol, quantity in sorted(positions.items())) or "nothing"


def _is_overtaking(record: DriftRecord) -> bool:
    return record.kind in OVERTAKING or (record.kind == "missing_order" and record.action == "Wait")
