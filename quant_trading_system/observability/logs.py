"""Structured logs: one event name and keys. Decides the fixed keys, how a line looks, and that no secret is in it.

Nothing happens at import; `configure` is called once, by whoever owns the process.
"""

from __future__ import annotations

import logging
import os
import sys
from collections import deque
from collections.abc import Mapping, MutableMapping, Sequence
from typing import IO, TYPE_CHECKING, cast

import msgspec
import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer

from quant_trading_system.observability.redact import Redactor

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

RING_LINES_MAX = 2_000  # about a megabyte: an hour of a busy session
TRACEBACK_FRAMES_MAX = 20
STAMP = "%Y-%m-%dT%H:%M:%S.%fZ"  # RFC 3339, UTC, always microseconds
FORMATS = ("json", "console", "auto")
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
QUIET_LIBRARIES = ("asyncio", "aiohttp", "alembic", "sqlalchemy", "redis")
"""What they say below WARNING is about themselves."""

_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


class LogRing:
    """The newest lines, masked, for whoever looks at the running daemon."""

    def __init__(self, lines_max: int = RING_LINES_MAX) -> None:
        self._lines: deque[dict[str, object]] = deque(maxlen=lines_max)

    def add(self, line: Mapping[str, object]) -> None:
        self._lines.append(dict(line))

    def tail(self, limit: int, *, level: str = "debug") -> list[dict[str, object]]:
        """Up to `limit` lines of at least `level`, oldest first."""
        least = LEVELS[level]
        kept = [line for line in self._lines if LEVELS.get(str(line.get("level")), 0) >= least]
        return kept[-limit:] if limit > 0 else []


class LogSetup:
    """What `configure` made: the ring, the redactor, and keys that every later line carries."""

    def __init__(self, *, redactor: Redactor, ring: LogRing, context: Mapping[str, object]) -> None:
        self.redactor = redactor
        self.ring = ring
        self.lost_lines = 0
        self._context = dict(context)

    def set_context(self, **keys: object) -> None:
        """Add keys to every line from now on, e.g. the account once the broker told it."""
        self._context.update(keys)

    def add_context(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        for key, value in self._context.items():
            event.setdefault(key, value)
        return event


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines carry `logger=name`. May be called before `configure`."""
    return cast("FilteringBoundLogger", structlog.get_logger(name))


def configure(
    level: str,
    format: str,
    stream: IO[str],
    *,
    context: Mapping[str, object] | None = None,
    environ: Mapping[str, str] = os.environ,
    redactor: Redactor | None = None,
) -> LogSetup:
    """Send every log line of this process to `stream`.

    Args:
        level: debug, info, warning, error or critical; what is below costs a method call.
        format: json, console, or auto (console where the stream is a terminal).
        context: keys of every line: run_id, mode, account.
        environ: read for NO_COLOR and JOURNAL_STREAM.
        redactor: one that knows secrets already.

    Raises:
        ValueError: an unknown level or format.
    """
    if level.lower() not in LEVELS:
        raise ValueError(f"log level must be one of {', '.join(LEVELS)}, was {level!r}")
    if format not in FORMATS:
        raise ValueError(f"log format must be one of {', '.join(FORMATS)}, was {format!r}")
    setup = LogSetup(redactor=redactor or Redactor(), ring=LogRing(), context=context or {})
    is_console = format == "console" or (format == "auto" and stream.isatty())
    is_journal = not is_console and _is_journal(stream, environ)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _add_logger_name,
        setup.add_context,
        structlog.processors.TimeStamper(fmt=STAMP, utc=True, key="ts"),
        structlog.processors.format_exc_info if is_console else _exceptions(),
        _Mask(setup.redactor),
        _Remember(setup.ring),
    ]
    renderer = _console(stream, environ) if is_console else _Json(with_priority=is_journal)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level.lower()]),
        logger_factory=lambda *names: _StreamLogger(str(names[0]) if names else "", stream, setup),
        cache_logger_on_first_use=False,
    )
    _redirect_stdlib(LEVELS[level.lower()])
    return setup


class _StreamLogger:
    """Writes one line. A stream that cannot be written loses the line, counts it, and stops nothing."""

    def __init__(self, name: str, stream: IO[str], setup: LogSetup) -> None:
        self.name = name
        self._stream = stream
        self._setup = setup

    def msg(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream is closed
            self._setup.lost_lines += 1

    debug = info = warning = warn = error = critical = fatal = exception = log = msg


def _add_logger_name(logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["logger"] = logger.name
    return event


class _Mask:
    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return self._redactor.mapping(cast("Mapping[object, object]", event))


class _Remember:
    def __init__(self, ring: LogRing) -> None:
        self._ring = ring

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        self._ring.add(event)
        return event


class _Json:
    """One line of JSON, event and level first; with a priority in front where journald reads it."""

    def __init__(self, *, with_priority: bool) -> None:
        self._with_priority = with_priority

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> str:
        keys: MutableMapping[str, object] = {name: event.pop(name, None) for name in ("ts", "level", "event", "logger")}
        line = msgspec.json.encode({**keys, **event}, enc_hook=str).decode()
        return f"<{_PRIORITIES.get(str(keys['level']), 6)}>{line}" if self._with_priority else line


class _StdlibHandler(logging.Handler):
    """Passes a record of the standard library's logging into our pipeline."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = get_logger(record.name)
        keys = {"exc_info": record.exc_info} if record.exc_info else {}
        try:
            message = record.getMessage()
        except (TypeError, ValueError) as error:
            message = f"{record.msg!s} (arguments do not fit: {error})"
        logger.log(min(50, max(10, record.levelno // 10 * 10)), "library_log", message=message, **keys)


def _redirect_stdlib(level: int) -> None:
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _StdlibHandler):
            root.removeHandler(handler)
    root.addHandler(_StdlibHandler())
    root.setLevel(level)
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)


def _exceptions() -> ExceptionRenderer:
    return ExceptionRenderer(ExceptionDictTransformer(show_locals=False, max_frames=TRACEBACK_FRAMES_MAX))


def _console(stream: IO[str], environ: Mapping[str, str]) -> Processor:
    has_colors = stream.isatty() and not environ.get("NO_COLOR")
    renderer = ConsoleRenderer(colors=has_colors, exception_formatter=plain_traceback, timestamp_key="ts")
    return cast("Processor", renderer)


def _is_journal(stream: IO[str], environ: Mapping[str, str]) -> bool:
    """Whether journald is at the other end (systemd.exec(5), JOURNAL_STREAM: device and inode of the socket)."""
    told = environ.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return told == f"{found.st_dev}:{found.st_ino}"


def log_uncaught(kind: type[BaseException], error: BaseException, trace: object) -> None:
    """For `sys.excepthook`: the last words of the process, masked like every line and without local variables."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, None)
        return
    get_logger("process").critical("uncaught_exception", exc_info=(kind, error, trace))


__all__: Sequence[str] = ["FORMATS", "LEVELS", "LogRing", "LogSetup", "configure", "get_logger", "log_uncaught"]
