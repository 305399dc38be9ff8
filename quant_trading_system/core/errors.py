"""The three families of things that go wrong: ours (Bug), the venue's, the operator's. Decides exit codes alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line (interface.md)."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    NOT_RUNNING = 3
    CONFIGURATION = 4
    TIMEOUT = 5
    BROKER = 6
    SAFETY = 7
    TEMPORARY = 75
    INTERRUPTED = 130


class Bug(AssertionError):
    """An invariant of ours does not hold. The daemon stops and restarts through recovery."""


class OperatorError(Exception):
    """Something a person can put right. Says what is wrong, and what would be right.

    Args:
        message: one sentence naming the thing and the rule.
        fix: what to do, or "" where the message already says so.
        exit_code: what the command line ends with.
    """

    def __init__(self, message: str, *, fix: str = "", exit_code: ExitCode = ExitCode.UNEXPECTED) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.exit_code = exit_code


class ConfigurationError(OperatorError):
    """All problems of a configuration, at once."""

    def __init__(self, problems: Sequence[str], *, fix: str = "") -> None:
        assert problems, "a configuration error names at least one problem"
        super().__init__("\n".join(problems), fix=fix, exit_code=ExitCode.CONFIGURATION)
        self.problems = tuple(problems)


class SafetyRefusal(OperatorError):
    """Refused to protect money: signs disagree, lease held, somebody else's database."""

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message, fix=fix, exit_code=ExitCode.SAFETY)


class TemporaryFailure(OperatorError):
    """A restart may help."""

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message, fix=fix, exit_code=ExitCode.TEMPORARY)


class VenueError(Exception):
    """The broker did not do what was asked."""


class Refused(VenueError):
    """A definite no. Do not retry.

    Args:
        http_status: status of the answer.
        code: Alpaca's error code, None where the body had none.
        message: the venue's own words.
        extra: further keys of the body.
    """

    def __init__(
        self, *, http_status: int, code: int | None, message: str, extra: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(f"{http_status} {code if code is not None else '-'}: {message}")
        self.http_status = http_status
        self.code = code
        self.message = message
        self.extra = dict(extra or {})


class Unavailable(VenueError):
    """Nothing was changed: no byte left, or a read failed. Retry within a named budget."""


class InDoubt(VenueError):
    """The answer was lost: only the venue knows. Never retry blindly; ask."""
