"""The page of faults tells of every kind and field what the code tells, and forgets no row of the fault lists."""

from __future__ import annotations

import re
from pathlib import Path

from quant_trading_system.simulator.server.fault_kinds import KINDS, Layer
from quant_trading_system.simulator.server.fault_rules import COMMON_FIELDS, FIELDS
from quant_trading_system.simulator.server.faults import parse_flag

PAGE = Path(__file__).parents[3] / "docs" / "exchange-faults.md"
SECTION_12_ROWS = 11
MATRIX_ROWS = {"A": 14, "B": 7, "C": 13, "D": 12, "G": 7}
ELSEWHERE = {"A11"}  # what a client sends wrongly by itself
ACTS_ON = {
    Layer.REFUSAL: "request, before",
    Layer.ANSWER: "request, after",
    Layer.JSON: "body",
    Layer.STATE: "state",
    Layer.DEED: "deed",
    Layer.FRAME: "frame",
    Layer.TRADES: "order frame",
    Layer.MARKET: "market frame",
    Layer.SOCKET: "line",
}


def kinds_table() -> list[str]:
    head = ["| Kind | Acts on | Effect | Own fields | Rows |", "|---|---|---|---|---|"]
    return head + [
        f"| `{kind}` | {ACTS_ON[spec.layer]} | {_cell(spec.effect)} | {_names(spec.fields)} | {spec.rows} |"
        for kind, spec in KINDS.items()
    ]


def fields_table() -> list[str]:
    head = ["| Field | Meaning |", "|---|---|"]
    common = [name for name in FIELDS if name in (*COMMON_FIELDS, "kind")]
    own = [name for name in FIELDS if name not in common]
    return head + [f"| `{name}` | {_cell(FIELDS[name])} |" for name in [*common, *own]]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _names(fields: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in fields)


def test_the_tables_of_the_page_are_those_of_the_code():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    missing = [row for row in [*kinds_table(), *fields_table()] if row not in lines]
    assert missing == [], "the page lacks these rows:\n" + "\n".join(missing)
    told = [line for line in lines if line.startswith("| `")]
    assert len(told) == len(KINDS) + len(FIELDS)


def test_no_row_of_the_fault_lists_is_forgotten():
    stood_for = {row for spec in KINDS.values() for row in spec.rows.split()}
    wanted = {f"12.{number}" for number in range(1, SECTION_12_ROWS + 1)}
    wanted |= {f"{letter}{number}" for letter, last in MATRIX_ROWS.items() for number in range(1, last + 1)}
    assert wanted - stood_for == ELSEWHERE
    assert stood_for <= wanted


def test_every_flag_on_the_page_can_be_given():
    flags = re.findall(r"--fault '([a-z][^']+)'", PAGE.read_text(encoding="utf-8"))
    assert len(flags) >= 20
    for flag in flags:
        assert parse_flag(flag)["kind"] in KINDS
