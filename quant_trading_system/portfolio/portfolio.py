"""From signals to one order a symbol: remembers what each strategy wants, nets it, and plans the next step there.

Decides sizes, what small drift to leave alone, and how large one step may be. The gate decides whether it happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

from msgspec import Struct

from quant_trading_system.core.money import ONE, QUANTITY_STEP, ZERO, plain
from quant_trading_system.core.types import Direction, Side, StrategyId, Symbol
from quant_trading_system.core.values import Allocation, Signal, Target
from quant_trading_system.core.views import PriceView
from quant_trading_system.portfolio.netting import Meeting, apportion, cross_inside
from quant_trading_system.portfolio.pricing import Quoted, quote_order, reference_price
from quant_trading_system.portfolio.sizing import SizingContext, SizingMethod, size

NET = StrategyId("net")
"""Owner of an order that several strategies share."""
WEIGHT_SUM_MAX = Decimal("1.01")
"""Weights may add up to 1.00, give or take a hundredth for thirds written in decimals."""
DRIFT_BAND_FRACTION = Decimal("0.01")


class Transfer(Struct, frozen=True, kw_only=True):
    """Shares that pass from one strategy's book to another's at the mid, without an order."""

    from_strategy: StrategyId
    to_strategy: StrategyId
    symbol: Symbol
    quantity: Decimal
    price: Decimal


class PlannedOrder(Struct, frozen=True, kw_only=True):
    """One marketable limit order. `allocations` are signed and add up to the signed quantity exactly."""

    symbol: Symbol
    side: Side
    quantity: Decimal
    limit_price: Decimal
    reference_price: Decimal
    declared_notional_usd: Decimal
    allocations: tuple[Allocation, ...]
    strategy: StrategyId
    note: str


class Plan(Struct, frozen=True, kw_only=True):
    """The next step for one symbol. `reason` says why there is no order, or is ""."""

    transfers: tuple[Transfer, ...]
    order: PlannedOrder | None
    reason: str


class Portfolio:
    """Targets of every strategy and symbol, in signed shares."""

    def __init__(
        self,
        *,
        weights: Mapping[StrategyId, Decimal],
        sizing: Mapping[StrategyId, SizingMethod],
        drift_band_fraction: Decimal = DRIFT_BAND_FRACTION,
    ) -> None:
        _check(weights, sizing, drift_band_fraction)
        self._weights = dict(weights)
        self._sizing = dict(sizing)
        self._drift_band_fraction = drift_band_fraction
        self._targets: dict[tuple[StrategyId, Symbol], Decimal] = {}
        self._notes: dict[tuple[StrategyId, Symbol], str] = {}

    def weight(self, strategy: StrategyId) -> Decimal:
        """The strategy's share of equity and capital."""
        return self._weights[strategy]

    # targets

    def on_signal(self, signal: Signal, context: SizingContext) -> Target:
        """Turn a signal into the shares its strategy wants from now on. EXIT wants none."""
        key = (signal.strategy, signal.symbol)
        held = self._targets.get(key, ZERO)
        sign = {Direction.LONG: ONE, Direction.SHORT: -ONE, Direction.EXIT: ZERO}[signal.direction]
        quantity, weight_asked, note = ZERO, 0.0, ""
        if sign:
            sized = size(self._sizing[signal.strategy], context, held=max(held * sign, ZERO))
            quantity, note = sized.quantity * sign, sized.note
            weight_asked = float(sized.asked_usd * sign / context.equity_usd) if context.equity_usd > ZERO else 0.0
        self._targets[key] = quantity
        self._notes[key] = note
        return Target(
            strategy=signal.strategy,
            symbol=signal.symbol,
            quantity=quantity,
            weight_asked=weight_asked,
            note=note,
            signal=signal,
        )

    def target(self, strategy: StrategyId, symbol: Symbol) -> Decimal | None:
        """Signed shares the strategy wants; None where it never said."""
        return self._targets.get((strategy, symbol))

    def set_target(self, strategy: StrategyId, symbol: Symbol, quantity: Decimal) -> None:
        """Want `quantity` without a signal: what is held, after an entry that came too late or a repair."""
        self._targets[strategy, symbol] = quantity
        self._notes.pop((strategy, symbol), None)

    def restore_targets(self, books: Mapping[tuple[StrategyId, Symbol], Decimal]) -> None:
        """After a restart every strategy wants what it holds."""
        self._targets = dict(books)
        self._notes.clear()

    def clear(self, symbol: Symbol) -> None:
        """Forget what anybody wants of a symbol."""
        self._forget([key for key in self._targets if key[1] == symbol])

    def clear_strategy(self, strategy: StrategyId) -> None:
        """Forget what a strategy wants."""
        self._forget([key for key in self._targets if key[0] == strategy])

    # plans

    def plan(
        self,
        symbol: Symbol,
        *,
        books: Mapping[StrategyId, Decimal],
        price: PriceView,
        equity_usd: Decimal,
        order_value_max_usd: Decimal,
        is_fractionable: bool,
    ) -> Plan:
        """The next step from `books`, each strategy's signed shares of the symbol, towards the targets.

        Opposite changes meet inside at the mid. The rest becomes one order, cut to `order_value_max_usd` and, where it
        would turn a long position short or the reverse, to the position; the next bar goes on from there.
        """
        reference = reference_price(price)
        if reference is None:
            return Plan(transfers=(), order=None, reason="no price")
        step = QUANTITY_STEP if is_fractionable else ONE
        changes, reason = self._changes(
            symbol, books=books, band_usd=equity_usd * self._drift_band_fraction, reference=reference, step=step
        )
        met, rest = cross_inside(changes)
        transfers = _transfers(symbol, met, price=price, reference=reference)
        if not rest:
            return Plan(transfers=transfers, order=None, reason="crossed inside" if met else reason)
        wanted = sum(rest.values(), ZERO)
        quoted = quote_order(price, Side.BUY if wanted > ZERO else Side.SELL)
        if quoted is None:
            return Plan(transfers=transfers, order=None, reason="no price")
        position = sum(books.values(), ZERO)
        quantity, cut = _cut(wanted, position=position, value_max_usd=order_value_max_usd, quoted=quoted, step=step)
        if not quantity:
            return Plan(transfers=transfers, order=None, reason=f"below one share: {cut}")
        allocations = apportion(rest, quantity, step=step)
        order = _order(
            symbol, quantity=quantity, quoted=quoted, allocations=allocations, note=self._note(rest, symbol, cut)
        )
        return Plan(transfers=transfers, order=order, reason="")

    def _changes(
        self,
        symbol: Symbol,
        *,
        books: Mapping[StrategyId, Decimal],
        band_usd: Decimal,
        reference: Decimal,
        step: Decimal,
    ) -> tuple[dict[StrategyId, Decimal], str]:
        """Signed shares each strategy wants changed now, and why there is none where there is none."""
        changes: dict[StrategyId, Decimal] = {}
        reason = "no change"
        for strategy, held in books.items():
            wanted = self._targets.get((strategy, symbol), held)
            change = ((wanted - held) / step).to_integral_value(ROUND_DOWN) * step
            is_drift = held * wanted > ZERO  # same side before and after: not an entry, not an exit
            if not change:
                reason = reason if wanted == held else "below one share"
            elif is_drift and abs(change) * reference < band_usd:
                reason = "within drift band"
            else:
                changes[strategy] = change
        return changes, reason

    def _note(self, rest: Mapping[StrategyId, Decimal], symbol: Symbol, cut: str) -> str:
        notes = [self._notes.get((strategy, symbol), "") for strategy in sorted(rest)]
        return "; ".join(dict.fromkeys(note for note in (*notes, cut) if note))

    def _forget(self, keys: list[tuple[StrategyId, Symbol]]) -> None:
        for key in keys:
            del self._targets[key]
            self._notes.pop(key, None)


