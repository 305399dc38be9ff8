"""The catalogue of planted bugs: at least one for each story and each mechanism. Decides nothing."""

from __future__ import annotations

from tests.simulation.bugs import agreeing, believing, keeping, leading, proving, sending, surviving

BUGS = (*sending.BUGS, *believing.BUGS, *agreeing.BUGS, *surviving.BUGS, *leading.BUGS, *keeping.BUGS, *proving.BUGS)
