"""What may not be in the repository, whatever the language of the file."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.tidy.source import ROOT, repository_files, repository_texts

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))

# A path that exists on one machine only. Folders that the system standard gives to a service (/opt/alphatrade,
# /var/lib/alphatrade, /etc, /run) are no such paths.
MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:work|farm|home|root|tmp|Users)/[A-Za-z_][\w.-]*")
SECRET = re.compile(
    r"\b(?:AK|PK)[A-Z0-9]{18,24}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----|\bgh[pousr]_[A-Za-z0-9]{30,}|\bAKIA[A-Z0-9]{16}\b"
)


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {found.group()}"
        for name, text in repository_texts()
        for number, line in enumerate(text.splitlines(), 1)
        if (found := pattern.search(line))
    ]


def test_no_file_names_a_path_of_one_machine():
    assert lines_with(MACHINE_PATH) == []


@pytest.mark.requirement("R001")
def test_no_file_holds_a_secret():
    assert lines_with(SECRET) == []


def test_locks_name_packages_and_hashes_and_no_host():
    assert [path.name for path in LOCKS] == ["bench.txt", "dev.txt", "image.txt", "lock.txt", "run.txt"]
    line = re.compile(r"[A-Za-z0-9._-]+(?:\[[\w,]+\])?==\S+(?: ; .+)? \\|    --hash=sha256:[0-9a-f]{64}(?: \\)?")
    odd = [f"{p.name}: {text}" for p in LOCKS for text in p.read_text().splitlines() if not line.fullmatch(text)]
    assert odd == []


def test_what_runs_is_what_was_tested():
    tested = pins("dev.txt")
    for lock in ("run.txt", "image.txt"):
        assert {name: pin for name, pin in pins(lock).items() if tested.get(name) != pin} == {}


def test_every_dependency_of_the_project_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {normal(re.split(r"[\s\[<>=;]", text)[0]) for text in project["dependencies"]}
    assert wanted <= {normal(name.split("[")[0]) for name in pins("image.txt")}


def test_nothing_that_a_tool_makes_is_committed():
    made = [p.relative_to(ROOT).as_posix() for p in repository_files() if p.suffix in {".pyc", ".log", ".sqlite"}]
    assert made == []
    assert not (ROOT / "uv.lock").exists()


def pins(lock: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / lock).read_text().splitlines()
    entries = (line.split(" ")[0].partition("==") for line in lines if "==" in line)
    return {name: version for name, _, version in entries}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
