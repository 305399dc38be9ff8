"""The exchange as one object: time moves it, clients ask it, its events and books are taken from it.

Synchronous, without a clock and without chance of its own: venue time is passed in, draws are functions of the seed.
Everything that changes is in the journal before the call that changed it returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.account import AccountState
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
from quant_trading_system.simulator.events import MarketEvent, OrderEvent
from quant_trading_system.simulator.exchange_orders import ExchangeOrders
from quant_trading_system.simulator.halts import BREAKERS, KINDS
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.intake import Intake
from quant_trading_system.simulator.journal import Journal, WatchlistRecord
from quant_trading_system.simulator.ledger import Books, Entry, execution_row, non_trade_row
from quant_trading_system.simulator.market.source import MarketSource
from quant_trading_system.simulator.numbers import plain
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.portfolio_history import History, HistoryQuery
from quant_trading_system.simulator.recorder import Recorder
from quant_trading_system.simulator.refusals import invalid
from quant_trading_system.simulator.restore import Holders, restore
from quant_trading_system.simulator.schedule import Schedule
from quant_trading_system.simulator.sessions import CRYPTO
from quant_trading_system.simulator.settings import ExchangeSettings
from quant_trading_system.simulator.symbol_state import SymbolState
from quant_trading_system.simulator.trading_day import MarketTape, make_trading_day
from quant_trading_system.simulator.valuation import Valuation
from quant_trading_system.simulator.watchlists import Watchlist, Watchlists


class Exchange(ExchangeOrders):
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
        """Whether the last session of a recorded market is over, its closing auction with it."""
        end_ns = self.market.end_ns
        return end_ns is not None and self._now_ns >= end_ns and not self._floor.awaits_auction

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
        self._day.begin(states)

    def _keep_watchlist(self, watchlist_id: str, watchlist: Watchlist | None) -> None:
        self._recorder.fact(WatchlistRecord(watchlist_id=watchlist_id, watchlist=watchlist))
        self._recorder.commit(self._now_ns)