def _transfers(
    symbol: Symbol,
    met: tuple[Meeting, ...],
    *,
    price: PriceView,
    reference: Decimal,
) -> tuple[Transfer, ...]:
    """Meetings at the mid. Without a mid nobody knows a fair price: they wait, and the order is the same."""
    if price.mid is None:
        return ()
    return tuple(
        Transfer(
            from_strategy=each.seller,
            to_strategy=each.buyer,
            symbol=symbol,
            quantity=each.quantity,
            price=reference,
        )
        for each in met
    )


def _cut(
    wanted: Decimal, *, position: Decimal, value_max_usd: Decimal, quoted: Quoted, step: Decimal
) -> tuple[Decimal, str]:
    """Signed shares of one order, and what cut them, or ""."""
    quantity, cut = abs(wanted), ""
    sign = ONE if wanted > ZERO else -ONE
    if position * sign < ZERO and quantity > abs(position):
        quantity, cut = abs(position), f"cut to the position of {plain(abs(position))} shares, which must close first"
    worst = max(quoted.limit, quoted.reference)
    if quantity * worst > value_max_usd:
        quantity = max(value_max_usd, ZERO) / worst
        cut = f"cut to the order limit of {plain(value_max_usd)} USD"
    quantity = (quantity / step).to_integral_value(ROUND_DOWN) * step
    return quantity * sign, cut


def _order(
    symbol: Symbol, *, quantity: Decimal, quoted: Quoted, allocations: tuple[Allocation, ...], note: str
) -> PlannedOrder:
    assert allocations, "an order belongs to somebody"
    return PlannedOrder(
        symbol=symbol,
        side=Side.BUY if quantity > ZERO else Side.SELL,
        quantity=abs(quantity),
        limit_price=quoted.limit,
        reference_price=quoted.reference,
        declared_notional_usd=abs(quantity) * quoted.reference,
        allocations=allocations,
        strategy=allocations[0].strategy if len(allocations) == 1 else NET,
        note=note,
    )


def _check(
    weights: Mapping[StrategyId, Decimal], sizing: Mapping[StrategyId, SizingMethod], drift_band_fraction: Decimal
) -> None:
    total = sum(weights.values(), ZERO)
    if total > WEIGHT_SUM_MAX:
        raise ValueError(f"expected weights that add up to 1.00 at most, found {total}")
    for strategy, weight in weights.items():
        if not weight >= ZERO:
            raise ValueError(f"expected a weight of zero or more for {strategy}, found {weight}")
        if strategy not in sizing:
            raise ValueError(f"expected a sizing method for {strategy}, found none")
    if not ZERO <= drift_band_fraction < ONE:
        raise ValueError(f"expected a drift band of 0 to 1 of equity, found {drift_band_fraction}")
