"""Whether the engine counts at least as much exposure as there is, at every moment, symbol by symbol and side by side.

Judges I5. What an order of ours can still add is what the exchange has of it, executed and open, less what the books
of this life have taken in; the engine's worst case must hold that much. Orders that somebody else gave are no part of
it before they are seen; nor is one that the broker called over and that lives all the same, before it is told so.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import islice

from quant_trading_system.core.effects import Effect
from quant_trading_system.core.events import (
    AnyEvent,
    BrokerSnapshot,
    CancelAnswered,
    LookupAnswered,
    OrderAnswered,
    OrderDropped,
    OrderInDoubt,
    OrderRefused,
    OrderSending,
    OrderUpdated,
    Restored,
)
from quant_trading_system.core.types import BrokerOrderId, ClientOrderId, Symbol
from quant_trading_system.engine.risk_view import build_exposure
from quant_trading_system.orders.status import Status
from quant_trading_system.simulator.orders import SimOrder
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import SECOND_NS, Notes
from tests.simulation.checkers.seam import PREFIX

ZERO = Decimal(0)
PASS_S = 20.0
"""The passes that are asked for after such a word, disturbed ones among them."""
OVER = (Status.CANCELED, Status.EXPIRED, Status.REJECTED)
LYING = ("frame_overfilled", "broker_ends", "odd_status", "wrong_echo")
"""Faults by which the daemon was told of an end that is none; of an order that took another one's place nobody keeps
what it was told."""


class Exposure(Judge):
    """Compares after every event about orders, and every second while something is open."""

    invariants = ("I5",)
    watches = (
        OrderSending, OrderAnswered, OrderRefused, OrderInDoubt, OrderDropped, OrderUpdated, LookupAnswered,
        CancelAnswered, BrokerSnapshot, Restored,
    )  # fmt: skip

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._open: dict[str, SimOrder] = {}  # orders of ours that can still reach our books
        self._orders_seen = 0
        self._is_ready = False
        self._known_larger: set[str] = set()
        self._has_acted = True
        """The engine was told of an order, or did something, since the last look at it."""
        self._needed: dict[tuple[str, str], Decimal] = {}
        self._follows_chains = not notes.has_planned(*LYING)

    def on_start(self) -> None:
        self._open.clear()
        self._orders_seen = 0
        self._is_ready = False
        self._known_larger.clear()  # a new life hears it anew, before it trades

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        if isinstance(event, Restored):
            self._is_ready = True
        self._has_acted = True
        if self.world.enlarged:
            self._note_larger(event)
        self._compare()

    def _note_larger(self, event: AnyEvent) -> None:
        """From when the engine is told that the broker took more than was asked for (fault A13)."""
        if isinstance(event, BrokerSnapshot):
            is_taken = self.notes.hearing.good_pass_ns == event.started_mono_ns
            orders = (*event.open_orders, *event.closed_orders) if is_taken else ()
        else:
            order = getattr(event, "order", None)
            orders = () if order is None else (order,)
        self._known_larger |= {each.client_order_id for each in orders if each.client_order_id in self.world.enlarged}

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        self._has_acted = True

    def on_second(self) -> None:
        self._compare()

    def _compare(self) -> None:
        engine = self.world.engine
        if engine is None or not self._is_ready:
            return
        self._look_for_new()
        self._look_for_revived()
        needs: dict[tuple[str, str], Decimal] = {}
        for order in list(self._open.values()):
            need = self._need(order)
            if need > ZERO:
                needs[order.symbol, order.side] = needs.get((order.symbol, order.side), ZERO) + need
        if needs == self._needed and not self._has_acted:
            return  # what an engine counts changes with what it is told or does
        self._needed, self._has_acted = needs, False
        for (symbol, side), need in needs.items():
            view = build_exposure(engine._desk, Symbol(symbol))
            counted = view.open_buy if side == "buy" else view.open_sell
            if counted < need and not self._is_contradicted(symbol):
                text = f"{side}s of {symbol}: {need} shares can still come, the engine counts {counted}"
                self.notes.fail("I5", f"{symbol} {side} {self.world.incarnation}", text)

    def _is_contradicted(self, symbol: str) -> bool:
        """Whether frames lie about fills (fault A14) and the symbol is locked for it: a later word may say that less
        was executed than an earlier one did, nothing new leaves, and only the next pass shows what there is."""
        engine = self.world.engine
        return engine is not None and symbol in engine._desk.symbol_locks and self.notes.has_planned("frame_overfilled")

    def _look_for_new(self) -> None:
        orders = self.truth.by_id
        if len(orders) == self._orders_seen:
            return
        for order in islice(orders.values(), self._orders_seen, None):
            if self._is_sent_by_us(order) or self._is_leg_of_ours(order):
                self._open[order.id] = order
        self._orders_seen = len(orders)

    def _look_for_revived(self) -> None:
        for client_order_id in self.world.revived:
            order = self.truth.order(client_order_id)
            if order is not None and not self.notes.is_untold(client_order_id):
                self._open.setdefault(order.id, order)

    def _is_sent_by_us(self, order: SimOrder) -> bool:
        """Sent by this daemon, or in the place of one that was."""
        first = self._first(order)
        is_ours = first.client_order_id.startswith(PREFIX) and first.parent_id is None
        return is_ours and not self._is_followers(first)

    def _is_leg_of_ours(self, order: SimOrder) -> bool:
        parent = self.truth.by_id.get(order.parent_id or "")
        is_first = order.replaces is None and self._follows_chains and not self.notes.has_planned("split")
        return is_first and parent is not None and parent.client_order_id.startswith(PREFIX)

    def _need_of_leg(self, order: SimOrder) -> Decimal:
        """Of a leg that works at the broker: from when its entry is known as filled, and it is known itself (B7)."""
        engine = self.world.engine
        desk = None if engine is None else engine._desk
        if desk is None or not order.is_open or order.status != "new":
            return ZERO
        leg, entry = (desk.orders.by_broker_id(BrokerOrderId(each)) for each in (order.id, order.parent_id or ""))
        is_known = leg is not None and entry is not None and entry.status is Status.FILLED
        return order.remaining() if is_known else ZERO

    def _need_of_follower(self, order: SimOrder) -> Decimal:
        """Of what took an order's place: before it is shown nobody knows that more was asked for than was left."""
        engine, before = self.world.engine, self.truth.by_id.get(order.replaces or "")
        if engine is None or before is None or not order.is_open or not self._is_known_replaced(before.id):
            return ZERO
        if before.replaced_by != order.id:
            return ZERO  # another one took its place: this one waits in vain
        is_shown = engine._desk.orders.by_broker_id(BrokerOrderId(order.id)) is not None
        return order.remaining() if is_shown else min(order.remaining(), before.remaining())

    def _is_untold(self, client_order_id: str) -> bool:
        """Whether nobody was told that it is back, or by a frame alone whose numbers cannot be."""
        return self.notes.is_untold(client_order_id) or self.notes.has_planned("frame_overfilled")

    def _is_known_replaced(self, broker_order_id: str) -> bool:
        engine, before = self.world.engine, self.truth.by_id.get(broker_order_id)
        known = None if engine is None else engine._desk.orders.by_broker_id(BrokerOrderId(broker_order_id))
        is_over = before is not None and not before.is_open
        return self._follows_chains and is_over and known is not None and known.status is Status.REPLACED

    def _first(self, order: SimOrder) -> SimOrder:
        """The order that was sent, of one that took its place at the broker, however often (fault B5)."""
        orders = self.truth.by_id
        while order.replaces is not None and order.replaces in orders:
            order = orders[order.replaces]
        return order

    def _is_followers(self, order: SimOrder) -> bool:
        """Whether a daemon that leads by now sent it: the one that led before may send nothing any more."""
        row, lease = self.world.committed("intents").get((order.client_order_id,)), self.notes.hearing.lease
        return row is not None and lease is not None and row["epoch"] > lease.epoch

    def _need(self, order: SimOrder) -> Decimal:
        """Shares of one order that may still reach our books."""
        engine = self.world.engine
        first = self._first(order).client_order_id
        is_lost = (first,) in self.world.losses.intents
        if is_lost and engine is not None and engine._desk.orders.get(ClientOrderId(first)) is None:
            return ZERO  # its intent is gone with the database that knew it; `recovering` judges what comes back
        is_revived = order.client_order_id in self.world.revived
        if is_revived and (self._is_untold(order.client_order_id) or self._is_let_go(order)):
            return ZERO
        if order.replaces is not None:
            return self._need_of_follower(order)
        if order.parent_id is not None:
            return self._need_of_leg(order)
        reachable = order.filled_qty + (order.remaining() if order.is_open else ZERO)
        row = self.world.committed("intents").get((order.client_order_id,))
        if row is not None and order.client_order_id not in self._known_larger:
            # A split changes what rests there over night; who was down learns of it when it is back.
            reachable = min(reachable, row["quantity"])
        booked = self.notes.journal.executed[order.id]
        if not order.is_open and booked >= max(reachable, order.filled_qty):
            del self._open[order.id]
        if not order.is_open and self._is_told_less(order):
            return ZERO
        return max(ZERO, reachable - booked)

    def _is_let_go(self, order: SimOrder) -> bool:
        """Whether a life began after the broker's final word on an order that came back: it keeps none that ended. Its
        passes find other executions than are booked, which locks the symbol at once."""
        engine = self.world.engine
        return engine is not None and engine._desk.orders.by_broker_id(BrokerOrderId(order.id)) is None

    def _is_told_less(self, order: SimOrder) -> bool:
        """Whether the word that ended it told less than had filled (fault C4): a pass tells the rest."""
        engine = self.world.engine
        known = None if engine is None else engine._desk.orders.by_broker_id(BrokerOrderId(order.id))
        if known is None or not self.notes.has_planned("frame_overfilled"):
            return False
        is_new = self.world.mono_ns - known.status_mono_ns < PASS_S * SECOND_NS
        return is_new and known.filled_quantity < order.filled_qty and known.status in OVER
