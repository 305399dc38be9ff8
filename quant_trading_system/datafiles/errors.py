"""What is wrong with a market-data file, said so that its maker can put it right. Decides nothing."""

from __future__ import annotations

from pathlib import Path

from quant_trading_system.core.errors import ExitCode, OperatorError


class DataFileError(OperatorError):
    """A market-data file or folder breaks a rule.

    Args:
        path: the file or folder.
        line: line of a CSV file or row of a Parquet file, counted from 1 with the header; 0 for the file as a whole.
        message: what was expected and what was found.
        field: the column, "" for the line as a whole.
        fix: what to do, "" where the message already says so.
    """

    def __init__(self, path: Path | str, line: int, message: str, *, field: str = "", fix: str = "") -> None:
        where = str(path) + (f", line {line}" if line else "") + (f", {field}" if field else "")
        super().__init__(f"{where}: {message}", fix=fix, exit_code=ExitCode.CONFIGURATION)
        self.path = Path(path)
        self.line = line
        self.field = field
        self.rule = message
