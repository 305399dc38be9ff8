"""Reads every source of settings into nested dictionaries. Judges the form of a source, not its values."""

from __future__ import annotations

import json
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream

from quant_trading_system.app.settings.model import EnvironmentText
from quant_trading_system.core.types import Mode

PREFIX = "QTS__"
FILE_BYTES_MAX = 1_048_576  # a configuration of a thousand symbols has a tenth of it
SECRET_BYTES_MAX = 4_096
KEY_DOTS_MAX = 32
DEPTH_MAX = 8  # tables in tables; the settings need three
ALIASES = {
    "DATABASE_URL": "database.url",
    "REDIS_URL": "redis.url",
    "LOG_LEVEL": "logging.level",
    "DRY_RUN": "trade.is_dry_run",
}
WHOLE_SECTIONS = ("strategies",)
"""Sections that are lists: the environment gives them whole, as JSON."""
FAILPOINT_VARIABLE = "QTS_FAILPOINT"
"""No setting: read by `app.failpoints` from the process's own environment, and from nowhere else."""
KEY_VARIABLES = frozenset(
    name + suffix for name in ("QTS__BROKER__KEY_ID", "QTS__BROKER__SECRET_KEY") for suffix in ("", "_FILE")
)
"""Broker keys are read by `keys`, never into the settings."""

Layer = tuple[str, dict[str, Any]]


def project_root() -> Path:
    """The folder that holds the package."""
    return Path(__file__).resolve().parents[3]


def config_folder(cwd: Path) -> Path | None:
    """`config/` of the working folder, else the one beside the package, else none."""
    for folder in (cwd / "config", project_root() / "config"):
        if folder.is_dir():
            return folder
    return None


def file_layers(mode: Mode, *, config_file: Path | None, cwd: Path, problems: list[str]) -> list[Layer]:
    """TOML files, weakest first: default, universe, the mode's, then the one that was asked for."""
    layers: list[Layer] = []
    folder = config_folder(cwd)
    for name in ("default.toml", "universe.toml", f"{mode}.toml"):
        path = None if folder is None else folder / name
        if path is not None and path.exists():
            layers.append((f"config/{name}", read_toml(path, problems)))
    if config_file is not None:
        layers.append((str(config_file), read_toml(cwd / config_file, problems, shown=str(config_file))))
    return layers


def read_toml(path: Path, problems: list[str], *, shown: str = "") -> dict[str, Any]:
    """Parse one TOML file; what is wrong with it is added to `problems`."""
    name = shown or str(path)
    text = _read_text(path, name, problems)
    if text is None:
        return {}
    if _has_endless_keys(text):
        problems.append(f"{name}: a key of more than {KEY_DOTS_MAX} parts")
        return {}
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{name}: not TOML: {_lower(str(error))}")
    except ValueError as error:  # what the language refuses itself: a year 13, a number of five thousand digits
        problems.append(f"{name}: not TOML: {_lower(str(error))}")
    except RecursionError:
        problems.append(f"{name}: nested too deeply")
    else:
        if _is_deeper(content, DEPTH_MAX):
            problems.append(f"{name}: nested more than {DEPTH_MAX} tables deep")
            return {}
        return content
    return {}


def dotenv_layer(cwd: Path, problems: list[str]) -> dict[str, str]:
    """Variables of `.env` in the working folder, as they are written: nothing in them is substituted."""
    path = cwd / ".env"
    if not path.is_file():
        return {}
    text = _read_text(path, ".env", problems)
    variables: dict[str, str] = {}
    for binding in parse_stream(StringIO(text or "")):
        if binding.error or (binding.key is not None and binding.value is None):
            problems.append(f".env: line {binding.original.line}: expected NAME=VALUE")
        elif binding.key is not None and binding.value is not None:
            variables[binding.key] = binding.value
    return variables


