"""`control`: command the running daemon. Decides only what `kill` does when nobody answers: the latch on disk."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from quant_trading_system.cli.client import Answer, Client, find, state_folders
from quant_trading_system.cli.options import http_option, json_option, state_dir_option
from quant_trading_system.cli.tables import print_json, print_table, text
from quant_trading_system.core.errors import ExitCode, OperatorError

LATCH_FILE = "kill.latch"

Command = TypeVar("Command", bound=Callable[..., None])


def _operator() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid-{os.geteuid()}"


def _where(command: Command) -> Command:
    for option in (json_option, state_dir_option, http_option):
        command = option(command)
    return command


def _who(command: Command) -> Command:
    for option in (
        click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded."),
        click.option("--operator", default=_operator, metavar="NAME", help="Who; the user's name where left out."),
    ):
        command = option(command)
    return command


@click.group()
def control() -> None:
    """Command the running daemon. Every command is recorded with who and why."""


@control.command()
@click.option("--cancel", is_flag=True, help="Also cancel open entries.")
@_who
@_where
def pause(
    *, cancel: bool, operator: str, reason: str, listen: str | None, state_dir: Path | None, as_json: bool
) -> None:
    """Let only orders pass that reduce exposure."""
    _command("pause", {"operator": operator, "reason": reason, "cancel": cancel}, listen, state_dir, as_json)


@control.command()
@_who
@_where
def resume(*, operator: str, reason: str, listen: str | None, state_dir: Path | None, as_json: bool) -> None:
    """Lift the pause."""
    _command("resume", {"operator": operator, "reason": reason}, listen, state_dir, as_json)


@control.command("cancel-all")
@_who
@_where
def cancel_all(*, operator: str, reason: str, listen: str | None, state_dir: Path | None, as_json: bool) -> None:
    """Cancel every order at the broker, ours or not."""
    _command("cancel-all", {"operator": operator, "reason": reason}, listen, state_dir, as_json)


@control.command()
@_who
@_where
def kill(*, operator: str, reason: str, listen: str | None, state_dir: Path | None, as_json: bool) -> None:
    """Engage the kill latch and cancel everything; where the daemon is down, engage the latch on disk."""
    body = {"operator": operator, "reason": reason or "control kill"}
    try:
        _command("kill", body, listen, state_dir, as_json)
    except OperatorError as error:
        if error.exit_code is ExitCode.USAGE:
            raise
        _kill_on_disk(error, body, state_dir, as_json)


@control.command()
@click.option("--operator", required=True, metavar="NAME", help="Who takes the responsibility.")
@click.option("--reason", required=True, metavar="TEXT", help="What was wrong and why it is right now.")
@_where
def reset(*, operator: str, reason: str, listen: str | None, state_dir: Path | None, as_json: bool) -> None:
    """Leave HALTED: needs a name, a reason and a clean reconciliation."""
    _command("reset", {"operator": operator, "reason": reason}, listen, state_dir, as_json)


@control.command()
@click.argument("symbol")
@click.option("--operator", default=_operator, metavar="NAME", help="Who; the user's name where left out.")
@click.option("--reason", required=True, metavar="TEXT", help="Why it is safe again.")
@_where
def unlock(
    *, symbol: str, operator: str, reason: str, listen: str | None, state_dir: Path | None, as_json: bool
) -> None:
    """Unlock a symbol."""
    _command("unlock", {"symbol": symbol, "operator": operator, "reason": reason}, listen, state_dir, as_json)


@control.command()
@click.argument("strategy")
@click.option("--operator", default=_operator, metavar="NAME", help="Who; the user's name where left out.")
@click.option("--reason", required=True, metavar="TEXT", help="Why it may trade again.")
@_where
def enable(
    *, strategy: str, operator: str, reason: str, listen: str | None, state_dir: Path | None, as_json: bool
) -> None:
    """Switch a strategy on again."""
    _command("enable", {"strategy": strategy, "operator": operator, "reason": reason}, listen, state_dir, as_json)


@control.command()
@_where
def limits(*, listen: str | None, state_dir: Path | None, as_json: bool) -> None:
    """Every limit with its use."""
    answer = Client(find(listen, state_dir)).get("/api/v1/risk")
    if as_json:
        print_json({"limits": answer["limits"], "limits_version": answer["limits_version"]})
        return
    print_table(
        ["Control", "Name", "Measured", "Limit", "Use"],
        [
            [
                limit["control"],
                limit["name"].replace("_", " "),
                text(limit["measured"]),
                text(limit["limit"]),
                "-" if limit["usage"] is None else f"{limit['usage'] * 100:.0f} %",
            ]
            for limit in answer["limits"]
        ],
        numbers=["Measured", "Limit", "Use"],
    )


@control.command()
@_where
def locks(*, listen: str | None, state_dir: Path | None, as_json: bool) -> None:
    """Locked symbols and strategies that are off, each with its reason."""
    answer = Client(find(listen, state_dir)).get("/api/v1/risk")
    if as_json:
        print_json({"locks": answer["locks"], "disabled_strategies": answer["disabled_strategies"]})
        return
    rows = [["symbol", lock["symbol"], lock["reason"]] for lock in answer["locks"]]
    rows += [["strategy", off["strategy"], off["reason"]] for off in answer["disabled_strategies"]]
    if not rows:
        click.echo("nothing is locked", err=True)
        return
    print_table(["Kind", "What", "Reason"], rows)


def _command(
    command: str, body: dict[str, object] | dict[str, str], listen: str | None, state_dir: Path | None, as_json: bool
) -> None:
    answer = Client(find(listen, state_dir)).command(command, body)
    _print(answer, as_json)


def _print(answer: Answer, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    click.echo(answer["text"])
    for name, value in answer["details"].items():
        click.echo(f"  {name}: {value}")


def _kill_on_disk(error: OperatorError, body: dict[str, str], state_dir: Path | None, as_json: bool) -> None:
    """Write the latch where a daemon finds it, and say what was not done.

    Raises:
        OperatorError: there is no one state directory to write to.
    """
    from quant_trading_system.persistence.latch_file import LatchFile

    folders = [folder for folder in state_folders(state_dir, os.environ) if folder.is_dir()]
    if not folders:
        raise OperatorError(
            f"{error.message}; and there is no state directory to latch",
            fix="name it with --state-dir DIR",
            exit_code=ExitCode.NOT_RUNNING,
        ) from error
    for folder in folders:
        LatchFile(folder / LATCH_FILE).engage(body["operator"], body["reason"])
    done = "kill latch engaged in " + ", ".join(str(folder) for folder in folders)
    undone = "this command cancelled nothing at the broker: orders that work there can still fill"
    if as_json:
        print_json({"accepted": True, "text": done, "details": {"daemon": error.message, "not_done": undone}})
        return
    click.echo(done)
    click.echo(f"  {error.message}", err=True)
    click.echo(f"  {undone}", err=True)
    click.echo("  a daemon that starts with it is HALTED until `control reset`", err=True)
