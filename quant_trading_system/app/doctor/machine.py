"""What the machine must bring: Python, packages, time zones, files, disk, a port, embedded servers. Changes nothing."""

from __future__ import annotations

import os
import re
import resource
import shutil
import socket
import sys
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from quant_trading_system.app.doctor.findings import Finding, fail, ok, skip, warn
from quant_trading_system.app.kill_latch import KILL_FILE
from quant_trading_system.app.settings.layers import project_root
from quant_trading_system.core.errors import OperatorError
from quant_trading_system.core.types import Latch
from quant_trading_system.persistence.latch_file import FILE_NAME, LatchFile
from quant_trading_system.persistence.server_folders import (
    check_reachable,
    postgres_binaries,
    server_account,
    valkey_binary,
)

PYTHON_MIN = (3, 11)
OPEN_FILES_MIN = 1_024  # sockets, tape, logs and two embedded servers' pipes take about a hundred
NAMES_SHOWN_MAX = 3
READABLE_BY_OTHERS = 0o044
PACKAGES = (
    "aiohttp", "alembic", "asyncpg", "click", "jinja2", "msgspec", "numpy", "prometheus-client", "pydantic",
    "pydantic-settings", "redis", "SQLAlchemy", "structlog", "TA-Lib", "tenacity", "tzdata",
)  # fmt: skip
OTHER_FOLDER = "give another folder: --state-dir DIR"

_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


def check_python() -> Finding:
    """The interpreter's version."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] >= PYTHON_MIN:
        return ok("Python", f"{found} in {sys.prefix}")
    return fail("Python", f"{found}, at least 3.11 is needed", "install Python 3.11 or newer, then `make run`")


def check_packages(lock: Path | None = None) -> Finding:
    """Whether what is needed is installed, and in the versions of the lock."""
    missing = [name for name in PACKAGES if _installed(name) is None]
    if missing:
        return fail("packages", f"not installed: {', '.join(missing)}", "run `make run`, which installs them")
    lock = project_root() / "requirements" / "run.txt" if lock is None else lock
    if not lock.is_file():
        return ok("packages", f"all {len(PACKAGES)} installed; there is no lock to compare with")
    wanted: defaultdict[str, list[str]] = defaultdict(list)
    for name, pinned in _PINNED.findall(lock.read_text(encoding="utf-8")):
        wanted[name].append(pinned)  # one for each Python, where a package has dropped an old one
    other = [
        f"{name} {installed} for {' or '.join(versions)}"
        for name, versions in wanted.items()
        if (installed := _installed(name)) is not None and installed not in versions
    ]
    if other:
        shown = ", ".join(other[:NAMES_SHOWN_MAX])
        return warn("packages", f"{len(other)} differ from {lock.name}: {shown}", "run `make run`, which installs it")
    return ok("packages", f"as {lock.name} names them")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def check_time_zones() -> Finding:
    """New York's time zone: sessions depend on it."""
    try:
        ZoneInfo("America/New_York")
    except (ZoneInfoNotFoundError, OSError) as error:
        return fail("time zones", f"America/New_York cannot be read: {error}", "install the package tzdata")
    return ok("time zones", f"America/New_York, tzdata {_installed('tzdata') or 'of the system'}")


def check_open_files() -> Finding:
    """The limit of open files."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES_MIN:
        return ok("open files", "no limit" if soft == resource.RLIM_INFINITY else f"limit {soft}")
    return warn("open files", f"limit {soft}, {OPEN_FILES_MIN} wanted", f"ulimit -n {OPEN_FILES_MIN} before the start")


def check_service_manager() -> Finding:
    """Whether systemd watches the daemon."""
    if not os.environ.get("NOTIFY_SOCKET"):
        return skip("service manager", "not under systemd: nothing restarts the daemon but you")
    watchdog = "with" if os.environ.get("WATCHDOG_USEC") else "without"
    return ok("service manager", f"systemd is told, {watchdog} watchdog")


def check_state_directory(folder: Path) -> Finding:
    """Whether state can be written there, and passed by the account that servers run under. Nothing is made."""
    there = _nearest(folder)
    if not there.is_dir():
        return fail("state directory", f"{there} is a file", OTHER_FOLDER)
    if not os.access(there, os.W_OK | os.X_OK):
        return fail("state directory", f"{there} is not writable by this user", OTHER_FOLDER)
    try:
        account = server_account()
        if account is not None and there != folder:
            check_reachable(there / "new", account)
        elif account is not None:
            check_reachable(folder, account)  # the folder itself is opened at the start, its parents never
    except OperatorError as error:
        return fail("state directory", error.message, error.fix)
    return ok("state directory", str(folder) if there == folder else f"{folder} (will be made)")


def check_latch(folder: Path) -> Finding:
    """The kill latch as its file says it. PostgreSQL and Redis hold copies, which the daemon asks at its start."""
    reset = "find the cause, then, with the daemon running: `control reset --operator NAME --reason TEXT`"
    if (folder / KILL_FILE).exists():
        return warn("kill latch", f"{folder / KILL_FILE} was touched: no new exposure", reset)
    latch, reason = LatchFile(folder / FILE_NAME).read()
    if latch is Latch.CLEAR:
        return ok("kill latch", "clear")
    if latch is Latch.MISSING and not (folder / "postgres").exists():
        return skip("kill latch", "none yet: it is made with the database")
    return warn("kill latch", f"{latch.value} ({reason}): no new exposure", reset)


def check_servers(*, has_database_url: bool, has_redis_url: bool) -> list[Finding]:
    """The embedded servers' binaries, where no URL names servers of one's own."""
    findings = []
    for name, has_url, find in (
        ("PostgreSQL", has_database_url, postgres_binaries),
        ("Valkey", has_redis_url, valkey_binary),
    ):
        if has_url:
            continue
        try:
            findings.append(ok(name, f"embedded, from {find(None)}"))
        except OperatorError as error:
            findings.append(fail(name, error.message, error.fix))
    return findings


def check_port(listen: str) -> Finding:
    """Whether dashboard, API and metrics can listen there."""
    host, _, port = listen.rpartition(":")
    try:
        address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(address[0], socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address[4])
    except OSError as error:
        fix = "stop what listens there (our own daemon? see `status`), or give another: --http HOST:PORT"
        return fail("port", f"{listen}: {(error.strerror or str(error)).lower()}", fix)
    return ok("port", f"{listen} is free")


def check_disk(folder: Path, *, free_bytes_min: int) -> Finding:
    """Room for the state; with less the gate lets no new exposure pass (control P36)."""
    existing = _nearest(folder)
    free = shutil.disk_usage(existing).free
    said = f"{free / 1e9:.1f} GB free at {existing}"
    if free >= free_bytes_min:
        return ok("disk", said)
    return fail("disk", f"{said}, {free_bytes_min / 1e9:.1f} GB wanted", f"free some, or {OTHER_FOLDER}")


def check_secret_files(files: Iterable[Path]) -> list[Finding]:
    """Files with secrets are their owner's alone (S21)."""
    findings = []
    for path in files:
        try:
            mode = path.stat().st_mode
        except OSError:
            continue  # whether it can be read is said with the settings
        if mode & READABLE_BY_OTHERS:
            findings.append(warn("secret file", f"{path} is readable by others", f"chmod 600 {path}"))
        else:
            findings.append(ok("secret file", f"{path} is its owner's alone"))
    return findings


def _nearest(folder: Path) -> Path:
    """The folder, or the closest of its parents that exists."""
    return next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
