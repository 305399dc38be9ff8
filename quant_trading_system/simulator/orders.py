"""What an order is at the exchange: fields on the wire and the few that never leave. Decides which states are final.

Field names are Alpaca's (reference 2.3); stamps are UTC nanoseconds here and become RFC 3339 in the server.
"""

from __future__ import annotations

import copy
from decimal import Decimal

import msgspec

ZERO = Decimal(0)

OPEN_STATUSES = frozenset(
    {"accepted", "pending_new", "new", "partially_filled", "pending_cancel", "pending_replace", "held"}
)
FINAL_STATUSES = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})
MATCHING_STATUSES = frozenset({"new", "partially_filled", "pending_cancel", "pending_replace"})
"""A request to cancel or replace has not yet reached the book: the order can still fill (reference 2.6)."""

COMPLEX_CLASSES = frozenset({"bracket", "oco", "oto"})
CLOSING_INTENTS = frozenset({"buy_to_close", "sell_to_close"})
TAKE_PROFIT = "take_profit"
STOP_LOSS = "stop_loss"

NOTIONAL_QTY_STEP = Decimal("0.000000001")
AVERAGE_STEP = Decimal("0.000000001")


class SimOrder(msgspec.Struct, kw_only=True):
    """One order. The exchange changes it in place; everybody else gets it to read, events carry a copy."""

    id: str
    client_order_id: str
    created_at_ns: int
    updated_at_ns: int
    submitted_at_ns: int
    filled_at_ns: int | None = None
    expired_at_ns: int | None = None
    cancel_requested_at_ns: int | None = None
    canceled_at_ns: int | None = None
    failed_at_ns: int | None = None
    replaced_at_ns: int | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    asset_id: str
    symbol: str
    asset_class: str = "us_equity"
    notional: Decimal | None = None
    qty: Decimal | None = None
    filled_qty: Decimal = ZERO
    order_class: str = ""
    type: str
    side: str
    position_intent: str
    time_in_force: str
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    status: str
    extended_hours: bool = False
    trail_percent: Decimal | None = None
    trail_price: Decimal | None = None
    hwm: Decimal | None = None
    expires_at_ns: int | None = None
    source: str | None = None
    parent_id: str | None = None  # of a leg: the order that it was sent with
    leg_role: str | None = None  # take_profit or stop_loss
    leg_ids: tuple[str, ...] = ()  # of a parent: its legs, take-profit first

    # What stays inside.
    sequence: int  # counts the orders of the account; every draw of chance for the order is a function of it
    filled_cost: Decimal = ZERO  # sum of price × quantity of its executions, USD
    fill_attempts: int = 0
    is_elected: bool = False  # its stop price has been touched
    is_resting: bool = False  # it was in the book and not marketable: from then on it fills at its own price
    check_price: Decimal = ZERO  # USD a share, what buying power is reserved at
    new_at_ns: int | None = None  # when the venue had it; it meets the market a moment later
    queue_ahead: float | None = None  # shares before it at its price while it rests
    queue_shown: float | None = None  # shares displayed there when it last saw them
    shown_qty: Decimal | None = None  # displayed at the touch when it first took from it
    is_armed: bool = False  # a held stop-loss leg whose stop price counts: its position is there
    doomed_at_ns: int | None = None  # a fault: it was taken, and the venue will reject it then
    dies_silently: bool = False  # and no event will tell of that
    qty_cap: Decimal | None = None  # of a closing order by amount: the shares there were; it fills no more of them

    @property
    def filled_avg_price(self) -> Decimal | None:
        """Mean price of the fills in USD with nine decimals, None before the first."""
        if not self.filled_qty:
            return None
        return (self.filled_cost / self.filled_qty).quantize(AVERAGE_STEP)

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def is_buy(self) -> bool:
        return self.side == "buy"

    @property
    def is_closing(self) -> bool:
        """Whether it was sent to make a position smaller."""
        return self.position_intent in CLOSING_INTENTS

    @property
    def is_watched(self) -> bool:
        """Whether the market can do something to it: fill it, or elect its stop."""
        return self.status in MATCHING_STATUSES or (self.is_armed and self.status == "held")

    @property
    def rests_here(self) -> bool:
        """Whether it waits at the broker rather than at a venue: cancels and replacements need no journey."""
        return self.status in ("accepted", "held") or (self.type == "trailing_stop" and not self.is_elected)

    def remaining(self, price: Decimal | None = None) -> Decimal:
        """Shares still to fill; for an order by amount, what the rest of the amount buys at `price` (or reserves)."""
        if self.qty is not None:
            return self.qty - self.filled_qty
        assert self.notional is not None, f"order {self.id}: expected qty or notional, found neither"
        unit_price = price or self.check_price
        rest = max(ZERO, self.notional - self.filled_cost)
        wanted = (rest / unit_price).quantize(NOTIONAL_QTY_STEP, rounding="ROUND_DOWN") if unit_price else ZERO
        return wanted if self.qty_cap is None else min(wanted, self.qty_cap - self.filled_qty)

    def snapshot(self) -> SimOrder:
        """A copy that later changes leave alone."""
        return copy.copy(self)
