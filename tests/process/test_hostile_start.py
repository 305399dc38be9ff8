"""Starts on what a stranger left behind: refused by its own name, with its exit code, and with nothing left running."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.daemon_process import run_verb
from tests.support.stores import short_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


def trade(state_dir: Path, *arguments: str) -> tuple[int, str]:
    """Start the daemon for a second; its exit code and what it said."""
    done = run_verb(
        "trade", "--state-dir", str(state_dir), "--http", "127.0.0.1:0", "--duration", "1", *arguments, cwd=state_dir
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert processes_of(state_dir) == []
    return done.returncode, done.stderr


def processes_of(state_dir: Path) -> list[str]:
    """Commands of living processes that name the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has just ended
        if str(state_dir) in command:
            found.append(command)
    return found


class Page(BaseHTTPRequestHandler):
    """A web server that knows nothing of orders."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def website() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.invariant("I40")
def test_an_address_that_is_no_exchange_is_said_in_one_line_and_how_to_start_one(folder, website):
    code, said = trade(folder, "--exchange", website)
    assert code == 75
    (line,) = (line for line in said.splitlines() if line.startswith("error: "))
    assert "answer 404" in line
    assert f"see that `python main.py exchange` runs at {website}" in said


@pytest.mark.invariant("I10")
@pytest.mark.invariant("I40")
def test_a_state_directory_that_was_tampered_with_is_refused_or_halted_by_the_name_of_the_thing(folder):
    assert trade(folder, "--seed", "3")[0] == 0

    code, said = trade(folder, "--seed", "4")
    assert code == 4
    assert "refused its world: --seed: " in said  # and nothing of what earlier runs said
    assert "holds a world made with 3, asked for 4" in said

    (folder / "control.token").write_bytes(b"\xff\xfe")
    (folder / "kill.latch").unlink()
    code, said = trade(folder)
    assert code == 0
    assert "HALTED" in next(line for line in said.splitlines() if line.startswith("READY"))

    journal = folder / "exchange" / "journal"
    books = journal.read_bytes()
    journal.unlink()
    code, said = trade(folder)
    assert code == 4
    assert "the books of the world" in said
    journal.write_bytes(books)

    (folder / "instance").write_bytes(b"\xff\xfe")
    code, said = trade(folder)
    assert code == 7
    assert "instance is damaged" in said


@pytest.mark.invariant("I40")
@pytest.mark.parametrize("name", ["control.token", "exchange", "tape"])
def test_something_else_where_the_state_should_lie_is_named(folder, name):
    if name == "control.token":
        (folder / name).mkdir()
    else:
        (folder / name).write_text("not ours")
    code, said = trade(folder)
    assert code == 4
    assert f"{folder / name}: " in said
