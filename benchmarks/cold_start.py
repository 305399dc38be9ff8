"""From nothing to imported: CPU and memory of the daemon's modules, of the SDK that it replaces, and of `--help`."""

from __future__ import annotations

from benchmarks.bench import Bench, Goal
from benchmarks.children import own_python, peer_python, usage_of

DAEMON = "import quant_trading_system.app.daemon"
FLOOR = "import aiohttp, asyncpg, msgspec, uvloop"
SDK = "import alpaca.trading.client, alpaca.trading.stream, alpaca.data.live, alpaca.data.historical"


def own_cpu(code: str) -> float:
    return usage_of([own_python(), "-c", code]).cpu_seconds


def own_memory(code: str) -> float:
    return usage_of([own_python(), "-c", code]).peak_mebibytes


def benches() -> tuple[Bench, ...]:
    return (
        Bench(
            name="import-cpu",
            title="Row 9: cold start, import of everything that the daemon needs",
            unit="s of CPU",
            contenders={
                "the daemon": lambda: own_cpu(DAEMON),
                "floor: aiohttp, asyncpg, msgspec, uvloop": lambda: own_cpu(FLOOR),
                "peer: alpaca-py alone": lambda: usage_of([peer_python(), "-c", SDK]).cpu_seconds,
            },
            goals=(
                Goal(says="row 9: import", of="the daemon", bound=1.0, binds_later=True),
                Goal(says="beside alpaca-py alone", of="the daemon", to="peer: alpaca-py alone"),
            ),
        ),
        Bench(
            name="import-memory",
            title="Row 9: resident memory after the import, before any data",
            unit="MiB",
            contenders={
                "the daemon": lambda: own_memory(DAEMON),
                "floor: aiohttp, asyncpg, msgspec, uvloop": lambda: own_memory(FLOOR),
                "peer: alpaca-py alone": lambda: usage_of([peer_python(), "-c", SDK]).peak_mebibytes,
            },
            goals=(Goal(says="row 9: memory before data", of="the daemon", bound=115.0, binds_later=True),),
        ),
        Bench(
            name="help-cpu",
            title="`main.py --help`",
            unit="s of CPU",
            contenders={
                "main.py --help": lambda: usage_of([own_python(), "main.py", "--help"]).cpu_seconds,
                "floor: import click": lambda: own_cpu("import click"),
            },
            goals=(Goal(says="help", of="main.py --help", bound=0.3),),
        ),
    )
