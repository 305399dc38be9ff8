"""`python -m quant_trading_system.cli`: the same command line, for children of the daemon."""

from __future__ import annotations

from quant_trading_system.cli import main

main()
