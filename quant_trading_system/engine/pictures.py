"""Which pictures of the broker count: one with less than we know is older truth, one that insists is the broker's word.

Decides by stamps, by how often and how long a picture contradicts, and by what the order itself, asked for, says.
"""

from __future__ import annotations

from collections.abc import Callable

from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.effects import AskOrder
from quant_trading_system.core.events import BrokerSnapshot, LookupAnswered
from quant_trading_system.core.types import NANOS_PER_SECOND, ClientOrderId, MonoNanos, Stream
from quant_trading_system.engine.desk import Desk
from quant_trading_system.orders.order import Order
from quant_trading_system.orders.reconcile import Difference, DifferenceKind, OurBooks, diff

ASK_AGAIN_SECONDS = 10.0
CLAIM_PASSES_MAX = 1
CLAIM_SECONDS_MAX = 15.0
"""An older picture is the broker's word sooner where a status alone said more, and it is no older than that: two
sightings."""
FRESH_NS = NANOS_PER_SECOND
"""News of orders younger than this, in venue time, may be on their way on the stream."""
FRESH_AGAIN_SECONDS = 5.0
LOOK_AGAIN_SECONDS = (1.0, 0.0, 2.0)
"""After a pass that was disturbed, in turn: what disturbs at regular times must not meet every pass."""


class Pictures:
    """Remembers which orders the pictures contradicted, how often and since when."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._older: dict[ClientOrderId, tuple[int, int]] = {}
        self._asked: dict[ClientOrderId, int] = {}
        self._look_again_mono_ns: MonoNanos | None = None
        self._disturbed = 0
        self._fresh_mono_ns: int | None = None
        self.claims: list[BrokerOrder] = []
        """Of the last picture: orders whose fill a status alone had claimed, and which insist on less."""
        self.has_insisted = False
        """Whether an order of the last picture has contradicted long enough."""

    def on_lookup(self, event: LookupAnswered) -> None:
        """An order as another question shows it: as filled as we know, so pictures with less are older."""
        order = self._desk.orders.get(event.client_order_id)
        if order is not None and event.order is not None and event.order.filled_quantity >= order.filled_quantity:
            self._older.pop(event.client_order_id, None)

    @property
    def _was_fresh_lately(self) -> bool:
        return self._fresh_mono_ns is not None and self._desk.age_s(self._fresh_mono_ns) < FRESH_AGAIN_SECONDS

    def look_again(self) -> None:
        """What disturbed this picture will be over in a moment: then another one is wanted."""
        if self._look_again_mono_ns is None:
            delay_s = LOOK_AGAIN_SECONDS[self._disturbed % len(LOOK_AGAIN_SECONDS)]
            self._disturbed += 1
            self._look_again_mono_ns = MonoNanos(self._desk.mono_ns + int(delay_s * NANOS_PER_SECOND))

    def on_good_pass(self) -> None:
        """A pass counted: what disturbed those before it is over."""
        self._disturbed = 0

    def wants_another_look(self) -> bool:
        """Whether what disturbed a picture is over now. Says so once."""
        again_ns = self._look_again_mono_ns
        if again_ns is None or self._desk.mono_ns < again_ns:
            return False
        self._look_again_mono_ns = None
        return True

    def known_better(self, event: BrokerSnapshot) -> str:
        """An order of which we know more shares filled than the picture shows; "" where there is none (fault C8).

        A picture with a newer stamp than all we know is no older one: the venue took something back (fault C12). Nor is
        one that has said the same for long enough, while the order itself, asked for, did not say otherwise.
        """
        shown = {order.broker_order_id: order for order in (*event.closed_orders, *event.open_orders)}
        found = ""
        self.claims.clear()
        self.has_insisted = False
        for order in self._desk.orders.all_recent():
            if order.broker_order_id is None or not order.filled_quantity:
                continue
            picture = shown.get(order.broker_order_id)
            if picture is None:
                is_awaited = event.since_ns is not None and order.created_ns > event.since_ns and not order.is_external
                is_older = is_awaited and not self._has_lasted(order, None)
            elif picture.filled_quantity < order.filled_quantity:
                is_newer = _is_newer(picture, order)
                is_older = not is_newer and not self._has_lasted(order, picture)
                if is_newer and order.executed_quantity <= picture.filled_quantity:
                    self.claims.append(picture)  # taken back before its execution was ever told here
            else:
                self._older.pop(order.client_order_id, None)
                is_older = False
            if is_older and not found:
                found = order.client_order_id
        if not self._older:
            self._asked.clear()
        return found

    def _has_lasted(self, order: Order, picture: BrokerOrder | None) -> bool:
        """Whether a lesser picture came so often and so long that it is the word of the broker. Asks meanwhile."""
        desk = self._desk
        is_claim = picture is not None and order.executed_quantity <= picture.filled_quantity
        is_current = picture is not None and picture.updated_ns >= order.broker_updated_ns
        passes, since_ns = self._older.get(order.client_order_id, (0, desk.mono_ns))
        self._older[order.client_order_id] = (passes + 1, since_ns)
        usual = desk.orders.settings
        passes_max, seconds_max = (
            (CLAIM_PASSES_MAX, CLAIM_SECONDS_MAX)
            if is_claim and is_current
            else (usual.older_passes_max, usual.older_seconds_max)
        )
        if passes >= passes_max and desk.age_s(since_ns) >= seconds_max:
            self.has_insisted = True
            if is_claim and picture is not None:
                self.claims.append(picture)
            return True
        asked_ns = self._asked.get(order.client_order_id)
        if passes and (asked_ns is None or desk.age_s(asked_ns) >= ASK_AGAIN_SECONDS):
            self._asked[order.client_order_id] = desk.mono_ns
            desk.emit(AskOrder(client_order_id=order.client_order_id, reason="a pass shows less filled than is known"))
        return False

    def is_too_fresh(self, event: BrokerSnapshot, our_books: Callable[[BrokerSnapshot], OurBooks]) -> bool:
        """Whether something happened so lately that the stream is about to tell it: another pass looks in a second.

        The pass after that judges, whatever is fresh then.
        """
        desk = self._desk
        if not desk.streams_up[Stream.TRADE_UPDATES] or self._was_fresh_lately:
            return False
        limit_ns = event.venue_ns - FRESH_NS
        stamps = (
            *(order.updated_ns for order in (*event.open_orders, *event.closed_orders)),
            *(fill.venue_ns for fill in event.executions),
        )
        if max(stamps, default=0) <= limit_ns:
            return False
        if all(_happened_ns(each) <= limit_ns for each in diff(our_books(event), event)):
            return False
        self._fresh_mono_ns = desk.mono_ns
        self.look_again()
        return True


def _is_newer(picture: BrokerOrder, order: Order) -> bool:
    """Whether the broker changed the order after the last execution that we know, and no later word says otherwise.

    Of what an earlier life knew by a status alone the stamp is not known, but when it was recorded: a picture that
    denies no execution may be of before that.
    """
    is_claim = order.executed_quantity <= picture.filled_quantity
    known_ns = max(order.last_execution_ns, order.told_ns if is_claim else 0)
    return picture.updated_ns >= order.broker_updated_ns and picture.updated_ns > known_ns


def _happened_ns(difference: Difference) -> int:
    """When the broker did what differs, venue time; 0 where nobody says."""
    if difference.kind is DifferenceKind.MISSING_FILL and difference.execution is not None:
        return difference.execution.venue_ns
    is_order = difference.kind in (DifferenceKind.STATUS_GAP, DifferenceKind.ORPHAN_ORDER)
    return difference.order.updated_ns if is_order and difference.order is not None else 0
