"""What the judges know together: each order's story as it was told, approved, sent and seen, and what the engine heard.

Decides nothing. Facts come from events and effects as they pass, from the tap, and from the exchange's books; a new
life of the daemon begins with the pages about its own hearing blank, and keeps those about orders.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from types import MappingProxyType

from msgspec import Struct

from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.effects import Effect, Remember, SendOrder
from quant_trading_system.core.events import (
    AnyEvent,
    BrokerSnapshot,
    HealthSeen,
    LatchSeen,
    LeaseSeen,
    LookupAnswered,
    OperatorAsked,
    OrderAnswered,
    OrderDropped,
    OrderRefused,
    OrderSending,
    OrderUpdated,
    QuoteSeen,
    Restored,
    Stopping,
    StoreSeen,
    StreamDown,
    StreamUp,
)
from quant_trading_system.core.records import DecisionRecord, LockRecord, OrderRecord, ReconciliationRecord, Record
from quant_trading_system.core.types import Latch, Store, Stream
from quant_trading_system.core.values import Approved
from tests.simulation.checkers.journal import Journal
from tests.simulation.checkers.seam import Row, Truth, World

SECOND_NS = 1_000_000_000
QUIET_S = 16.0
"""A period of reconciliation, and a second for the stores."""
AGREED_S = 2 * 15.0 + 5.0
"""Two periods of reconciliation and five seconds (I15)."""
START_S = 8.0
"""A life that began lately had to start first."""


class Story(Struct):
    """One order of ours. Times are monotonic nanoseconds."""

    client_order_id: str
    life: int = 0  # the incarnation that approved it
    symbol: str = ""
    approved: Approved | None = None
    decision: DecisionRecord | None = None
    sending_ns: int | None = None  # the gateway said that bytes are being written
    dropped_ns: int | None = None  # the gateway said that not one byte left
    refused: bool = False
    answered: bool = False
    posts: list[bytes] = []
    arrived_ns: int | None = None  # at the broker, first time
    words: set[str] = set()  # status words of the broker that the engine was told
    status: str = ""  # of the newest record
    status_ns: int = 0
    doubted_ns: int = 0  # it became UNKNOWN, or came back from the database
    filled: Decimal = Decimal(0)
    is_final: bool = False
    proving_passes: int = 0  # good ones that began after its quarantine


class Hearing(Struct):
    """What the engine of one life was told, and since when something forbids new exposure."""

    restored: Restored | None = None
    latches: dict[Store, Latch] = {}
    streams: dict[Stream, bool] = {}
    stores: dict[Store, bool] = {}
    lease: LeaseSeen | None = None
    leases: list[tuple[int, LeaseSeen]] = []
    """The last words of it, each with the turn of the loop in which it was heard."""
    good_pass_ns: int | None = None
    good_passes: int = 0
    locks: dict[str, int] = {}
    """Locked symbols, and since when, by the engine's own records."""
    gap_ns: int = 0  # when trade_updates went, or came back, last
    is_stopping: bool = False
    is_paused: bool = False
    feed_ns: int = 0
    sane_quotes: dict[str, int] = {}
    back: dict[str, int] = {}
    """Of orders that the broker took its final word back of: the stamp of the newest picture that was told."""
    shut_since: dict[str, tuple[int, int]] = {}
    """Why new exposure is forbidden, by what was told alone, and since when: monotonic time, turn of the loop."""


