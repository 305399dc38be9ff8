"""What the account is worth and what it may still buy. Decides margins and buying power (reference 2.13, 4.1).

Buying power by multiplier:

* 1: cash, less what open orders reserve. So has every account with less than 2,000 USD of equity.
* 2: twice the equity above the initial margin, less reservations.
* 4: four times what last night's equity left above its maintenance margin (plus deposits and withdrawals since). It is
  fixed for the day: positions of last night neither use it nor give it back when they are sold. A position opened today
  uses it at what it cost and gives it back when it is closed. Source: Alpaca's account page for the base; for the use
  during the day Alpaca's support in its forum ("Margin variance", "Paper balance acts different"): reduced when a day
  trade is opened, restored when it is closed, never above the base. That use is counted at cost, and that shares held
  over night are sold first, is inferred.

What cannot be bought on margin (crypto, assets that are not marginable) uses the multiple of what it costs, because a
dollar of it takes a dollar of equity.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.configurations import Configurations
from quant_trading_system.simulator.numbers import ZERO
from quant_trading_system.simulator.positions import Position

INITIAL_MARGIN = Decimal("0.5")  # Regulation T, of marginable value on either side
WHOLE = Decimal(1)
LONG_LOW_PRICE_USD = Decimal("2.50")  # below it a long position's maintenance margin is its whole value
SHORT_LOW_PRICE_USD = Decimal(5)
SHORT_MAINTENANCE = Decimal("0.3")
SHORT_USD_A_SHARE = Decimal(5)  # the least for a short share at 5 USD or more
SHORT_LOW_USD_A_SHARE = Decimal("2.50")  # the least for one below
MARGIN_EQUITY_USD_MIN = Decimal(2_000)  # less is a cash account, without shorting
RATIO_STEP = Decimal("0.0000000000000001")  # sixteen decimals (reference 3.2)
_PERCENT = Decimal(100)


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """What `GET /v2/account` is written from; money in USD."""

    account_number: str
    status: str
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
    options_buying_power: Decimal
    sma: Decimal
    accrued_fees: Decimal
    intraday_adjustments: Decimal
    shorting_enabled: bool
    trading_blocked: bool
    transfers_blocked: bool
    account_blocked: bool
    trade_suspended_by_user: bool
    day_trades: int
    configurations: Configurations
    balance_asof: date
    created_at_ns: int


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """What a position is written from; money in USD, ratios as fractions."""

    asset_id: str
    symbol: str
    exchange: str
    asset_class: str
    asset_marginable: bool
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

    long_market_value: Decimal = ZERO
    short_market_value: Decimal = ZERO
    initial: Decimal = ZERO
    maintenance: Decimal = ZERO
    opened_today: Decimal = ZERO  # cost of marginable positions opened today
    opened_today_cash_only: Decimal = ZERO  # the same of what cannot be bought on margin

    def plus(self, other: Margins) -> Margins:
        return Margins(
            long_market_value=self.long_market_value + other.long_market_value,
            short_market_value=self.short_market_value + other.short_market_value,
            initial=self.initial + other.initial,
            maintenance=self.maintenance + other.maintenance,
            opened_today=self.opened_today + other.opened_today,
            opened_today_cash_only=self.opened_today_cash_only + other.opened_today_cash_only,
        )

    def minus(self, other: Margins) -> Margins:
        return Margins(
            long_market_value=self.long_market_value - other.long_market_value,
            short_market_value=self.short_market_value - other.short_market_value,
            initial=self.initial - other.initial,
            maintenance=self.maintenance - other.maintenance,
            opened_today=self.opened_today - other.opened_today,
            opened_today_cash_only=self.opened_today_cash_only - other.opened_today_cash_only,
        )


NOTHING_HELD = Margins()


class Reserved(msgspec.Struct, frozen=True, kw_only=True):
    """USD that open orders hold: for what can be bought on margin, and for what cannot."""

    marginable: Decimal = ZERO
    cash_only: Decimal = ZERO

    @property
    def whole(self) -> Decimal:
        return self.marginable + self.cash_only


NOTHING_RESERVED = Reserved()


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """What buying power begins with, USD."""

    cash: Decimal
    last_equity: Decimal
    last_maintenance: Decimal
    adjustments_today: Decimal = ZERO  # deposits less withdrawals since the day began


def is_cash_only(asset: SimAsset) -> bool:
    """Whether nothing of an asset's price can be borrowed."""
    return asset.asset_class == "crypto" or not asset.marginable


