"""Applies corporate actions at the day's turn: to positions, cash, open orders and the list of assets.

Decides which are due. Actions come from the market and from whoever announces more; each is applied once, on the first
turn of a day that is not before its ex-date. A cash dividend is owed to those who held shares then, and paid on its
payable date; who was short pays it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal

from quant_trading_system.core.types import Nanos
from quant_trading_system.simulator.asset_list import AssetList
from quant_trading_system.simulator.booking import Bookkeeper
from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.corporate_effects import adjust, in_cents, is_cancelled_by, shares_after
from quant_trading_system.simulator.entries import Entitlement
from quant_trading_system.simulator.journal import AnnouncedRecord, AppliedRecord, EntitlementRecord
from quant_trading_system.simulator.ledger import Books
from quant_trading_system.simulator.market.source import MarketSource
from quant_trading_system.simulator.numbers import QTY_STEP, ZERO, shares_down
from quant_trading_system.simulator.order_index import OrderIndex
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.positions import Position
from quant_trading_system.simulator.recorder import Recorder
from quant_trading_system.simulator.refusals import unprocessable

ANNOUNCED_MAX = 10_000
_ONE_DAY = timedelta(days=1)
_SUB_TYPES = {"forward_split": "FSPLIT", "reverse_split": "RSPLIT"}

NoteSplit = Callable[[str, date, Decimal], None]
CancelNow = Callable[[SimOrder, Nanos], None]


class CorporateDesk:
    """Corporate actions of one world, and what they have done.

    Args:
        assets: a new name changes them.
        cancel: ends an open order.
        note_split: is told that prices from before a date are of other shares.
    """

    def __init__(
        self,
        *,
        market: MarketSource,
        assets: AssetList,
        books: Books,
        bookkeeper: Bookkeeper,
        index: OrderIndex,
        recorder: Recorder,
        cancel: CancelNow,
        note_split: NoteSplit,
        applied_until: date,
    ) -> None:
        self._market = market
        self._assets = assets
        self._books = books
        self._bookkeeper = bookkeeper
        self._index = index
        self._recorder = recorder
        self._cancel = cancel
        self._note_split = note_split
        self._applied_until = applied_until  # a date; actions with later ex-dates are ahead
        self._announced: dict[str, CorporateAction] = {}
        self._applied: dict[str, None] = {}
        self._owed: dict[str, Entitlement] = {}

    # --- what is known ------------------------------------------------------------------------------------------------

    def announce(self, action: CorporateAction) -> None:
        """Add an action to the market's own. It moves no prices: the market plays on as it would.

        Raises:
            Refusal: it names symbols that are not traded here, or an id that is taken.
        """
        for symbol in filter(None, (action.symbol, action.new_symbol)):
            if symbol not in self._assets.by_symbol:
                raise unprocessable(f'asset "{symbol}" not found')
        if self._assets.by_symbol[action.symbol].asset_class != "us_equity":
            raise unprocessable(f"{action.symbol}: only equities have corporate actions")
        if action.id in self._announced or len(self._announced) >= ANNOUNCED_MAX:
            raise unprocessable(f"id: expected a new one, and at most {ANNOUNCED_MAX} announcements")
        self.take_announced(action)
        self._recorder.fact(AnnouncedRecord(action=action))

    def known(self, symbols: Sequence[str] | None, first_day: date, last_day: date) -> list[CorporateAction]:
        """The market's actions and the announced ones whose ex-date or process date lies in a range, by ex-date."""
        found = list(self._market.corporate_actions(symbols, first_day, last_day))
        found += [
            action
            for action in self._announced.values()
            if (symbols is None or action.symbol in symbols)
            and (first_day <= action.ex_date <= last_day or first_day <= action.process_date <= last_day)
        ]
        return sorted(found, key=lambda action: (action.ex_date, action.id))

    # --- a journal's news ---------------------------------------------------------------------------------------------

    def take_announced(self, action: CorporateAction) -> None:
        self._announced[action.id] = action

    def take_applied(self, action: CorporateAction) -> None:
        self._applied[action.id] = None
        if action.share_ratio != 1:
            self._note_split(action.symbol, action.ex_date, action.share_ratio)
        if action.kind == "name_change" and action.new_symbol in self._assets.by_symbol:
            self._assets.rename(action.symbol, action.new_symbol)

    def take_entitlement(self, entitlement: Entitlement, *, is_paid: bool) -> None:
        if is_paid:
            self._owed.pop(entitlement.action_id, None)
        else:
            self._owed[entitlement.action_id] = entitlement

    def take_day(self, day: date) -> None:
        self._applied_until = max(self._applied_until, day)

    # --- the day's turn -----------------------------------------------------------------------------------------------

    def apply_until(self, day: date, now_ns: Nanos) -> None:
        """Apply everything with an ex-date up to a day that was not applied yet."""
        due = list(self._market.corporate_actions(None, self._applied_until + _ONE_DAY, day))
        due += self._announced.values()
        for action in sorted(due, key=lambda action: (action.ex_date, action.id)):
            if action.ex_date <= day and action.id not in self._applied:
                self._apply(action, now_ns)
        self._applied_until = max(self._applied_until, day)

    def pay_dividends(self, day: date, now_ns: Nanos) -> None:
        """Pay what is owed on or before a day."""
        for owed in [entitlement for entitlement in self._owed.values() if entitlement.pay_day <= day]:
            amount = in_cents(owed.qty * owed.cash)
            self._bookkeeper.enter(
                "DIV",
                owed.pay_day,
                now_ns,
                net_amount=amount,
                cash=amount,
                sub_type="CDIV",
                symbol=owed.symbol,
                cusip=owed.cusip or None,
                qty=owed.qty,
                per_share_amount=owed.cash,
                description=f"Cash dividend, {owed.cash} USD a share",
            )
            self._note_owed(owed, is_paid=True)

    def _apply(self, action: CorporateAction, now_ns: Nanos) -> None:
        for order in self._index.open_of(action.symbol):
            if is_cancelled_by(order, action):
                self._cancel(order, now_ns)
            elif adjust(order, action):
                order.updated_at_ns = now_ns
                self._recorder.changed(order)
        position = self._books.position(action.symbol)
        if position is not None:
            self._change_position(position, action, now_ns)
        self.take_applied(action)
        self._recorder.fact(AppliedRecord(action=action))

    def _change_position(self, position: Position, action: CorporateAction, now_ns: Nanos) -> None:
        match action.kind:
            case "forward_split" | "reverse_split":
                self._split(position, action, now_ns)
            case "stock_dividend":
                self._pay_in_stock(position, action, now_ns)
            case "cash_dividend":
                self._owe(position, action)
            case "name_change":
                self._move(position, action, now_ns)
            case "spin_off":
                self._spin_off(position, action, now_ns)

    def _split(self, position: Position, action: CorporateAction, now_ns: Nanos) -> None:
        """Take all shares away and give the new ones, as Alpaca books it; what is no whole share is paid in cash."""
        before_qty, before_cost, before_price = position.qty, position.cost, position.avg_entry_price
        asset = self._assets.by_symbol[action.symbol]
        after = shares_after(position, action.share_ratio, is_fractionable=asset.fractionable)
        sub_type, group_id = _SUB_TYPES[action.kind], self._bookkeeper.group_id()
        text = f"From QTY:{before_qty:f}, To QTY:{after.qty:f}"
        for word, qty, cost in (("REMOVE", -before_qty, -before_cost), ("ADD", after.qty, after.cost)):
            if qty:
                self._bookkeeper.enter(
                    "SPLIT",
                    action.ex_date,
                    now_ns,
                    sub_type=sub_type,
                    symbol=action.symbol,
                    cusip=action.cusip or None,
                    qty=qty,
                    price=before_price if word == "REMOVE" else (cost / qty).quantize(QTY_STEP),
                    description=f"{word}, {text}",
                    group_id=group_id,
                    position_qty=qty,
                    position_cost=cost,
                )
        self._pay_fraction(action, after.fraction, before_price, "SPLIT", sub_type, group_id, now_ns)

    def _pay_in_stock(self, position: Position, action: CorporateAction, now_ns: Nanos) -> None:
        before_qty, before_price = position.qty, position.avg_entry_price
        asset = self._assets.by_symbol[action.symbol]
        after = shares_after(position, action.share_ratio, is_fractionable=asset.fractionable)
        group_id = self._bookkeeper.group_id()
        fraction_cost = before_price * after.fraction / action.share_ratio
        self._bookkeeper.enter(
            "DIV",
            action.ex_date,
            now_ns,
            sub_type="SDIV",
            symbol=action.symbol,
            cusip=action.cusip or None,
            qty=after.qty - before_qty,
            description="Stock dividend",
            group_id=group_id,
            position_qty=after.qty - before_qty,
            position_cost=-fraction_cost,
        )
        self._pay_fraction(action, after.fraction, before_price, "DIV", "SDIV", group_id, now_ns)

    def _pay_fraction(
        self,
        action: CorporateAction,
        fraction: Decimal,
        before_price: Decimal,
        activity_type: str,
        sub_type: str,
        group_id: str,
        now_ns: Nanos,
    ) -> None:
        """Cash in lieu of a fraction of a share, at the last close before the ex-date."""
        if not fraction:
            return
        close = self._close_before(action.symbol, action.ex_date)
        price = ((close or before_price) / action.share_ratio).quantize(QTY_STEP)
        amount = in_cents(fraction * price)
        self._bookkeeper.enter(
            activity_type,
            action.ex_date,
            now_ns,
            net_amount=amount,
            cash=amount,
            sub_type=sub_type,
            symbol=action.symbol,
            cusip=action.cusip or None,
            price=price,
            description=f"Cash in lieu of {fraction:f} shares",
            group_id=group_id,
        )

    def _owe(self, position: Position, action: CorporateAction) -> None:
        assert action.cash is not None, f"{action.id}: expected cash a share"
        self._note_owed(
            Entitlement(
                action_id=action.id,
                symbol=action.symbol,
                cusip=action.cusip,
                qty=position.qty,
                cash=action.cash,
                pay_day=action.payable_date or action.process_date,
            ),
            is_paid=False,
        )

    def _move(self, position: Position, action: CorporateAction, now_ns: Nanos) -> None:
        """The shares go on under their new name, at what they cost."""
        assert action.new_symbol is not None, f"{action.id}: expected a new symbol"
        qty, cost = position.qty, position.cost
        sub_type = "SCNC" if action.new_cusip and action.new_cusip != action.cusip else "SNC"
        group_id = self._bookkeeper.group_id()
        for symbol, cusip, sign in (
            (action.symbol, action.cusip, -1),
            (action.new_symbol, action.new_cusip or action.cusip, 1),
        ):
            self._bookkeeper.enter(
                "NC",
                action.ex_date,
                now_ns,
                sub_type=sub_type,
                symbol=symbol,
                cusip=cusip or None,
                qty=sign * qty,
                description=f"Name change from {action.symbol} to {action.new_symbol}",
                group_id=group_id,
                position_qty=sign * qty,
                position_cost=sign * cost,
            )

    def _spin_off(self, position: Position, action: CorporateAction, now_ns: Nanos) -> None:
        """Give shares of the new company; their part of the cost is that of the value, where both have prices.

        A new company that is not traded here is told of and not given: nobody could say what it is worth.
        """
        assert action.old_rate, f"{action.id}: expected an old rate"
        assert action.new_rate, f"{action.id}: expected a new rate"
        new = self._assets.by_symbol.get(action.new_symbol or "")
        qty = position.qty * action.new_rate / action.old_rate
        given = ZERO if new is None else shares_down(qty) if new.fractionable else qty // 1
        cost = self._spun_off_cost(position, action, given)
        group_id = self._bookkeeper.group_id()
        if cost:
            self._bookkeeper.enter(
                "SPIN",
                action.ex_date,
                now_ns,
                symbol=action.symbol,
                description=f"Cost of {action.new_symbol}",
                group_id=group_id,
                position_cost=-cost,
            )
        self._bookkeeper.enter(
            "SPIN",
            action.ex_date,
            now_ns,
            symbol=action.new_symbol,
            cusip=action.new_cusip or None,
            qty=qty,
            description=f"Spin-off from {action.symbol}",
            group_id=group_id,
            position_qty=given,
            position_cost=cost,
        )

    def _spun_off_cost(self, position: Position, action: CorporateAction, given: Decimal) -> Decimal:
        source = self._close_before(action.symbol, action.ex_date)
        new = self._close_before(action.new_symbol or "", action.ex_date) if given else None
        if source is None or new is None:
            return ZERO
        new_value = abs(given) * new
        whole = abs(position.qty) * source
        return (position.cost * new_value / whole).quantize(Decimal("0.01")) if new_value < whole else ZERO

    def _close_before(self, symbol: str, day: date) -> Decimal | None:
        close = self._market.last_close(symbol, day)
        return None if close is None else Decimal(str(close))

    def _note_owed(self, entitlement: Entitlement, *, is_paid: bool) -> None:
        self.take_entitlement(entitlement, is_paid=is_paid)
        self._recorder.fact(EntitlementRecord(entitlement=entitlement, is_paid=is_paid))
