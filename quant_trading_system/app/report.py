"""The session's report: what was traded, earned and refused, as JSON (`trade --output`)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from quant_trading_system.core.clock import to_datetime
from quant_trading_system.core.errors import ExitCode, OperatorError
from quant_trading_system.core.records import DecisionRecord, FillRecord, OrderRecord, Record
from quant_trading_system.core.views import EngineView
from quant_trading_system.persistence.files import write_atomically


class SessionTally:
    """Counts what happened in this run. Bounded: it keeps counts, not rows."""

    def __init__(self) -> None:
        self.decisions: Counter[str] = Counter()
        self.orders: Counter[str] = Counter()
        self.fills = 0

    def keep(self, record: Record) -> None:
        """Count one row."""
        if isinstance(record, DecisionRecord):
            self.decisions[record.outcome] += 1
        elif isinstance(record, FillRecord):
            self.fills += 1
        elif isinstance(record, OrderRecord) and record.is_final:
            self.orders[record.status] += 1


def build_report(view: EngineView, tally: SessionTally, *, account: str, stop_reason: str) -> dict[str, object]:
    """The report as plain values; money and quantities are strings."""
    return {
        "mode": view.mode.value,
        "account": account,
        "stopped_because": stop_reason,
        "venue_time": to_datetime(view.venue_ns).isoformat(),
        "trading_state": view.state.value,
        "causes": [{"cause": cause.cause, "detail": cause.detail} for cause in view.causes],
        "equity_usd": _text(view.money.equity_usd),
        "cash_usd": _text(view.cash_usd),
        "day_pnl_usd": _text(view.money.day_pnl_usd),
        "drawdown_ratio": _text(view.money.drawdown_ratio),
        "positions": [
            {
                "symbol": position.symbol,
                "qty": str(position.quantity),
                "avg_entry_price": str(position.average_entry_price),
                "books": {strategy: str(quantity) for strategy, quantity in position.books},
            }
            for position in view.positions
        ],
        "open_orders": len(view.open_orders),
        "unknown_orders": view.unknown_orders,
        "decisions": dict(tally.decisions),
        "orders": dict(tally.orders),
        "fills": tally.fills,
        "reconciliations": view.reconciliations,
        "drifts": view.drifts,
        "events": view.events_handled,
    }


def write_report(path: Path, report: dict[str, object]) -> None:
    """Write the report atomically.

    Raises:
        OperatorError: the file cannot be written.
    """
    try:
        write_atomically(path, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    except OSError as error:
        raise OperatorError(
            f"--output {path}: cannot be written: {error.strerror}", exit_code=ExitCode.CONFIGURATION
        ) from error


def _text(amount: object) -> str | None:
    return None if amount is None else str(amount)