def margins_of(position: Position, price: Decimal, asset: SimAsset) -> Margins:
    """Value one position at a price in USD, and the margin that it ties up."""
    value = position.qty * price
    cash_only = is_cash_only(asset)
    maintenance = abs(value) * WHOLE if cash_only else _maintenance(position.qty, price, asset)
    opened_today = abs(position.intraday_cost)
    return Margins(
        long_market_value=max(value, ZERO),
        short_market_value=min(value, ZERO),
        initial=abs(value) if cash_only else max(abs(value) * INITIAL_MARGIN, maintenance),
        maintenance=maintenance,
        opened_today=ZERO if cash_only else opened_today,
        opened_today_cash_only=opened_today if cash_only else ZERO,
    )


def _maintenance(qty: Decimal, price: Decimal, asset: SimAsset) -> Decimal:
    """Alpaca's table of maintenance margins; an asset's own requirement where it is higher."""
    own_rate = Decimal(asset.margin_requirement) / _PERCENT
    if qty >= ZERO:
        return qty * price * (own_rate if price >= LONG_LOW_PRICE_USD else max(WHOLE, own_rate))
    if price >= SHORT_LOW_PRICE_USD:
        return -qty * max(SHORT_USD_A_SHARE, price * max(SHORT_MAINTENANCE, own_rate))
    return -qty * max(SHORT_LOW_USD_A_SHARE, price * max(WHOLE, own_rate))


def multiplier_in_force(*, granted: int, equity: Decimal) -> int:
    """The multiplier that equity allows: margin needs 2,000 USD."""
    return granted if equity >= MARGIN_EQUITY_USD_MIN else 1


def buying_power(*, multiplier: int, base: Base, held: Margins, reserved: Reserved) -> Decimal:
    """USD that new orders for marginable assets may cost; see this module's docstring."""
    if multiplier == 1:
        return max(ZERO, base.cash - reserved.whole)
    if multiplier == 2:
        power = (equity_of(base.cash, held) - held.initial) * multiplier
    else:
        power = (base.last_equity - base.last_maintenance + base.adjustments_today) * multiplier
        power -= held.opened_today + held.opened_today_cash_only * multiplier
    return max(ZERO, power - reserved.marginable - reserved.cash_only * multiplier)


def regt_buying_power(*, base: Base, held: Margins, reserved: Reserved) -> Decimal:
    """USD that may be bought and held over night: twice the equity above the initial margin."""
    power = (equity_of(base.cash, held) - held.initial) * 2
    return max(ZERO, power - reserved.marginable - reserved.cash_only * 2)


def non_marginable_buying_power(*, base: Base, held: Margins, reserved: Reserved) -> Decimal:
    """USD that may be spent on what cannot be bought on margin: cash that no margin needs."""
    free = min(base.cash, equity_of(base.cash, held) - held.initial)
    return max(ZERO, free - reserved.whole)


def equity_of(cash: Decimal, held: Margins) -> Decimal:
    return cash + held.long_market_value + held.short_market_value


def position_view(
    position: Position, asset: SimAsset, *, price: Decimal, lastday_price: Decimal, held_qty: Decimal
) -> PositionView:
    """Value one position. `held_qty` is what open closing orders hold."""
    market_value = position.qty * price
    intraday_basis = position.overnight_qty * lastday_price + position.intraday_cost
    unrealized = market_value - position.cost
    intraday = market_value - intraday_basis
    return PositionView(
        asset_id=asset.id,
        symbol=position.symbol,
        exchange=asset.exchange,
        asset_class=asset.asset_class,
        asset_marginable=asset.marginable,
        qty=position.qty,
        qty_available=_available(position.qty, held_qty),
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


def _available(qty: Decimal, held_qty: Decimal) -> Decimal:
    """Signed as the position is: what of it no closing order holds."""
    free = max(ZERO, abs(qty) - held_qty)
    return free if qty > ZERO else -free


def _ratio(part: Decimal, whole: Decimal) -> Decimal:
    return (part / whole).quantize(RATIO_STEP) if whole else ZERO
