"""`config show|check|schema`: what is set, where it came from, whether it holds, and what can be set."""

from __future__ import annotations

import json
from pathlib import Path

import click

from quant_trading_system.cli.options import config_option, json_option, mode_option


@click.group()
def config() -> None:
    """Show, check and describe the configuration."""


@config.command()
@mode_option
@config_option
@click.option("--origin", "with_origin", is_flag=True, help="Say where each value came from.")
@json_option
def show(*, mode: str, config_file: Path | None, with_origin: bool, as_json: bool) -> None:
    """Every setting in force; secrets are masked."""
    from quant_trading_system.app.settings import load, origin_of
    from quant_trading_system.app.settings import show as show_settings
    from quant_trading_system.core.types import Mode

    loaded = load(Mode(mode), config_file=config_file, must_have_signs=False)
    values = show_settings(loaded)
    origins = {name: origin_of(name, loaded.origins) for name in values}
    if as_json:
        payload = {name: {"value": value, "origin": origins[name]} for name, value in values.items()}
        click.echo(json.dumps(payload if with_origin else values, indent=2))
        return
    width = max(len(name) for name in values)
    for name, value in values.items():
        origin = f"  ({origins[name]})" if with_origin else ""
        click.echo(f"{name:<{width}}  {value or '-'}{origin}")


@config.command()
@mode_option
@config_option
@json_option
def check(*, mode: str, config_file: Path | None, as_json: bool) -> None:
    """Exit 0 if the daemon would accept this configuration; else name every problem and exit 4 (7: signs disagree)."""
    from quant_trading_system.app.settings import load
    from quant_trading_system.core.types import Mode

    loaded = load(Mode(mode), config_file=config_file)
    source = loaded.keys.source if loaded.keys is not None else None
    if as_json:
        click.echo(json.dumps({"mode": mode, "ok": True, "keys": source}))
    else:
        click.echo(f"mode {mode}: the configuration is valid{f'; keys from {source}' if source else ''}")


@config.command()
def schema() -> None:
    """JSON Schema of the configuration files."""
    from quant_trading_system.app.settings import Settings

    click.echo(json.dumps(Settings.model_json_schema(), indent=2))
