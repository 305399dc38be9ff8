"""The make targets and the script behind them, as a newcomer's machine meets them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from quant_trading_system.cli.root import cli
from tests.tidy.source import ROOT

SCRIPT = ROOT / "scripts" / "environment.sh"
LOCK = "example==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n"


def install(folder: Path, *, path: str = os.environ["PATH"], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script in `folder` for .venv and lock.txt."""
    (folder / "lock.txt").write_text(LOCK)
    return subprocess.run(
        ["/bin/sh", str(SCRIPT), ".venv", "lock.txt"],
        cwd=folder,
        env={"PATH": path, "PIP_CONFIG_FILE": os.devnull, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def tools_without_python(folder: Path) -> str:
    """A PATH with the tools of POSIX and no interpreter."""
    tools = folder / "tools"
    tools.mkdir()
    for name in ("cksum", "tr", "basename", "dirname", "grep", "cat"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    return str(tools)


def test_a_machine_without_python_is_told_so(tmp_path: Path):
    outcome = install(tmp_path, path=tools_without_python(tmp_path))
    assert outcome.returncode == 4
    assert outcome.stderr.startswith("environment: no Python found; install Python 3.11 or newer")


def test_a_python_that_is_too_old_is_named(tmp_path: Path):
    tools = tools_without_python(tmp_path)
    old = Path(tools) / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    outcome = install(tmp_path, path=tools)
    assert outcome.returncode == 4
    assert "found python3, but Python 3.11 or newer is needed" in outcome.stderr


def test_a_python_without_venv_is_named(tmp_path: Path):
    tools = tools_without_python(tmp_path)
    bare = Path(tools) / "python3"
    bare.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\n')
    bare.chmod(0o755)
    outcome = install(tmp_path, path=tools)
    assert outcome.returncode == 4
    assert "found python3, but without the venv module" in outcome.stderr


def test_a_package_index_that_cannot_be_reached_is_one_clear_line(tmp_path: Path):
    folder = tmp_path / "a folder with spaces"
    folder.mkdir(mode=0o700)
    unreachable = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PYTHON": sys.executable}
    outcome = install(folder, **unreachable)
    assert outcome.returncode == 4
    assert "environment: pip could not install lock.txt" in outcome.stderr
    assert "is a package index reachable" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not (folder / ".venv" / ".installed").exists(), "a failed installation must be tried again"


def test_an_environment_that_is_up_to_date_is_left_alone(tmp_path: Path):
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "lock.txt").write_text(LOCK)
    sums = subprocess.run(
        ["cksum", "lock.txt"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.split()
    (tmp_path / ".venv" / ".installed").write_text(f"{sums[0]}-{sums[1]}-lock.txt\n")
    outcome = install(tmp_path)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


@pytest.mark.requirement("R214")
def test_ci_runs_make_check_and_make_check_runs_everything():
    ci = (ROOT / ".ci" / "run").read_text()
    assert ci.rstrip().endswith("exec make check")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    makefile = (ROOT / "Makefile").read_text()
    assert "check: lint types layers docs " in makefile
    for command in ("-m ruff check .", "-m ruff format --check", "-m mypy", "lint-imports", "generate_docs --check"):
        assert command in makefile
    assert re.search(r"(?m)^check:.*\n\t@\$\(MAKE\) test$", makefile)


def test_every_target_that_make_help_shows_exists_and_every_public_one_is_shown():
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = [
        "help",
        "run",
        "test",
        "check",
        "bench",
        "exercise",
        "simulate",
        "simulate-bugs",
        "simulate-process",
        "lock",
        "image",
    ]
    assert re.findall(r"(?m)^  make ([\w-]+)", shown) == targets


@pytest.mark.parametrize("document", ["docs/runbook.md", "README.md", "CHANGELOG.md"])
def test_every_command_and_flag_that_a_document_names_exists(document: str):
    if not (ROOT / document).exists():
        pytest.skip(f"there is no {document}")
    text = (ROOT / document).read_text()
    named = re.findall(r"python main\.py ([^`\n|#]+)", text)
    assert [words for words in named if not is_command(words.split())] == []


def is_command(words: list[str]) -> bool:
    """Whether the verbs are there, and every flag behind them is one of the last verb's."""
    context = click.Context(cli)
    command: click.Command = cli
    for word in words:
        if not isinstance(command, click.Group) or word.startswith("-"):
            break
        found = command.get_command(context, word)
        if found is None:
            return False
        command = found
    flags = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    return all(word in flags for word in words if word.startswith("--"))
