"""Whether an order was allowed to leave: every control's word, the kill latch, the state, freshness, the lease.

Judges I6 (no order without all checks), I9 (kill), I10 (fail closed), I11 (reduce-only reduces), I17 (freshness), I21
(a fresh, sane quote) and P2 by what the engine was told: since when a reason forbids new exposure, and when the bytes
of the order left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from quant_trading_system.core.effects import CancelEverything, Effect, SendOrder
from quant_trading_system.core.events import AnyEvent, BrokerSnapshot, LatchSeen, OperatorAsked, SnapshotFailed
from quant_trading_system.core.types import BrokerOrderId, Latch, Side, TradingState
from quant_trading_system.core.values import Approved
from quant_trading_system.simulator.orders import SimOrder
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import SECOND_NS, Notes
from tests.simulation.checkers.seam import Tap

CONTROLS = frozenset(
    {
        "P1 kill_latch", "P1 trading_state", "P2 lease", "P4 reconciliation", "P5 session", "P6 instrument",
        "P6 symbol_lock", "P7 long_only", "P8 order_type", "P9 time_in_force", "P10 order_value", "P11 order_quantity",
        "P12 units", "P13 price_collar", "P14 price_band", "P15 market_data", "P16 increments", "P17 duplicate",
        "P18 self_cross", "P19 position_size", "P20 exposure", "P22 buying_power", "P23 open_orders", "P24 order_rate",
        "P25 strategy_lock", "P28 turnover", "P29 daily_loss", "P30 drawdown", "P41 equity_floor", "P42 positions",
        "P44 exit_cooldown",
    }
)  # fmt: skip
"""Every control that exists, written down here on purpose: a rule that vanishes from the gate is noticed."""
LINK_LOST_NS = 5 * SECOND_NS
"""A stream may fall between the gate's word and the write: storing the intent and reading it back takes so long. The
last look before the write is at latch, state, lease and limits alone (design, Orders 3); these allow for nothing, not
even for a turn of the loop."""
LATCH_FILE = "/state/kill.latch"
FRESH_S = 45.0
LEASE_MARGIN_S = 2.0
FEED_S, QUOTE_S = 5.1, 61.0
"""The ceilings of control P15: a world may move the limits within them, not beyond."""


class Allowed(Judge):
    """Looks at each order when it is approved, and when its bytes arrive."""

    invariants = ("I6", "I9", "I10", "I11", "I16", "I17", "I21")
    watches = (BrokerSnapshot, SnapshotFailed, LatchSeen, OperatorAsked)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._was_engaged = self._began_engaged = False
        self._shown: set[str] = set()
        """What this life was told to be open at the broker."""

    def on_start(self) -> None:
        self._shown.clear()
        self._was_engaged, self._began_engaged = False, self._is_durably_engaged()

    def _is_durably_engaged(self) -> bool:
        """Whether one of the copies that survive everything says so, whatever the engine was told of it."""
        is_file = b'"latch":"ENGAGED"' in (self.world.file(LATCH_FILE) or b"")
        return is_file or any(row["latch"] == "ENGAGED" for row in self.world.committed("kill").values())

    # approval

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        self._look_at_state()
        for effect in effects:
            if type(effect) is SendOrder:
                self._judge_decision(effect.approved)
                self._judge_quote(effect.approved)
                self._judge_symbol(effect.approved)
                self._judge_reduction(effect.approved)

    def _judge_decision(self, approved: Approved) -> None:
        client_order_id = approved.intent.client_order_id
        decision = self.notes.story(client_order_id).decision
        if decision is None:
            self.notes.fail("I6", client_order_id, f"{client_order_id} is sent without a decision record")
            return
        heard = {f"{result.control} {result.name}" for result in decision.controls}
        refused = [f"{result.control} {result.name}" for result in decision.controls if not result.passed]
        if CONTROLS - heard or refused:
            missing = ", ".join(sorted(CONTROLS - heard)) or "none"
            text = f"{client_order_id} is sent; controls missing: {missing}; refusing: {', '.join(refused) or 'none'}"
            self.notes.fail("I6", client_order_id, text)
        same = (decision.side, decision.quantity, decision.limit_price, decision.limits_version)
        intent = approved.intent
        if same != (intent.side, intent.quantity, intent.limit_price, approved.limits_version):
            self.notes.fail("I6", client_order_id, f"{client_order_id} is not what its decision record is about")

    def _judge_quote(self, approved: Approved) -> None:
        if approved.reduces_exposure:
            return
        hearing, now_ns = self.notes.hearing, self.world.mono_ns
        quote_ns = hearing.sane_quotes.get(approved.intent.symbol)
        feed_s = (now_ns - hearing.feed_ns) / SECOND_NS
        if quote_ns is None or feed_s > FEED_S or (now_ns - quote_ns) / SECOND_NS > QUOTE_S:
            text = f"{approved.intent.client_order_id} adds exposure on a feed {feed_s:.1f} s old or without a quote"
            self.notes.fail("I21", approved.intent.client_order_id, text)

    def _judge_symbol(self, approved: Approved) -> None:
        """A lock, and an order of unknown fate, freeze the symbol for what adds exposure (I24)."""
        symbol = approved.intent.symbol
        if approved.reduces_exposure:
            return
        doubtful = [
            story.client_order_id
            for story in self.notes.stories.values()
            if story.status == "UNKNOWN" and story.symbol == symbol
        ]
        if doubtful or symbol in self.notes.hearing.locks:
            text = f"{approved.intent.client_order_id} adds exposure in {symbol}: {', '.join(doubtful) or 'locked'}"
            self.notes.fail("I24", approved.intent.client_order_id, text)

    def _judge_reduction(self, approved: Approved) -> None:
        """What is said to reduce does: with all that is open on its side it stays within the position.

        Nobody knows at once of an order that the owner gives in the app; nor of one whose intent a restored database
        has lost, until a picture of the broker shows it; nor that one lives of which the broker said that it is over.
        What waits to take the place of another one counts there: it never trades beside it, nor where that one ends.
        """
        if not approved.reduces_exposure:
            return
        intent = approved.intent
        engine = self.world.engine
        assert engine is not None, "a living engine approved it"
        sign = 1 if intent.side is Side.SELL else -1
        believed = engine._desk.ledger.position(intent.symbol) * sign
        held = self.truth.position(intent.symbol) * sign
        lost = self.world.losses.intents
        open_quantity = sum(
            (
                (order.qty or Decimal(0)) - order.filled_qty
                for order in self.truth.open_orders()
                if order.symbol == intent.symbol
                and order.side == intent.side.value
                and order.parent_id is None
                and (order.source != "app" or engine._desk.orders.by_broker_id(BrokerOrderId(order.id)) is not None)
                and ((order.client_order_id,) not in lost or order.client_order_id in self._shown)
                and not self.notes.is_untold(order.client_order_id)
                and not (order.replaces is not None and order.status == "pending_new")
                and not self._took_an_ended_place(order)
            ),
            Decimal(0),
        )
        if intent.quantity + open_quantity > max(believed, held):
            text = (
                f"{intent.client_order_id} is said to reduce: {intent.side} {intent.quantity} with {open_quantity}"
                f" open, held {held}, believed {believed}"
            )
            self.notes.fail("I11", intent.client_order_id, text)

    def _took_an_ended_place(self, order: SimOrder) -> bool:
        """Whether it took the place of one of which the broker had said that it is over, and nobody was told of it."""
        engine = self.world.engine
        if engine is None or order.replaces is None or engine._desk.orders.by_broker_id(BrokerOrderId(order.id)):
            return False
        before = engine._desk.orders.by_broker_id(BrokerOrderId(order.replaces))
        return before is None or before.is_final

    # sending

    def on_request(self, tap: Tap) -> None:
        if tap.method != "POST" or not tap.path.startswith("/v2/orders"):
            return
        client_order_id = msgspec.json.decode(tap.body or b"{}").get("client_order_id", "")
        approved = self.notes.story(client_order_id).approved
        if approved is None or tap.incarnation != self.world.incarnation:
            return  # of a life that is over: what its engine knew is gone, and `wire` judges the rest
        self._judge_lease(client_order_id, tap)
        if not approved.reduces_exposure:
            self._judge_new_exposure(client_order_id, tap)

    def _judge_lease(self, client_order_id: str, tap: Tap) -> None:
        words = [lease for turn, lease in self.notes.hearing.leases if turn < tap.sent_turn]
        lease = words[-1] if words else self.notes.hearing.lease
        if lease is None:
            self.notes.fail("I10", f"{client_order_id} lease", f"{client_order_id} left before a lease was heard of")
        elif not lease.held:
            self.notes.fail("I25", client_order_id, f"{client_order_id} left after the lease was lost")
        elif lease.deadline_mono_ns - tap.sent_mono_ns < (LEASE_MARGIN_S - 0.1) * SECOND_NS:
            left_s = (lease.deadline_mono_ns - tap.sent_mono_ns) / SECOND_NS
            self.notes.fail("I25", client_order_id, f"{client_order_id} left {left_s:.2f} s before the lease ended")

    def _judge_new_exposure(self, client_order_id: str, tap: Tap) -> None:
        hearing = self.notes.hearing
        if not _is_whole(self.world.file(LATCH_FILE)):
            text = f"{client_order_id} adds exposure beside a latch file that nobody can read"
            self.notes.fail("I10", f"{client_order_id} file", text)
        if self._began_engaged and self._is_durably_engaged():
            text = f"{client_order_id} adds exposure in a life that began with an engaged latch, which nobody reset"
            self.notes.fail("I9", f"{client_order_id} durable", text)
        for reason, (since_ns, turn) in hearing.shut_since.items():
            is_late = since_ns + LINK_LOST_NS < tap.sent_mono_ns if reason == "streams" else turn < tap.sent_turn
            if is_late:
                invariant = "I9" if reason in ("latch", "kill asked") else "I10"
                late_s = (tap.sent_mono_ns - since_ns) / SECOND_NS
                text = f"{client_order_id} adds exposure {late_s:.3f} s after the gate was shut: {reason}"
                self.notes.fail(invariant, f"{client_order_id} {reason}", text)
        symbol = self.notes.story(client_order_id).symbol
        locked_ns = hearing.locks.get(symbol)
        if locked_ns is not None and locked_ns + LINK_LOST_NS < tap.sent_mono_ns:
            late_s = (tap.sent_mono_ns - locked_ns) / SECOND_NS
            text = f"{client_order_id} adds exposure {late_s:.3f} s after {symbol} was locked"
            self.notes.fail("I6", f"{client_order_id} lock", text)
        if hearing.good_pass_ns is None or tap.sent_mono_ns - hearing.good_pass_ns > (FRESH_S + 0.1) * SECOND_NS:
            text = f"{client_order_id} adds exposure without a good pass in the last {FRESH_S:.0f} s"
            self.notes.fail("I17", client_order_id, text)

    # the state itself

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        if isinstance(event, BrokerSnapshot):
            self._shown.update(order.client_order_id for order in event.open_orders)
        if isinstance(event, BrokerSnapshot | SnapshotFailed):
            self._judge_reconciler(effects)
        else:
            self._judge_kill(event, effects)

    def _judge_reconciler(self, effects: Sequence[Effect]) -> None:
        """I16: a pass sends nothing that adds risk."""
        for effect in effects:
            if type(effect) is SendOrder and not effect.approved.reduces_exposure:
                client_order_id = effect.approved.intent.client_order_id
                self.notes.fail("I16", client_order_id, f"a reconciliation pass sent {client_order_id}")

    def _judge_kill(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        """Once engaged, the same step cancels everything and halts."""
        self._began_engaged = self._began_engaged and self._is_durably_engaged()
        is_asked = isinstance(event, OperatorAsked) and event.command == "kill" and bool(event.operator)
        is_engaged = any(latch is Latch.ENGAGED for latch in self.notes.hearing.latches.values())
        begins = is_asked or (is_engaged and not self._was_engaged)
        self._was_engaged = is_engaged
        engine = self.world.engine
        if not begins or engine is None:
            return
        if not any(type(effect) is CancelEverything for effect in effects):
            self.notes.fail("I9", f"cancel {event.mono_ns}", "the kill switch is engaged and cancels nothing")
        if engine._desk.guards.state is not TradingState.HALTED:
            self.notes.fail("I9", f"state {event.mono_ns}", f"killed, and {engine._desk.guards.state}")

    def on_second(self) -> None:
        self._look_at_state()

    def _look_at_state(self) -> None:
        """I11 needs to know since when the engine itself says that nothing may grow."""
        engine = self.world.engine
        if engine is not None:
            self.notes.shut("state", engine._desk.guards.state is not TradingState.ACTIVE)


def _is_whole(raw: bytes | None) -> bool:
    """Whether a latch file is what was written once: its first line holds the digest and the length of the second."""
    head, _, rest = (raw or b"").partition(b"\n")
    words = head.split(b" ")
    if len(words) != 3 or not words[2].isdigit():
        return raw is None
    return hashlib.sha256(rest[: int(words[2])]).hexdigest().encode() == words[1]
