"""What can be set, with unit, default and reason. Values and their own rules only; where they come from is `load`'s."""

from __future__ import annotations

import ipaddress
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import structs
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    create_model,
    field_validator,
    model_validator,
)

from quant_trading_system.core.types import InstrumentClass
from quant_trading_system.risk.limits import RiskLimits
from quant_trading_system.strategy.catalog import KINDS

SYMBOL = re.compile(r"[A-Z][A-Z0-9]{0,5}([./][A-Z]{1,4})?")
SYMBOLS_MAX = 1_000
SECONDS_DAY = 86_400.0


class EnvironmentText(str):
    """Text of an environment variable, where a number or a boolean cannot be written otherwise."""

    __slots__ = ()


def _strict_number(value: object) -> object:
    """Refuse what only looks like a number: booleans, and text anywhere but in the environment."""
    if isinstance(value, bool):
        raise ValueError("expected a number, found a boolean")
    if isinstance(value, str) and not isinstance(value, EnvironmentText):
        raise ValueError(f"expected a number without quotes, found the text {value!r}")
    if isinstance(value, float):
        return Decimal(repr(value))
    return value


def _strict_bool(value: object) -> object:
    """Accept true and false only (as text only from the environment); `yes`, 1 and the like mislead."""
    if isinstance(value, bool):
        return value
    if isinstance(value, EnvironmentText) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise ValueError(f"expected true or false, found {value!r}")


Amount = Annotated[Decimal, BeforeValidator(_strict_number), Field(allow_inf_nan=False)]
Seconds = Annotated[float, BeforeValidator(_strict_number), Field(gt=0, le=SECONDS_DAY, allow_inf_nan=False)]
Real = Annotated[float, BeforeValidator(_strict_number), Field(allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_strict_number)]
Flag = Annotated[bool, BeforeValidator(_strict_bool)]
Ratio = Annotated[Decimal, BeforeValidator(_strict_number), Field(gt=0, le=10, allow_inf_nan=False)]


