"""Finds the broker's key pair. The first complete pair wins; a half pair, a wrong format and a wrong place are said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from quant_trading_system.app.settings.layers import read_secret
from quant_trading_system.core.types import Mode

PAIRS = (
    ("QTS__BROKER__KEY_ID", "QTS__BROKER__SECRET_KEY"),
    ("ALPACA_API_KEY", "ALPACA_SECRET_KEY"),
    ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"),
    ("ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY"),
    ("ALPACA_API_KEY", "ALPACA_API_SECRET"),
)
KEY_CHARACTERS_MAX = 256
HINT_CHARACTERS = 4
HINTED_CHARACTERS_MIN = 8


@dataclass(frozen=True, slots=True)
class BrokerKeys:
    """A key pair and where it came from. Its text shows neither."""

    key_id: str = field(repr=False)
    secret_key: str = field(repr=False)
    source: str
    is_from_environment: bool
    files: tuple[Path, ...] = ()

    @property
    def hint(self) -> str:
        """The last four characters of the key id, for a person to tell keys apart."""
        return f"…{self.key_id[-HINT_CHARACTERS:]}" if len(self.key_id) >= HINTED_CHARACTERS_MIN else "…"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one half of a pair lies: in a variable (no file) or in a file."""

    text: str = field(repr=False)
    file: Path | None


def find_keys(
    environ: Mapping[str, str], dotenv: Mapping[str, str], *, mode: Mode, allow_environment: bool, problems: list[str]
) -> BrokerKeys | None:
    """The first complete pair; each half from the environment, else `.env`, else `…_FILE`, else systemd's credentials.

    In live, variables count only where they are allowed. In sim no key is needed and none is read. What stands in the
    way is added to `problems`.
    """
    if mode in (Mode.SIM, Mode.BACKTEST):
        return None
    environment = {**dotenv, **environ}
    refuses_variables = mode is Mode.LIVE and not allow_environment
    refused = ""
    for names in PAIRS:
        places = [_find(environment, name, problems, skip_variables=refuses_variables) for name in names]
        first, second = places
        if first is not None and second is not None:
            return _pair(names, (first, second), problems)
        if refuses_variables and all(_find(environment, name, []) is not None for name in names):
            refused = refused or names[0]
    if refused:
        problems.append(
            f"broker keys: live refuses keys from the environment (found {refused}); give {refused}_FILE or a systemd "
            "credential, or set QTS__BROKER__ALLOW_ENVIRONMENT_KEYS=true"
        )
    elif not problems:
        _report_half(environment, problems)
    return None


def _find(
    environment: Mapping[str, str], name: str, problems: list[str], *, skip_variables: bool = False
) -> _Place | None:
    if name in environment and not skip_variables:
        return _Place(environment[name], None)
    named = environment.get(f"{name}_FILE")
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if named:
        path = Path(named)
    elif folder and (Path(folder) / name).is_file():
        path = Path(folder) / name
    else:
        return None
    text = read_secret(path, f"{name}_FILE" if named else name, problems)
    return None if text is None else _Place(text, path)


def _pair(names: tuple[str, str], places: tuple[_Place, _Place], problems: list[str]) -> BrokerKeys | None:
    wrong = [problem for name, place in zip(names, places, strict=True) if (problem := _format_problem(name, place))]
    if wrong:
        problems.extend(wrong)
        return None
    files = tuple(place.file for place in places if place.file is not None)
    source = "environment " if not files else "files for " if len(files) == len(places) else "environment and file "
    return BrokerKeys(
        places[0].text,
        places[1].text,
        f"{source}{names[0]} + {names[1]}",
        is_from_environment=len(files) < len(places),
        files=files,
    )


def _format_problem(name: str, place: _Place) -> str:
    """What is wrong with a key: it must be non-empty printable ASCII (R008). The value itself is never shown."""
    where = name if place.file is None else f"{name} in {place.file}"
    if not place.text:
        return f"{where}: is empty"
    if len(place.text) > KEY_CHARACTERS_MAX:
        return f"{where}: has {len(place.text)} characters, at most {KEY_CHARACTERS_MAX}"
    if not all(33 <= ord(character) <= 126 for character in place.text):
        return f"{where}: must be printable ASCII without spaces"
    return ""


def _report_half(environment: Mapping[str, str], problems: list[str]) -> None:
    for names in PAIRS:
        has = [name for name in names if _find(environment, name, []) is not None]
        if len(has) == 1:
            missing = names[1] if has[0] == names[0] else names[0]
            problems.append(f"broker keys: {has[0]} is set but {missing} is not; both are needed")
            return
