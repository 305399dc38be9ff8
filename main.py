"""Entry point: finds the project's environment, then hands over to the command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CONFIGURATION = 4  # the exit code of what a person can put right
HANDED_OVER = "ALPHATRADE_HANDED_OVER"


def find_environment() -> None:
    """Continue inside `.venv`, where the dependencies are; without one, say how to make it."""
    root = Path(__file__).resolve().parent
    python = root / ".venv" / "bin" / "python"
    was_handed_over = os.environ.pop(HANDED_OVER, "") == str(python)
    if Path(sys.prefix).resolve() == (root / ".venv").resolve():
        return
    if python.exists() and not was_handed_over:  # a damaged environment would hand over to itself for ever
        os.environ[HANDED_OVER] = str(python)
        try:
            os.execv(str(python), [str(python), str(Path(__file__).resolve()), *sys.argv[1:]])  # noqa: S606  no shell
        except OSError as error:
            refuse(f"{python} cannot be run: {error.strerror}")


def refuse(reason: str) -> None:
    """Say what is missing, and end."""
    sys.stderr.write(
        f"error: {reason}\n  fix: run `make run`, which makes the environment and starts; or `make help`\n"
    )
    sys.exit(CONFIGURATION)


if __name__ == "__main__":
    find_environment()
    try:
        import click  # noqa: F401  an environment of the user's own, in which everything is installed, will do
    except ImportError:
        refuse("the environment is missing or incomplete")
    from quant_trading_system.cli import main

    main()
