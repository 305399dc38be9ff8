"""The exchange as one object: time moves it, clients ask it, its events and books are taken from it.

Synchronous, without a clock and without chance of its own: venue time is passed in, draws are functions of the seed.
Everything that changes is in the journal before the call that changed it returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

import msgspec

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator import change_rules, order_classes
from quant_trading_system.simulator.account import AccountState, PositionView
from quant_trading_system.simulator.activities import Activity, ActivityQuery
from quant_trading_system.simulator.asset_list import AssetList
from quant_trading_system.simulator.assets import SimAsset, assets_of
from quant_trading_system.simulator.back_office import BackOffice
from quant_trading_system.simulator.booking import Bookkeeper
from quant_trading_system.simulator.chance import Chance
from quant_trading_system.simulator.configurations import AccountFlags, Configurations, Permissions
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.corporate_desk import CorporateDesk
from quant_trading_system.simulator.desk import OrderDesk
from quant_trading_system.simulator.events import Execution, MarketEvent, OrderEvent
from quant_trading_system.simulator.halts import BREAKERS, KINDS
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.intake import Intake
from quant_trading_system.simulator.journal import Journal, WatchlistRecord
from quant_trading_system.simulator.ledger import Books, Entry, execution_row, non_trade_row
from quant_trading_system.simulator.market.source import MarketSource
from quant_trading_system.simulator.matching import Fill
from quant_trading_system.simulator.numbers import plain
from quant_trading_system.simulator.order_index import OrderIndex, OrderQuery
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.portfolio_history import History, HistoryQuery
from quant_trading_system.simulator.positions import Position
from quant_trading_system.simulator.recorder import Recorder
from quant_trading_system.simulator.refusals import Refusal, invalid, position_not_found, unprocessable
from quant_trading_system.simulator.requests import OrderChange, OrderRequest
from quant_trading_system.simulator.restore import Holders, restore
from quant_trading_system.simulator.schedule import Schedule
from quant_trading_system.simulator.sessions import CRYPTO
from quant_trading_system.simulator.settings import ExchangeSettings
from quant_trading_system.simulator.symbol_state import SymbolState
from quant_trading_system.simulator.trading_day import MarketTape, make_trading_day
from quant_trading_system.simulator.valuation import Valuation
from quant_trading_system.simulator.watchlists import Watchlist, Watchlists


class CloseResult(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the 207 that closing everything answers.

    `symbol` is the order's id where the entry is about a cancelled order, as Alpaca has it (reference 3.3).
    """

    symbol: str
    http_status: int
    order: SimOrder | None = None
    refusal: Refusal | None = None


