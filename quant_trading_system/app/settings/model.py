"""What can be set, with unit, default and reason. Values and their own rules only; where they come from is `load`'s."""

from __future__ import annotations

import re
from datetime import date, datetime
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

from quant_trading_system.app.forms import check_host_port, check_symbols, found, is_loopback, parse_time
from quant_trading_system.app.settings.risk_words import RISK_WORDS
from quant_trading_system.core.types import InstrumentClass
from quant_trading_system.risk.healing import CEILINGS
from quant_trading_system.risk.limits import RANGES, RiskLimits
from quant_trading_system.strategy.catalog import KINDS

SECONDS_DAY = 86_400.0
USD_MAX = 10**9
STRATEGY_ID = re.compile(r"[a-z][a-z0-9_]{0,23}")
NUMBER = re.compile(r"\s*[+-]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,2})?\s*")
"""A number in an environment variable; longer ones are mistakes."""


class EnvironmentText(str):
    """Text of an environment variable, where a number or a boolean cannot be written otherwise."""

    __slots__ = ()


def _strict_number(value: object) -> object:
    """Refuse what only looks like a number: booleans, and text anywhere but in the environment."""
    if isinstance(value, bool):
        raise ValueError(f"expected a number, found {str(value).lower()}")
    if isinstance(value, str) and not (isinstance(value, EnvironmentText) and NUMBER.fullmatch(value)):
        without = "" if isinstance(value, EnvironmentText) else " without quotes"
        raise ValueError(f"expected a number{without}, found {found(value)}")
    if isinstance(value, float):
        return Decimal(repr(value))
    return value


def _strict_bool(value: object) -> object:
    """Accept true and false only (as text only from the environment); `yes`, 1 and the like mislead."""
    if isinstance(value, bool):
        return value
    if isinstance(value, EnvironmentText) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise ValueError(f"expected true or false, found {found(value)}")


def _path(value: object) -> object:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError(f"expected a path, found {found(value)}")
    return value


