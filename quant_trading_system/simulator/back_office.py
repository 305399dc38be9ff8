"""What a broker does when the market is closed, and for its account holder: the turn of the day, money, corrections.

Decides when fees, dividends and corporate actions are booked: with the day's turn, before the open of its session.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.account import equity_of
from quant_trading_system.simulator.booking import Bookkeeper
from quant_trading_system.simulator.configurations import Permissions
from quant_trading_system.simulator.corporate_desk import CorporateDesk
from quant_trading_system.simulator.fees import fees_by_day
from quant_trading_system.simulator.instants import new_york_date
from quant_trading_system.simulator.journal import ConfigurationsRecord, DayRecord, SampleRecord
from quant_trading_system.simulator.ledger import Books
from quant_trading_system.simulator.numbers import ZERO
from quant_trading_system.simulator.portfolio_history import (
    NANOS_PER_MINUTE,
    History,
    HistoryQuery,
    PortfolioHistory,
)
from quant_trading_system.simulator.recorder import Recorder
from quant_trading_system.simulator.refusals import forbidden, unprocessable
from quant_trading_system.simulator.settings import ExchangeSettings
from quant_trading_system.simulator.valuation import Valuation

TRANSFER_USD_MAX = Decimal(1_000_000_000)


class BackOffice:
    """The account's books between the sessions."""

    def __init__(
        self,
        *,
        settings: ExchangeSettings,
        books: Books,
        bookkeeper: Bookkeeper,
        corporate: CorporateDesk,
        valuation: Valuation,
        permissions: Permissions,
        recorder: Recorder,
    ) -> None:
        self._books = books
        self._bookkeeper = bookkeeper
        self._valuation = valuation
        self._recorder = recorder
        self.corporate = corporate
        self.permissions = permissions
        self.history = PortfolioHistory(began_ns=settings.start_ns, cash=settings.cash)

    # --- the day's turn ---------------------------------------------------------------------------------------------

    def open_day(self, session_day: date, now_ns: Nanos) -> None:
        """Turn the books to a session's day: everything is of last night; then fees, dividends, corporate actions."""
        self._bookkeeper.start_day(now_ns)
        self.post_fees(now_ns)
        self.corporate.pay_dividends(session_day, now_ns)
        self.corporate.apply_until(session_day, now_ns)

    def close_day(self, now_ns: Nanos) -> None:
        """Note what the account is worth at the close of a session."""
        held = self._valuation.margins(now_ns)
        equity = equity_of(self._books.cash, held)
        record = DayRecord(closed_ns=now_ns, equity=equity, maintenance_margin=held.maintenance)
        self._recorder.fact(record)
        self.take_close(record)

    def take_close(self, record: DayRecord) -> None:
        self._valuation.last_equity = record.equity
        self._valuation.last_maintenance_margin = record.maintenance_margin
        self.history.add_close(new_york_date(record.closed_ns), record.equity)

    def sample(self, now_ns: Nanos) -> Nanos:
        """Note what the account is worth now; the answer is when to look again."""
        equity = round(float(self._valuation.equity(now_ns)), 2)
        if self.history.add_sample(now_ns, equity):
            self._recorder.fact(SampleRecord(stamp_ns=now_ns, equity=equity))
        return self.next_sample_ns(now_ns)

    def next_sample_ns(self, now_ns: Nanos) -> Nanos:
        """The next full minute; while everything is closed and no coins are held, the beginning of the next day."""
        following_ns = now_ns - now_ns % NANOS_PER_MINUTE + NANOS_PER_MINUTE
        if self._valuation.marks.has_coins or calendar.phase_at(now_ns) != "closed":
            return Nanos(following_ns)
        session = calendar.session_opening_after(now_ns)
        return Nanos(max(following_ns, session.pre_market_ns if session is not None else following_ns))

    def post_fees(self, now_ns: Nanos) -> None:
        """Tell of the crypto fees since the last time; the coins and dollars were taken with their fills (2.15)."""
        for fee in fees_by_day(self._books.unposted):
            self._bookkeeper.enter(
                "CFEE",
                fee.day,
                now_ns,
                net_amount=-fee.usd,
                symbol=fee.symbol.replace("/", ""),
                qty=-fee.qty if fee.qty else None,
                price=fee.price if fee.qty else None,
                description=f"Coin Pair Transaction Fee ({'Non USD' if fee.qty else 'USD'})",
            )

    # --- the holder's wishes ----------------------------------------------------------------------------------------

    def transfer(self, amount_usd: Decimal, now_ns: Nanos) -> None:
        """Book a deposit (more than 0) or a withdrawal.

        Raises:
            Refusal: transfers are blocked, or there is not so much cash.
        """
        if self.permissions.flags.transfers_blocked or self.permissions.flags.account_blocked:
            raise forbidden("account is not allowed to transfer funds")
        if not amount_usd or abs(amount_usd) > TRANSFER_USD_MAX:
            raise unprocessable(f"amount: expected other than 0, at most {TRANSFER_USD_MAX} USD either way")
        if -amount_usd > max(ZERO, self._books.cash):
            raise unprocessable("insufficient cash to withdraw")
        self._bookkeeper.enter(
            "CSD" if amount_usd > ZERO else "CSW",
            new_york_date(now_ns),
            now_ns,
            net_amount=amount_usd,
            cash=amount_usd,
            description="Deposit" if amount_usd > ZERO else "Withdrawal",
        )

    def configure(self, body: Mapping[str, object]) -> None:
        """Change configurations. Raises Refusal 422 for a value that cannot be."""
        changed = self.permissions.configurations.changed(body)
        self.permissions.configurations = changed
        self._recorder.fact(ConfigurationsRecord(configurations=changed))

    def read_history(self, query: HistoryQuery, now_ns: Nanos) -> History:
        """Equity over time. Raises Refusal 422."""
        flows = list(self._books.activities.non_trades_between(0, now_ns)) if query.cashflow_types else []
        return self.history.read(query, now_ns=now_ns, equity=self._valuation.equity(now_ns), flows=flows)
