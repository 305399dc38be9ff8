"""What the command line asked of one run of the daemon."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from quant_trading_system.core.types import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOptions:
    """`flags` are settings by dotted name, None where a flag was not given."""

    mode: Mode
    flags: dict[str, object] = field(default_factory=dict)
    config_file: Path | None = None
    state_dir: Path | None = None
    is_verbose: bool = False
