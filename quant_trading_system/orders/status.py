"""Order lifecycle. Everything that may change an order's status is in TABLE.

Status answers one question: what may the venue still do with this order? Filled shares are not part of it: the ledger
books an execution before the status is advanced, so that money which moved counts even where the table refuses the
move.
"""

from __future__ import annotations

from enum import Enum, auto
from types import MappingProxyType


class Status(Enum):
    READY = auto()
    SENDING = auto()
    WORKING = auto()
    PARTIAL = auto()
    CANCELING = auto()
    REPLACING = auto()
    UNKNOWN = auto()
    FILLED = auto()
    CANCELED = auto()
    EXPIRED = auto()
    REJECTED = auto()
    REPLACED = auto()
    DROPPED = auto()

    __hash__ = object.__hash__  # members are singletons; Enum's own hash of the name is asked for thousands of times


class Trigger(Enum):
    SEND = auto()
    DROP = auto()
    DOUBT = auto()
    ABSENT = auto()
    LIVE = auto()
    PART_FILL = auto()
    LAST_FILL = auto()
    REJECT = auto()
    CANCEL_ASKED = auto()
    CANCEL_REFUSED = auto()
    CANCEL_DONE = auto()
    REPLACE_ASKED = auto()
    REPLACE_REFUSED = auto()
    REPLACE_DONE = auto()
    EXPIRE = auto()


STATUS_MEANINGS = MappingProxyType(
    {
        Status.READY: "approved, its bytes have not left",
        Status.SENDING: "bytes are being written, no answer yet",
        Status.WORKING: "open at the broker",
        Status.PARTIAL: "open at the broker, filled in part",
        Status.CANCELING: "a cancel was asked for; it counts as live until the broker's word",
        Status.REPLACING: "the broker shows that it is being replaced",
        Status.UNKNOWN: "only the broker knows: worst-case exposure, symbol frozen, asked about for ever",
        Status.FILLED: "every share filled",
        Status.CANCELED: "canceled by the broker; what had filled is booked",
        Status.EXPIRED: "ended with its time in force",
        Status.REJECTED: "refused, by an answer that is known to be a no or by the broker's status",
        Status.REPLACED: "another order took its place; until that one is known it counts for it",
        Status.DROPPED: "never sent, or proven absent",
    }
)
TRIGGER_MEANINGS = MappingProxyType(
    {
        Trigger.SEND: "the gateway writes bytes now",
        Trigger.DROP: "not one byte left",
        Trigger.DOUBT: "an answer was lost, or the broker's word is not understood",
        Trigger.ABSENT: "absence was proven: quarantine, two clean passes after it, and the broker says it has none",
        Trigger.LIVE: "the broker shows it open",
        Trigger.PART_FILL: "some of it filled",
        Trigger.LAST_FILL: "the last share filled",
        Trigger.REJECT: "the broker refused it",
        Trigger.CANCEL_ASKED: "a cancel was asked for by us, or the broker shows it pending",
        Trigger.CANCEL_REFUSED: "the venue refused the cancel",
        Trigger.CANCEL_DONE: "the broker canceled it",
        Trigger.REPLACE_ASKED: "the broker shows it waiting for its replacement",
        Trigger.REPLACE_REFUSED: "the venue refused the replacement",
        Trigger.REPLACE_DONE: "another order took its place",
        Trigger.EXPIRE: "its time in force ended",
    }
)

S, T = Status, Trigger

_EVIDENCE = {
    T.PART_FILL: S.PARTIAL,
    T.LAST_FILL: S.FILLED,
    T.CANCEL_DONE: S.CANCELED,  # the broker cancels by itself, too: IOC, FOK, its own risk
    T.EXPIRE: S.EXPIRED,
    T.REJECT: S.REJECTED,  # venues reject after accepting, too
    T.REPLACE_DONE: S.REPLACED,
}
"""What the broker's word makes of any order that may be live: it may overtake the answer to the POST."""


def _live(status: Status, **differences: Status) -> dict[tuple[Status, Trigger], Status]:
    rows = {(status, trigger): after for trigger, after in _EVIDENCE.items()}
    rows.update({(status, Trigger[name]): after for name, after in differences.items()})
    return rows


