"""What a log line holds, where it goes, and that configuring logs is nobody's side effect."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from quant_trading_system.observability.logs import LogRing, configure, get_logger, log_uncaught


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class BrokenStream(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError(32, "the reader left")


@pytest.mark.requirement("R170")
def test_a_json_line_carries_the_fixed_keys_and_its_own():
    stream = io.StringIO()
    setup = configure("info", "json", stream, context={"run_id": "r-1", "mode": "sim"}, environ={})
    setup.set_context(account="PA1")
    get_logger("gateway").info("order_sent", symbol="IBM", duration_s=0.012)
    (line,) = lines(stream)
    assert list(line)[:4] == ["ts", "level", "event", "logger"]
    assert line["event"] == "order_sent"
    assert (line["level"], line["logger"]) == ("info", "gateway")
    assert (line["run_id"], line["mode"], line["account"]) == ("r-1", "sim", "PA1")
    assert (line["symbol"], line["duration_s"]) == ("IBM", 0.012)


@pytest.mark.requirement("R161")
def test_the_stamp_is_utc_with_microseconds():
    stream = io.StringIO()
    configure("info", "json", stream, environ={})
    get_logger("x").info("tick")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", str(lines(stream)[0]["ts"]))


def test_lines_below_the_level_are_left_out():
    stream = io.StringIO()
    configure("warning", "json", stream, environ={})
    get_logger("x").info("quiet")
    get_logger("x").warning("loud")
    logging.getLogger("aiohttp.server").info("noise")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_values_bound_to_the_task_are_in_its_lines():
    stream = io.StringIO()
    configure("info", "json", stream, environ={})
    with structlog.contextvars.bound_contextvars(order_id="o-1"):
        get_logger("x").info("inside")
    get_logger("x").info("outside")
    assert [line.get("order_id") for line in lines(stream)] == ["o-1", None]


def test_the_library_logging_of_an_error_keeps_its_trace():
    stream = io.StringIO()
    configure("info", "json", stream, environ={})
    try:
        raise ValueError("bad frame")
    except ValueError:
        logging.getLogger("aiohttp.server").exception("handling failed")
    (line,) = lines(stream)
    assert line["message"] == "handling failed"
    assert "bad frame" in json.dumps(line["exception"])


def test_arguments_that_do_not_fit_their_text_lose_no_line():
    stream = io.StringIO()
    configure("info", "json", stream, environ={})
    (ours,) = [handler for handler in logging.getLogger().handlers if type(handler).__name__ == "_StdlibHandler"]
    ours.handle(logging.makeLogRecord({"name": "library", "levelno": 30, "msg": "%d apples", "args": ("no",)}))
    assert "apples" in str(lines(stream)[0]["message"])


def test_a_second_configuration_logs_library_lines_once():
    configure("info", "json", io.StringIO(), environ={})
    stream = io.StringIO()
    configure("info", "json", stream, environ={})
    logging.getLogger("library").warning("once")
    assert len(lines(stream)) == 1


def test_a_stream_that_cannot_be_written_stops_nothing_and_is_counted():
    setup = configure("info", "json", BrokenStream(), environ={})
    get_logger("x").info("lost")
    assert setup.lost_lines == 1
    assert [line["event"] for line in setup.ring.tail(5)] == ["lost"]


def test_the_ring_keeps_the_newest_lines_and_no_more():
    ring = LogRing(lines_max=3)
    for number in range(5):
        ring.add({"event": str(number), "level": "error" if number == 3 else "info"})
    assert [line["event"] for line in ring.tail(10)] == ["2", "3", "4"]
    assert [line["event"] for line in ring.tail(10, level="error")] == ["3"]
    assert ring.tail(0) == []


def test_the_last_words_of_the_process_are_a_log_line():
    stream = io.StringIO()
    configure("info", "json", stream, environ={})
    error = RuntimeError("out of luck")
    log_uncaught(RuntimeError, error, None)
    (line,) = lines(stream)
    assert (line["event"], line["level"]) == ("uncaught_exception", "critical")


@pytest.mark.parametrize(("level", "format"), [("loud", "json"), ("info", "xml")])
def test_an_unknown_level_or_format_is_refused_by_name(level, format):
    with pytest.raises(ValueError, match=level if level == "loud" else format):
        configure(level, format, io.StringIO())


def test_a_console_line_has_no_colour_where_there_is_no_terminal():
    stream = io.StringIO()
    configure("info", "auto", stream, environ={})
    configure("info", "console", stream, environ={})
    get_logger("x").info("plain", symbol="IBM")
    assert "\x1b" not in stream.getvalue()
    assert "symbol=IBM" in stream.getvalue()


def test_journald_gets_a_priority_in_front(tmp_path: Path):
    path = tmp_path / "journal"
    with path.open("w") as stream:
        stat = path.stat()
        configure("info", "json", stream, environ={"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"})
        get_logger("x").error("bad")
    assert path.read_text().startswith("<3>{")


def test_importing_the_logs_leaves_the_root_logger_alone():
    code = (
        "import logging, quant_trading_system.observability.logs as logs; logs.get_logger('x');"
        "assert not logging.getLogger().handlers; assert logging.getLogger().level == logging.WARNING"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
