"""What arrives at the broker: stored before, by the holder of the lease, under an id that is a function, as approved.

Judges I1 (durable before wire), I2 (one order an intent), I3 (stable identity), I7 (what was approved is what was
sent), I25 (one writer). The row is looked up among the committed ones in the moment the request arrives.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from decimal import Decimal

import msgspec

from quant_trading_system.simulator.orders import SimOrder
from tests.simulation.checkers.judge import Judge
from tests.simulation.checkers.notes import SECOND_NS, Notes, Story
from tests.simulation.checkers.seam import PREFIX, Row, Tap

ORDERS = "/v2/orders"
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
COLUMNS = {
    "symbol": "symbol", "side": "side", "qty": "quantity", "type": "order_type", "time_in_force": "time_in_force",
    "limit_price": "limit_price", "stop_price": "stop_price", "client_order_id": "client_order_id",
}  # fmt: skip
"""Keys of the request's body, and the columns of the intent's row that they must equal."""
UNNOTICED_NS = int(5.1 * SECOND_NS)
"""Who lost the lease's session without a word learns it with the next renewal: three seconds, and two for its answer.
Until then the epoch fences intents; a cancel may go, which adds no risk."""
KEYS = ("symbol", "side", "qty", "limit_price", "stop_price")
HIDING = ("read_empty", "read_partial", "read_stale", "order_mute", "duplicate_unshown")
"""Faults by which a daemon may not see that its database was taken back."""
LEG_KEYS = {"order_class", "take_profit", "stop_loss"}


class Wire(Judge):
    """Looks at every request that can make or change an order."""

    invariants = ("I1", "I2", "I3", "I7", "I25")

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        is_unnoticed = any(fault.parameters.get("how") == "unnoticed" for fault in notes.world.plan.faults)
        self._unnoticed_ns = UNNOTICED_NS if is_unnoticed else 0
        self._database_up_ns = 0
        """When the database was seen to take connections last."""

    def on_second(self) -> None:
        if self._unnoticed_ns:
            self._look_at_database()

    def _look_at_database(self) -> None:
        if self.world.is_database_up:
            self._database_up_ns = self.world.mono_ns

    def on_request(self, tap: Tap) -> None:
        if self._unnoticed_ns:
            self._look_at_database()
        path = tap.path.partition("?")[0]
        if tap.method == "GET":
            self._judge_question(tap)
            return
        if not path.startswith(ORDERS):
            return
        self._judge_holder(tap)
        if tap.method in ("POST", "PATCH"):
            self._judge_order(tap)

    def _judge_holder(self, tap: Tap) -> None:
        """No byte by a stale holder: the epoch of the sender is the newest, when its bytes left."""
        notes = self.notes
        row = self.world.intent(_client_order_id(tap), tap.sent_mono_ns) if tap.method == "POST" else None
        epoch = notes.epochs.get(tap.incarnation) if row is None else row["epoch"]
        known_ns = tap.sent_mono_ns - self._unnoticed_ns
        if self._unnoticed_ns and tap.method == "DELETE":  # a database that went away meanwhile tells nobody anything
            known_ns = min(known_ns, self._database_up_ns - self._unnoticed_ns)
        own = f"host-{tap.incarnation}"  # it may have taken one without learning that its COMMIT was carried out
        newer = [
            other for other, (mono_ns, holder) in notes.lease_epochs.items()
            if mono_ns < known_ns and holder != own
        ]  # fmt: skip
        if epoch is not None and newer and epoch < max(newer):
            text = f"{tap.method} {tap.path} by the holder of epoch {epoch}, while {max(newer)} was taken"
            notes.fail("I25", f"{tap.incarnation}", text)

    def _judge_question(self, tap: Tap) -> None:
        """Who asks for an order asks for the one that was sent: another id is found absent, and proves nothing (I4)."""
        name = tap.params.get("client_order_id")
        if name is None or self.world.engine is None or tap.incarnation != self.world.incarnation:
            return  # what others sent is in no story here
        if name not in self.notes.stories and self.truth.order(name) is None:
            self.notes.fail("I4", f"question {name}", f"the broker is asked for {name}, which nobody sent")

    def _judge_order(self, tap: Tap) -> None:
        notes = self.notes
        fields = msgspec.json.decode(tap.body or b"{}")
        client_order_id = fields.get("client_order_id", "")
        row = self.world.intent(client_order_id, tap.sent_mono_ns)
        if row is None:
            notes.fail("I1", client_order_id, f"{tap.method} {client_order_id} arrived without a committed intent")
            return
        story = notes.story(client_order_id)
        body = tap.body or b""
        if bytes(row["payload"]) != body:
            notes.fail("I7", client_order_id, f"{client_order_id}: {body!r} arrived, stored is {row['payload']!r}")
        if story.posts and story.posts[0] != body and not self._is_forgotten(client_order_id):
            notes.fail("I3", client_order_id, f"{client_order_id}: a retry differs: {story.posts[0]!r}, then {body!r}")
        story.posts.append(body)
        if story.arrived_ns is None:
            story.arrived_ns = tap.mono_ns
        if tap.incarnation == self.world.incarnation != story.life:
            text = f"{client_order_id} was sent by incarnation {tap.incarnation}, approved in {story.life}"
            notes.fail("I2", client_order_id, text)
        self._judge_fields(client_order_id, fields, row, story)
        is_living = tap.incarnation == self.world.incarnation and tap.sent_mono_ns > self.world.losses.at_ns
        self._judge_identity(client_order_id, row, is_living=is_living)

    def _is_forgotten(self, client_order_id: str) -> bool:
        """Whether a restored database lost it, and the broker hid it: nobody could know that its number was used."""
        return (client_order_id,) in self.world.losses.intents and self.notes.has_planned(*HIDING)

    def _judge_fields(self, client_order_id: str, fields: dict[str, object], row: Row, story: Story) -> None:
        intent = None if story.approved is None else story.approved.intent
        for key, column in COLUMNS.items():
            sent = fields.get(key)
            approved = None if intent is None else getattr(intent, column)
            for whose, value in (("stored", row[column]), ("approved", approved)):
                if whose == "approved" and intent is None:
                    continue
                if not _equal(sent, value):
                    text = f"{client_order_id}: {key} {sent} was sent, {whose} is {value}"
                    self.notes.fail("I7", f"{client_order_id} {key}", text)
        strange = set(fields) - set(COLUMNS) - LEG_KEYS
        if strange:
            text = f"{client_order_id}: {', '.join(sorted(strange))} was sent and never approved"
            self.notes.fail("I7", client_order_id, text)

    def _judge_identity(self, client_order_id: str, row: Row, *, is_living: bool) -> None:
        instances = list(self.world.committed("instance").values())
        if not instances:
            return
        account = str(instances[0]["account"] or "")
        tokens = [instances[0]["token"]]
        if not is_living:  # its bytes may have left before a restored database got another name
            tokens += sorted(self.world.losses.tokens)
        expected = [
            f"{PREFIX}{_token(token)}-{_hash(account, 4)}-{row['strategy']}-{_base36(row['sequence'])}"
            for token in tokens
        ]
        if client_order_id not in expected:
            text = f"{client_order_id} is not the function of account, instance, strategy and sequence: {expected[0]}"
            self.notes.fail("I3", client_order_id, text)

    def at_end(self) -> None:
        self._judge_broker_orders()
        rows = list(self.world.committed("intents").values())
        for column in ("sequence", "decision_id"):
            for value, count in Counter(row[column] for row in rows).items():
                if count > 1:
                    self.notes.fail("I2", f"{column} {value}", f"{count} intents share the {column} {value}")

    def _judge_broker_orders(self) -> None:
        orders = list(self.truth.orders())
        by_id = {order.id: order for order in orders}
        counts = Counter(order.client_order_id for order in orders)
        intents = {**self.world.losses.intents, **self.world.committed("intents")}
        for order in orders:
            subject = order.client_order_id
            if (subject,) in intents:
                if counts[subject] > 1:
                    self.notes.fail("I2", subject, f"{counts[subject]} broker orders of the intent {subject}")
                self._judge_made(order)
            elif not _is_external(order, by_id):
                self.notes.fail("I2", subject, f"broker order {subject} is neither of an intent nor of anybody else")

    def _judge_made(self, order: SimOrder) -> None:
        """What the exchange made of it is what was sent."""
        story = self.notes.stories.get(order.client_order_id)
        if story is None or not story.posts:
            return
        sent = msgspec.json.decode(story.posts[0])
        if any(action.symbol == order.symbol for action in self.world.exchange._office.corporate._announced.values()):
            return  # a corporate action changed what rests, as it must, also where nobody held the symbol by then
        keys = ("symbol", "side", "limit_price", "stop_price") if order.client_order_id in self.world.enlarged else KEYS
        for key in keys:
            if not _equal(sent.get(key), getattr(order, key)):
                text = f"{order.client_order_id}: {key} {sent.get(key)} was sent, the broker has {getattr(order, key)}"
                self.notes.fail("I7", f"{order.client_order_id} {key}", text)


def _client_order_id(tap: Tap) -> str:
    return str(msgspec.json.decode(tap.body or b"{}").get("client_order_id", ""))


def _is_external(order: SimOrder, by_id: dict[str, SimOrder]) -> bool:
    """Given in the broker's app, a leg of an order, or what replaced one."""
    return order.source == "app" or order.parent_id is not None or order.replaces in by_id


def _equal(sent: object, value: object) -> bool:
    if sent is None or value is None:
        return sent is None and value is None
    if isinstance(value, Decimal):
        return Decimal(str(sent)) == value
    return str(sent) == str(value)


def _token(token: str) -> str:
    return token if re.fullmatch(r"[0-9a-z]{8}", token) else _hash(token, 8)


def _hash(text: str, characters: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:characters]


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return text
