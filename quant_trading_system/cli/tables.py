"""How answers are printed: tables on a terminal, plain columns elsewhere, JSON where asked. Decides form only."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import click

NOTHING = "-"
NEW_YORK = ZoneInfo("America/New_York")

Row = Sequence[str]


def print_json(content: object) -> None:
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Row], *, numbers: Sequence[str] = ()) -> None:
    """Print rows under their columns; those named in `numbers` are set to the right."""
    if sys.stdout.isatty():
        _print_rich(columns, rows, numbers)
        return
    widths = [max(len(column), *(len(row[place]) for row in rows)) for place, column in enumerate(columns)]
    for row in (columns, *rows):
        cells = [
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        shown = f"{name}:".ljust(width + 1)
        click.echo(f"{click.style(shown, dim=True) if sys.stdout.isatty() else shown} {value}")


def text(value: Any) -> str:
    """Any JSON value as a cell."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def money(value: str | None) -> str:
    """USD to the cent with separators."""
    try:
        return NOTHING if value is None else f"{Decimal(value):,.2f}"
    except InvalidOperation:
        return text(value)


def percent(value: str | None) -> str:
    try:
        return NOTHING if value is None else f"{Decimal(value) * 100:.2f} %"
    except InvalidOperation:
        return text(value)


def seconds(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f} s"


def clock(value: str | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A time of the interface as New York time."""
    return NOTHING if value is None else datetime.fromisoformat(value).astimezone(NEW_YORK).strftime(form)


def books(parts: Sequence[dict[str, Any]]) -> str:
    return ", ".join(f"{part['strategy']} {part['qty']}" for part in parts) or NOTHING


def _print_rich(columns: Sequence[str], rows: Sequence[Row], numbers: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a cell is never read as markup
    Console().print(table)
