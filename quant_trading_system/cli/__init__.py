"""The command line: one file a verb. Parses and prints; what is done is done below."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit with its code."""
    from quant_trading_system.cli.root import run

    run()