class Notes:
    """Kept by the judges' clerk: `take` is called after every step of the engine, before the judges."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.truth = Truth(world)
        self.stories: dict[str, Story] = {}
        self.hearing = Hearing()
        self.journal = Journal()
        self.epochs: dict[int, int] = {}
        """The newest epoch each incarnation was told it holds."""
        self.lease_epochs: dict[int, tuple[int, str]] = {}
        """Every epoch of the lease among the committed rows: when it was first seen there, and whose it was."""
        self.born_s = 0.0
        """When the life that is watched began."""
        self._failed: set[tuple[str, str]] = set()
        self._planned = {fault.kind for fault in world.plan.faults}
        self._lease_row: Row | None = None
        """The lease as it was looked at last."""
        self._events = MappingProxyType(
            {
                LatchSeen: self._on_latch,
                StreamUp: self._on_stream,
                StreamDown: self._on_stream,
                StoreSeen: self._on_store,
                LeaseSeen: self._on_lease,
                Restored: self._on_restored,
                Stopping: self._on_stopping,
                OperatorAsked: self._on_operator,
                HealthSeen: self._on_health,
                OrderSending: self._on_sending,
                OrderDropped: self._on_dropped,
                OrderRefused: self._on_refused,
                OrderAnswered: self._on_answered,
                OrderUpdated: self._on_picture,
                LookupAnswered: self._on_lookup,
                BrokerSnapshot: self._on_snapshot,
            }
        )

    # for judges

    def fail(self, invariant: str, subject: str, text: str) -> None:
        """Report a violation, once for each subject."""
        if (invariant, subject) not in self._failed:
            self._failed.add((invariant, subject))
            self.world.violation(f"{invariant} at {self.world.elapsed_s:.1f} s: {text}")

    def story(self, client_order_id: str) -> Story:
        found = self.stories.get(client_order_id)
        if found is None:
            found = self.stories[client_order_id] = Story(client_order_id)
        return found

    def has_planned(self, *kinds: str) -> bool:
        """Whether the plan holds a fault of these kinds."""
        return not self._planned.isdisjoint(kinds)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing happened at the exchange for so long that everybody must have heard and stored it.

        Strategies keep still at the end, but a stop trades when the market says so.
        """
        newest_ns = max((order.updated_at_ns for order in self.truth.orders()), default=0)
        speed = self.world.plan.switches.get("venue_speed", 1.0)
        return self.world.exchange.now_ns - newest_ns > QUIET_S * speed * SECOND_NS

    @property
    def had_time_to_agree(self) -> bool:
        """Whether a life is there that saw the two passes in which books must agree; one may begin seconds before the
        end, where a person's reset let another end that waited for it."""
        return self.world.engine is not None and self.born_s + START_S + AGREED_S <= self.world.ends_s

    @property
    def is_succeeded(self) -> bool:
        """Whether another daemon leads by now, by the lease's row: what this one is told is nobody's word there."""
        newest = max(self.lease_epochs, default=None)
        return newest is not None and self.lease_epochs[newest][1] != f"host-{self.world.incarnation}"

    @property
    def waits_for_a_person(self) -> bool:
        """The database's re-openings of the day are used up: what is to be stored waits in memory, and it is said."""
        engine, lease = self.world.engine, self.hearing.lease
        if engine is None or (lease is not None and lease.held):
            return False
        return any(cause.cause == "healing_exhausted" for cause in engine._desk.guards.causes())

    def is_untold(self, client_order_id: str) -> bool:
        """Whether the broker said of an order that it is over, took that back, and nobody was told yet."""
        revived_ns = self.world.revived.get(client_order_id)
        return revived_ns is not None and self.hearing.back.get(client_order_id, 0) < revived_ns

    def proof_begins_ns(self, story: Story) -> int:
        """From when on passes and answers may prove that an order does not exist: the end of its quarantine."""
        since_ns = max(story.sending_ns or 0, story.doubted_ns)
        return since_ns + int((self.world.plan.quarantine_s - 0.1) * SECOND_NS)

    @staticmethod
    def _doubt(story: Story, mono_ns: int) -> None:
        story.doubted_ns = mono_ns
        story.proving_passes = 0

    def shut(self, reason: str, is_shut: bool) -> None:
        """Note since when a reason forbids new exposure, or that it does no longer."""
        if is_shut:
            self.hearing.shut_since.setdefault(reason, (self.world.mono_ns, self.world.turn))
        else:
            self.hearing.shut_since.pop(reason, None)

    # what passes

    def look_at_lease(self) -> None:
        """Note the epoch that the database holds now. One without an instance is nobody's: who takes its lease refuses,
        and the epochs counted there say nothing about those of the database that comes back."""
        if not self.world.committed("instance"):
            return
        for row in self.world.committed("lease").values():
            if row is self._lease_row:  # rows are replaced, not changed
                return
            self._lease_row = row
            if row["epoch"] < max(self.lease_epochs, default=0):
                self.lease_epochs.clear()  # another database: the epochs of the one before say nothing of it
            self.lease_epochs.setdefault(row["epoch"], (self.world.mono_ns, row["holder"]))

    def begin_life(self) -> None:
        """A process starts: it has heard nothing."""
        self.born_s = self.world.elapsed_s
        self.hearing = Hearing()
        self.hearing.latches = dict.fromkeys(Store, Latch.MISSING)
        self.hearing.streams = dict.fromkeys(Stream, False)
        self.shut("latch", True)
        self.shut("streams", True)

    def on_quote(self, event: QuoteSeen) -> None:
        if 0 < event.bid_price <= event.ask_price:
            self.hearing.sane_quotes[event.symbol] = event.mono_ns

    def take(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        handler = self._events.get(type(event))
        if handler is not None:
            handler(event)  # type: ignore[operator]
        if isinstance(event, BrokerSnapshot):  # the pass counts for what it brings to an end
            for effect in effects:
                if type(effect) is Remember and type(effect.record) is ReconciliationRecord:
                    self._on_pass(event, effect.record)
        for effect in effects:
            if type(effect) is Remember:
                self._on_record(effect.record)
            elif type(effect) is SendOrder:
                story = self.story(effect.approved.intent.client_order_id)
                story.life, story.approved = self.world.incarnation, effect.approved

    def _on_record(self, record: Record) -> None:
        if type(record) is OrderRecord:
            self._on_order_record(record)
        elif type(record) is LockRecord and record.kind == "symbol":
            self._on_lock(record)
        elif type(record) is DecisionRecord and record.client_order_id is not None:
            self.story(record.client_order_id).decision = record

    def _on_lock(self, record: LockRecord) -> None:
        if record.is_locked:
            self.hearing.locks.setdefault(record.key, self.world.mono_ns)
        else:
            self.hearing.locks.pop(record.key, None)

    def _on_order_record(self, record: OrderRecord) -> None:
        story = self.story(record.client_order_id)
        story.symbol = record.symbol
        if record.status != story.status:
            story.status, story.status_ns = record.status, self.world.mono_ns
            if record.status == "UNKNOWN":
                self._doubt(story, self.world.mono_ns)
        story.filled, story.is_final = record.filled_quantity, record.is_final

    def _on_pass(self, event: BrokerSnapshot, record: ReconciliationRecord) -> None:
        if record.result in ("clean", "differences"):
            for order in (*event.open_orders, *event.closed_orders):
                self._hear_again(order)
            self.hearing.good_pass_ns = event.started_mono_ns
            self.hearing.good_passes += 1
            self._look_at_streams()
            for story in self.stories.values():
                if story.status == "UNKNOWN" and event.started_mono_ns >= self.proof_begins_ns(story):
                    story.proving_passes += 1

    def _on_latch(self, event: LatchSeen) -> None:
        self.hearing.latches[event.store] = event.latch
        self.shut("latch", any(latch is not Latch.CLEAR for latch in self.hearing.latches.values()))

    def _on_stream(self, event: StreamUp | StreamDown) -> None:
        self.hearing.streams[event.stream] = isinstance(event, StreamUp)
        if event.stream is Stream.TRADE_UPDATES and (isinstance(event, StreamDown) or self.hearing.gap_ns):
            self.hearing.gap_ns = event.mono_ns  # a start reads the broker while it connects: that is no gap
        self._look_at_streams()

    def _look_at_streams(self) -> None:
        """What a gap of trade_updates swallowed is known with the first pass that began after it (fault C2)."""
        hearing = self.hearing
        is_known = hearing.good_pass_ns is not None and hearing.good_pass_ns >= hearing.gap_ns
        self.shut("streams", not all(hearing.streams.values()) or not is_known)

    def _on_store(self, event: StoreSeen) -> None:
        self.hearing.stores[event.store] = event.is_up
        self.shut("stores", not all(self.hearing.stores.values()))

    def _on_lease(self, event: LeaseSeen) -> None:
        self.hearing.lease = event
        self.hearing.leases = [*self.hearing.leases[-9:], (self.world.turn, event)]
        if event.held:
            self.epochs[self.world.incarnation] = event.epoch

    def _on_restored(self, event: Restored) -> None:
        self.hearing.restored = event
        world = self.world
        self.journal.begin(world.committed("fills").values(), world.committed("fill_corrections").values())
        self._forget_lost()
        self._read_fates()
        self.hearing.locks = dict.fromkeys((symbol for symbol, _ in event.locks), world.mono_ns)
        for saved in event.orders:
            story = self.story(saved.client_order_id)
            story.symbol = saved.symbol
            story.status_ns = self.world.mono_ns
            story.status = "UNKNOWN" if saved.status in ("READY", "SENDING", "UNKNOWN") else saved.status
            self._doubt(story, event.mono_ns)  # it may be handled later: its process stood still

    def _forget_lost(self) -> None:
        """What a restored database has no row of, unless it comes back: also a record whose intent was never stored."""
        losses, rows = self.world.losses, self.world.committed("orders")
        for (client_order_id,) in losses.intents:
            self.story(client_order_id).status = ""
        for story in self.stories.values():
            if losses.at_ns and story.status == "UNKNOWN" and (story.client_order_id,) not in rows:
                story.status = ""

    def _read_fates(self) -> None:
        """What became of orders in doubt while another daemon led. Nobody sees its steps: its committed word counts."""
        rows = self.world.committed("orders")
        for story in self.stories.values():
            row = rows.get((story.client_order_id,))
            if story.status == "UNKNOWN" and row is not None and row["is_final"]:
                story.status, story.status_ns, story.is_final = row["status"], self.world.mono_ns, True
                story.filled = row["filled_quantity"]

    def _on_stopping(self, _event: Stopping) -> None:
        self.hearing.is_stopping = True
        self.shut("stopping", True)

    def _on_operator(self, event: OperatorAsked) -> None:
        if event.command == "kill":
            self.shut("kill asked", True)
        elif event.command == "reset":
            self.shut("kill asked", False)
        elif event.command in ("pause", "resume"):
            self.shut("paused", event.command == "pause")

    def _on_health(self, event: HealthSeen) -> None:
        if event.clock_skew_s is not None:
            self.shut("clock skew", abs(event.clock_skew_s) > 1.0)

    def _on_sending(self, event: OrderSending) -> None:
        story = self.story(event.client_order_id)
        story.sending_ns = event.mono_ns
        self._doubt(story, event.mono_ns)

    def _on_dropped(self, event: OrderDropped) -> None:
        story = self.story(event.client_order_id)
        story.dropped_ns = event.mono_ns
        if (event.client_order_id,) not in self.world.committed("intents"):
            story.approved = None  # never stored, never sent: who leads next may give its number to another order

    def _on_refused(self, event: OrderRefused) -> None:
        self.story(event.client_order_id).refused = True

    def _on_answered(self, event: OrderAnswered) -> None:
        self._hear_again(event.order)
        story = self.story(event.client_order_id)
        story.answered = True
        story.words.add(event.order.status)

    def _on_picture(self, event: OrderUpdated) -> None:
        self._hear_again(event.order)
        self._see(event.order.client_order_id, event.order.status)
        if event.word != event.order.status:
            self._see(event.order.client_order_id, event.word)

    def _on_lookup(self, event: LookupAnswered) -> None:
        if event.order is not None:
            self._hear_again(event.order)
            self._see(event.client_order_id, event.order.status)

    def _on_snapshot(self, event: BrokerSnapshot) -> None:
        for order in event.closed_orders:
            self._see(order.client_order_id, order.status)

    def _hear_again(self, order: BrokerOrder) -> None:
        can_be = order.quantity is None or order.filled_quantity <= order.quantity  # fault C4 tells what cannot
        if can_be and order.client_order_id in self.world.revived:
            told_ns = self.hearing.back.get(order.client_order_id, 0)
            self.hearing.back[order.client_order_id] = max(told_ns, order.updated_ns)

    def _see(self, client_order_id: str, word: str) -> None:
        story = self.stories.get(client_order_id)
        if story is not None:
            story.words.add(word)
