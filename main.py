"""Entry point: finds the project's environment, then hands over to the command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def find_environment() -> None:
    """Continue inside `.venv`, where the dependencies are; without one, say how to make it."""
    root = Path(__file__).resolve().parent
    python = root / ".venv" / "bin" / "python"
    if Path(sys.prefix).resolve() == (root / ".venv").resolve():
        return
    if python.exists():
        os.execv(str(python), [str(python), str(Path(__file__).resolve()), *sys.argv[1:]])  # noqa: S606  no shell
    try:
        import click  # noqa: F401  an environment of the user's own, in which everything is installed, will do
    except ImportError:
        sys.exit("The environment is missing: run `make run`, which makes it and starts, or `make help`.")


if __name__ == "__main__":
    find_environment()
    from quant_trading_system.cli import main

    main()
