"""`status`: mode, account, trading state and why, money, ages, and the steps while the daemon starts. Asks, prints."""

from __future__ import annotations

from pathlib import Path

import click

from quant_trading_system.cli.client import Answer, Client, find
from quant_trading_system.cli.options import http_option, json_option, state_dir_option, verbose_option
from quant_trading_system.cli.tables import clock, money, percent, print_json, print_pairs, print_table, seconds, text


@click.command()
@http_option
@state_dir_option
@json_option
@verbose_option
def status(*, listen: str | None, state_dir: Path | None, as_json: bool, verbose: bool) -> None:
    """Mode, account, trading state with its causes, money, ages."""
    answer = Client(find(listen, state_dir)).get("/api/v1/status")
    if as_json:
        print_json(answer)
        return
    print_pairs(_pairs(answer))
    if answer["causes"]:
        click.echo()
        print_table(
            ["Cause", "State", "Since", "Detail"],
            [
                [cause["cause"], cause["state"], clock(cause["since"], "%H:%M:%S"), text(cause["detail"])]
                for cause in answer["causes"]
            ],
        )
    if verbose and answer.get("restart"):
        click.echo()
        for line in answer["restart"]["lines"][1:]:
            click.echo(f"since the restart: {text(line)}")
    if verbose or any(step["state"] != "ready" for step in answer["steps"]):
        click.echo()
        print_table(
            ["Step", "Name", "State", "Took", "Detail"],
            [
                [str(step["number"]), step["name"], step["state"], seconds(step["seconds"]), text(step["detail"])]
                for step in answer["steps"]
            ],
            numbers=["Step", "Took"],
        )


def _pairs(answer: Answer) -> list[tuple[str, str]]:
    mode = " · ".join(part for part in (answer["mode"].upper(), answer["band"]) if part)
    pairs = [("mode", mode), ("account", text(answer["account"])), ("trading state", answer["trading_state"])]
    if answer.get("exchange_url"):
        pairs.append(("exchange", answer["exchange_url"]))
    if answer.get("restart"):
        pairs.append(("restart", answer["restart"]["lines"][0]))
    if "venue_time" not in answer:
        return pairs
    session = answer["session"]
    streams = ", ".join(
        f"{name} {'up' if stream['is_up'] else 'down'}"
        + ("" if stream["last_message_age_s"] is None else f" ({seconds(stream['last_message_age_s'])})")
        for name, stream in answer["streams"].items()
    )
    return [
        *pairs,
        ("venue time", f"{clock(answer['venue_time'])} New York, market {'open' if session['is_open'] else 'closed'}"),
        ("equity", f"{money(answer['equity'])} USD, today {money(answer['day_pl'])} USD"),
        ("cash", f"{money(answer['cash'])} USD"),
        ("drawdown", percent(answer["drawdown_ratio"])),
        ("gross exposure", percent(answer["gross_exposure_ratio"])),
        (
            "healed in 24 h",
            ", ".join(f"{name} {each['used']} of {each['limit']}" for name, each in answer["healing"].items()),
        ),
        ("positions", str(answer["positions"])),
        ("open orders", f"{answer['open_orders']}, unknown {answer['unknown_orders']}"),
        (
            "reconciled",
            f"{seconds(answer['reconciliation']['age_s'])} ago, {answer['reconciliation']['drifts']} drifts",
        ),
        ("streams", streams or "-"),
        ("kill latch", answer["kill_latch"]["state"]),
        ("locked symbols", ", ".join(f"{name} ({why})" for name, why in answer["locks"].items()) or "-"),
    ]
