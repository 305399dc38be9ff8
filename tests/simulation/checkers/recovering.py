"""Whether a life begins with what the last one had made durable, all of it and nothing else.

Judges I29 (journal before handlers, nothing from elsewhere), I30 (recover∘recover = recover: what is restored is a
function of the committed rows) and I19 (a restart resets no baseline).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from quant_trading_system.core.effects import Effect, Remember
from quant_trading_system.core.events import AnyEvent, OperatorAsked, Restored
from quant_trading_system.core.records import GuardRecord
from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.instants import new_york, new_york_date
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import Notes
from tests.simulation.checkers.seam import Row

ZERO = Decimal(0)
CLOSE_HOUR = 16  # in New York
HIDING = (
    "read_empty", "read_partial", "read_stale", "order_mute", "duplicate_unshown", "database_emptied", "disk_full",
)  # fmt: skip
"""Faults by which a daemon may not see that its database was taken back."""
ENDED_BY_A_PERSON = frozenset(
    {
        "kill", "daily_loss_hard", "drawdown_hard", "intraday_drawdown_hard", "equity_floor", "incidents",
        "healing_exhausted", "paused",
    }
)  # fmt: skip
"""Causes that nothing but an operator ends (controls.md), written down here on purpose."""


class Recovering(Judge):
    """Compares the first event of every life with the committed rows, and the guards with what they were."""

    invariants = ("I19", "I29", "I30")
    watches = (Restored, OperatorAsked)

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        self._guards: Row | None = None
        self._paused_ns: int | None = None
        """When a person paused, by the daemon's wall clock, and nobody resumed since."""
        self._has_lagged = False
        """Whether the guards that were told last were of a day that was over at the exchange, unknown to the daemon."""
        self._is_wall_true = not notes.has_planned("wall_jump", "database_restored")

    def on_step(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        if isinstance(event, OperatorAsked):
            self._guards = None  # what a person ends is ended by no restart
            if event.command in ("pause", "resume") and not self.notes.is_succeeded:
                self._paused_ns = event.seen_ns if event.command == "pause" else None
            return
        assert isinstance(event, Restored), "the other event watched"
        self._judge_orders(event)
        self._judge_books(event)
        self._judge_rest(event)
        self._judge_token()
        self._guards = self._guards_of_before()
        self._forget_untold()
        self._judge_first(effects)

    def _forget_untold(self) -> None:
        """A pause ends with the life that was told of it, where that one has stored no word of its guards since.

        It had lost its database, or its lead: what others write later knows nothing of it.
        """
        stored_ns = 0 if self._guards is None else self._guards.get("seen_ns", 0)  # none in the mark of a restored one
        if self._paused_ns is not None and stored_ns <= self._paused_ns:
            self._paused_ns = None

    def _guards_of_before(self) -> Row | None:
        """What the guards knew last: by the rows, or by the state directory of a database that was taken back."""
        rows = list(self.world.committed("guards").values())
        losses = self.world.losses
        mark, newest = losses.mark, rows[-1] if rows else None
        if mark is not None and mark["guards"] is not None and newest == losses.guards:
            kept: Row = {
                name: Decimal(value) if name.endswith("_usd") and value is not None else value
                for name, value in mark["guards"].items()
            }
            return kept
        return newest

    def _judge_token(self) -> None:
        """A database that was taken back gives out no id under the name that it had (I3)."""
        losses = self.world.losses
        if losses.is_renewed or self.notes.has_planned(*HIDING):
            return
        losses.is_renewed = True
        for row in self.world.committed("instance").values():
            if row["token"] in losses.tokens:
                self._fail("I3", "token", f"a restored database goes on as {row['token']}")

    def on_effects(self, event: AnyEvent, effects: Sequence[Effect]) -> None:
        self._judge_first(effects)

    def _judge_first(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if type(effect) is not Remember or type(effect.record) is not GuardRecord:
                continue
            if self._guards is not None:
                self._judge_guards(effect.record, self._guards)
                self._judge_causes(effect.record, self._guards)
                self._guards = None
            self._has_lagged = self._lags_a_night(effect.record)

    def _judge_orders(self, event: Restored) -> None:
        """Every intent whose fate is not final comes back, with what was known of it."""
        orders = self.world.committed("orders")
        expected = {key[0] for key, row in orders.items() if not row["is_final"]}
        expected |= {key[0] for key in self.world.committed("intents") if key not in orders}
        found = {saved.client_order_id for saved in event.orders}
        taken_back = {key[0] for key in self.world.losses.intents if key not in orders}
        if not self.notes.has_planned(*HIDING):  # what a restored database forgot, the broker tells
            expected |= {client_order_id for client_order_id in taken_back if self.truth.order(client_order_id)}
        lost, invented = sorted(expected - found), sorted(found - expected - taken_back)
        if lost or invented:
            text = f"restored without {', '.join(lost) or 'none'}, and with {', '.join(invented) or 'none'} besides"
            self._fail("I30", "orders", text)
        for saved in event.orders:
            row = orders.get((saved.client_order_id,))
            stored = (ZERO, ZERO) if row is None else (row["filled_quantity"], row["filled_value_usd"])
            if row is not None and (saved.filled_quantity, saved.filled_value_usd) != stored:
                self._fail("I30", saved.client_order_id, f"{saved.client_order_id}: other fills than stored")

    def _judge_books(self, event: Restored) -> None:
        stored = {
            key: (row["quantity"], row["cost_usd"], row["realised_usd"])
            for key, row in self.world.committed("positions").items()
        }
        found = {
            (book.strategy, book.symbol): (book.quantity, book.cost_usd, book.realised_usd) for book in event.books
        }
        if stored != found:
            self._fail("I30", "books", f"restored books {found}, stored {stored}")
        booked = {key for key, (quantity, _) in self.notes.journal.fills.items() if quantity}
        known = set(event.known_executions)
        if booked != known:
            text = (
                f"{len(booked - known)} stored executions are not known, {len(known - booked)} known ones do not stand"
            )
            self._fail("I30", "fills", text)

    def _judge_rest(self, event: Restored) -> None:
        sequences = [row["sequence"] for row in self.world.committed("intents").values() if row["sequence"]]
        if sequences and event.next_sequence <= max(sequences):
            self._fail("I3", "sequence", f"ids go on with {event.next_sequence}, {max(sequences)} was used")
        locked = {key[1] for key, row in self.world.committed("locks").items() if row["is_locked"]}
        found = {symbol for symbol, _ in event.locks} | {strategy for strategy, _ in event.disabled_strategies}
        if locked != found:
            self._fail("I30", "locks", f"restored locks of {sorted(found)}, stored {sorted(locked)}")

    def _judge_guards(self, record: GuardRecord, stored: Row) -> None:
        """The first word of the guards after a restart: nothing was reset by it."""
        if record.session_date != stored["session_date"]:
            return
        for name in ("day_start_equity_usd", "high_water_mark_usd", "session_high_usd"):
            now, was = getattr(record, name), stored[name]
            is_start = name == "day_start_equity_usd"
            if is_start and (self._has_lagged or self._lags_a_night(record) or self._is_named(now, record)):
                continue
            if is_start and now is not None and now in self._restored_starts_usd(record.session_date):
                continue
            room_usd = self._flows_usd()
            if was is not None and (now is None or now < was - room_usd or (is_start and now > was + room_usd)):
                self._fail("I19", name, f"{name} became {now}, was {was}, over a restart")
        if record.incidents < stored["incidents"]:
            self._fail("I19", "incidents", f"incidents fell from {stored['incidents']} to {record.incidents}")

    def _restored_starts_usd(self, session_date: str) -> list[Decimal]:
        """The day's start by the mark and by the rows of a restored database: until a life on that one has stored all
        it measured, nobody knows which is newer, the stricter counts, and the broker's word decides in a second.
        """
        losses = self.world.losses
        told = [None if losses.mark is None else losses.mark["guards"], losses.guards]
        of_day = [each for each in told if each is not None and each["session_date"] == session_date]
        starts = [each["day_start_equity_usd"] for each in of_day]
        return [Decimal(start) for start in starts if start is not None]

    def _is_named(self, start_usd: Decimal | None, record: GuardRecord) -> bool:
        """Whether a day starts from what the broker names as the last equity in its session (P29): that word takes the
        place of a makeshift, which is all there was to store while the broker still named the equity of before."""
        at = new_york(self.world.exchange.now_ns)
        if start_usd is None or at.date().isoformat() != record.session_date or at.hour >= CLOSE_HOUR:
            return False
        return abs(start_usd - self.world.exchange._valuation.last_equity) <= self._flows_usd()

    def _lags_a_night(self, record: GuardRecord) -> bool:
        """Whether a night passed at the exchange of which the daemon's venue time knows nothing yet, as after a sleep:
        the broker's last equity is of a later close then than the one that the day of the guards began with.
        """
        of_day = new_york_date(Nanos(record.venue_ns)).isoformat() == record.session_date
        return of_day and new_york_date(self.world.exchange.now_ns).isoformat() > record.session_date

    def _judge_causes(self, record: GuardRecord, stored: Row) -> None:
        """What only a person ends is there after a restart as it was before."""
        causes = stored["causes"]
        if isinstance(causes, str):
            causes = msgspec.json.decode(causes)
        named = [name for name, _ in causes]
        if self._is_wall_true and self._paused_ns is not None and stored["seen_ns"] > self._paused_ns:
            named.append("paused")  # whatever that row says: it was written later
        gone = [name for name in named if name in ENDED_BY_A_PERSON and name not in dict(record.causes)]
        if gone:
            self._fail("I19", "causes", f"{', '.join(gone)} ended by a restart")

    def _flows_usd(self) -> Decimal:
        """Money that came or went without a trade moves the baselines with it (fault D12): by no more than its sum.

        What a database forgot that was taken back is entered anew, in marks that know it already.
        """
        entries = self.world.exchange._books.non_trades
        return sum((abs(entry.cash) for entry in entries), ZERO) * (2 if self.world.losses.at_ns else 1)

    def _fail(self, invariant: str, subject: str, text: str) -> None:
        self.notes.fail(invariant, f"{subject} {self.world.incarnation}", f"life {self.world.incarnation}: {text}")
