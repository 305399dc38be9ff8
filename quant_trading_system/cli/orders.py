"""`orders`: orders that live, and those of late where asked. Asks, prints."""

from __future__ import annotations

from pathlib import Path

import click

from quant_trading_system.cli.client import Client, find
from quant_trading_system.cli.options import http_option, json_option, state_dir_option
from quant_trading_system.cli.tables import clock, print_json, print_table, text

COLUMNS = ["Created", "Symbol", "Side", "Shares", "Filled", "Price", "Limit", "State", "Strategy", "Order"]


@click.command()
@http_option
@state_dir_option
@click.option("--all", "with_final", is_flag=True, help="Final ones too, newest first.")
@click.option("--symbol", metavar="SYMBOL", help="Of one symbol only.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="At most so many.")
@json_option
def orders(
    *, listen: str | None, state_dir: Path | None, with_final: bool, symbol: str | None, limit: int, as_json: bool
) -> None:
    """Open orders; with --all those of late too. `why ORDER` tells an order's story."""
    client = Client(find(listen, state_dir))
    answer = client.get("/api/v1/orders", status="all" if with_final else "open", symbol=symbol, limit=limit)
    if as_json:
        print_json(answer)
        return
    if not answer["orders"]:
        click.echo("no order is known yet" if with_final else "no order is open", err=True)
        return
    rows = [
        [
            clock(order["created_at"]),
            order["symbol"],
            order["side"],
            text(order["qty"]),
            order["filled_qty"],
            text(order["filled_avg_price"]),
            text(order["limit_price"]),
            order["state"],
            order["strategy"],
            order["client_order_id"],
        ]
        for order in answer["orders"]
    ]
    print_table(COLUMNS, rows, numbers=["Shares", "Filled", "Price", "Limit"])