def _parameter(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, found {found(value)}")
    return value


Amount = Annotated[Decimal, BeforeValidator(_strict_number), Field(allow_inf_nan=False)]
Cents = Annotated[Decimal, BeforeValidator(_strict_number), Field(allow_inf_nan=False, decimal_places=2)]
Seconds = Annotated[float, BeforeValidator(_strict_number), Field(gt=0, le=SECONDS_DAY, allow_inf_nan=False)]
Real = Annotated[float, BeforeValidator(_strict_number), Field(allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_strict_number)]
Flag = Annotated[bool, BeforeValidator(_strict_bool)]
Ratio = Annotated[Decimal, BeforeValidator(_strict_number), Field(gt=0, le=10, allow_inf_nan=False)]
FilePath = Annotated[Path, BeforeValidator(_path)]


class Section(BaseModel):
    """Frozen, and refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)


def check_listen(value: str) -> str:
    """HOST:PORT on loopback; anything else needs TLS and sign-in, which the daemon does not have yet (S1)."""
    host, _, _port = check_host_port(value).rpartition(":")
    if not is_loopback(host):
        raise ValueError(
            f"must be a loopback address such as 127.0.0.1:8080, found {found(value)}; reach it by an SSH tunnel"
        )
    return value


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
        """Symbols with commas between them: the environment has no lists."""
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("symbols")
    @classmethod
    def _check_symbols(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value is None else check_symbols(value)

    @field_validator("restricted")
    @classmethod
    def _check_restricted(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return check_symbols(value) if value else ()

    @field_validator("classes")
    @classmethod
    def _check_classes(cls, value: dict[str, InstrumentClass]) -> dict[str, InstrumentClass]:
        if value:
            check_symbols(tuple(value))
        return value

    @field_validator("reference_symbol")
    @classmethod
    def _check_reference(cls, value: str) -> str:
        return check_symbols((value,))[0]


class StrategySettings(Section):
    id: Annotated[str, Field(description="Name of the strategy's books.")]
    kind: Annotated[str, Field(description=f"One of {', '.join(sorted(KINDS))}.")]
    weight: Annotated[Amount, Field(gt=0, le=1, description="Share of the capital; all together at most 1.")]
    sizing: Annotated[
        Literal["volatility_target", "fixed_fraction"], Field(description="How a signal becomes shares.")
    ] = "volatility_target"
    protective_stop_fraction: Annotated[
        Annotated[Amount, Field(ge=Decimal("0.001"), le=Decimal("0.5"))] | None,
        Field(description="Loss of a position, of its cost, at which a stop at the broker sells it. Unset: no stop."),
    ] = None
    parameters: Annotated[
        dict[str, Annotated[int | float, BeforeValidator(_parameter)]], Field(description="See docs/strategies.md.")
    ] = {}

    @field_validator("id")
    @classmethod
    def _check_id(cls, value: str) -> str:
        if not STRATEGY_ID.fullmatch(value):
            raise ValueError(f"expected lower-case letters, digits and _, at most 24, found {found(value)}")
        return value

    @field_validator("kind")
    @classmethod
    def _check_kind(cls, value: str) -> str:
        if value not in KINDS:
            raise ValueError(f"expected one of {', '.join(sorted(KINDS))}, found {found(value)}")
        return value


class PortfolioSettings(Section):
    capital_usd: Annotated[
        Annotated[Amount, Field(gt=0, le=USD_MAX)] | None,
        Field(description="What strategies may use, never more than the equity. Unset: the equity."),
    ] = None
    drift_band_fraction: Annotated[Amount, Field(ge=0, lt=1, description="Smaller changes, in equity, wait.")] = (
        Decimal("0.01")
    )


class OrderSettings(Section):
    entry_seconds_max: Annotated[Seconds, Field(description="An order resting longer is cancelled, decided anew.")] = (
        20.0
    )
    signal_seconds_max: Annotated[Seconds, Field(description="An entry not done by then is forgotten.")] = 300.0
    kill_cancels_stops: Annotated[Flag, Field(description="The kill switch cancels protective stops, too.")] = False


class DataSettings(Section):
    silence_seconds_max: Annotated[Seconds, Field(description="Feed silent in session for longer: reduce only.")] = 15.0
    warm_up_bars: Annotated[Count, Field(ge=0, le=10_000, description="One-minute bars asked from history.")] = 120


class HealingSettings(Section):
    """The compiled values are the ceilings: a setting may only tighten."""

    socket_cycles: Annotated[
        Count, Field(ge=0, le=CEILINGS.socket_cycles, description="Streams connected anew for their silence.")
    ] = CEILINGS.socket_cycles
    store_reopenings: Annotated[
        Count, Field(ge=0, le=CEILINGS.store_reopenings, description="PostgreSQL or Redis used again after an outage.")
    ] = CEILINGS.store_reopenings
    task_restarts: Annotated[
        Count, Field(ge=0, le=CEILINGS.task_restarts, description="Background tasks started again.")
    ] = CEILINGS.task_restarts


class AlertSettings(Section):
    webhook_url: Annotated[SecretStr | None, Field(description="Receives alerts as JSON. Unset: the log only.")] = None
    neutral: Annotated[Flag, Field(description="Mask symbols, quantities and accounts in what leaves.")] = True

    @field_validator("webhook_url")
    @classmethod
    def _check(cls, value: SecretStr | None) -> SecretStr | None:
        return _check_scheme(value, ("https://", "http://127.0.0.1", "http://localhost", "http://[::1]"))


class SimulationSettings(Section):
    data: Annotated[FilePath | None, Field(description="Recorded market data. Unset: a generated market.")] = None
    speed: Annotated[Real, Field(gt=0, le=3600, description="Venue seconds in one of ours.")] = 60.0
    start: Annotated[str | None, Field(description="Venue time of a new world; New York without an offset.")] = None
    seed: Annotated[
        Annotated[Count, Field(ge=0, lt=2**63)] | None, Field(description="Of a new world's market and fills.")
    ] = None
    cash_usd: Annotated[
        Annotated[Cents, Field(gt=0, le=USD_MAX)] | None,
        Field(description="First cash of a new world. Unset: 100,000."),
    ] = None
    exchange_url: Annotated[str | None, Field(description="Use an exchange that runs already; loopback.")] = None

    @field_validator("start", mode="before")
    @classmethod
    def _check_start(cls, value: object) -> object:
        """Text, or the date and time that TOML has a form of its own for."""
        if isinstance(value, date | datetime):
            value = value.isoformat()
        return parse_time(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_one_world(self) -> SimulationSettings:
        if self.exchange_url is not None:
            own = [name for name in ("data", "start", "seed", "cash_usd") if getattr(self, name) is not None]
            if own:
                raise ValueError(f"exchange_url uses an exchange that runs already: it has its own {', '.join(own)}")
        return self


class TradeSettings(Section):
    account: Annotated[str | None, Field(description="live: the account number, as the second sign.")] = None
    is_dry_run: Annotated[Flag, Field(description="Everything but the wire.")] = False
    is_standby: Annotated[
        Flag, Field(description="Wait for the lease of a daemon that trades, and follow it; needs database.url.")
    ] = False
    adopts_account: Annotated[
        Flag, Field(description="Begin anew on an account that a lost database of this program traded.")
    ] = False
    duration_seconds: Annotated[
        Annotated[Real, Field(gt=0, le=366 * SECONDS_DAY)] | None, Field(description="Stop in order afterwards.")
    ] = None
    output: Annotated[FilePath | None, Field(description="The session's report as JSON.")] = None


def _risk_fields() -> dict[str, Any]:
    """Every limit of `RiskLimits`, with its default: one list of limits, not two."""
    kinds: dict[type, Any] = {Decimal: Amount, float: Real, int: Count, bool: Flag}
    fields: dict[str, Any] = {}
    for entry in structs.fields(RiskLimits):
        if entry.name == "classes":
            continue
        default = entry.default
        kind = Amount if default is None else kinds[type(default)]
        described = Field(
            default=default,
            description=RISK_WORDS[entry.name],
            json_schema_extra=_range_of(entry.name),
        )
        fields[entry.name] = (kind | None if default is None else kind, described)
    return fields


def _range_of(name: str) -> dict[str, Any] | None:
    """Floor and ceiling as the schema shows them; the gate's own list judges them."""
    if name not in RANGES:
        return None
    low, high = RANGES[name]
    return {"minimum": float(low), "maximum": float(high)}


class ClassSettings(Section):
    """Limits of one instrument class (controls P10, P19)."""

    order_value_fraction: Annotated[Ratio | None, Field(description="Of one order, of the equity.")] = None
    order_value_usd: Annotated[
        Annotated[Amount, Field(gt=0)] | None, Field(description="Of one order, whatever the equity.")
    ] = None
    position_fraction: Annotated[Ratio | None, Field(description="Of one position, of the equity.")] = None


class _RiskBase(Section):
    classes: Annotated[dict[InstrumentClass, ClassSettings], Field(description="Overrides of the class table.")] = {}


RiskSettings = create_model("RiskSettings", __base__=_RiskBase, **_risk_fields())
