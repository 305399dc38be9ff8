"""What every test gets: no settings of the person who runs it, and process tests one after another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["quant_trading_system.simulator.pytest_plugin", "pytester"]

TESTS = Path(__file__).parent

SERIAL_FOLDERS = ("process",)
"""Their tests start servers and measure; two at once would compete for two cores and prove nothing."""

FOREIGN_SETTINGS = ("QTS__", "ALPACA_", "APCA_", "DATABASE_URL", "REDIS_URL", "LOG_LEVEL", "DRY_RUN", "STATE_DIRECTORY")
"""Names that the product reads. A developer's own keys must neither reach a test nor decide one."""

for _name in [name for name in os.environ if name.startswith(FOREIGN_SETTINGS)]:
    del os.environ[_name]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not item.path.is_relative_to(TESTS):
            continue
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in SERIAL_FOLDERS:
            item.add_marker(pytest.mark.xdist_group(folder))
