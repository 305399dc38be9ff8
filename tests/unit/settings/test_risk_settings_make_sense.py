"""Risk settings that make no sense stop the start in every mode, and there is no setting that switches a check off."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_trading_system.app.settings import load, to_limits
from quant_trading_system.core.errors import ConfigurationError, ExitCode
from quant_trading_system.core.types import Mode
from quant_trading_system.risk.limits import RiskLimits

NONSENSE = {
    "daily_loss_hard_fraction": ("0", "-0.02", "0.5", "2", "NaN", "much"),
    "daily_loss_soft_fraction": ("0", "-1", "0.02"),
    "daily_loss_hard_usd": ("0", "-100"),
    "drawdown_hard_fraction": ("0", "-0.1", "1", "1.5", "100"),
    "drawdown_soft_fraction": ("0", "0.5"),
    "position_size_usd_max": ("0", "-20000"),
    "positions_max": ("0", "-1"),
    "order_quantity_shares_max": ("0", "-10"),
    "exit_cooldown_minutes": ("0", "-15"),
}
SWITCHES = ("RISK__ENABLED", "RISK__BYPASS", "RISK__CHECKS", "RISK__DAILY_LOSS_ENABLED", "TRADE__SKIP_RISK")


def problems(mode: Mode, cwd: Path, **environ: str) -> tuple[str, ...]:
    """What stops a start with these variables; its signs of live trading are not asked for here."""
    with pytest.raises(ConfigurationError) as refused:
        load(mode, environ=environ, cwd=cwd, must_have_signs=False)
    assert refused.value.exit_code is ExitCode.CONFIGURATION
    return refused.value.problems


@pytest.mark.requirement("R026")
@pytest.mark.parametrize("mode", [Mode.SIM, Mode.PAPER, Mode.LIVE])
@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in NONSENSE.items() for value in values])
def test_a_limit_that_makes_no_sense_stops_the_start_by_name(mode, name, value, tmp_path):
    found = problems(mode, tmp_path, **{f"QTS__RISK__{name.upper()}": value})
    assert any(problem.startswith(f"risk.{name}: ") for problem in found)
    assert all(problem.startswith("risk.") for problem in found)


@pytest.mark.requirement("R026")
def test_every_limit_that_makes_no_sense_is_named_at_once(tmp_path):
    environ = {f"QTS__RISK__{name.upper()}": values[0] for name, values in NONSENSE.items()}
    named = {problem.split(":")[0].removeprefix("risk.") for problem in problems(Mode.SIM, tmp_path, **environ)}
    assert named >= set(NONSENSE)


@pytest.mark.requirement("R084")
@pytest.mark.parametrize("name", SWITCHES)
def test_there_is_no_setting_that_switches_a_check_off(name, tmp_path):
    (found,) = problems(Mode.SIM, tmp_path, **{f"QTS__{name}": "false"})
    assert "unknown" in found


@pytest.mark.requirement("R026")
def test_without_any_setting_the_limits_are_those_of_the_gate(tmp_path):
    assert to_limits(load(Mode.SIM, environ={}, cwd=tmp_path).settings) == RiskLimits()
