"""Decides which fills a client gets from `GET /v2/account/activities`, and in which order (reference 6.1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

import msgspec

from quant_trading_system.simulator.events import Execution
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.refusals import invalid

PAGE_SIZE_MAX = 100
_TYPE_NAMES = (
    "ACATC ACATS CFEE CGD CIL CSD CSW DIV DIVCGL DIVCGS DIVFEE DIVFT DIVNRA DIVROC DIVTXEX FEE FILL FOPT INT INTNRA "
    "INTTW JNL JNLC JNLS MA MEM MISC NC OCT OPASN OPCA OPCSH OPEXC OPEXP OPTRD PTC PTR REORG SPIN SPLIT SSO SSP TRANS "
    "WH"
)
TYPES = frozenset(_TYPE_NAMES.split())


class ActivityQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which activities a client wants. Stamps are exclusive; `page_token` is the id of the last one it has."""

    types: Collection[str] = ()
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
        if self.direction not in ("asc", "desc"):
            raise invalid("direction must be asc or desc")
        if not 1 <= self.page_size <= PAGE_SIZE_MAX:
            raise invalid(f"page_size must be between 1 and {PAGE_SIZE_MAX}")


def select_activities(executions: Sequence[Execution], query: ActivityQuery) -> list[Execution]:
    """One page of fills.

    Raises:
        Refusal: the question makes no sense, or the page token is nobody's.
    """
    query.check()
    if query.types and "FILL" not in query.types:
        return []
    found = [execution for execution in executions if _is_wanted(execution, query)]
    if query.direction == "desc":
        found.reverse()
    return found[_page_start(found, query.page_token) :][: query.page_size]


def _page_start(found: Sequence[Execution], page_token: str | None) -> int:
    if page_token is None:
        return 0
    for place, execution in enumerate(found):
        if execution.activity_id == page_token:
            return place + 1
    raise invalid("page_token is invalid")


def _is_wanted(execution: Execution, query: ActivityQuery) -> bool:
    stamp_ns = execution.timestamp_ns
    return (
        (query.order_id is None or execution.order_id == query.order_id)
        and (query.after_ns is None or stamp_ns > query.after_ns)
        and (query.until_ns is None or stamp_ns < query.until_ns)
        and (query.day is None or new_york_date(stamp_ns) == query.day)
    )
