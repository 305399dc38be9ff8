"""What the account is worth and what it may still buy. Decides margins and reservations (reference 2.13, 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal

import msgspec

from quant_trading_system.simulator.ledger import Books, Position
from quant_trading_system.simulator.numbers import ZERO
from quant_trading_system.simulator.orders import SimOrder

INITIAL_MARGIN = Decimal("0.5")  # Regulation T, of marginable long value
MAINTENANCE_MARGIN = Decimal("0.3")  # of long value at 2.50 USD a share or more
LOW_PRICE_USD = Decimal("2.50")  # below it the maintenance margin is the whole value
RATIO_STEP = Decimal("0.0000000000000001")  # sixteen decimals (reference 3.2)

PriceOf = Callable[[str], Decimal]


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """What `GET /v2/account` is written from; money in USD."""

    account_number: str
    cash: Decimal
    equity: Decimal
    last_equity: Decimal
    long_market_value: Decimal
    short_market_value: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    last_maintenance_margin: Decimal
    multiplier: int
    buying_power: Decimal
    regt_buying_power: Decimal
    non_marginable_buying_power: Decimal
    sma: Decimal
    accrued_fees: Decimal
    shorting_enabled: bool
    balance_asof: date
    created_at_ns: int


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """What a position is written from; money in USD, ratios as fractions."""

    asset_id: str
    symbol: str
    exchange: str
    qty: Decimal
    qty_available: Decimal
    avg_entry_price: Decimal
    side: str
    market_value: Decimal
    cost_basis: Decimal
    unrealized_pl: Decimal
    unrealized_plpc: Decimal
    unrealized_intraday_pl: Decimal
    unrealized_intraday_plpc: Decimal
    current_price: Decimal
    lastday_price: Decimal
    change_today: Decimal


class Margins(msgspec.Struct, frozen=True, kw_only=True):
    """The value of what is held and the margin it ties up, USD."""

    long_market_value: Decimal
    short_market_value: Decimal
    equity: Decimal
    initial: Decimal
    maintenance: Decimal


def margins(books: Books, price_of: PriceOf) -> Margins:
    """Value the books at current prices."""
    long_value = short_value = maintenance = ZERO
    for position in books.positions():
        price = price_of(position.symbol)
        value = position.qty * price
        if value >= ZERO:
            long_value += value
        else:
            short_value += value
        maintenance += abs(value) * (MAINTENANCE_MARGIN if price >= LOW_PRICE_USD else Decimal(1))
    return Margins(
        long_market_value=long_value,
        short_market_value=short_value,
        equity=books.cash + long_value + short_value,
        initial=(long_value - short_value) * INITIAL_MARGIN,
        maintenance=maintenance,
    )


def reserved_by(orders: Iterable[SimOrder]) -> Decimal:
    """USD that open buys hold: what is left of each at the price it was checked at."""
    return sum((reservation(order) for order in orders if order.is_buy and order.is_open), start=ZERO)


def reservation(order: SimOrder) -> Decimal:
    """USD that the rest of a buy may cost."""
    if order.notional is not None and order.qty is None:
        return max(ZERO, order.notional - order.filled_cost)
    return order.remaining() * order.check_price


def buying_power(*, multiplier: int, cash: Decimal, held: Margins, reserved: Decimal) -> Decimal:
    """USD that new orders may cost. 1: cash; 2: twice the equity above the initial margin (reference 2.13)."""
    power = cash if multiplier == 1 else (held.equity - held.initial) * multiplier
    return max(ZERO, power - reserved)


def position_view(
    position: Position, *, asset_id: str, exchange: str, price: Decimal, lastday_price: Decimal, held_qty: Decimal
) -> PositionView:
    """Value one position. `held_qty` is what open closing orders hold."""
    market_value = position.qty * price
    intraday_basis = position.overnight_qty * lastday_price + position.intraday_cost
    unrealized = market_value - position.cost
    intraday = market_value - intraday_basis
    return PositionView(
        asset_id=asset_id,
        symbol=position.symbol,
        exchange=exchange,
        qty=position.qty,
        qty_available=abs(position.qty) - held_qty,
        avg_entry_price=position.avg_entry_price,
        side="long" if position.qty > ZERO else "short",
        market_value=market_value,
        cost_basis=position.cost,
        unrealized_pl=unrealized,
        unrealized_plpc=_ratio(unrealized, abs(position.cost)),
        unrealized_intraday_pl=intraday,
        unrealized_intraday_plpc=_ratio(intraday, abs(intraday_basis)),
        current_price=price,
        lastday_price=lastday_price,
        change_today=_ratio(price - lastday_price, lastday_price),
    )


def _ratio(part: Decimal, whole: Decimal) -> Decimal:
    return (part / whole).quantize(RATIO_STEP) if whole else ZERO
