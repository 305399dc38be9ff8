"""`why SYMBOL` and `why ORDER`: what was decided, by which numbers, and what became of it. Asks, prints.

An order's id holds a hyphen and small letters or is long; everything else is a symbol.
"""

from __future__ import annotations

import re
from pathlib import Path

import click

from quant_trading_system.cli.client import Answer, Client, find
from quant_trading_system.cli.options import VENUE_TIME, http_option, json_option, state_dir_option
from quant_trading_system.cli.tables import books, clock, print_json, print_table, text

SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9]{0,5}([./][A-Za-z]{1,4})?")


@click.command()
@click.argument("subject", metavar="SYMBOL|ORDER")
@click.option("--at", type=VENUE_TIME, metavar="TIME", help="The decision at or before this time; New York's.")
@click.option("--last", type=click.IntRange(1, 50), default=1, show_default=True, help="So many decisions.")
@http_option
@state_dir_option
@json_option
def why(*, subject: str, at: str | None, last: int, listen: str | None, state_dir: Path | None, as_json: bool) -> None:
    """Why a symbol was or was not traded, or the story of one order from signal to fill."""
    client = Client(find(listen, state_dir))
    if SYMBOL.fullmatch(subject):
        answer = client.get("/api/v1/decisions", symbol=subject.upper(), at=at, limit=last)
        if as_json:
            print_json(answer)
            return
        if not answer["decisions"]:
            _say_nothing_decided(client, subject.upper())
        for decision in answer["decisions"]:
            _print_decision(decision)
        return
    if at is not None:
        raise click.UsageError("--at goes with a symbol; an order has one story")
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", subject):
        raise click.UsageError(f"expected a symbol such as IBM or an order's id, found {subject!r}")
    story = client.get(f"/api/v1/orders/{subject}")
    if as_json:
        print_json(story)
        return
    _print_story(story)


def _say_nothing_decided(client: Client, symbol: str) -> None:
    """No decision is an answer too: say what stands in the way, as far as it is known."""
    click.echo(f"no decision about {symbol} is known", err=True)
    risk = client.get("/api/v1/risk")
    for lock in risk["locks"]:
        if lock["symbol"] == symbol:
            click.echo(f"  {symbol} is locked: {lock['reason']}", err=True)
    for cause in risk["causes"]:
        click.echo(f"  trading is {cause['state']}: {cause['cause']} {cause['detail']}", err=True)
    for strategy in client.get("/api/v1/strategies")["strategies"]:
        name = strategy["strategy"]
        if not strategy["is_enabled"]:
            click.echo(f"  {name} is off: {strategy['disabled_reason']}", err=True)
        elif symbol not in strategy["symbols"]:
            click.echo(f"  {name} does not trade {symbol}", err=True)
        else:
            warm = f"{strategy['warm_symbols']} of {len(strategy['symbols'])} symbols are warm"
            click.echo(f"  {name} gave no order for it; {warm}", err=True)


def _print_decision(decision: Answer) -> None:
    wanted = "nothing"
    if decision["side"]:
        wanted = f"{decision['side']} {text(decision['qty'])} at {text(decision['limit_price'])}"
    outcome = decision["outcome"].upper().replace("_", " ")
    click.echo(
        f"{clock(decision['time'])} New York  {decision['symbol']}  {decision['strategy']}: "
        f"{outcome}, wanted {wanted} (reference {text(decision['reference_price'])})"
    )
    click.echo(f"  {decision['reason'] or 'no reason was given'}")
    if decision["inputs"]:
        click.echo("  inputs: " + ", ".join(f"{name} {_number(value)}" for name, value in decision["inputs"].items()))
    if decision["controls"]:
        print_table(
            ["", "Control", "Name", "Measured", "Limit", "Reason"],
            [
                [
                    "ok" if control["passed"] else "NO",
                    control["control"],
                    control["name"].replace("_", " "),
                    text(control["measured"]),
                    text(control["limit"]),
                    control["reason"],
                ]
                for control in sorted(decision["controls"], key=lambda control: bool(control["passed"]))
            ],
        )
    if decision["client_order_id"] and decision["outcome"] == "approved":
        click.echo(f"  order {decision['client_order_id']}")
    click.echo()


def _print_story(story: Answer) -> None:
    if story["decision"] is None:
        click.echo("no decision of ours led to this order", err=True)
    else:
        _print_decision(story["decision"])
    order = story["order"]
    if order is not None:
        price = text(order["limit_price"] or order["stop_price"])
        click.echo(
            f"order {order['client_order_id']} (broker's {text(order['id'])}): {order['side']} {text(order['qty'])} "
            f"{order['symbol']} {order['type']} {price} {order['time_in_force']}, for {books(order['books'])}"
        )
        click.echo(f"  {order['state']}, filled {order['filled_qty']} at {text(order['filled_avg_price'])}")
    if story["states"]:
        print_table(
            ["Venue time", "State", "Broker", "Filled", "Reason"],
            [
                [
                    clock(state["time"]),
                    state["state"],
                    text(state["status"]),
                    state["filled_qty"],
                    text(state["reason"]),
                ]
                for state in story["states"]
            ],
            numbers=["Filled"],
        )
    if not story["fills"]:
        click.echo("no fill", err=True)
        return
    click.echo()
    print_table(
        ["Fill", "Shares", "Price", "Slippage bps", "Realised", "Books", "Seen by"],
        [
            [
                clock(fill["transaction_time"]),
                fill["qty"],
                fill["price"],
                text(fill["slippage_bps"]),
                text(fill["realized_pl"]),
                books(fill["books"]),
                fill["source"],
            ]
            for fill in story["fills"]
        ],
        numbers=["Shares", "Price", "Slippage bps", "Realised"],
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