TABLE = MappingProxyType(
    _live(
        S.READY,
        SEND=S.SENDING,
        DROP=S.DROPPED,
        DOUBT=S.UNKNOWN,  # the gateway never said what became of it
        LIVE=S.WORKING,
    )
    | _live(
        S.SENDING,
        SEND=S.SENDING,  # tried again, no byte of the first attempt having left
        DOUBT=S.UNKNOWN,
        LIVE=S.WORKING,
    )
    | _live(
        S.UNKNOWN,
        SEND=S.UNKNOWN,  # the gateway was slow: still nobody knows
        DROP=S.DROPPED,  # accepted by the manager only where its bytes were never begun
        DOUBT=S.UNKNOWN,
        ABSENT=S.DROPPED,
        LIVE=S.WORKING,
        CANCEL_ASKED=S.UNKNOWN,  # a cancel does not tell whether there is an order
        CANCEL_REFUSED=S.UNKNOWN,
    )
    | _live(
        S.WORKING,
        LIVE=S.WORKING,
        DOUBT=S.UNKNOWN,
        CANCEL_ASKED=S.CANCELING,
        CANCEL_REFUSED=S.WORKING,
        REPLACE_ASKED=S.REPLACING,
        REPLACE_REFUSED=S.WORKING,
    )
    | _live(
        S.PARTIAL,
        LIVE=S.PARTIAL,
        DOUBT=S.UNKNOWN,
        CANCEL_ASKED=S.CANCELING,
        CANCEL_REFUSED=S.PARTIAL,
        REPLACE_ASKED=S.REPLACING,
        REPLACE_REFUSED=S.PARTIAL,
    )
    | _live(
        S.CANCELING,
        LIVE=S.CANCELING,  # the broker took the cancel and does not show it yet
        DOUBT=S.UNKNOWN,
        PART_FILL=S.CANCELING,
        CANCEL_ASKED=S.CANCELING,
        CANCEL_REFUSED=S.WORKING,
        REPLACE_REFUSED=S.CANCELING,
    )
    | _live(
        S.REPLACING,
        LIVE=S.REPLACING,
        DOUBT=S.UNKNOWN,
        PART_FILL=S.REPLACING,
        CANCEL_ASKED=S.CANCELING,
        REPLACE_ASKED=S.REPLACING,
        REPLACE_REFUSED=S.WORKING,
    )
    | {
        # Late words about final orders. Executions beat every status: a late fill is booked, whatever was said before.
        (S.FILLED, T.PART_FILL): S.FILLED,
        (S.FILLED, T.LAST_FILL): S.FILLED,
        (S.FILLED, T.CANCEL_REFUSED): S.FILLED,
        (S.CANCELED, T.PART_FILL): S.CANCELED,
        (S.CANCELED, T.LAST_FILL): S.FILLED,
        (S.CANCELED, T.CANCEL_DONE): S.CANCELED,
        (S.CANCELED, T.CANCEL_REFUSED): S.CANCELED,
        (S.CANCELED, T.EXPIRE): S.CANCELED,  # for the rest of a day order both words occur
        (S.EXPIRED, T.PART_FILL): S.EXPIRED,
        (S.EXPIRED, T.LAST_FILL): S.FILLED,
        (S.EXPIRED, T.EXPIRE): S.EXPIRED,
        (S.EXPIRED, T.CANCEL_DONE): S.EXPIRED,
        (S.EXPIRED, T.CANCEL_REFUSED): S.EXPIRED,
        (S.REPLACED, T.PART_FILL): S.REPLACED,
        (S.REPLACED, T.LAST_FILL): S.FILLED,
        (S.REPLACED, T.REPLACE_DONE): S.REPLACED,
        (S.REPLACED, T.CANCEL_REFUSED): S.REPLACED,
        (S.REJECTED, T.REJECT): S.REJECTED,
        # What we believed dead lives: our belief was wrong, and it must count as exposure again. The manager alerts.
        (S.REJECTED, T.LIVE): S.WORKING,
        (S.REJECTED, T.PART_FILL): S.PARTIAL,
        (S.REJECTED, T.LAST_FILL): S.FILLED,
        (S.REJECTED, T.REPLACE_DONE): S.REPLACED,
        (S.DROPPED, T.SEND): S.SENDING,
        (S.DROPPED, T.DROP): S.DROPPED,
        (S.DROPPED, T.LIVE): S.WORKING,
        (S.DROPPED, T.PART_FILL): S.PARTIAL,
        (S.DROPPED, T.LAST_FILL): S.FILLED,
        (S.DROPPED, T.REJECT): S.REJECTED,
        (S.DROPPED, T.CANCEL_DONE): S.CANCELED,
        (S.DROPPED, T.EXPIRE): S.EXPIRED,
        (S.DROPPED, T.REPLACE_DONE): S.REPLACED,
    }
)
TERMINAL = frozenset({S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED, S.REPLACED, S.DROPPED})
BELIEVED_DEAD = frozenset({S.REJECTED, S.DROPPED})
"""Final by our own reading of an answer or of silence; the broker's word brings them back."""


class IllegalTransition(Exception):
    """We were told something that the table does not allow. It is not published; a reconciliation follows."""

    def __init__(self, status: Status, trigger: Trigger) -> None:
        super().__init__(f"{trigger.name} while {status.name}")
        self.status = status
        self.trigger = trigger


def advance(status: Status, trigger: Trigger) -> Status:
    """The status that follows.

    Raises:
        IllegalTransition: the pair is not in the table.
    """
    try:
        return TABLE[status, trigger]
    except KeyError:
        raise IllegalTransition(status, trigger) from None


WORDS = MappingProxyType(
    {
        # https://docs.alpaca.markets/docs/orders-at-alpaca, read 2026-11: 17 words, and the SDKs' pending_review
        "new": T.LIVE,
        "accepted": T.LIVE,
        "pending_new": T.LIVE,
        "accepted_for_bidding": T.LIVE,
        "pending_review": T.LIVE,
        "held": T.LIVE,
        "stopped": T.LIVE,
        "suspended": T.LIVE,
        "calculated": T.LIVE,
        "done_for_day": T.LIVE,  # may come back to life the next day
        "partially_filled": T.PART_FILL,
        "filled": T.LAST_FILL,
        "pending_cancel": T.CANCEL_ASKED,
        "canceled": T.CANCEL_DONE,
        "expired": T.EXPIRE,
        "pending_replace": T.REPLACE_ASKED,
        "replaced": T.REPLACE_DONE,
        "rejected": T.REJECT,
    }
)
"""The broker's status words and what they mean. A word that is not here means: live, frozen, and somebody is told."""

FINAL_WORDS = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})

EVENT_WORDS = MappingProxyType({"order_cancel_rejected": T.CANCEL_REFUSED, "order_replace_rejected": T.REPLACE_REFUSED})
"""Events of `trade_updates` that say more than the status of the order they carry."""

EVENTS_LIKE_STATUS = frozenset({"fill", "partial_fill", *WORDS})
"""Events that say no more than the order's status does."""

CORRECTIONS = frozenset({"trade_bust", "trade_correct", "restated"})
"""Events after which only the broker's positions tell what is true."""


def meaning(word: str) -> Trigger:
    """What a status word of the broker means for us; an unknown word casts doubt."""
    return WORDS.get(word, T.DOUBT)
