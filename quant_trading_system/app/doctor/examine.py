"""Runs every check in order. Decides only what cannot be looked at without valid settings."""

from __future__ import annotations

import os
from pathlib import Path

from quant_trading_system.app.doctor import machine
from quant_trading_system.app.doctor.findings import Finding, fail, ok, skip
from quant_trading_system.app.doctor.reach import check_reach
from quant_trading_system.app.settings import Loaded, load, state_directory
from quant_trading_system.core.errors import OperatorError
from quant_trading_system.core.types import Mode


async def examine(
    mode: Mode, *, flags: dict[str, object], config_file: Path | None, state_dir: Path | None
) -> list[Finding]:
    """Every precondition of `trade --mode MODE`; starts nothing, writes nothing."""
    findings = [
        machine.check_python(),
        machine.check_packages(),
        machine.check_time_zones(),
        machine.check_open_files(),
    ]
    folder = state_directory(mode, state_dir, os.environ)
    findings += [machine.check_state_directory(folder), machine.check_latch(folder), machine.check_service_manager()]
    try:
        loaded = load(mode, flags=flags, config_file=config_file)
    except OperatorError as error:
        findings += [fail("settings", problem, error.fix) for problem in error.message.splitlines()]
        return findings
    findings += [ok("settings", f"valid for mode {mode}"), _keys(loaded)]
    findings += machine.check_secret_files(_secret_files(loaded))
    settings = loaded.settings
    findings += machine.check_servers(
        has_database_url=settings.database.url is not None, has_redis_url=settings.redis.url is not None
    )
    findings.append(machine.check_port(settings.http.listen))
    free_bytes_min = int(settings.risk.disk_free_bytes_min)  # type: ignore[attr-defined]
    findings.append(machine.check_disk(folder, free_bytes_min=free_bytes_min))
    return findings + await check_reach(loaded)


def _keys(loaded: Loaded) -> Finding:
    if loaded.mode is Mode.SIM:
        return skip("keys", "mode sim needs none")
    assert loaded.keys is not None, "paper and live do not load without keys"
    return ok("keys", f"{loaded.keys.hint} from {loaded.keys.source}")


def _secret_files(loaded: Loaded) -> list[Path]:
    """Files that hold secrets: those of the keys, and `.env` of the working folder."""
    dotenv = Path.cwd() / ".env"
    return [*(loaded.keys.files if loaded.keys is not None else ()), *([dotenv] if dotenv.is_file() else [])]
