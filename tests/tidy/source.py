"""The repository's own files as the tidy tests see them. Decides which files are ours."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "quant_trading_system"
CODE_FOLDERS = ("quant_trading_system", "tests", "scripts", "benchmarks")
MADE_FOLDERS = frozenset({".git", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".import_linter_cache", ".hypothesis"})

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Path from the repository's root, as a message shows it."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def functions(self) -> Iterator[FunctionNode]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))

    def calls(self) -> Iterator[tuple[int, str]]:
        """Every call as (line, dotted name), e.g. (12, "datetime.now")."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node.lineno, ast.unparse(node.func)

    def imports(self) -> Iterator[tuple[int, str]]:
        """Every imported module as (line, dotted name); `from a import b` counts as a and as a.b."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.lineno, node.module
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Every Python module under the folders, sorted; of the whole repository where none is named."""
    paths = [path for folder in folders or CODE_FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    if not folders and (ROOT / "main.py").exists():
        paths.append(ROOT / "main.py")
    return tuple(_read(path) for path in paths)


@cache
def repository_files() -> tuple[Path, ...]:
    """Every file that is, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:  # an unpacked archive: everything but what tools make
        paths = [path for path in ROOT.rglob("*") if not _is_made(path)]
    return tuple(sorted(path for path in paths if path.is_file()))


def repository_texts() -> Iterator[tuple[str, str]]:
    """Name and text of every committed file that is text."""
    for path in repository_files():
        raw = path.read_bytes()
        if b"\0" not in raw:
            yield path.relative_to(ROOT).as_posix(), raw.decode("utf-8", errors="replace")


def _read(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    return Module(path=path, text=text, tree=ast.parse(text, filename=str(path)))


def _is_made(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return bool(MADE_FOLDERS.intersection(parts)) or parts[0].startswith(".venv") or "__pycache__" in parts
