"""The account's activities in one time line: fills and what is no trade. Decides which of them a client gets.

The line is in the order of booking, so that a page begins where the one before it ended, whatever was booked since.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import date, timedelta

import msgspec

from quant_trading_system.simulator.entries import NonTrade
from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.instants import new_york_ns
from quant_trading_system.simulator.refusals import invalid

PAGE_SIZE_MAX = 100
_TYPE_NAMES = (
    "ACATC ACATS CFEE CGD CIL CSD CSW DIV DIVCGL DIVCGS DIVFEE DIVFT DIVNRA DIVROC DIVTW DIVTXEX FEE FILL FOPT INT "
    "INTNRA INTTW JNL JNLC JNLS MA MEM MISC NC OCT OPASN OPCA OPCSH OPEXC OPEXP OPTRD PTC PTR REORG SPIN SPLIT SSO SSP "
    "TRANS VOF WH"
)
TYPES = frozenset(_TYPE_NAMES.split())
FILL = "FILL"
_TRANSFERS = ("CSD", "CSW")  # what TRANS stands for
_DIVIDENDS = tuple(sorted(name for name in TYPES if name.startswith("DIV")))
_MISCELLANEOUS = tuple(sorted(TYPES - {FILL, "TRANS", *_TRANSFERS, *_DIVIDENDS}))  # as its description has it
_GROUPS = {"TRANS": _TRANSFERS, "MISC": _MISCELLANEOUS}


class FillActivity(msgspec.Struct, frozen=True, kw_only=True):
    """An execution as it is told: a sale without shares is a short one (recorded 2020-09-03)."""

    execution: Execution
    side: str

    @property
    def id(self) -> str:
        return self.execution.activity_id

    @property
    def activity_type(self) -> str:
        return FILL

    @property
    def created_at_ns(self) -> int:
        return self.execution.timestamp_ns


Activity = FillActivity | NonTrade


class ActivityQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which activities a client wants. Stamps are exclusive; `page_token` is the id of the last one it has."""

    types: Collection[str] = ()
    category: str = ""  # trade_activity, non_trade_activity, or both
    order_id: str | None = None
    day: date | None = None
    after_ns: int | None = None
    until_ns: int | None = None
    direction: str = "desc"
    page_size: int = PAGE_SIZE_MAX
    page_token: str | None = None

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            Refusal: names the parameter.
        """
        for name in self.types:
            if name not in TYPES:
                raise invalid(f"invalid activity type: {name}")
        if self.types and self.category:
            raise invalid("only one of activity_types or category is accepted")
        if self.category not in ("", "trade_activity", "non_trade_activity"):
            raise invalid("category must be trade_activity or non_trade_activity")
        if self.direction not in ("asc", "desc"):
            raise invalid("direction must be asc or desc")
        if not 1 <= self.page_size <= PAGE_SIZE_MAX:
            raise invalid(f"page_size must be between 1 and {PAGE_SIZE_MAX}")

    def wants(self, activity_type: str) -> bool:
        if self.category:
            return (activity_type == FILL) == (self.category == "trade_activity")
        return not self.types or any(activity_type in _GROUPS.get(name, (name,)) for name in self.types)


class ActivityLog:
    """Every activity of the account, by time; found by stamp, by order and by id."""

    def __init__(self) -> None:
        self._rows: list[Activity | None] = []  # None: an execution that was taken back
        self._stamps: list[int] = []
        self._place_of: dict[str, int] = {}
        self._of_order: dict[str, list[int]] = defaultdict(list)

    def add_fill(self, execution: Execution, *, is_short_sale: bool) -> None:
        self._of_order[execution.order_id].append(len(self._rows))
        self._add(FillActivity(execution=execution, side="sell_short" if is_short_sale else execution.side))

    def add_non_trade(self, entry: NonTrade) -> None:
        self._add(entry)

    def correct(self, execution: Execution, correction: Execution | None) -> None:
        """Tell of an execution what is right: other numbers, or nothing any more."""
        place = self._place_of[execution.activity_id]
        told = self._rows[place]
        assert isinstance(told, FillActivity), f"activity {execution.activity_id}: expected a fill"
        self._rows[place] = None if correction is None else msgspec.structs.replace(told, execution=correction)

    def non_trades_between(self, after_ns: int, until_ns: int) -> Iterator[NonTrade]:
        """Non-trade activities booked after one instant, up to and including another."""
        for row in self._rows[bisect_right(self._stamps, after_ns) : bisect_right(self._stamps, until_ns)]:
            if isinstance(row, NonTrade):
                yield row

    def select(self, query: ActivityQuery) -> list[Activity]:
        """One page.

        Raises:
            Refusal: the question makes no sense, or the page token is nobody's.
        """
        query.check()
        found: list[Activity] = []
        for place in self._places(query):
            row = self._rows[place]
            if row is not None and query.wants(row.activity_type):
                found.append(row)
                if len(found) == query.page_size:
                    break
        return found

    def _places(self, query: ActivityQuery) -> Iterator[int]:
        """Where to look, in the direction that is asked for."""
        first, end = self._range(query)
        is_descending = query.direction == "desc"
        if query.page_token is not None:
            token_place = self._place_of.get(query.page_token)
            if token_place is None:
                raise invalid("page_token is invalid")
            first, end = (first, min(end, token_place)) if is_descending else (max(first, token_place + 1), end)
        places: Sequence[int] = range(first, end)
        if query.order_id is not None:
            places = [place for place in self._of_order.get(query.order_id, ()) if first <= place < end]
        return reversed(places) if is_descending else iter(places)

    def _range(self, query: ActivityQuery) -> tuple[int, int]:
        first, end = 0, len(self._rows)
        if query.after_ns is not None:
            first = bisect_right(self._stamps, query.after_ns)
        if query.until_ns is not None:
            end = bisect_left(self._stamps, query.until_ns)
        if query.day is not None:
            first = max(first, bisect_left(self._stamps, new_york_ns(query.day)))
            if query.day < date.max:
                end = min(end, bisect_left(self._stamps, new_york_ns(query.day + timedelta(days=1))))
        return first, end

    def _add(self, activity: Activity) -> None:
        assert not self._stamps or self._stamps[-1] <= activity.created_at_ns, (
            f"activity {activity.id}: expected one not before the last, found it {activity.created_at_ns} ns"
        )
        self._place_of[activity.id] = len(self._rows)
        self._stamps.append(activity.created_at_ns)
        self._rows.append(activity)
