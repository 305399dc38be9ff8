"""Rules of the house that reading cannot be trusted to keep: each test lists the lines that break one."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from tests.tidy.source import ROOT, Module, modules

PACKAGE = "quant_trading_system"
GATE = f"{PACKAGE}/risk/gate.py"

WALL_CLOCKS = {
    f"{PACKAGE}/app/clocks.py": "the daemon's clock: everything else is handed this one",
    f"{PACKAGE}/simulator/server/": "the exchange is a process of its own, and this is its shell",
}
TASK_MAKERS = {
    f"{PACKAGE}/app/supervisor.py": "the one place that starts tasks, each with a name, an owner and a criticality",
}
READS_WALL_TIME = re.compile(
    r"^(?:datetime\.)?(?:datetime|date)\.(?:now|utcnow|today)$|^time\.(?:time|time_ns|localtime|gmtime)$"
)
STARTS_A_TASK = re.compile(r"^(?:asyncio|.*loop|.*loop\(\))\.(?:create_task|ensure_future)$|^ensure_future$")


def calls_that(matches: Callable[[str], object], *, among: tuple[Module, ...], but_in: Iterable[str] = ()) -> list[str]:
    """Calls by their dotted name, but in the files and folders of `but_in`."""
    return [
        f"{module.name}:{line}: {name}(…)"
        for module in among
        if not module.name.startswith(tuple(but_in))
        for line, name in module.calls()
        if matches(name)
    ]


def test_every_module_says_in_its_first_lines_what_it_decides():
    silent = [module.name for module in modules() if not ast.get_docstring(module.tree)]
    assert silent == []


def test_annotations_are_postponed_in_every_module_that_has_code():
    late = [m.name for m in modules() if len(m.tree.body) > 1 and "from __future__ import annotations" not in m.lines]
    assert late == []


@pytest.mark.requirement("R086")
def test_only_the_gate_makes_an_approved_order():
    makers = calls_that(lambda name: name.split(".")[-1] == "Approved", among=modules(PACKAGE), but_in=[GATE])
    assert makers == []


@pytest.mark.requirement("R170")
def test_the_package_prints_nothing():
    assert calls_that(lambda name: name == "print", among=modules(PACKAGE)) == []


@pytest.mark.requirement("R108")
def test_nobody_sleeps_in_a_thread():
    assert calls_that(lambda name: name == "time.sleep", among=modules(PACKAGE)) == []


def test_only_the_clocks_read_wall_time():
    assert calls_that(READS_WALL_TIME.match, among=modules(PACKAGE), but_in=WALL_CLOCKS) == []


def test_only_the_supervisor_starts_tasks():
    assert calls_that(STARTS_A_TASK.match, among=modules(PACKAGE), but_in=TASK_MAKERS) == []


@pytest.mark.requirement("R123")
def test_no_decimal_is_made_of_a_float():
    made = [
        f"{module.name}:{node.lineno}: {ast.unparse(node)}"
        for module in modules(PACKAGE)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("Decimal")
        and any(isinstance(a, ast.Constant) and isinstance(a.value, float) for a in node.args)
    ]
    assert made == []


@pytest.mark.requirement("R123")
def test_the_ledger_knows_no_float():
    floats = [
        f"{module.name}:{node.lineno}"
        for module in modules(f"{PACKAGE}/ledger")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, float)
    ]
    assert floats == []


@pytest.mark.requirement("R196")
def test_every_broad_except_is_a_named_border_with_its_reason():
    broad = [
        f"{module.name}:{node.lineno}: wants `# border: why nothing may pass here` on the line"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and is_broad(node.type) and not passes_on(node)
        if not re.search(r"# (?:noqa: \S+ )?(?:- )?border: \S+ \S+", module.lines[node.lineno - 1])
    ]
    assert broad == []


def passes_on(handler: ast.ExceptHandler) -> bool:
    """Whether it only cleans up: its last word is a bare `raise`."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def is_broad(caught: ast.expr | None) -> bool:
    match caught:
        case None:
            return True
        case ast.Tuple(elts=types):
            return any(is_broad(one) for one in types)
        case _:
            return ast.unparse(caught) in {"Exception", "BaseException"}


@pytest.mark.requirement("R197")
def test_nothing_fails_silently():
    silent = [
        f"{module.name}:{node.lineno}"
        for module in modules(PACKAGE)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and is_broad(node.type)
        if all(isinstance(step, ast.Pass | ast.Continue) for step in node.body)
    ]
    assert silent == []


@pytest.mark.requirement("R199")
def test_no_work_is_left_for_later_in_a_comment():
    marker = re.compile(r"#.*\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    left = [
        f"{m.name}:{n}: {line.strip()}" for m in modules() for n, line in enumerate(m.lines, 1) if marker.search(line)
    ]
    assert left == []


def test_there_are_no_stubs():
    stubs = [
        f"{module.name}:{function.lineno}: {function.name}"
        for module in modules(PACKAGE)
        for function in module.functions()
        if any(isinstance(step, ast.Raise) and "NotImplementedError" in ast.unparse(step) for step in function.body)
    ]
    assert stubs == []


def test_the_embedded_exchange_takes_types_alone_of_core():
    shared = [
        f"{module.name}:{line}: {name}"
        for module in modules(f"{PACKAGE}/simulator")
        for line, name in module.imports()
        if name.startswith(f"{PACKAGE}.core.") and not name.startswith(f"{PACKAGE}.core.types")
    ]
    assert shared == []


def test_every_test_asserts_something():
    empty = [
        f"{module.name}:{function.lineno}: {function.name}"
        for module in modules("tests")
        for function in module.functions()
        if function.name.startswith("test_")
        and not re.search(r"\bassert|raises|check|expect|verify|must_|wait_for", ast.unparse(function))
    ]
    assert empty == []


def test_only_process_and_contract_tests_wait_for_real_time():
    virtual = tuple(m for m in modules("tests") if m.path.relative_to(ROOT / "tests").parts[0] in {"unit", "scenario"})
    waits = calls_that(lambda name: name in {"time.sleep", "asyncio.run"}, among=virtual)
    assert waits == []


def test_no_two_test_files_share_a_name():
    names = Counter(module.path.name for module in modules("tests") if module.path.name.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []
