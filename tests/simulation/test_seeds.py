"""Plans that once broke an invariant, kept small: none does any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.campaign import attempt
from tests.simulation.plan import from_line

KEPT = sorted((Path(__file__).parent / "seeds").glob("*.json"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_kept_plan_breaks_no_invariant(path: Path):
    assert attempt(from_line(path.read_text())).violations == ()
