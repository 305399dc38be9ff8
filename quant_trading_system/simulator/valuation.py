"""What things are worth right now, by the market the exchange plays. Decides which price counts for what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.account import (
    AccountState,
    Base,
    Margins,
    PositionView,
    Reserved,
    buying_power,
    equity_of,
    is_cash_only,
    multiplier_in_force,
    non_marginable_buying_power,
    position_view,
    regt_buying_power,
)
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.configurations import Permissions
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.ledger import Books
from quant_trading_system.simulator.market.source import MarketSource
from quant_trading_system.simulator.marks import Marks
from quant_trading_system.simulator.matching import collar
from quant_trading_system.simulator.numbers import QTY_STEP, ZERO, exact
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.positions import Position
from quant_trading_system.simulator.refusals import Refusal, forbidden
from quant_trading_system.simulator.reservations import Reservations
from quant_trading_system.simulator.settings import ExchangeSettings

SHORT_PRICE_FACTOR = Decimal("1.03")  # of the ask: what a short sale is checked at, at least (reference 2.13)
TWO = Decimal(2)


class Valuation:
    """Prices, margins and what is free, of one account."""

    def __init__(
        self,
        *,
        settings: ExchangeSettings,
        market: MarketSource,
        books: Books,
        index: OrderIndex,
        assets: Mapping[str, SimAsset],
        permissions: Permissions,
    ) -> None:
        self._settings = settings
        self._market = market
        self._books = books
        self._assets = assets
        self._permissions = permissions
        self.marks = Marks(books, price_of=self._price_of_held, asset_of=assets.__getitem__)
        self.reservations = Reservations(index, is_cash_only=lambda symbol: is_cash_only(assets[symbol]))
        self._splits: dict[str, tuple[date, Decimal]] = {}
        self.last_equity = settings.cash
        self.last_maintenance_margin = ZERO

    # --- prices -------------------------------------------------------------------------------------------------------

    def last_price(self, symbol: str) -> Decimal | None:
        """USD of the last trade, else the last close known; None where the symbol has never traded."""
        trade = self._market.latest_trade(symbol)
        if trade is None:
            return None
        price, split = exact(trade.price), self._splits.get(symbol)
        if split is not None and new_york_date(trade.ts_ns) < split[0]:
            return _of_new_share(price, split[1])  # printed before the split: nobody has traded the new shares yet
        return price

    def current_price(self, symbol: str, now_ns: Nanos) -> Decimal | None:
        """USD a share that positions are valued at: last trade, else last close."""
        price = self.last_price(symbol)
        if price is not None:
            return price
        return self.lastday_price(symbol, now_ns)

    def lastday_price(self, symbol: str, now_ns: Nanos) -> Decimal | None:
        today = new_york_date(now_ns)
        close = self._market.last_close(symbol, today)
        if close is None:
            return None
        split, sessions = self._splits.get(symbol), calendar.sessions_before(today, 1)
        is_of_old_shares = split is not None and bool(sessions) and sessions[0].day < split[0] <= today
        return _of_new_share(exact(close), split[1]) if split is not None and is_of_old_shares else exact(close)

    def note_split(self, symbol: str, ex_date: date, ratio: Decimal) -> None:
        """From a date on a share is a part of what it was: prices from before are divided."""
        self._splits[symbol] = (ex_date, ratio)

    def check_price(self, order: SimOrder, now_ns: Nanos) -> Decimal | None:
        """USD a share that an order is checked and reserved at (reference 2.13).

        A buy: the limit; for a stop, its collar; for a market order the ask in regular hours, the middle of the quote
        in extended ones, else the last price, with the collar that market buys have. A short sale: its limit or 1.03
        times the ask, whichever is more.
        """
        if order.position_intent == "sell_to_open":
            ask = self._quoted_price(order.symbol, now_ns) or self.current_price(order.symbol, now_ns)
            least = ZERO if ask is None else ask * SHORT_PRICE_FACTOR
            return max(least, order.limit_price or order.stop_price or ZERO) or None
        if order.limit_price is not None:
            return order.limit_price
        if order.stop_price is not None:
            return collar(order.stop_price)
        price = self._quoted_price(order.symbol, now_ns) or self.current_price(order.symbol, now_ns)
        return None if price is None else collar(price)

    def _quoted_price(self, symbol: str, now_ns: Nanos) -> Decimal | None:
        """By a quote of the running phase: the ask in regular hours and of coins, else the middle."""
        quote = self._market.latest_quote(symbol)
        if quote is None or not quote.ask_price > 0:
            return None
        if self._assets[symbol].asset_class == "crypto":
            return exact(quote.ask_price)
        session = calendar.session_at(now_ns)
        if session is not None:
            return exact(quote.ask_price) if quote.ts_ns >= session.open_ns else None
        if calendar.phase_at(now_ns) == "closed" or new_york_date(quote.ts_ns) != new_york_date(now_ns):
            return None
        return (exact(quote.ask_price) + exact(quote.bid_price)) / TWO

    # --- what is free -------------------------------------------------------------------------------------------------

    def margins(self, now_ns: Nanos) -> Margins:
        return self.marks.totals(now_ns)

    def equity(self, now_ns: Nanos) -> Decimal:
        return equity_of(self._books.cash, self.margins(now_ns))

    def buying_power(self, now_ns: Nanos, *, without: SimOrder | None = None) -> Decimal:
        """USD free for new orders of marginable assets; `without` leaves out an order that is to be replaced."""
        held = self.margins(now_ns)
        return buying_power(
            multiplier=self._multiplier(held), base=self._base(), held=held, reserved=self._reserved(without)
        )

    def power_for(self, order: SimOrder, now_ns: Nanos, *, without: SimOrder | None = None) -> Decimal:
        """USD that an opening order may cost: coins, and what else cannot be bought on margin, have their own."""
        asset = self._assets[order.symbol]
        if asset.asset_class == "crypto":
            return non_marginable_buying_power(
                base=self._base(), held=self.margins(now_ns), reserved=self._reserved(without)
            )
        power = self.buying_power(now_ns, without=without)
        return power / self._multiplier(self.margins(now_ns)) if is_cash_only(asset) else power

    def held_qty(self, symbol: str) -> tuple[Decimal, list[SimOrder]]:
        """Shares of a symbol that open closing orders hold, and which."""
        held = self.reservations.held_qty(symbol)
        return held, self.reservations.holders(symbol) if held else []

    def refuse_short(self, now_ns: Nanos) -> Refusal | None:
        """Why a short sale is refused: broker, holder or too little equity; None where it is not."""
        if self._is_short_allowed(now_ns):
            return None
        return forbidden("account is not allowed to short")

    # --- views --------------------------------------------------------------------------------------------------------

    def account(self, now_ns: Nanos) -> AccountState:
        """The account as it stands."""
        held, base, reserved = self.margins(now_ns), self._base(), self._reserved(None)
        multiplier = self._multiplier(held)
        equity = equity_of(base.cash, held)
        free = regt_buying_power(base=base, held=held, reserved=reserved)
        flags = self._permissions.flags
        closed = calendar.session_closed_by(now_ns)
        return AccountState(
            account_number=self._settings.account_number,
            status=flags.status,
            cash=base.cash,
            equity=equity,
            last_equity=self.last_equity,
            long_market_value=held.long_market_value,
            short_market_value=held.short_market_value,
            initial_margin=held.initial,
            maintenance_margin=held.maintenance,
            last_maintenance_margin=self.last_maintenance_margin,
            multiplier=multiplier,
            buying_power=buying_power(multiplier=multiplier, base=base, held=held, reserved=reserved),
            regt_buying_power=free if multiplier > 1 else max(ZERO, base.cash - reserved.whole),
            non_marginable_buying_power=non_marginable_buying_power(base=base, held=held, reserved=reserved),
            options_buying_power=free / TWO,
            sma=max(ZERO, equity - held.initial),
            accrued_fees=self._books.unposted_fees,
            intraday_adjustments=base.adjustments_today,
            shorting_enabled=self._is_short_allowed(now_ns),
            trading_blocked=flags.trading_blocked,
            transfers_blocked=flags.transfers_blocked,
            account_blocked=flags.account_blocked,
            trade_suspended_by_user=self._permissions.is_suspended,
            day_trades=self._books.day_trades,
            configurations=self._permissions.configurations,
            balance_asof=closed.day if closed else new_york_date(now_ns),
            created_at_ns=self._settings.start_ns,
        )

    def position(self, position: Position, asset: SimAsset, now_ns: Nanos) -> PositionView:
        """One position at current prices."""
        price = self._price_of_held(position.symbol, now_ns)
        return position_view(
            position,
            asset,
            price=price,
            lastday_price=self.lastday_price(position.symbol, now_ns) or price,
            held_qty=self.reservations.held_qty(position.symbol),
        )

    def check(self, now_ns: Nanos) -> None:
        """Assert that every running total is what a computation from scratch makes."""
        self.marks.check(now_ns)
        self.reservations.check()

    def _is_short_allowed(self, now_ns: Nanos) -> bool:
        return self._permissions.shorting_enabled and self._multiplier(self.margins(now_ns)) > 1

    def _base(self) -> Base:
        return Base(
            cash=self._books.cash,
            last_equity=self.last_equity,
            last_maintenance=self.last_maintenance_margin,
            adjustments_today=self._books.adjustments_today,
        )

    def _reserved(self, without: SimOrder | None) -> Reserved:
        return self.reservations.reserved if without is None else self.reservations.without(without)

    def _multiplier(self, held: Margins) -> int:
        return multiplier_in_force(granted=self._permissions.multiplier, equity=equity_of(self._books.cash, held))

    def _price_of_held(self, symbol: str, now_ns: Nanos) -> Decimal:
        price = self.current_price(symbol, now_ns)
        if price is not None:
            return price
        held = self._books.position(symbol)
        assert held is not None, f"{symbol}: expected a position or a price, found neither"
        return held.avg_entry_price


def _of_new_share(price: Decimal, ratio: Decimal) -> Decimal:
    """What a price of an old share says of one of the new, to nine decimals: a quotient in full would never add up."""
    return (price / ratio).quantize(QTY_STEP)
