"""Names for the values that cross every border. Nothing here decides anything."""

from __future__ import annotations

from enum import StrEnum
from typing import NewType

Nanos = NewType("Nanos", int)
"""UTC nanoseconds since 1970-01-01T00:00:00Z."""
MonoNanos = NewType("MonoNanos", int)
"""Nanoseconds of a monotonic clock; only differences mean anything."""
Symbol = NewType("Symbol", str)
StrategyId = NewType("StrategyId", str)
ClientOrderId = NewType("ClientOrderId", str)
BrokerOrderId = NewType("BrokerOrderId", str)
ExecutionId = NewType("ExecutionId", str)

NANOS_PER_SECOND = 1_000_000_000
NANOS_PER_MINUTE = 60 * NANOS_PER_SECOND


class Mode(StrEnum):
    """Where the daemon's orders go."""

    BACKTEST = "backtest"
    SIM = "sim"
    PAPER = "paper"
    LIVE = "live"


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"


class OrderClass(StrEnum):
    """Which orders stand and fall together: an entry with its stop (OTO), with both legs (bracket), two exits (OCO)."""

    SIMPLE = ""
    OTO = "oto"
    BRACKET = "bracket"
    OCO = "oco"


class TimeInForce(StrEnum):
    DAY = "day"
    GTC = "gtc"
    OPG = "opg"
    CLS = "cls"
    IOC = "ioc"
    FOK = "fok"


class TradingState(StrEnum):
    """What the daemon may do: everything, only reduce exposure, nothing new."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class Latch(StrEnum):
    """What one store says of the kill switch. Anything but CLEAR blocks exposure-raising orders."""

    CLEAR = "CLEAR"
    ENGAGED = "ENGAGED"
    MISSING = "MISSING"
    UNREADABLE = "UNREADABLE"


class InstrumentClass(StrEnum):
    """The limit table of an instrument (`config/universe.toml`)."""

    STOCK = "stock"
    BROAD_FUND = "broad_fund"
    LEVERAGED_FUND = "leveraged_fund"
    CRYPTO = "crypto"


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Stream(StrEnum):
    """The two broker connections the daemon listens to."""

    MARKET_DATA = "market_data"
    TRADE_UPDATES = "trade_updates"


class Store(StrEnum):
    DATABASE = "database"
    REDIS = "redis"
    LATCH_FILE = "latch_file"


class HealingAction(StrEnum):
    """What the daemon does to mend itself; each kind has a budget of its own."""

    SOCKET_CYCLE = "socket_cycle"
    STORE_REOPENING = "store_reopening"
    TASK_RESTART = "task_restart"


class Direction(StrEnum):
    """What a strategy wants of one symbol."""

    LONG = "LONG"
    SHORT = "SHORT"
    EXIT = "EXIT"
