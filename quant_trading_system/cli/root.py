"""The root command: verbs are imported when used. Decides how an error reaches a person: never as a traceback."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from quant_trading_system.core.errors import OperatorError

VERBS = {
    "trade": ("trade", "Start the daemon."),
    "exchange": ("exchange", "The embedded Alpaca-compatible exchange alone."),
    "status": ("status", "Mode, account, trading state and why."),
    "positions": ("positions", "What is held."),
    "orders": ("orders", "Open orders, and those of late."),
    "why": ("why", "Why a symbol was or was not traded, or the story of an order."),
    "control": ("control", "Command the running daemon."),
    "doctor": ("doctor", "Every precondition, each with its fix."),
    "config": ("config", "Show, check and describe the configuration."),
    "db": ("db", "The database's schema."),
}
"""Verb → (module under `cli` and its attribute of the same name, one line of help)."""


class LazyGroup(click.Group):
    """Knows every verb by name and one line; imports a verb's module when that verb is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, _help = VERBS[cmd_name]
        command = getattr(import_module(f"quant_trading_system.cli.{module}"), module)
        assert isinstance(command, click.Command), f"{module} exports a command"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_module, text) in VERBS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in VERBS:
            import difflib

            near = difflib.get_close_matches(name, VERBS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(ctx, args)


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        shown = version("alphatrade")
    except PackageNotFoundError:
        shown = "0.1.0 (not installed)"
    click.echo(f"alphatrade {shown}")
    ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--verbose", is_flag=True, expose_value=False, help="Show where an unexpected error came from.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show it.")
def cli() -> None:
    """AlphaTrade trades US equities through Alpaca, and on an exchange of its own.

    The first try needs no key: alphatrade trade --mode sim
    """


def run(arguments: list[str] | None = None) -> None:
    """Run one command and exit: 0, or the code that interface.md gives its failure."""
    argv = sys.argv[1:] if arguments is None else arguments
    wants_json = "--json" in argv
    try:
        code = _invoke(argv)
    except click.ClickException as error:
        _say({"error": error.format_message(), "exit_code": error.exit_code}, wants_json, error)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; that is no error of ours
        code = 0
    sys.exit(code)


def _invoke(argv: list[str]) -> int:
    from quant_trading_system.core.errors import ExitCode, OperatorError

    try:
        cli(args=argv, prog_name="alphatrade", standalone_mode=False)
    except SystemExit as stop:
        return int(stop.code or 0)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except OperatorError as error:
        _say_operator_error(error, "--json" in argv)
        return int(error.exit_code)
    except (click.ClickException, click.Abort, KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:  # border: the last one before a person; the traceback is for --verbose
        if "--verbose" in argv:
            raise
        known = _known(error)
        _say_operator_error(known, "--json" in argv)
        return int(known.exit_code)
    return int(ExitCode.OK)


def _known(error: BaseException) -> OperatorError:
    """An unexpected error as one line: out of its group, and as what it means where that is known."""
    from quant_trading_system.core.errors import ExitCode, OperatorError

    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    if isinstance(error, OperatorError):
        return error
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("quant_trading_system"):
        return OperatorError(
            f"the package {error.name} is not installed",
            fix="run `make run`, which installs what is needed",
            exit_code=ExitCode.CONFIGURATION,
        )
    return OperatorError(
        f"unexpected: {type(error).__name__}: {error}",
        fix="this is a bug; `alphatrade --verbose …` shows where",
        exit_code=ExitCode.UNEXPECTED,
    )


def _say(payload: dict[str, Any], wants_json: bool, error: click.ClickException) -> None:
    if wants_json:
        click.echo(json.dumps(payload))
    else:
        error.show()


def _say_operator_error(error: OperatorError, wants_json: bool) -> None:
    if wants_json:
        click.echo(json.dumps({"error": error.message, "fix": error.fix, "exit_code": int(error.exit_code)}))
        return
    click.echo(f"error: {error.message}", err=True)
    if error.fix:
        click.echo(f"  fix: {error.fix}", err=True)
