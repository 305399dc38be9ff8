"""The root of the settings: every section, and the rules between them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import structs
from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from quant_trading_system.app.settings.model import (
    AlertSettings,
    BrokerSettings,
    DatabaseSettings,
    DataSettings,
    HealingSettings,
    HttpSettings,
    LoggingSettings,
    OrderSettings,
    PortfolioSettings,
    RedisSettings,
    RiskSettings,
    SimulationSettings,
    StrategySettings,
    TradeSettings,
    UniverseSettings,
)
from quant_trading_system.core.types import StrategyId
from quant_trading_system.engine.config import StrategyConfig
from quant_trading_system.risk.limits import ClassLimits, RiskLimits
from quant_trading_system.strategy.catalog import build

STRATEGIES_MAX = 32
TWO_STRATEGIES = (
    StrategySettings(id="momentum", kind="momentum", weight=Decimal("0.5"), sizing="volatility_target"),
    StrategySettings(id="mean_reversion", kind="mean_reversion", weight=Decimal("0.5"), sizing="fixed_fraction"),
)


class Settings(BaseSettings):
    """Everything that can be set. Frozen; unknown keys are refused; values never show in errors."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    http: HttpSettings = HttpSettings()
    logging: LoggingSettings = LoggingSettings()
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    broker: BrokerSettings = BrokerSettings()
    universe: UniverseSettings = UniverseSettings()
    strategies: tuple[StrategySettings, ...] = Field(default=TWO_STRATEGIES, max_length=STRATEGIES_MAX)
    portfolio: PortfolioSettings = PortfolioSettings()
    orders: OrderSettings = OrderSettings()
    data: DataSettings = DataSettings()
    alerts: AlertSettings = AlertSettings()
    risk: RiskSettings = RiskSettings()
    healing_actions_per_day_max: HealingSettings = HealingSettings()
    simulation: SimulationSettings = SimulationSettings()
    trade: TradeSettings = TradeSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The layers are merged by `load`, which remembers where each value came from."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @field_validator("strategies")
    @classmethod
    def _check_strategies(
        cls, value: tuple[StrategySettings, ...], _info: ValidationInfo
    ) -> tuple[StrategySettings, ...]:
        if not value:
            raise ValueError("names no strategy")
        ids = [each.id for each in value]
        doubled = sorted({name for name in ids if ids.count(name) > 1})
        if doubled:
            raise ValueError(f"ids named twice: {', '.join(doubled)}")
        total = sum((each.weight for each in value), Decimal(0))
        if total > 1:
            raise ValueError(f"weights sum to {total}, at most 1")
        for each in value:
            try:
                build(each.kind, id=StrategyId(each.id), parameters=each.parameters, is_short_allowed=False)
            except ValueError as error:
                raise ValueError(f"{each.id}: {error}") from error
        return value


def to_limits(settings: Settings) -> RiskLimits:
    """The risk section as the gate's limits; class overrides laid over the class defaults."""
    chosen: dict[str, Any] = {name: getattr(settings.risk, name) for name in type(settings.risk).model_fields}
    overrides = chosen.pop("classes")
    classes: dict[Any, ClassLimits] = dict(RiskLimits().classes)
    for instrument_class, override in overrides.items():
        changes = {name: value for name, value in override.model_dump().items() if value is not None}
        classes[instrument_class] = structs.replace(classes[instrument_class], **changes)
    return RiskLimits(**chosen, classes=classes)


def to_strategies(settings: Settings) -> tuple[StrategyConfig, ...]:
    """The strategies as the engine takes them."""
    return tuple(
        StrategyConfig(
            id=StrategyId(each.id),
            kind=each.kind,
            weight=each.weight,
            sizing=each.sizing,
            parameters=dict(each.parameters),
            protective_stop_fraction=each.protective_stop_fraction,
        )
        for each in settings.strategies
    )
