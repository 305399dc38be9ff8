"""The document has a row for each kind of difference, with the alert that the policy raises."""

from __future__ import annotations

from pathlib import Path

from quant_trading_system.orders.differences import DifferenceKind

DOCUMENT = Path(__file__).parents[3] / "docs" / "reconciliation.md"


def rows() -> dict[str, list[str]]:
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): row for row in cells}


def test_every_kind_of_difference_has_its_row_and_no_other():
    assert set(rows()) == {kind.value for kind in DifferenceKind}


def test_what_is_repaired_by_force_is_told_as_critical_by_its_own_code():
    loud = {kind for kind, row in rows().items() if f"drift_{kind}" in row[-1]}
    assert loud == {
        "changed_execution",
        "missing_order",
        "lost_position",
        "quantity_gap",
        "sign_flip",
        "corporate_action",
        "cash_gap",
    }
