"""What was decided, done and found is written once and never changed: no statement of ours could do it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import quant_trading_system.persistence as persistence
from quant_trading_system.core.records import (
    AlertRecord,
    AuditRecord,
    DecisionRecord,
    DriftRecord,
    EquityRecord,
    GuardRecord,
    OrderRecord,
    ReconciliationRecord,
)
from quant_trading_system.persistence.rows import PLANS, Way

HISTORY = (AuditRecord, DecisionRecord, DriftRecord, GuardRecord, AlertRecord, EquityRecord, ReconciliationRecord)
FOLDER = Path(persistence.__file__).parent
CHANGES_A_ROW = re.compile(r"\b(?:UPDATE|DELETE\s+FROM|TRUNCATE)\s+(?:TABLE\s+)?([a-z_]+)")
OWN_STATE = {"instance", "lease", "lease_beat", "set"}
"""Tables of the daemon's own life, and the SET of an upsert."""


@pytest.mark.requirement("R173")
@pytest.mark.parametrize("kind", HISTORY, ids=lambda kind: kind.__name__)
def test_a_row_of_history_is_appended(kind):
    assert [plan.way for plan in PLANS[kind]] == [Way.APPEND]


@pytest.mark.requirement("R173")
def test_every_state_an_order_was_in_stays_beside_its_newest():
    assert {(plan.table, plan.way) for plan in PLANS[OrderRecord]} == {
        ("orders", Way.UPSERT),
        ("order_states", Way.APPEND),
    }


@pytest.mark.requirement("R173")
def test_no_statement_changes_or_deletes_a_row_of_history():
    changed = {
        (path.name, table)
        for path in sorted(FOLDER.glob("*.py"))
        for table in CHANGES_A_ROW.findall(path.read_text(encoding="utf-8"))
        if table not in OWN_STATE
    }
    assert changed == set()