class CancelResult(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the 207 that cancelling everything answers; of a leg, `order` is its parent (reference 2.9)."""

    order_id: str
    http_status: int
    order: SimOrder


class Exchange:
    """One account at one venue.

    Args:
        settings: the account and the venue's manners.
        market: what is played; owned by the exchange from here on.
        journal: where changes are kept; an exchange on the journal of an earlier one goes on with its books, its open
            orders and its venue time. None keeps nothing.

    Raises:
        JournalError: the journal is of a world with another start, seed or cash.
    """

    def __init__(self, *, settings: ExchangeSettings, market: MarketSource, journal: Journal | None) -> None:
        self.settings = settings
        self.market = market
        self.restored_events: Sequence[OrderEvent] = ()  # the last that the journal tells of, oldest first
        self._journal = journal
        self._chance = Chance(settings.seed)
        self._asset_list = AssetList(assets_of(market.symbols))
        self._index = OrderIndex()
        self._books = Books(settings.cash)
        self._permissions = Permissions(settings)
        self._schedule = Schedule()
        self._recorder = Recorder(journal)
        self._valuation = Valuation(
            settings=settings,
            market=market,
            books=self._books,
            index=self._index,
            assets=self._asset_list.by_symbol,
            permissions=self._permissions,
        )
        self._recorder.on_change = self._valuation.reservations.note
        self._desk = OrderDesk(
            settings=settings,
            chance=self._chance,
            index=self._index,
            books=self._books,
            schedule=self._schedule,
            recorder=self._recorder,
        )
        self._bookkeeper = Bookkeeper(
            books=self._books, chance=self._chance, index=self._index, recorder=self._recorder
        )
        self._office = self._make_office()
        self.watchlists = Watchlists(self._chance, asset=self._asset_list.find, keep=self._keep_watchlist)
        self._tape = MarketTape()
        self._day = make_trading_day(
            settings=settings,
            chance=self._chance,
            market=market,
            assets=self._asset_list.by_symbol,
            schedule=self._schedule,
            desk=self._desk,
            index=self._index,
            office=self._office,
            valuation=self._valuation,
            recorder=self._recorder,
            tape=self._tape,
        )
        self._floor = self._day.floor
        self._intake = Intake(
            rulebook=settings.rulebook,
            permissions=self._permissions,
            chance=self._chance,
            find_asset=self._find_asset,
            is_halted=self._floor.is_halted,
            index=self._index,
            books=self._books,
            valuation=self._valuation,
        )
        self._begin()

    def _make_office(self) -> BackOffice:
        corporate = CorporateDesk(
            market=self.market,
            assets=self._asset_list,
            books=self._books,
            bookkeeper=self._bookkeeper,
            index=self._index,
            recorder=self._recorder,
            cancel=self._desk.cancel_now,
            note_split=self._valuation.note_split,
            applied_until=new_york_date(self.settings.start_ns) - timedelta(days=1),
        )
        return BackOffice(
            settings=self.settings,
            books=self._books,
            bookkeeper=self._bookkeeper,
            corporate=corporate,
            valuation=self._valuation,
            permissions=self._permissions,
            recorder=self._recorder,
        )

    # --- time ---------------------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> Nanos:
        """Venue time up to which everything has happened."""
        return self._now_ns

    @property
    def finished(self) -> bool:
        """Whether the last session of a recorded market is over."""
        end_ns = self.market.end_ns
        return end_ns is not None and self._now_ns >= end_ns

    def advance(self, now_ns: Nanos) -> None:
        """Play the market and everything planned up to venue time `now_ns`; a time that has passed does nothing.

        At most `trading_day.EVENTS_PER_ADVANCE_MAX` messages are played: where `self.now_ns` is still behind
        afterwards, call again.
        """
        self._day.advance(now_ns)
        self._recorder.commit(self._now_ns)

    @property
    def market_events_dropped(self) -> int:
        """How many market events nobody took in time."""
        return self._tape.dropped

    def take_market_events(self) -> list[MarketEvent]:
        """What the market said since the last call, in order."""
        return self._tape.take()

    def take_order_events(self) -> list[OrderEvent]:
        """What happened to orders since the last call, in order, for `trade_updates`."""
        return self._recorder.take_events()

    def set_status(self, symbol: str, kind: str) -> None:
        """Halt or resume a symbol, as `halts.KINDS` say; a market-wide breaker halts all equities, whatever the symbol.

        Raises:
            Refusal: no such status or symbol, or a breaker outside its hours.
        """
        if kind not in KINDS:
            raise invalid(f"status must be one of {', '.join(KINDS)}")
        if kind not in BREAKERS:
            asset = self.asset(symbol)
            if asset.asset_class == CRYPTO:
                raise invalid("trading statuses are of equities")
            symbol = asset.symbol
        self._floor.halts.set_status(symbol, kind, self._now_ns)
        self._recorder.commit(self._now_ns)

    def is_halted(self, symbol: str) -> bool:
        """Whether a symbol that there is stands still."""
        return self._floor.is_halted(symbol)

    def is_short_restricted(self, symbol: str) -> bool:
        """Whether short sales of a symbol that there is may execute above the bid only (SEC Rule 201)."""
        return self._floor.is_short_restricted(symbol, self._now_ns)

    def view_crypto(self, is_viewed: bool) -> None:
        """Whether somebody listens to crypto, so that it is to be played; open crypto orders need it in any case."""
        self._day.attendance.view_crypto(is_viewed)

    def view_extended_hours(self, is_viewed: bool) -> None:
        """Whether somebody looks at the hours around the session, which a clock may skip; open orders for them do."""
        self._day.attendance.view_extended_hours(is_viewed)

    # --- orders -------------------------------------------------------------------------------------------------------

    def submit(self, request: OrderRequest) -> SimOrder:
        """Take a new order, with its legs.

        Raises:
            Refusal: Alpaca's answer where it is not taken.
        """
        order, *legs = self._intake.admit(request, self._now_ns)
        self._desk.enter(order, legs, self._now_ns, is_routable=self._floor.takes(order))
        self._day.expect(order)
        self._recorder.commit(self._now_ns)
        return order

    def external_order(self, request: OrderRequest) -> SimOrder:
        """Take an order that somebody gave in the broker's own app; its client id is always the exchange's.

        Raises:
            Refusal: as `submit`.
        """
        return self.submit(msgspec.structs.replace(request, client_order_id=None, source="app"))

    def replace(self, order_id: str, change: OrderChange) -> SimOrder:
        """Ask for an order to be replaced; the answer is the new one (reference 2.8).

        Raises:
            Refusal: unknown, not replaceable now, or the change is not granted.
        """
        old = self._index.get(order_id)
        new = self._intake.admit_replacement(old, change, self._now_ns)
        self._desk.enter_replacement(old, new, self._now_ns)
        self._recorder.commit(self._now_ns)
        return new

    def cancel(self, order_id: str) -> None:
        """Ask for a cancel; a fill may be faster.

        Raises:
            Refusal: unknown, already asked for, or final.
        """
        order = self._index.get(order_id)
        refusal = change_rules.refuse_cancel(order)
        if refusal is not None:
            raise refusal
        if order.is_open:
            self._desk.request_cancel(order, self._now_ns)
            self._recorder.commit(self._now_ns)

    def cancel_all(self) -> list[CancelResult]:
        """Ask for a cancel of every open order, the newest first; each with the status of its own answer.

        Legs that are held end with their group and are not told of (recorded 2021-06-03 and 2021-06-17).
        """
        answers: list[CancelResult] = []
        for order in reversed(self._index.open()):
            if order.status == "held":
                continue
            refusal = change_rules.refuse_cancel(order) if order.is_open else None
            if refusal is None and order.is_open:
                self._desk.request_cancel(order, self._now_ns)
            answers.append(
                CancelResult(
                    order_id=order.id,
                    http_status=refusal.http_status if refusal else 200,
                    order=order_classes.parent_of(order, self._index),
                )
            )
        self._recorder.commit(self._now_ns)
        return answers

    def legs(self, order: SimOrder) -> list[SimOrder]:
        """The legs of an order as they are now, take-profit first; none of a simple one or of a leg."""
        return order_classes.legs_of(order, self._index)

    def doom(self, order_id: str, *, delay_ns: int, is_silent: bool = False) -> None:
        """A fault: an order that was answered with 200 is rejected some venue time later, with an event or without.

        Raises:
            Refusal: unknown.
        """
        order = self._index.get(order_id)
        if order.is_open:
            self._desk.doom(order, Nanos(self._now_ns + delay_ns), is_silent=is_silent)
            self._recorder.commit(self._now_ns)

    def order(self, order_id: str) -> SimOrder:
        """An order by its id. Raises Refusal 404, or 422 where it is no id."""
        return self._index.get(order_id)

    def order_by_client_id(self, client_order_id: str) -> SimOrder:
        """An order by its sender's name for it. Raises Refusal 404."""
        return self._index.get_by_client_id(client_order_id)

    def orders(self, query: OrderQuery | None = None) -> list[SimOrder]:
        """Orders as a client filters them. Raises Refusal 422 for a filter that makes no sense."""
        query = query or OrderQuery()
        if query.symbols:
            query = msgspec.structs.replace(query, symbols=frozenset(map(self._symbol, query.symbols)))
        return self._index.select(query)

    def fill_out_of_the_blue(
        self, order_id: str, *, qty: Decimal | None = None, price: Decimal | None = None
    ) -> Execution:
        """A fault: an open order fills although the market did not come to it, or before something else arrived.

        Args:
            qty: shares, all that is left unless said; no more than that.
            price: USD a share; its limit or stop price, else the last one.

        Raises:
            Refusal: unknown, final, or nothing says at what price.
        """
        order = self._index.get(order_id)
        if not order.is_open:
            raise unprocessable(f'order is already in "{order.status}" state')
        at = price or order.limit_price or order.stop_price or self._valuation.last_price(order.symbol)
        if at is None:
            raise unprocessable(f"no price of {order.symbol} to fill at")
        wanted = min(qty or order.remaining(at), order.remaining(at))
        execution = self._desk.fill(order, Fill(wanted, at), self._now_ns)
        self._recorder.commit(self._now_ns)
        return execution

    @property
    def cancels_stuck(self) -> bool:
        """A fault: while it is set, cancel requests stay `pending_cancel`; cleared, they go on."""
        return self._desk.holds_cancels

    @cancels_stuck.setter
    def cancels_stuck(self, stuck: bool) -> None:
        self._desk.hold_cancels(stuck=stuck, now_ns=self._now_ns)

    # --- positions ----------------------------------------------------------------------------------------------------

    def positions(self) -> list[PositionView]:
        """Open positions by symbol, at current prices."""
        return [self._view(position) for position in self._books.positions()]

    def position(self, symbol_or_asset_id: str) -> PositionView:
        """One position. Raises Refusal 404."""
        return self._view(self._held(symbol_or_asset_id))

    def close_position(
        self, symbol_or_asset_id: str, *, qty: Decimal | None = None, percentage: Decimal | None = None
    ) -> SimOrder:
        """Sell a position, or a part of it, at the market.

        Raises:
            Refusal: none held (404), shares held by open orders (403), or a part that makes no sense (422).
        """
        symbol = self._held(symbol_or_asset_id).symbol
        return self.submit(self._intake.closing_request(symbol, qty=qty, percentage=percentage))

    def close_all(self, *, cancel_orders: bool) -> list[CloseResult]:
        """Ask for everything to be sold. With `cancel_orders`, cancels are asked for first; they are not waited for,
        so positions behind open sells are refused in the same answer (reference 0.8, W7)."""
        answers = [
            CloseResult(symbol=result.order_id, http_status=result.http_status, order=result.order)
            for result in (self.cancel_all() if cancel_orders else [])
        ]
        for position in self._books.positions():
            try:
                order = self.close_position(position.symbol)
            except Refusal as refusal:
                answers.append(CloseResult(symbol=position.symbol, http_status=refusal.http_status, refusal=refusal))
            else:
                answers.append(CloseResult(symbol=position.symbol, http_status=200, order=order))
        return answers

    # --- account, assets, books ---------------------------------------------------------------------------------------

    def account(self) -> AccountState:
        return self._valuation.account(self._now_ns)

    @property
    def account_flags(self) -> AccountFlags:
        """What the broker has set on the account: a fault, gone with a restart."""
        return self._permissions.flags

    @account_flags.setter
    def account_flags(self, flags: AccountFlags) -> None:
        self._permissions.flags = flags

    @property
    def configurations(self) -> Configurations:
        return self._permissions.configurations

    def configure(self, body: Mapping[str, object]) -> Configurations:
        """Change configurations as `PATCH /v2/account/configurations` asks. Raises Refusal 422."""
        self._office.configure(body)
        self._recorder.commit(self._now_ns)
        return self._permissions.configurations

    def activities(self, query: ActivityQuery | None = None) -> list[Activity]:
        """Activities as `GET /v2/account/activities` pages them. Raises Refusal 422."""
        return self._books.activities.select(query or ActivityQuery())

    @property
    def entries_booked(self) -> int:
        return self._books.entries_booked

    def entries(self, first: int) -> Sequence[Entry]:
        """What was entered in the books, in order, from a number on."""
        return self._books.entries(first)

    def portfolio_history(self, query: HistoryQuery | None = None) -> History:
        """The account's equity over time. Raises Refusal 422."""
        return self._office.read_history(query or HistoryQuery(), self._now_ns)

    def transfer(self, amount_usd: Decimal) -> None:
        """Book a deposit, or with less than 0 a withdrawal. Raises Refusal: blocked, or more than there is."""
        self._office.transfer(amount_usd, self._now_ns)
        self._recorder.commit(self._now_ns)

    def bust(self, execution_id: str) -> None:
        """Take an execution back, as the venue did not make it. Raises Refusal: none that stands."""
        self._bookkeeper.bust(execution_id, self._now_ns)
        self._recorder.commit(self._now_ns)

    def correct(self, execution_id: str, *, price: Decimal | None = None, qty: Decimal | None = None) -> None:
        """Put other numbers in place of an execution's. Raises Refusal: none that stands, or they cannot be."""
        self._bookkeeper.correct(execution_id, self._now_ns, price=price, qty=qty)
        self._recorder.commit(self._now_ns)

    def announce(self, action: CorporateAction) -> None:
        """Add a corporate action to the market's own; it takes effect at the next turn of a day. Raises Refusal 422."""
        self._office.corporate.announce(action)
        self._recorder.commit(self._now_ns)

    def corporate_actions(
        self, symbols: Sequence[str] | None, first_day: date, last_day: date
    ) -> list[CorporateAction]:
        """The market's actions and those that were announced, whose ex-date or process date lies in a range."""
        return self._office.corporate.known(symbols, first_day, last_day)

    def assets(self) -> list[SimAsset]:
        return list(self._asset_list.by_symbol.values())

    def asset(self, name: str) -> SimAsset:
        """One asset by symbol, id or a pair's short form. Raises Refusal 404."""
        return self._asset_list.find(name)

    def check(self) -> None:
        """Assert every conservation law and every running total; for tests."""
        self._books.check()
        self._valuation.check(self._now_ns)

    def ledger(self) -> dict[str, object]:
        """The books as `GET /simulator/v1/ledger` shows them, after a check of every conservation law.

        `orders` are SimOrder: the server writes them as everywhere else.
        """
        self._books.check()
        orders = list(self._index.all())
        return {
            "cash": plain(self._books.cash),
            "positions": [
                {"symbol": p.symbol, "qty": plain(p.qty), "avg_entry_price": plain(p.avg_entry_price)}
                for p in self._books.positions()
            ],
            "orders": orders,
            "executions": [execution_row(execution) for execution in self._books.executions],
            "hash": self._books.digest(orders),
            "fees": self._books.fees_by_asset(),
            "activities": [non_trade_row(entry) for entry in self._books.non_trades],
        }

    def close(self) -> None:
        """Note the last venue time and let go of the journal."""
        self._recorder.commit(self._now_ns)
        if self._journal is not None:
            self._journal.close()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        states: Iterable[SymbolState] = ()
        if self._journal is not None:
            holders = Holders(index=self._index, books=self._books, office=self._office, watchlists=self.watchlists)
            restored = restore(self._journal, self.settings, holders)
            self._day.now_ns = restored.now_ns
            states = restored.symbols.values()
            self._recorder.event_sequence = restored.event_sequence
            self.restored_events = tuple(restored.events)
            self._valuation.reservations.begin(self._index.open())
        self._day.begin(states=states, executions=self._books.executions)

    @property
    def _now_ns(self) -> Nanos:
        return self._day.now_ns

    def _held(self, symbol_or_asset_id: str) -> Position:
        position = self._books.position(self._symbol(symbol_or_asset_id))
        if position is None:
            raise position_not_found()
        return position

    def _symbol(self, name: str) -> str:
        return self._asset_list.symbol(name)

    def _find_asset(self, name: str) -> SimAsset | None:
        return self._asset_list.by_symbol.get(self._symbol(name))

    def _view(self, position: Position) -> PositionView:
        return self._valuation.position(position, self._asset_list.by_symbol[position.symbol], self._now_ns)

    def _keep_watchlist(self, watchlist_id: str, watchlist: Watchlist | None) -> None:
        self._recorder.fact(WatchlistRecord(watchlist_id=watchlist_id, watchlist=watchlist))
        self._recorder.commit(self._now_ns)
