"""Options and parameter types that several verbs share. Each refusal says what was expected and what was found."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import click

from quant_trading_system.app import forms


class Amount(click.ParamType[Decimal]):
    """A positive amount in USD."""

    name = "usd"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            return forms.parse_amount(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Listen(click.ParamType[str]):
    """HOST:PORT."""

    name = "host:port"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return forms.check_host_port(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Symbols(click.ParamType[tuple[str, ...]]):
    """Symbols separated by commas, in any case."""

    name = "symbols"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return forms.check_symbols([part.strip().upper() for part in str(value).split(",")])
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Time(click.ParamType[str]):
    """An ISO time; New York where it has no offset. Its value is ISO text with an offset."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return forms.parse_time(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Number(click.ParamType[float]):
    """A finite number above one bound and at most another."""

    name = "number"

    def __init__(self, *, above: float, at_most: float) -> None:
        self._above = above
        self._at_most = at_most

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return forms.parse_number(str(value), above=self._above, at_most=self._at_most)
        except ValueError as error:
            self.fail(str(error), param, ctx)


AMOUNT = Amount()
LISTEN = Listen()
SYMBOLS = Symbols()
VENUE_TIME = Time()
SPEED = Number(above=0, at_most=3_600)
DURATION = Number(above=0, at_most=366 * 86_400)
SEED = click.IntRange(0, 2**63 - 1)

config_option = click.option(
    "--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="Settings in TOML."
)
state_dir_option = click.option(
    "--state-dir", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Where the state lies."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
http_option = click.option("--http", "listen", type=LISTEN, metavar="HOST:PORT", help="Where the daemon listens.")
verbose_option = click.option("--verbose", is_flag=True, help="Log more; show where an unexpected error came from.")
mode_option = click.option(
    "--mode", type=click.Choice(["sim", "paper", "live"]), default="sim", show_default=True, help="Whose settings."
)
