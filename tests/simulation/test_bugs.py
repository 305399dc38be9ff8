"""The catalogue of planted bugs fits the code: each text stands once in its file, and what it makes can be compiled."""

from __future__ import annotations

import pytest

from tests.simulation.bugs.bug import PACKAGE, Bug, BugDoesNotFit, planted
from tests.simulation.bugs.catalogue import BUGS
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
