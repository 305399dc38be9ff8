"""The pre-trade rules, one a file, in the fixed order in which every intent is put to all of them."""

from __future__ import annotations

from quant_trading_system.risk.rules.base import Rule
from quant_trading_system.risk.rules.buying_power import BuyingPower
from quant_trading_system.risk.rules.daily_loss import DailyLoss
from quant_trading_system.risk.rules.drawdown import Drawdown
from quant_trading_system.risk.rules.duplicate import Duplicate
from quant_trading_system.risk.rules.equity_floor import EquityFloor
from quant_trading_system.risk.rules.exit_cooldown import ExitCooldown
from quant_trading_system.risk.rules.exposure import Exposure
from quant_trading_system.risk.rules.increments import Increments
from quant_trading_system.risk.rules.instrument import InstrumentAllowed
from quant_trading_system.risk.rules.kill_latch import KillLatch
from quant_trading_system.risk.rules.lease import Lease
from quant_trading_system.risk.rules.long_only import LongOnly
from quant_trading_system.risk.rules.market_data import MarketData
from quant_trading_system.risk.rules.open_orders import OpenOrders
from quant_trading_system.risk.rules.order_kind import OrderKind
from quant_trading_system.risk.rules.order_rate import OrderRate
from quant_trading_system.risk.rules.order_value import OrderValue
from quant_trading_system.risk.rules.position_count import PositionCount
from quant_trading_system.risk.rules.position_size import PositionSize
from quant_trading_system.risk.rules.price_band import PriceBand
from quant_trading_system.risk.rules.price_collar import PriceCollar
from quant_trading_system.risk.rules.quantity import Quantity
from quant_trading_system.risk.rules.reconciliation import Reconciliation
from quant_trading_system.risk.rules.self_cross import SelfCross
from quant_trading_system.risk.rules.session import SessionOpen
from quant_trading_system.risk.rules.strategy_lock import StrategyLock
from quant_trading_system.risk.rules.symbol_lock import SymbolLock
from quant_trading_system.risk.rules.time_in_force import TimeInForceAllowed
from quant_trading_system.risk.rules.trading_state import TradingStateAllows
from quant_trading_system.risk.rules.turnover import Turnover
from quant_trading_system.risk.rules.units import Units

ALL_RULES: tuple[Rule, ...] = (
    KillLatch(),
    TradingStateAllows(),
    Lease(),
    Reconciliation(),
    SessionOpen(),
    InstrumentAllowed(),
    SymbolLock(),
    LongOnly(),
    OrderKind(),
    TimeInForceAllowed(),
    OrderValue(),
    Quantity(),
    Units(),
    PriceCollar(),
    PriceBand(),
    MarketData(),
    Increments(),
    Duplicate(),
    SelfCross(),
    PositionSize(),
    Exposure(),
    BuyingPower(),
    OpenOrders(),
    OrderRate(),
    StrategyLock(),
    Turnover(),
    DailyLoss(),
    Drawdown(),
    EquityFloor(),
    PositionCount(),
    ExitCooldown(),
)
