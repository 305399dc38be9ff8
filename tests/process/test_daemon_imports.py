"""What the daemon loads: never pandas or polars, never Alpaca's SDK."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import quant_trading_system.app.daemon
from quant_trading_system.market.talib_loader import load_streams
load_streams()
print(sorted(name for name in ("pandas", "polars", "alpaca", "websockets", "requests") if sys.modules.get(name)))
"""


def test_the_daemon_never_loads_pandas_polars_or_the_sdk():
    found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == "[]"
