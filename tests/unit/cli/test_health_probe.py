"""The container's health check: quick, by the standard library alone, and never a traceback."""

from __future__ import annotations

import pytest

from quant_trading_system.cli.probe import is_alive


@pytest.mark.requirement("R215")
@pytest.mark.parametrize(
    "listen", ["127.0.0.1:1", "127.0.0.1:x", "127.0.0.1:99999999", "", "no such host:80", "a\nb:80"]
)
def test_an_address_at_which_nobody_lives_is_not_alive(listen):
    assert not is_alive(listen)
