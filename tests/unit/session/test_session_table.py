"""The table in the package is what exchange-calendars says."""

from __future__ import annotations

import pytest

from scripts.generate_calendar import TABLE, generate


@pytest.mark.filterwarnings("ignore:Series.values")  # of pandas, inside the library that is compared with
def test_the_table_equals_what_the_generator_writes_now():
    assert TABLE.read_text(encoding="utf-8") == generate()
