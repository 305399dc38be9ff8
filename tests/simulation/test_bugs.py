"""The catalogue of planted bugs fits the code: each text stands once in its file, and what it makes can be compiled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.bugs.bug import PACKAGE, Bug, BugDoesNotFit, planted
from tests.simulation.bugs.catalogue import BUGS
from tests.simulation.bugs.hunt import Report, hunt
from tests.tidy.source import ROOT


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_fits_the_code(bug: Bug):
    source = (ROOT / PACKAGE / bug.path).read_text(encoding="utf-8")
    defect = planted(bug, source)
    assert defect != source
    compile(defect, bug.path, "exec")


def test_there_are_sixty_and_each_has_a_name_of_its_own():
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 60


def test_a_bug_whose_text_is_gone_says_so():
    bug = BUGS[0]
    with pytest.raises(BugDoesNotFit, match=f"{bug.name}: its text occurs 0 times in {bug.path}"):
        planted(bug, "")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the file of the first bug, as it is healthy."""
    path = tmp_path / PACKAGE / BUGS[0].path
    path.parent.mkdir(parents=True)
    path.write_bytes((ROOT / PACKAGE / BUGS[0].path).read_bytes())
    return tmp_path


class Seeds:
    """Seeds that fail with the bug, and those of them that fail without it."""

    def __init__(self, *failing: int, without_the_bug: tuple[int, ...] = ()) -> None:
        self._failing, self._without = failing, without_the_bug

    def run(self, root: Path, first: int, count: int) -> Report:
        is_planted = BUGS[0].old not in (root / PACKAGE / BUGS[0].path).read_text(encoding="utf-8")
        failing = self._failing if is_planted else self._without
        failed = sorted(set(failing) & set(range(first, first + count)))[:1]
        return Report(seeds=count, failed=failed, violations={str(seed): [f"I1: seed {seed}"] for seed in failed})


def test_a_bug_is_found_by_the_first_seed_that_fails_with_it(copy: Path):
    found = hunt(BUGS[0], copy, seeds=20, run=Seeds(7, 9).run)
    assert (found.is_found, found.seeds, found.said) == (True, 8, "I1: seed 7")


def test_a_seed_that_fails_without_the_bug_as_well_does_not_count(copy: Path):
    found = hunt(BUGS[0], copy, seeds=20, run=Seeds(2, 5, 9, without_the_bug=(2, 5)).run)
    assert (found.is_found, found.seeds, found.said, found.passed_over) == (True, 10, "I1: seed 9", (2, 5))


def test_a_bug_that_fails_only_where_the_healthy_code_does_is_not_found(copy: Path):
    found = hunt(BUGS[0], copy, seeds=20, run=Seeds(2, 19, without_the_bug=(2, 19)).run)
    assert (found.is_found, found.seeds, found.passed_over) == (False, 20, (2, 19))


def test_a_bug_behind_the_last_seed_is_not_found_and_nothing_stays_planted(copy: Path):
    found = hunt(BUGS[0], copy, seeds=20, first=10, run=Seeds(9, 30).run)
    assert (found.is_found, found.seeds, found.said) == (False, 20, "")
    assert (copy / PACKAGE / BUGS[0].path).read_bytes() == (ROOT / PACKAGE / BUGS[0].path).read_bytes()