class Section(BaseModel):
    """Frozen, and refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)


def check_listen(value: str) -> str:
    """HOST:PORT on loopback; anything else needs TLS and sign-in, which the daemon does not have yet (S1)."""
    host, separator, port = value.rpartition(":")
    if not separator or not host or not port.isdigit() or not 0 <= int(port) <= 65_535:
        raise ValueError(f"expected HOST:PORT with a port from 0 to 65535, found {value!r}")
    bare = host.strip("[]")
    try:
        is_loopback = bare == "localhost" or ipaddress.ip_address(bare).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise ValueError(
            f"must be a loopback address such as 127.0.0.1:8080, found {value!r}; reach it by an SSH tunnel"
        )
    return value


def check_symbols(values: tuple[str, ...]) -> tuple[str, ...]:
    bad = [value for value in values if not SYMBOL.fullmatch(value)]
    if bad:
        raise ValueError(f"not a symbol: {', '.join(repr(value) for value in bad[:5])}; expected such as AAPL or BRK.B")
    doubled = sorted({value for value in values if values.count(value) > 1})
    if doubled:
        raise ValueError(f"named twice: {', '.join(doubled)}")
    if len(values) > SYMBOLS_MAX:
        raise ValueError(f"{len(values)} symbols, at most {SYMBOLS_MAX}")
    return values


class HttpSettings(Section):
    listen: Annotated[str, Field(description="Address of dashboard, API and metrics. Loopback only.")] = (
        "127.0.0.1:8080"
    )

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, value: str) -> str:
        return check_listen(value)


class LoggingSettings(Section):
    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="Least severe event that is logged.")
    ] = "INFO"
    format: Annotated[
        Literal["auto", "json", "console"], Field(description="auto: console on a terminal, JSON lines elsewhere.")
    ] = "auto"

    @field_validator("level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value


class StoreSettings(Section):
    url: Annotated[SecretStr | None, Field(description="Connection URL. Unset: an embedded server is started.")] = None


class DatabaseSettings(StoreSettings):
    @field_validator("url")
    @classmethod
    def _check(cls, value: SecretStr | None) -> SecretStr | None:
        return _check_scheme(value, ("postgresql://", "postgres://", "postgresql+asyncpg://"))


class RedisSettings(StoreSettings):
    @field_validator("url")
    @classmethod
    def _check(cls, value: SecretStr | None) -> SecretStr | None:
        return _check_scheme(value, ("redis://", "rediss://", "unix://"))


def _check_scheme(value: SecretStr | None, schemes: tuple[str, ...]) -> SecretStr | None:
    if value is not None and not value.get_secret_value().startswith(schemes):
        raise ValueError(f"expected a URL that starts with {' or '.join(schemes)}")
    return value


class BrokerSettings(Section):
    trading_url: Annotated[str | None, Field(description="REST and /stream, loopback only, mode paper only.")] = None
    data_url: Annotated[str | None, Field(description="Market-data REST, loopback only, mode paper only.")] = None
    stream_url: Annotated[str | None, Field(description="Market-data WebSocket base, loopback, paper only.")] = None
    feed: Annotated[Literal["iex", "sip"], Field(description="iex is free, sip the paid consolidated feed.")] = "iex"
    requests_per_minute: Annotated[Count, Field(gt=0, le=10_000, description="Alpaca's limit of the account.")] = 200
    requests_reserved_per_minute: Annotated[
        Count, Field(ge=40, le=1_000, description="Kept for cancels and kill (control P24: 40).")
    ] = 40
    allow_environment_keys: Annotated[Flag, Field(description="live: take keys from the environment (S21).")] = False

    @model_validator(mode="after")
    def _check_reserve(self) -> BrokerSettings:
        if self.requests_reserved_per_minute >= self.requests_per_minute:
            raise ValueError(
                f"requests_reserved_per_minute ({self.requests_reserved_per_minute}) must be below "
                f"requests_per_minute ({self.requests_per_minute})"
            )
        return self


class UniverseSettings(Section):
    symbols: Annotated[
        tuple[str, ...] | None, Field(description="What strategies may trade. sim, unset: whatever the exchange lists.")
    ] = None
    reference_symbol: Annotated[str, Field(description="Always streamed, so that silence can be told from quiet.")] = (
        "SPY"
    )
    restricted: Annotated[tuple[str, ...], Field(description="Never traded (R081).")] = ()
    classes: Annotated[dict[str, InstrumentClass], Field(description="Instrument class of a symbol; else stock.")] = {}

    @field_validator("symbols", "restricted", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("symbols")
    @classmethod
    def _check_symbols(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and not value:
            raise ValueError("names no symbol; leave it out, or name at least one")
        return None if value is None else check_symbols(value)

    @field_validator("restricted")
    @classmethod
    def _check_restricted(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return check_symbols(value)

    @field_validator("reference_symbol")
    @classmethod
    def _check_reference(cls, value: str) -> str:
        return check_symbols((value,))[0]


class StrategySettings(Section):
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,23}$", description="Name of the strategy's books.")]
    kind: Annotated[str, Field(description=f"One of {', '.join(sorted(KINDS))}.")]
    weight: Annotated[Amount, Field(gt=0, le=1, description="Share of the capital; all together at most 1.")]
    sizing: Annotated[
        Literal["volatility_target", "fixed_fraction"], Field(description="How a signal becomes shares.")
    ] = "volatility_target"
    parameters: Annotated[dict[str, int | float | str | bool], Field(description="See docs/strategies.md.")] = {}

    @field_validator("kind")
    @classmethod
    def _check_kind(cls, value: str) -> str:
        if value not in KINDS:
            raise ValueError(f"unknown strategy kind {value!r}; there are {', '.join(sorted(KINDS))}")
        return value


class PortfolioSettings(Section):
    capital_usd: Annotated[
        Annotated[Amount, Field(gt=0, le=Decimal(10) ** 9)] | None, Field(description="Unset: the equity.")
    ] = None
    drift_band_fraction: Annotated[Amount, Field(ge=0, lt=1, description="Smaller changes, in equity, wait.")] = (
        Decimal("0.01")
    )


class OrderSettings(Section):
    entry_seconds_max: Annotated[Seconds, Field(description="An order resting longer is cancelled, decided anew.")] = (
        20.0
    )
    signal_seconds_max: Annotated[Seconds, Field(description="An entry not done by then is forgotten.")] = 300.0


class DataSettings(Section):
    silence_seconds_max: Annotated[Seconds, Field(description="Feed silent in session for longer: reduce only.")] = 15.0
    warm_up_bars: Annotated[Count, Field(ge=0, le=10_000, description="One-minute bars asked from history.")] = 120


class AlertSettings(Section):
    webhook_url: Annotated[SecretStr | None, Field(description="Receives alerts as JSON. Unset: the log only.")] = None
    neutral: Annotated[Flag, Field(description="Mask symbols, quantities and accounts in what leaves.")] = True

    @field_validator("webhook_url")
    @classmethod
    def _check(cls, value: SecretStr | None) -> SecretStr | None:
        return _check_scheme(value, ("https://", "http://127.0.0.1", "http://localhost", "http://[::1]"))


class SimulationSettings(Section):
    data: Annotated[Path | None, Field(description="Recorded market data. Unset: a generated market.")] = None
    speed: Annotated[float, BeforeValidator(_strict_number), Field(gt=0, le=3600, description="Venue per wall s.")] = (
        60.0
    )
    start: Annotated[str | None, Field(description="Venue time of a new world.")] = None
    seed: Annotated[
        Annotated[Count, Field(ge=0, lt=2**63)] | None, Field(description="Of a new world's market and fills.")
    ] = None
    cash_usd: Annotated[
        Annotated[Amount, Field(gt=0, le=Decimal(10) ** 9)] | None, Field(description="First cash of a new world.")
    ] = None
    exchange_url: Annotated[str | None, Field(description="Use an exchange that runs already; loopback.")] = None


class TradeSettings(Section):
    account: Annotated[str | None, Field(description="live: the account number, as the second sign.")] = None
    is_dry_run: Annotated[Flag, Field(description="Everything but the wire.")] = False
    duration_seconds: Annotated[
        Annotated[Real, Field(gt=0, le=366 * SECONDS_DAY)] | None, Field(description="Stop in order afterwards.")
    ] = None
    output: Annotated[Path | None, Field(description="The session's report as JSON.")] = None


def _risk_fields() -> dict[str, Any]:
    """Every limit of `RiskLimits`, with its default: one list of limits, not two."""
    kinds: dict[type, Any] = {Decimal: Amount, float: Real, int: Count, bool: Flag}
    fields: dict[str, Any] = {}
    for entry in structs.fields(RiskLimits):
        if entry.name == "classes":
            continue
        default = entry.default
        kind = Amount if default is None else kinds[type(default)]
        fields[entry.name] = (kind | None if default is None else kind, default)
    return fields


class ClassSettings(Section):
    """Limits of one instrument class (controls P10, P19)."""

    order_value_fraction: Annotated[Ratio | None, Field(description="Of the equity.")] = None
    order_value_usd: Annotated[Amount, Field(gt=0)] | None = None
    position_fraction: Annotated[Ratio | None, Field(description="Of the equity.")] = None


class _RiskBase(Section):
    classes: Annotated[dict[InstrumentClass, ClassSettings], Field(description="Overrides of the class table.")] = {}


RiskSettings = create_model("RiskSettings", __base__=_RiskBase, **_risk_fields())
