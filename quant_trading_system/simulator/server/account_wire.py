"""How account, configurations, positions, activities, history and watchlists are written.

Decides the keys and their order. The day-trade fields belong to older profiles.
"""

from __future__ import annotations

from quant_trading_system.simulator.account import AccountState, PositionView
from quant_trading_system.simulator.activities import Activity, FillActivity
from quant_trading_system.simulator.chance import asset_id
from quant_trading_system.simulator.configurations import Configurations
from quant_trading_system.simulator.entries import NonTrade
from quant_trading_system.simulator.numbers import plain
from quant_trading_system.simulator.portfolio_history import History
from quant_trading_system.simulator.server.order_wire import Json
from quant_trading_system.simulator.server.profiles import Profile
from quant_trading_system.simulator.server.stamps import stamp_text
from quant_trading_system.simulator.watchlists import Watchlist


def account_id(account_number: str) -> str:
    """The id of an account: the same in every world."""
    return asset_id(f"account {account_number}")


def account_json(state: AccountState, profile: Profile) -> Json:
    """`GET /v2/account` (reference 4.1)."""
    equity, power = plain(state.equity), plain(state.buying_power)
    written: Json = {
        "id": account_id(state.account_number),
        "admin_configurations": {},
        "user_configurations": _user_configurations(state.configurations),
        "account_number": state.account_number,
        "status": state.status,
        "crypto_status": state.status,
        "options_approved_level": 0,
        "options_trading_level": 0,
        "currency": "USD",
        "buying_power": power,
        "regt_buying_power": plain(state.regt_buying_power),
        "effective_buying_power": power,
        "non_marginable_buying_power": plain(state.non_marginable_buying_power),
        "options_buying_power": plain(state.options_buying_power),
        "cash": plain(state.cash),
        "accrued_fees": plain(state.accrued_fees),
        "portfolio_value": equity,
        "trading_blocked": state.trading_blocked,
        "transfers_blocked": state.transfers_blocked,
        "account_blocked": state.account_blocked,
        "created_at": stamp_text(state.created_at_ns),
        "trade_suspended_by_user": state.trade_suspended_by_user,
        "multiplier": str(state.multiplier),
        "shorting_enabled": state.shorting_enabled,
        "equity": equity,
        "last_equity": plain(state.last_equity),
        "long_market_value": plain(state.long_market_value),
        "short_market_value": plain(state.short_market_value),
        "position_market_value": plain(state.long_market_value + state.short_market_value),
        "initial_margin": plain(state.initial_margin),
        "maintenance_margin": plain(state.maintenance_margin),
        "last_maintenance_margin": plain(state.last_maintenance_margin),
        "sma": plain(state.sma),
        "balance_asof": state.balance_asof.isoformat(),
        "crypto_tier": 1,
        "intraday_adjustments": plain(state.intraday_adjustments),
        "pending_reg_taf_fees": "0",
        "pending_transfer_in": "0",
        "pending_transfer_out": "0",
    }
    if profile.has_day_trade_fields:
        day_power = power if state.multiplier == 4 else "0"
        written |= {
            "pattern_day_trader": False,
            "daytrade_count": state.day_trades,
            "daytrading_buying_power": day_power,
            "bod_dtbp": day_power,
        }
    return written


def _user_configurations(configurations: Configurations) -> Json | None:
    """None until the holder wishes something else than Alpaca's defaults (recorded both ways, reference 4.1)."""
    usual = Configurations()
    fields = ("fractional_trading", "max_margin_multiplier")
    if all(getattr(configurations, name) == getattr(usual, name) for name in fields):
        return None
    return {name: getattr(configurations, name) for name in fields}


def configurations_json(configurations: Configurations, profile: Profile) -> Json:
    """`GET /v2/account/configurations`: its keys are sorted in the recordings (reference 4.2)."""
    written: Json = {
        "disable_overnight_trading": configurations.disable_overnight_trading,
        "fractional_trading": configurations.fractional_trading,
        "max_margin_multiplier": configurations.max_margin_multiplier,
        "max_options_trading_level": configurations.max_options_trading_level or 0,
        "no_shorting": configurations.no_shorting,
        "ptp_no_exception_entry": configurations.ptp_no_exception_entry,
        "suspend_trade": configurations.suspend_trade,
        "trade_confirm_email": configurations.trade_confirm_email,
    }
    if profile.has_day_trade_fields:
        written |= {"dtbp_check": configurations.dtbp_check, "pdt_check": configurations.pdt_check}
    return dict(sorted(written.items()))