def environment_layer(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    """`QTS__SECTION__KEY` and the aliases, as a nested dictionary."""
    layer: dict[str, Any] = {}
    for alias, setting in ALIASES.items():
        if environ.get(alias):
            put(layer, setting.split("."), EnvironmentText(environ[alias]))
    for name, text in environ.items():
        if not name.upper().startswith("QTS_") or name in KEY_VARIABLES:
            continue
        path = _setting_path(name)
        if path is None:
            problems.append(f"{name}: expected QTS__SECTION__KEY in capitals, such as QTS__HTTP__LISTEN")
        elif not name.endswith("_FILE") and (value := _value(name, text, problems)) is not None:
            put(layer, path, value)
    return layer


def secret_layer(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    """Settings whose value lies in a file: `QTS__SECTION__KEY_FILE`, `DATABASE_URL_FILE`, systemd credentials."""
    layer: dict[str, Any] = {}
    for name, path in (*_credentials(environ), *_named_files(environ)):
        text = read_secret(path, name, problems)
        setting = ALIASES[name].split(".") if name in ALIASES else _setting_path(name)
        if text is not None and setting is not None:
            put(layer, setting, EnvironmentText(text))
    return layer


def read_secret(path: Path, name: str, problems: list[str]) -> str | None:
    """The one line of a secret's file, without its line end."""
    text = _read_text(path, f"{name}: {path}", problems, bytes_max=SECRET_BYTES_MAX)
    if text is None:
        return None
    line = text.removesuffix("\n").removesuffix("\r")
    if "\n" in line:
        problems.append(f"{name}: {path}: expected one line, found {line.count(chr(10)) + 1}")
        return None
    return line


def put(layer: dict[str, Any], path: list[str], value: object) -> None:
    """Set a nested value."""
    for part in path[:-1]:
        inner = layer.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        layer = inner
    layer[path[-1]] = value


def _read_text(path: Path, name: str, problems: list[str], *, bytes_max: int = FILE_BYTES_MAX) -> str | None:
    """Text of a file of bounded size; a device or a pipe might never end."""
    problem = ""
    try:
        if path.is_dir():
            problem = "expected a file, found a folder"
        elif not stat.S_ISREG(path.stat().st_mode):
            problem = "expected a regular file"
        elif path.stat().st_size > bytes_max:
            problem = f"{path.stat().st_size} bytes, at most {bytes_max}"
        else:
            return path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except FileNotFoundError:
        problem = "no such file"
    except PermissionError:
        problem = "not readable by this user"
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 at byte {error.start}"
    except OSError as error:
        problem = _lower(error.strerror or str(error))
    except ValueError:
        problem = "not a path"
    problems.append(f"{name}: {problem}")
    return None


def _has_endless_keys(text: str) -> bool:
    """Whether a dotted key has so many parts that the parser, which is quadratic in them, would take all memory."""
    bare = max(part.count(".") for part in re.split(r"[,={}\[\]#\n]", text))
    quoted = len(re.findall(r"""["'][ \t]*\.[ \t]*["']""", text))
    return max(bare, quoted) > KEY_DOTS_MAX


def _setting_path(name: str) -> list[str] | None:
    """Section and key of a variable's name, None where it has another form."""
    if not name.startswith(PREFIX) or not name.isupper():
        return None
    parts = name.removeprefix(PREFIX).removesuffix("_FILE").lower().split("__")
    is_whole = len(parts) == 1 and parts[0] in WHOLE_SECTIONS
    return parts if all(parts) and (is_whole or 2 <= len(parts) <= DEPTH_MAX) else None


def _credentials(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    folder = Path(environ.get("CREDENTIALS_DIRECTORY") or "/nonexistent")
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.name in ALIASES or (path.name.startswith(PREFIX) and path.name not in KEY_VARIABLES):
            yield path.name, path


def _named_files(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    for name, text in environ.items():
        base = name.removesuffix("_FILE")
        if name != base and name not in KEY_VARIABLES and (base in ALIASES or _setting_path(name) is not None):
            yield base, Path(text)


def _value(name: str, text: str, problems: list[str]) -> object | None:
    """Text, or the list or table that JSON says; None where it is JSON gone wrong."""
    if text[:1] not in ("[", "{"):
        return EnvironmentText(text)
    try:
        content: object = json.loads(text)
    except json.JSONDecodeError as error:
        problems.append(f"{name}: looks like JSON and is not: {_lower(error.msg)} at character {error.pos + 1}")
    except (ValueError, RecursionError):
        problems.append(f"{name}: looks like JSON, but holds a number too long or is nested too deeply")
    else:
        if not _is_deeper(content, DEPTH_MAX):
            return content
        problems.append(f"{name}: nested more than {DEPTH_MAX} deep")
    return None


def _is_deeper(content: object, depth: int) -> bool:
    """Whether tables and lists nest deeper; without recursion, because that is what is asked."""
    level = [content]
    for _ in range(depth + 1):
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        if not inner:
            return False
        level = [value for values in inner for value in values]
    return True


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
