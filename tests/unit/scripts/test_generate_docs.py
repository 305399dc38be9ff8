"""The generated documents say what the tests and the transition table say, and nothing by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.generate_docs import (
    DocumentError,
    Proof,
    StateWords,
    collect_proofs,
    render_coverage,
    render_order_states,
)


def proofs_in(folder: Path, source: str) -> list[Proof]:
    tests = folder / "tests"
    tests.mkdir()
    (tests / "test_example.py").write_text("import pytest\n" + source)
    return collect_proofs(tests)


def found(proofs: list[Proof]) -> list[tuple[str, str]]:
    return [(proof.id, proof.test) for proof in proofs]


def test_a_mark_on_a_test_is_a_proof(tmp_path: Path):
    source = '@pytest.mark.requirement("R043")\n@pytest.mark.fault("A2")\nasync def test_kill(): ...\n'
    assert found(proofs_in(tmp_path, source)) == [("A2", "test_kill"), ("R043", "test_kill")]


def test_one_mark_may_name_several_ids(tmp_path: Path):
    source = '@pytest.mark.control("P7", "P8")\ndef test_band(): ...\n'
    assert found(proofs_in(tmp_path, source)) == [("P7", "test_band"), ("P8", "test_band")]


def test_marks_on_a_module_and_on_a_class_hold_for_their_tests(tmp_path: Path):
    source = (
        'pytestmark = [pytest.mark.requirement("R115")]\n'
        '@pytest.mark.invariant("I15")\n'
        "class TestHealing:\n    def test_books_agree(self): ...\n"
        "def test_grid(): ...\n"
    )
    assert found(proofs_in(tmp_path, source)) == [
        ("I15", "TestHealing.test_books_agree"),
        ("R115", "TestHealing.test_books_agree"),
        ("R115", "test_grid"),
    ]


def test_a_mark_on_a_parameter_counts(tmp_path: Path):
    source = (
        '@pytest.mark.parametrize("kind", [pytest.param(1, marks=pytest.mark.fault("C1"))])\ndef test_gap(kind): ...\n'
    )
    assert found(proofs_in(tmp_path, source)) == [("C1", "test_gap")]


def test_a_helper_without_a_test_name_proves_nothing(tmp_path: Path):
    assert proofs_in(tmp_path, '@pytest.mark.requirement("R043")\ndef helper(): ...\n') == []


@pytest.mark.parametrize("id_", ['"R43"', '"X1"', "SOME_NAME", "43"])
def test_an_id_that_is_none_is_refused_with_its_line(tmp_path: Path, id_: str):
    with pytest.raises(DocumentError, match=r"tests/test_example\.py:2: requirement mark wants an id"):
        proofs_in(tmp_path, f"@pytest.mark.requirement({id_})\ndef test_x(): ...\n")


def test_coverage_is_ordered_by_number_and_names_every_test_once():
    proofs = [
        Proof(family="invariant", id=id_, path="tests/unit/test_a.py", test=f"test_{id_}") for id_ in ("I10", "I2")
    ]
    text = render_coverage(proofs)
    assert "## Invariants (2)" in text
    assert text.index("| I2 | [test_I2](../tests/unit/test_a.py) |") < text.index("| I10 |")
    assert "Requirements" not in text, "a family without proofs has no table"


def test_the_diagram_has_every_move_of_the_table_and_its_two_ends():
    table = {
        ("READY", "SEND"): "SENDING",
        ("SENDING", "ACK"): "WORKING",
        ("SENDING", "FILL"): "WORKING",
        ("WORKING", "ACK"): "WORKING",
    }
    text = render_order_states(table, final={"WORKING"})
    assert "[*] --> READY" in text
    assert "SENDING --> WORKING: ACK, FILL" in text
    assert "WORKING --> [*]" in text
    assert "WORKING --> WORKING" not in text, "what changes nothing stands in the table alone"
    assert "\n| ACK | – | WORKING | WORKING |" in text
    assert "\n| SEND | SENDING | – | – |" in text
    assert "\n| WORKING | ACK | WORKING |" in text, "a late word"


def test_names_are_explained_with_the_brokers_words():
    words = StateWords(
        statuses={"WORKING": "open", "READY": "not sent"},
        triggers={"ACK": "it is there"},
        words={"new": "ACK", "held": "ACK", "filled": "FILL"},
    )
    text = render_order_states({("READY", "ACK"): "WORKING"}, final=(), words=words)
    assert "\n| READY | not sent |" in text
    assert "\n| ACK | it is there | `new`, `held` |" in text
    assert "\n| Trigger | WORKING | READY |" in text, "in the order in which they are explained"