def position_json(view: PositionView) -> Json:
    """A position (reference 3.2): every number a string, a short one negative."""
    return {
        "asset_id": view.asset_id,
        "symbol": view.symbol.replace("/", ""),  # of a pair without its slash (reference 3.2)
        "exchange": view.exchange,
        "asset_class": view.asset_class,
        "asset_marginable": view.asset_marginable,
        "qty": plain(view.qty),
        "avg_entry_price": plain(view.avg_entry_price),
        "side": view.side,
        "market_value": plain(view.market_value),
        "cost_basis": plain(view.cost_basis),
        "unrealized_pl": plain(view.unrealized_pl),
        "unrealized_plpc": plain(view.unrealized_plpc),
        "unrealized_intraday_pl": plain(view.unrealized_intraday_pl),
        "unrealized_intraday_plpc": plain(view.unrealized_intraday_plpc),
        "current_price": plain(view.current_price),
        "lastday_price": plain(view.lastday_price),
        "change_today": plain(view.change_today),
        "qty_available": plain(view.qty_available),
    }


def activity_json(activity: Activity) -> Json:
    """A row of the account's activities (reference 6.1)."""
    return _fill_json(activity) if isinstance(activity, FillActivity) else _non_trade_json(activity)


def _fill_json(fill: FillActivity) -> Json:
    execution = fill.execution
    return {
        "id": execution.activity_id,
        "activity_type": "FILL",
        "transaction_time": stamp_text(execution.timestamp_ns),
        "type": "fill" if execution.order_status == "filled" else "partial_fill",
        "price": plain(execution.price),
        "qty": plain(execution.qty),
        "side": fill.side,
        "symbol": execution.symbol,
        "leaves_qty": plain(execution.leaves_qty),
        "order_id": execution.order_id,
        "cum_qty": plain(execution.cum_qty),
        "order_status": execution.order_status,
    }


def _non_trade_json(entry: NonTrade) -> Json:
    """Fields that an activity does not have are missing, as in the recordings."""
    numbers = (("qty", entry.qty), ("per_share_amount", entry.per_share_amount), ("price", entry.price))
    texts = (
        ("activity_sub_type", entry.sub_type),
        ("symbol", entry.symbol),
        ("cusip", entry.cusip),
        ("group_id", entry.group_id),
    )
    return {
        "id": entry.id,
        "activity_type": entry.activity_type,
        "date": entry.day.isoformat(),
        "created_at": stamp_text(entry.created_at_ns),
        "net_amount": plain(entry.net_amount),
        "description": entry.description,
        **{name: value for name, value in texts if value is not None},
        **{name: plain(value) for name, value in numbers if value is not None},
        "status": "executed",
        "currency": "USD",
    }


def history_json(history: History, *, tells_cashflow: bool) -> Json:
    """`GET /v2/account/portfolio/history` (reference 6.2)."""
    written: Json = {
        "timestamp": history.stamps_s,
        "equity": history.equity,
        "profit_loss": history.profit_loss,
        "profit_loss_pct": history.profit_loss_fraction,
        "base_value": history.base_value,
    }
    if history.base_value_asof is not None:
        written["base_value_asof"] = history.base_value_asof.isoformat()
    written["timeframe"] = history.timeframe
    if tells_cashflow:
        written["cashflow"] = history.cashflow
    return written


def watchlist_json(watchlist: Watchlist, account_number: str) -> Json:
    """A watchlist without its assets, as the list of lists has it (reference 6.3)."""
    return {
        "id": watchlist.id,
        "account_id": account_id(account_number),
        "created_at": stamp_text(watchlist.created_at_ns),
        "updated_at": stamp_text(watchlist.updated_at_ns),
        "name": watchlist.name,
    }
