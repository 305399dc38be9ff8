"""`doctor`: every precondition, each with its fix. Prints; what is looked at is decided in `app.doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from quant_trading_system.cli.options import (
    LISTEN,
    config_option,
    json_option,
    mode_option,
    state_dir_option,
)

SIGNS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL", "skip": " -  "}


@click.command()
@mode_option
@click.option("--account", metavar="NUMBER", help="live: the account's number.")
@config_option
@state_dir_option
@click.option("--http", "listen", type=LISTEN, metavar="HOST:PORT", help="Where the daemon would listen.")
@json_option
def doctor(
    *,
    mode: str,
    account: str | None,
    config_file: Path | None,
    state_dir: Path | None,
    listen: str | None,
    as_json: bool,
) -> None:
    """Look at every precondition of a start. Exit 0 if nothing fails, else 4."""
    import asyncio
    from dataclasses import asdict

    from quant_trading_system.app.doctor.examine import examine
    from quant_trading_system.app.doctor.findings import Verdict
    from quant_trading_system.core.errors import ExitCode
    from quant_trading_system.core.types import Mode

    findings = asyncio.run(
        examine(
            Mode(mode),
            flags={"trade.account": account, "http.listen": listen},
            config_file=config_file,
            state_dir=state_dir,
        )
    )
    has_failed = any(finding.verdict is Verdict.FAIL for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": not has_failed, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        for finding in findings:
            click.echo(f"{SIGNS[finding.verdict]}  {finding.name:<20} {finding.found}")
            if finding.fix:
                click.echo(f"      {'':<20} fix: {finding.fix}")
    raise SystemExit(ExitCode.CONFIGURATION if has_failed else ExitCode.OK)
