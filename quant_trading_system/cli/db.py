"""`db upgrade|current|check`: the database's schema. Decides which: `--url`, the settings', or the embedded."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from quant_trading_system.cli.options import config_option, json_option, mode_option, state_dir_option

Result = TypeVar("Result")
Command = Callable[..., None]

url_option = click.option("--url", metavar="URL", help="The database; else the settings', else the embedded one.")


@click.group()
def db() -> None:
    """The database's schema."""


def where_options(command: Command) -> Command:
    """The options that say which database is meant."""
    for option in (json_option, state_dir_option, config_option, mode_option, url_option):
        command = option(command)
    return command


@db.command()
@where_options
def upgrade(*, as_json: bool, **where: Any) -> None:
    """Bring the schema to this version's, making it where there is none."""
    from quant_trading_system.persistence import schema

    before = _with_database(schema.upgrade, may_create=True, **where)
    head = schema.head()
    if as_json:
        click.echo(json.dumps({"before": before, "current": head}))
    elif before == head:
        click.echo(f"schema {head}: nothing to do")
    else:
        click.echo(f"schema {before or 'none'} -> {head}")


@db.command()
@where_options
def current(*, as_json: bool, **where: Any) -> None:
    """The schema the database has, and the one this version needs."""
    from quant_trading_system.persistence import schema

    found = _with_database(schema.current, may_create=False, **where)
    if as_json:
        click.echo(json.dumps({"current": found, "head": schema.head()}))
    else:
        click.echo(f"{found or 'none'}{' (head)' if found == schema.head() else f' (head is {schema.head()})'}")


@db.command()
@where_options
def check(*, as_json: bool, **where: Any) -> None:
    """Exit 0 where the schema is exactly what this version needs; else name every difference and exit 4."""
    from quant_trading_system.core.errors import ConfigurationError
    from quant_trading_system.persistence import schema

    problems = _with_database(schema.check, may_create=False, **where)
    if problems:
        raise ConfigurationError(problems, fix="run `db upgrade`, or restore a backup")
    click.echo(
        json.dumps({"ok": True, "current": schema.head()}) if as_json else f"schema {schema.head()}: as it must be"
    )


def _with_database(work: Callable[[str], Awaitable[Result]], *, may_create: bool, **where: Any) -> Result:
    async def run() -> Result:
        async with _database(may_create=may_create, **where) as url:
            return await work(url)

    return asyncio.run(run())


@asynccontextmanager
async def _database(
    *, may_create: bool, url: str | None, mode: str, config_file: Path | None, state_dir: Path | None
) -> AsyncIterator[str]:
    from quant_trading_system.app.settings import load, state_directory
    from quant_trading_system.core.errors import ExitCode, OperatorError
    from quant_trading_system.core.types import Mode
    from quant_trading_system.persistence.embedded import running_postgres

    if url is None:
        configured = load(Mode(mode), config_file=config_file, must_have_signs=False).settings.database.url
        url = configured.get_secret_value() if configured is not None else None
    if url is not None:
        yield url
        return
    folder = state_directory(Mode(mode), state_dir, os.environ) / "postgres"
    if not may_create and not (folder / "data").exists():
        raise OperatorError(
            f"there is no database in {folder} yet",
            fix="`trade` or `db upgrade` makes it; another place is named by --state-dir or --url",
            exit_code=ExitCode.CONFIGURATION,
        )
    async with running_postgres(folder) as embedded_url:
        yield embedded_url
