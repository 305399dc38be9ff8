"""Before anything is recovered: whose orders are at the broker? Decides whether this database may trade this account.

Orders of this program that another database made mean a second daemon, or a lost life: refused (faults F5, K1). Orders
of this database that it does not know mean that it was restored: they are taken back, under a new token (fault F13).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import structs

from quant_trading_system.app.patience import ask_patiently
from quant_trading_system.app.settings import to_strategies
from quant_trading_system.core.broker import BrokerOrder
from quant_trading_system.core.clock import to_datetime
from quant_trading_system.core.errors import SafetyRefusal, TemporaryFailure, VenueError
from quant_trading_system.core.events import Restored, RestoredGuards
from quant_trading_system.core.types import NANOS_PER_SECOND, ClientOrderId, Nanos
from quant_trading_system.orders.status import FINAL_WORDS
from quant_trading_system.orders.survey import Survey, sequence_of_order, survey, taken_back
from quant_trading_system.persistence.high_water import Damaged, read_high_water
from quant_trading_system.persistence.instance import renew_instance
from quant_trading_system.persistence.recovery import known_order_ids

if TYPE_CHECKING:
    from quant_trading_system.app.parts import Parts

RECENT_HOURS = 24  # of venue time: another daemon of this account is at work, or was a moment ago
LOST_HOURS = 96  # a backup of before a weekend
OVERLAP_NS = 120 * NANOS_PER_SECOND  # stamps of the broker may lag


async def survey_account(parts: Parts, restored: Restored) -> tuple[Restored, frozenset[ClientOrderId]]:
    """What the database knows, with what it lost taken back from the broker; and orders of a lost life that are let be.

    Raises:
        SafetyRefusal: another database of this program traded this account.
        TemporaryFailure: the broker does not show its orders.
    """
    found = survey(await _shown(parts, restored), tokens=parts.instance.tokens)
    _refuse_foreign(parts, found, restored)
    lost = await _lost(parts, found)
    if lost and not parts.instance.restored:
        reason = f"the broker shows {len(lost)} orders of ours that it does not know, such as {lost[0].client_order_id}"
        await _renew(parts, reason)
        found = survey(await _shown(parts, restored), tokens=parts.instance.tokens)  # further back than before
        lost = await _lost(parts, found)
    let_be = frozenset(order.client_order_id for order in found.foreign)
    if not parts.instance.restored:
        if restored.guards is None and not restored.is_first_start:  # the first start on a restored one died too soon
            restored = structs.replace(restored, guards=_later_guards(parts, None))
        return restored, let_be
    parts.edge.say(f"      the database was restored: {parts.instance.restored}")
    if lost:
        parts.edge.say(f"      taken back from the broker: {len(lost)} orders that the database does not know")
    parts.log.error(
        "database_restored", reason=parts.instance.restored, instance=parts.instance.token, orders_taken_back=len(lost)
    )
    strategies = [each.id for each in to_strategies(parts.settings)]
    orders = (*restored.orders, *taken_back(lost, strategies=strategies, books=restored.books))
    begun_ns = min((order.submitted_ns for order in lost), default=None)
    taken = structs.replace(
        restored,
        orders=orders,
        next_sequence=max([restored.next_sequence, *(sequence_of_order(order) + 1 for order in lost)]),
        last_stop_ns=restored.last_stop_ns if restored.last_stop_ns is not None else begun_ns,
        is_first_start=restored.is_first_start and not lost,
        guards=_later_guards(parts, restored.guards),
    )
    return taken, let_be


async def refuse_forgotten(parts: Parts) -> None:
    """The first pass shows an order of this database that the survey was not shown: it was restored, too (F13).

    Under its new name the next start looks for all that it lost, however much was written since.

    Raises:
        TemporaryFailure: naming the order.
    """
    forgotten = parts.engine.forgotten_orders
    if forgotten:
        text = f"the broker shows an order of ours that this database does not know: {forgotten[0]}"
        await _renew(parts, text)
        raise TemporaryFailure(text, fix="start again: the database was restored, and what it lost is taken back")


async def _renew(parts: Parts, reason: str) -> None:
    parts.instance = await renew_instance(
        parts.database, parts.instance, reason, state_folder=parts.state_dir, token=parts.edge.make_token()
    )
    parts.lease.adopt_epoch(parts.instance.raised_epoch)


async def _lost(parts: Parts, found: Survey) -> tuple[BrokerOrder, ...]:
    known = await known_order_ids(parts.database, [order.client_order_id for order in found.ours])
    return found.unknown(known)


async def _shown(parts: Parts, restored: Restored) -> list[BrokerOrder]:
    """What is open, and what has come since the last thing recorded. What a restored database lost is older than that
    where an earlier start on it wrote something and ended before it had stored what it took back.
    """
    try:
        shown = await ask_patiently(parts.read.open_orders)
        since_ns = restored.last_stop_ns
        if since_ns is None:
            shown += await ask_patiently(parts.read.newest_orders)
        if parts.instance.restored:
            lost_ns = parts.clock.venue_ns() - LOST_HOURS * 3_600 * NANOS_PER_SECOND
            since_ns = Nanos(lost_ns if since_ns is None else min(since_ns, lost_ns))
        if since_ns is not None:
            after_ns = Nanos(since_ns - OVERLAP_NS)
            shown += await ask_patiently(lambda: parts.read.closed_orders(after_ns))
        return shown
    except VenueError as error:
        raise TemporaryFailure(f"the broker does not show its orders: {error}", fix="start again") from error


def _refuse_foreign(parts: Parts, found: Survey, restored: Restored) -> None:
    since_ns = parts.clock.venue_ns() - RECENT_HOURS * 3_600 * NANOS_PER_SECOND
    recent = [order for order in found.foreign if order.submitted_ns >= since_ns or order.status not in FINAL_WORDS]
    if not found.foreign or (parts.settings.trade.adopts_account and not recent):
        return
    shown = (recent or found.foreign)[-1]
    what = "this database is empty" if restored.is_first_start else f"this database is instance {parts.instance.token}"
    fix = "start with the database that made them (database.url or --state-dir), or restore it"
    if recent:
        fix += f"; else stop the other daemon, see that none of them is open, and wait {RECENT_HOURS} h"
    else:
        fix += "; where it is lost, --adopt-account begins anew, and what the account holds becomes external"
    raise SafetyRefusal(
        f"{len(found.foreign)} orders on this account were made by another database of this program, such as "
        f"{shown.client_order_id} ({shown.status}) of {to_datetime(shown.submitted_ns):%Y-%m-%d %H:%M} UTC; {what}",
        fix=fix,
    )


def _later_guards(parts: Parts, stored: RestoredGuards | None) -> RestoredGuards | None:
    """The guards as this directory saw them last: a restored database may not know a halt that stands (I19)."""
    try:
        mark = read_high_water(parts.state_dir)
    except Damaged:
        return stored
    seen = None if mark is None else mark.guards
    if seen is None or stored is None:
        return seen or stored
    later, earlier = (seen, stored) if seen.session_date >= stored.session_date else (stored, seen)  # ISO dates
    both = structs.replace(
        later,
        causes=tuple((dict(stored.causes) | dict(seen.causes)).items()),
        first_equity_usd=_known(later.first_equity_usd, earlier.first_equity_usd),
        equity_floor_usd=_known(later.equity_floor_usd, earlier.equity_floor_usd),
        high_water_mark_usd=_larger(later.high_water_mark_usd, earlier.high_water_mark_usd),
    )
    if later.session_date != earlier.session_date:
        return both
    return structs.replace(  # a start on the restored database may have died after it had stored what it measured
        both,
        incidents=max(seen.incidents, stored.incidents),
        day_start_equity_usd=_larger(later.day_start_equity_usd, earlier.day_start_equity_usd),
        session_high_usd=_larger(later.session_high_usd, earlier.session_high_usd),
    )


def _known(usd: Decimal | None, else_usd: Decimal | None) -> Decimal | None:
    return else_usd if usd is None else usd


def _larger(one_usd: Decimal | None, other_usd: Decimal | None) -> Decimal | None:
    known = [usd for usd in (one_usd, other_usd) if usd is not None]
    return max(known, default=None)
