"""How account, positions, assets, clock and calendar are written. The day-trade fields belong to older profiles."""

from __future__ import annotations

from quant_trading_system.simulator.account import AccountState, PositionView
from quant_trading_system.simulator.assets import SimAsset
from quant_trading_system.simulator.calendar import (
    Session,
    session_at,
    session_closing_after,
    session_opening_after,
    settlement_date,
)
from quant_trading_system.simulator.chance import asset_id
from quant_trading_system.simulator.instants import new_york
from quant_trading_system.simulator.numbers import plain
from quant_trading_system.simulator.server.order_wire import Json
from quant_trading_system.simulator.server.settings import Profile
from quant_trading_system.simulator.server.stamps import eastern_text, stamp_text


def account_json(state: AccountState, profile: Profile) -> Json:
    """`GET /v2/account` (reference 4.1)."""
    equity, cash = plain(state.equity), plain(state.cash)
    written: Json = {
        "id": asset_id(f"account {state.account_number}"),
        "admin_configurations": {},
        "user_configurations": None,
        "account_number": state.account_number,
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "options_approved_level": 0,
        "options_trading_level": 0,
        "currency": "USD",
        "buying_power": plain(state.buying_power),
        "regt_buying_power": plain(state.regt_buying_power),
        "effective_buying_power": plain(state.buying_power),
        "non_marginable_buying_power": plain(state.non_marginable_buying_power),
        "options_buying_power": "0",
        "cash": cash,
        "accrued_fees": plain(state.accrued_fees),
        "portfolio_value": equity,
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "created_at": stamp_text(state.created_at_ns),
        "trade_suspended_by_user": False,
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
        "intraday_adjustments": "0",
        "pending_reg_taf_fees": "0",
        "pending_transfer_in": "0",
        "pending_transfer_out": "0",
    }
    if profile.has_day_trade_fields:
        written |= {"pattern_day_trader": False, "daytrade_count": 0, "daytrading_buying_power": "0", "bod_dtbp": "0"}
    return written


def configurations_json(state: AccountState, profile: Profile) -> Json:
    """`GET /v2/account/configurations` (reference 4.2)."""
    written: Json = {
        "disable_overnight_trading": False,
        "fractional_trading": True,
        "max_margin_multiplier": str(state.multiplier),
        "max_options_trading_level": 0,
        "no_shorting": not state.shorting_enabled,
        "ptp_no_exception_entry": False,
        "suspend_trade": False,
        "trade_confirm_email": "all",
    }
    if profile.has_day_trade_fields:
        written |= {"dtbp_check": "entry", "pdt_check": "entry"}
    return written


def position_json(view: PositionView) -> Json:
    """A position (reference 3.2): every number a string, a short one negative."""
    return {
        "asset_id": view.asset_id,
        "symbol": view.symbol,
        "exchange": view.exchange,
        "asset_class": "us_equity",
        "asset_marginable": True,
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


def asset_json(asset: SimAsset) -> Json:
    """An asset (reference 5.3)."""
    return {
        "id": asset.id,
        "class": asset.asset_class,
        "exchange": asset.exchange,
        "symbol": asset.symbol,
        "name": asset.name,
        "status": asset.status,
        "tradable": asset.tradable,
        "marginable": asset.marginable,
        "maintenance_margin_requirement": asset.margin_requirement,
        "margin_requirement_long": str(asset.margin_requirement),
        "margin_requirement_short": str(asset.margin_requirement),
        "shortable": asset.shortable,
        "easy_to_borrow": asset.easy_to_borrow,  # its sunset was announced; alpaca-py 0.44 still requires it
        "borrow_status": asset.borrow_status,
        "fractionable": asset.fractionable,
        "attributes": list(asset.attributes),
    }


def clock_json(now_ns: int) -> Json:
    """`GET /v2/clock` (reference 5.1): Eastern offset; the next open is that of another session."""
    running = session_closing_after(now_ns)
    opening = session_opening_after(now_ns)
    assert running is not None, "the calendar ends"
    assert opening is not None, "the calendar ends"
    return {
        "timestamp": eastern_text(now_ns),
        "is_open": session_at(now_ns) is not None,
        "next_open": eastern_text(opening.open_ns, with_fraction=False),
        "next_close": eastern_text(running.close_ns, with_fraction=False),
    }


def calendar_day_json(session: Session) -> Json:
    """One day of `GET /v2/calendar` (reference 5.2)."""
    return {
        "date": session.day.isoformat(),
        "open": f"{new_york(session.open_ns):%H:%M}",
        "close": f"{new_york(session.close_ns):%H:%M}",
        "session_open": "0400",
        "session_close": "1700" if session.is_half_day else "2000",
        "settlement_date": settlement_date(session.day).isoformat(),
    }
