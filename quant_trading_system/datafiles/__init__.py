"""One reader of market-data files (CSV, CSV.gz, Parquet) for the exchange, the backtest and the workshop."""

from __future__ import annotations

from quant_trading_system.datafiles.check import check_file
from quant_trading_system.datafiles.directory import KINDS, UNDATED, DataDirectory, Kind
from quant_trading_system.datafiles.errors import DataFileError
from quant_trading_system.datafiles.factors import read_factors
from quant_trading_system.datafiles.readers import read_bars, read_quotes, read_trades
from quant_trading_system.datafiles.rows import BarRow, FactorRow, QuoteRow, TradeRow

__all__ = [
    "KINDS",
    "UNDATED",
    "BarRow",
    "DataDirectory",
    "DataFileError",
    "FactorRow",
    "Kind",
    "QuoteRow",
    "TradeRow",
    "check_file",
    "read_bars",
    "read_factors",
    "read_quotes",
    "read_trades",
]
