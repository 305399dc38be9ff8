"""`positions`: what is held, whose books it is in, and whether the broker says the same. Asks, prints."""

from __future__ import annotations

from pathlib import Path

import click

from quant_trading_system.cli.client import Client, find
from quant_trading_system.cli.options import http_option, json_option, state_dir_option
from quant_trading_system.cli.tables import books, money, print_json, print_table, seconds, text

COLUMNS = ["Symbol", "Shares", "Average", "Last", "Value", "Open P&L", "Realised", "Broker", "Age", "Books"]


@click.command()
@http_option
@state_dir_option
@json_option
def positions(*, listen: str | None, state_dir: Path | None, as_json: bool) -> None:
    """What is held, marked to the market, with each strategy's book."""
    answer = Client(find(listen, state_dir)).get("/api/v1/positions")
    if as_json:
        print_json(answer)
        return
    if not answer["positions"]:
        click.echo("nothing is held", err=True)
        return
    rows = [
        [
            held["symbol"],
            held["qty"],
            text(held["avg_entry_price"]),
            text(held["current_price"]),
            money(held["market_value"]),
            money(held["unrealized_pl"]),
            money(held["realized_pl"]),
            "agrees" if held["agrees_with_broker"] else text(held["broker_qty"]),
            seconds(held["mark_age_s"]),
            books(held["books"]),
        ]
        for held in answer["positions"]
    ]
    print_table(COLUMNS, rows, numbers=[*COLUMNS[1:7], "Age"])
