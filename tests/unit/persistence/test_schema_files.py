"""Migrations are linear, named by date, and their newest is the head that the daemon compares with."""

from __future__ import annotations

import re

import pytest
from alembic.script import ScriptDirectory

from quant_trading_system.persistence.schema import alembic_config, head, revisions


@pytest.mark.requirement("R158")
def test_the_head_found_by_file_name_is_alembics():
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [head()]


@pytest.mark.requirement("R158")
def test_every_migration_follows_the_one_before_it():
    scripts = ScriptDirectory.from_config(alembic_config())
    chain = [revision.revision for revision in scripts.walk_revisions()]
    assert chain == revisions()[::-1]


def test_every_migration_is_named_by_date_number_and_subject():
    assert [name for name in revisions() if not re.fullmatch(r"r\d{8}_\d{4}_[a-z_]{3,20}", name)] == []
    assert all(len(name) <= 32 for name in revisions())  # alembic_version.version_num holds no more
