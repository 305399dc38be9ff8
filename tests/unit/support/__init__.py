"""The tools of the tests are tested too: a wrong clock would make every timing promise empty."""

from __future__ import annotations
