"""How the values of `exchange`'s flags are written. Decides which make sense; heavy imports wait until one is given."""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click

LISTEN_DEFAULT = "127.0.0.1:8090"
CASH_USD_MAX = Decimal("1e12")
KEY_CHARACTERS_MAX = 256
SYMBOLS_MAX = 1_000

_HOST_PORT = re.compile(r"(?:\[([0-9a-fA-F:]+)\]|([^:\s\[\]]+)):(\d{1,5})", re.ASCII)
_SYMBOL = re.compile(r"[A-Z][A-Z0-9]{0,9}([.\-/][A-Z0-9]{1,5})?", re.ASCII)


class HostPortType(click.ParamType[tuple[str, int]]):
    name = "HOST:PORT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        match = _HOST_PORT.fullmatch(str(value))
        if match is None or int(match[3]) > 65_535:
            self.fail(f"expected HOST:PORT like {LISTEN_DEFAULT}, found {value!r}", param, ctx)
        return match[1] or match[2], int(match[3])


class SpeedType(click.ParamType[float]):
    name = "X"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from quant_trading_system.simulator.server.settings import SPEED_MAX

        try:
            speed = float(str(value))
        except ValueError:
            speed = math.nan
        if not 0 < speed <= SPEED_MAX:
            self.fail(f"expected a number above 0 and at most {SPEED_MAX:g}, found {value!r}", param, ctx)
        return speed


class CashType(click.ParamType[Decimal]):
    name = "USD"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            cash = Decimal(str(value))
        except InvalidOperation:
            cash = Decimal("nan")
        if not (cash.is_finite() and 0 < cash <= CASH_USD_MAX and cash == round(cash, 2)):
            self.fail(f"expected an amount above 0 with at most two decimals, found {value!r}", param, ctx)
        return cash


class TimeType(click.ParamType[int]):
    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from quant_trading_system.simulator.instants import NEW_YORK
        from quant_trading_system.simulator.server.stamps import parse_instant

        try:
            return parse_instant(str(value), zone=NEW_YORK)
        except ValueError:
            self.fail(
                f"expected a time like 2013-10-07T09:30 (New York) or with an offset, found {value!r}", param, ctx
            )


class FaultType(click.ParamType[str]):
    name = "KIND[@WHERE][:KEY=VALUE,…]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from quant_trading_system.simulator.server.faults import FaultPlanError, parse_flag

        try:
            parse_flag(str(value))
        except FaultPlanError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class ParameterType(click.ParamType[tuple[str, str]]):
    name = "NAME=VALUE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        from quant_trading_system.simulator.server.tuning import TuningError, parse_wish

        try:
            return parse_wish(str(value))
        except TuningError as error:
            self.fail(str(error), param, ctx)


class KeyType(click.ParamType[str]):
    name = "KEY"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        printable = text.isascii() and text.isprintable() and " " not in text and ":" not in text
        if not (text and printable and len(text) <= KEY_CHARACTERS_MAX):
            rule = f"1 to {KEY_CHARACTERS_MAX} characters of printable ASCII without blanks and colons"
            self.fail(f"expected {rule}, found {len(text)} characters", param, ctx)
        return text


class FolderType(click.ParamType[Path]):
    name = "DIR"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not str(value).strip():  # it would mean the working folder
            self.fail(f"expected a folder of market data, found {value!r}", param, ctx)
        return Path(str(value))


class SymbolsType(click.ParamType[tuple[str, ...]]):
    name = "A,B"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = [name.strip().upper() for name in str(value).split(",")]
        for name in names:
            if not _SYMBOL.fullmatch(name):
                self.fail(f"expected symbols like SPY,BRK.B,BTC/USD, found {name!r}", param, ctx)
        if len(set(names)) != len(names):
            self.fail("a symbol stands there twice", param, ctx)
        if len(names) > SYMBOLS_MAX:
            self.fail(f"expected at most {SYMBOLS_MAX} symbols, found {len(names)}", param, ctx)
        return tuple(sorted(names))
