"""`QTS_FAILPOINT`: what a test wants to happen to this process, and where. Decides who may ask for it.

    QTS_FAILPOINT=NAME[:HIT][=ACTION][,…]        gateway.after_intent_commit:3=kill

The default is the first time the place is reached, and `kill`. Actions: `kill` and `stop` (SIGKILL and SIGSTOP of this
process by itself), `sleep:SECONDS` (blocks the loop), `error` (raises an OSError there), `wall:SECONDS` (the wall clock
jumps so far, ahead or back). Accepted in mode sim, and in paper with all three URLs on loopback: nowhere else.
"""

from __future__ import annotations

import difflib
import errno
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from quant_trading_system.app.settings import Settings
from quant_trading_system.app.settings.layers import FAILPOINT_VARIABLE as VARIABLE
from quant_trading_system.core import failpoints
from quant_trading_system.core.errors import ExitCode, OperatorError
from quant_trading_system.core.types import Mode

ACTIONS = ("kill", "stop", "error", "sleep:SECONDS", "wall:SECONDS")
SLEEP_SECONDS_MAX = 3_600.0
WALL_SECONDS_MAX = 10 * 86_400.0
HIT_MAX = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Armed:
    """One failpoint that does something, at its `hit`-th time."""

    name: str
    hit: int
    action: str
    act: Callable[[], None]

    def __str__(self) -> str:
        return f"{self.name}:{self.hit}={self.action}"


def read_failpoints(environ: Mapping[str, str], mode: Mode) -> tuple[Armed, ...]:
    """What the variable asks for; nothing where it is unset or empty.

    Raises:
        OperatorError: the mode is live, or the variable is not what it should be (exit 4).
    """
    text = environ.get(VARIABLE, "").strip()
    if not text:
        return ()
    if mode is Mode.LIVE:
        raise _refusal("is for tests: mode sim, or paper on loopback; found mode live")
    return tuple(_parse(entry.strip()) for entry in text.split(","))


def install_failpoints(armed: tuple[Armed, ...], settings: Settings, mode: Mode) -> str:
    """Make them take effect. Returns what to tell the person who started us, "" where nothing was asked.

    Raises:
        OperatorError: in paper, where one of the broker's hosts is not on loopback (exit 4).
    """
    if not armed:
        return ""
    broker = settings.broker
    urls = (broker.trading_url, broker.data_url, broker.stream_url)
    if mode is not Mode.SIM and None in urls:  # a URL that is set is one on loopback: the settings see to that
        raise _refusal(f"is for tests: mode sim, or paper with all three URLs on loopback; found mode {mode}")
    failpoints.install(_hook(armed))
    return f" · {VARIABLE} {', '.join(map(str, armed))}"


def _hook(armed: tuple[Armed, ...]) -> Callable[[str], None]:
    wanted = {(each.name, each.hit): each.act for each in armed}
    names = {each.name for each in armed}
    reached: Counter[str] = Counter()

    def hook(name: str) -> None:
        if name in names:
            reached[name] += 1
            act = wanted.get((name, reached[name]))
            if act is not None:
                act()

    return hook


def _parse(entry: str) -> Armed:
    place, _, action = entry.partition("=")
    name, colon, hit = place.partition(":")
    if name not in failpoints.NAMES:
        near = difflib.get_close_matches(name, failpoints.NAMES, n=1)
        hint = f"did you mean {near[0]}?" if near else "docs/simulation.md lists them"
        raise _refusal(f"there is no failpoint {name!r}; {hint}")
    if colon and not (hit.isascii() and hit.isdigit() and 0 < int(hit[:10]) <= HIT_MAX):
        raise _refusal(f"{name}: expected a count from 1 after the colon, found {hit!r}")
    action = action or "kill"
    return Armed(name=name, hit=int(hit or 1), action=action, act=_action(name, action))


def _action(name: str, text: str) -> Callable[[], None]:
    kind, _, value = text.partition(":")
    if text == "kill":
        return lambda: os.kill(os.getpid(), signal.SIGKILL)
    if text == "stop":
        return lambda: os.kill(os.getpid(), signal.SIGSTOP)
    if text == "error":
        return lambda: _fail(name)
    if kind == "sleep":
        seconds = _seconds(name, value, 0.0, SLEEP_SECONDS_MAX)
        return lambda: _hold_up(seconds)
    if kind == "wall":
        shift_s = _seconds(name, value, -WALL_SECONDS_MAX, WALL_SECONDS_MAX)
        return lambda: _shift_wall(shift_s)
    raise _refusal(f"{name}: expected one of {', '.join(ACTIONS)} after '=', found {text!r}")


def _seconds(name: str, text: str, low: float, high: float) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not low <= seconds <= high:
        raise _refusal(f"{name}: expected seconds from {low:g} to {high:g}, found {text!r}")
    return seconds


def _fail(name: str) -> None:
    raise OSError(errno.EIO, f"asked for at failpoint {name}")


def _hold_up(seconds: float) -> None:
    """Keep the whole loop waiting, as a slow call in it would."""
    threading.Event().wait(seconds)


def _shift_wall(seconds: float) -> None:
    """The wall clock of this process jumps; the monotonic clock goes on, as when a person sets the machine's time."""
    time_s, time_ns, shift_ns = time.time, time.time_ns, round(seconds * 1e9)
    time.time = lambda: time_s() + seconds
    time.time_ns = lambda: time_ns() + shift_ns


def _refusal(problem: str) -> OperatorError:
    return OperatorError(f"{VARIABLE} {problem}", fix=f"unset {VARIABLE}", exit_code=ExitCode.CONFIGURATION)
