"""The differ: shares and cash of one complete picture of the broker against our books. Decides what explains what.

It never sees a failed, partial or older picture. What a fact explains is no second difference: a missing fill explains
its shares and its cash, a split the shares it made, a deposit the cash it brought. The rest is drift.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from msgspec import structs

from quant_trading_system.core.activities import NAME_CHANGE, MoneyClass, cash_moved, money_class, shares_moved
from quant_trading_system.core.broker import Activity, BrokerPosition, Execution
from quant_trading_system.core.events import BrokerSnapshot
from quant_trading_system.core.money import ONE, ZERO, plain
from quant_trading_system.core.types import BrokerOrderId, Symbol
from quant_trading_system.orders.differences import Difference, DifferenceKind, OurBooks, order_differences, price_of
from quant_trading_system.orders.restating import changed_orders, inferred_fills

CASH_TOLERANCE_USD = Decimal("0.005")
"""The broker shows cents; half of one is rounding."""

__all__ = ["diff"]


def diff(ours: OurBooks, snapshot: BrokerSnapshot) -> tuple[Difference, ...]:
    """Everything that differs: orders first, so that fills find theirs, then fills, then what these do not explain."""
    return (*order_differences(ours, snapshot), *_Comparison(ours, snapshot).differences())


class _Comparison:
    """Our shares and cash, brought forward by what the picture explains, fact by fact."""

    def __init__(self, ours: OurBooks, snapshot: BrokerSnapshot) -> None:
        self._ours = ours
        self._snapshot = snapshot
        self._shown: dict[Symbol, BrokerPosition] = {position.symbol: position for position in snapshot.positions}
        self._expected = dict(ours.positions)
        self._cash_usd = ours.cash_usd if ours.cash_usd is not None else ZERO
        self._new = [each for each in snapshot.activities if _is_new(ours, each)]

    def differences(self) -> Iterator[Difference]:
        ours, snapshot = self._ours, self._snapshot
        missing = [
            fill for fill in snapshot.executions if not ours.is_booked((fill.broker_order_id, fill.cumulative_quantity))
        ]
        for fill in missing:
            self._expect(fill, 1)
        changes = changed_orders(ours, snapshot, self._expected, self._held)
        changed_ids = {change.key for change in changes}
        for change in changes:
            self._restate(change, missing)
        missing = [fill for fill in missing if fill.broker_order_id not in changed_ids]
        inferred = inferred_fills(ours, snapshot, self._expected, self._held, without=changed_ids)
        for fill in inferred:
            self._expect(fill, 1)
        yield from self._fill_differences(missing, inferred, changed_ids)
        yield from changes
        cash = list(self._cash_differences())
        shares = self._weighed(list(self._share_differences()), cash)
        yield from shares
        if inferred or any(each.is_in_flux for each in shares):  # the same fill moves the cash
            cash = [structs.replace(each, is_in_flux=each.kind is DifferenceKind.CASH_GAP) for each in cash]
        yield from cash

    # fills

    def _fill_differences(
        self, missing: Sequence[Execution], inferred: Sequence[Execution], changed_ids: set[str]
    ) -> Iterator[Difference]:
        """Fills that the ledger lacks, and fills that it has and a live order was not told of (after a restart)."""
        live = {order.broker_order_id: order for order in self._ours.orders if not order.is_final}
        untold = [
            fill
            for fill in self._snapshot.executions
            if (order := live.get(fill.broker_order_id)) is not None
            and fill.broker_order_id not in changed_ids
            and fill.cumulative_quantity > order.base_filled
            and fill.cumulative_quantity not in order.executions
        ]
        wanted = {(fill.broker_order_id, fill.cumulative_quantity): fill for fill in (*missing, *untold)}
        for fill in sorted(wanted.values(), key=lambda each: (each.venue_ns, each.cumulative_quantity)):
            yield _missing(fill, "not booked" if fill in missing else "booked, the order was not told")
        for fill in inferred:
            yield _missing(fill, "not booked, and no execution is listed", is_settled=False)

    # shares

    def _share_differences(self) -> Iterator[Difference]:
        told = [each for each in self._new if _is_about_shares(each)]
        renamed = list(self._renamed(told))
        yield from renamed
        done = {each.activity_id for difference in renamed for each in difference.activities}
        by_symbol: dict[Symbol, list[Activity]] = {}
        for each in told:
            if each.activity_id not in done and each.symbol is not None:
                by_symbol.setdefault(each.symbol, []).append(each)
        for symbol, activities in sorted(by_symbol.items()):
            yield self._corporate(symbol, tuple(activities))
        for symbol in sorted(self._expected.keys() | self._shown.keys()):
            held, believed = self._held(symbol), self._expected.get(symbol, ZERO)
            if held != believed:
                yield self._position_difference(symbol, believed, held)

    def _renamed(self, told: Sequence[Activity]) -> Iterator[Difference]:
        """Shares that go on under another symbol, where the picture shows them there."""
        groups: dict[str, list[Activity]] = {}
        for each in told:
            if each.kind == NAME_CHANGE and each.symbol is not None and each.group_id:
                groups.setdefault(each.group_id, []).append(each)
        for group in groups.values():
            pair = sorted(group, key=shares_moved)
            if len(pair) != 2 or shares_moved(pair[0]) + shares_moved(pair[1]):
                continue
            symbols = [each.symbol for each in pair if each.symbol is not None]
            believed = self._expected.get(symbols[0], ZERO)
            old, new = symbols if believed >= ZERO else reversed(symbols)
            believed = self._expected.get(old, ZERO)
            if not believed or self._held(old) or self._held(new) != self._expected.get(new, ZERO) + believed:
                continue
            self._expected[new] = self._held(new)
            self._expected[old] = ZERO
            yield Difference(
                kind=DifferenceKind.CORPORATE_ACTION,
                key=old,
                symbol=old,
                ours=plain(believed),
                brokers=f"{plain(self._held(new))} {new}",
                activities=tuple(group),
                moved_to=new,
                price=price_of(self._shown.get(new)),
            )

    def _corporate(self, symbol: Symbol, activities: tuple[Activity, ...]) -> Difference:
        """What the broker says it did to the shares of a symbol, against what it shows."""
        believed, held = self._expected.get(symbol, ZERO), self._held(symbol)
        told = sum((shares_moved(each) for each in activities), ZERO)
        if believed * held < ZERO < believed * (believed + told):
            held = believed + told  # none of them turns long into short: that is another difference, and told as one
        gap = held - believed
        is_fraction_off = gap * told > ZERO and abs(gap - told) < ONE  # of a share, paid in cash
        self._expected[symbol] = held
        return Difference(
            kind=DifferenceKind.CORPORATE_ACTION,
            key=symbol,
            symbol=symbol,
            ours=plain(believed),
            brokers=f"{plain(held)} after {', '.join(dict.fromkeys(each.kind for each in activities))}",
            gap=gap,
            activities=activities,
            quantity=held,
            price=price_of(self._shown.get(symbol)),
            is_settled=gap == told or is_fraction_off,
        )

    def _position_difference(self, symbol: Symbol, believed: Decimal, held: Decimal) -> Difference:
        gap = held - believed
        return Difference(
            kind=_position_kind(self._ours.positions.get(symbol, ZERO), believed, held),
            key=symbol,
            symbol=symbol,
            ours=plain(believed),
            brokers=plain(held),
            gap=gap,
            quantity=held,
            price=price_of(self._shown.get(symbol)),
        )

    def _weighed(self, shares: Sequence[Difference], cash: Sequence[Difference]) -> list[Difference]:
        """Whether fills of orders that work could have moved the shares: so many, and with them the cash.

        Of one symbol the cash must be nearer to what the fill would leave than to what we know; of several, whose fills
        may pay for each other, it must not be what we know to the cent.
        """
        if self._ours.cash_usd is None:
            cash_gap_usd = None
        else:
            cash_gap_usd = sum((each.gap for each in cash if each.kind is DifferenceKind.CASH_GAP), ZERO)
        moved = [each for each in shares if each.gap and each.kind is not DifferenceKind.CORPORATE_ACTION]
        return [self._weigh(each, cash_gap_usd, is_alone=len(moved) == 1) if each in moved else each for each in shares]

    def _weigh(self, difference: Difference, cash_gap_usd: Decimal | None, *, is_alone: bool) -> Difference:
        gap = difference.gap
        working = [
            order
            for order in self._ours.orders
            if order.symbol == difference.symbol and not order.is_final and order.side.sign * gap > ZERO
        ]
        prices = [order.limit_price or order.stop_price or order.reference_price for order in working]
        price = difference.price or max(prices, default=ZERO)
        if cash_gap_usd is None:
            moved_no_cash = False
        elif is_alone and price:
            moved_no_cash = abs(cash_gap_usd) < abs(cash_gap_usd + gap * price)
        else:
            moved_no_cash = not cash_gap_usd
        may_be_a_fill = abs(gap) <= sum((order.open_quantity for order in working), ZERO)
        return structs.replace(difference, is_in_flux=may_be_a_fill and not moved_no_cash, moved_no_cash=moved_no_cash)

    # cash

    def _cash_differences(self) -> Iterator[Difference]:
        if self._ours.cash_usd is None:
            return
        shown = self._snapshot.account.cash_usd
        told = [each for each in self._new if not _is_about_shares(each) and cash_moved(each)]
        told_usd = sum((cash_moved(each) for each in told), ZERO)
        lieu_usd = sum((cash_moved(each) for each in self._new if _is_about_shares(each)), ZERO)
        expected = self._cash_usd + lieu_usd
        is_before = bool(told) and _is_same(shown, expected) and not _is_same(shown, expected + told_usd)
        takes_back = is_before and _is_same(self._ours.unexplained_usd, told_usd)
        for each in told:
            yield _flow(each, is_settled=not is_before or takes_back)
        expected += ZERO if is_before and not takes_back else told_usd
        if not _is_same(shown, expected):
            yield Difference(
                kind=DifferenceKind.CASH_GAP,
                key="cash",
                symbol=None,
                ours=plain(expected),
                brokers=plain(shown),
                gap=shown - expected,
                price=shown,
                is_settled=takes_back,
            )

    # inside

    def _held(self, symbol: Symbol) -> Decimal:
        position = self._shown.get(symbol)
        return ZERO if position is None else position.quantity

    def _expect(self, fill: Execution, times: int) -> None:
        signed = fill.quantity * fill.side.sign * times
        self._expected[fill.symbol] = self._expected.get(fill.symbol, ZERO) + signed
        self._cash_usd -= signed * fill.price

    def _restate(self, change: Difference, missing: Sequence[Execution]) -> None:
        """Bring forward by what the broker has of an order, instead of what we had."""
        for fill in self._ours.whole_orders[BrokerOrderId(change.key)]:
            self._expect(fill, -1)
        for fill in change.executions:
            if fill not in missing:
                self._expect(fill, 1)


def _is_new(ours: OurBooks, activity: Activity) -> bool:
    if ours.is_entered(activity.activity_id):
        return False
    return not activity.reverses or ours.is_entered(activity.reverses)


def _is_about_shares(activity: Activity) -> bool:
    return activity.symbol is not None and (
        shares_moved(activity) != ZERO or money_class(activity) is MoneyClass.IN_LIEU
    )


def _is_same(one_usd: Decimal, other_usd: Decimal) -> bool:
    return abs(one_usd - other_usd) <= CASH_TOLERANCE_USD


def _position_kind(ours: Decimal, believed: Decimal, held: Decimal) -> DifferenceKind:
    if ours == ZERO:
        return DifferenceKind.PHANTOM_POSITION
    if held == ZERO:
        return DifferenceKind.LOST_POSITION
    return DifferenceKind.SIGN_FLIP if believed * held < ZERO else DifferenceKind.QUANTITY_GAP


def _missing(fill: Execution, ours: str, *, is_settled: bool = True) -> Difference:
    return Difference(
        kind=DifferenceKind.MISSING_FILL,
        key=f"{fill.broker_order_id}/{plain(fill.cumulative_quantity)}",
        symbol=fill.symbol,
        ours=ours,
        brokers=f"{fill.side} {plain(fill.quantity)} at {plain(fill.price)}",
        execution=fill,
        is_settled=is_settled,
    )


def _flow(activity: Activity, *, is_settled: bool) -> Difference:
    return Difference(
        kind=DifferenceKind.CASH_FLOW,
        key=activity.activity_id,
        symbol=activity.symbol,
        ours="not booked",
        brokers=f"{activity.kind} {plain(activity.net_amount_usd)} USD {activity.text}".strip(),
        gap=cash_moved(activity),
        activities=(activity,),
        is_settled=is_settled,
    )
