"""Types are complete and checked strictly, errors belong to a family, and the command line only asks and shows."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import tomllib
from collections.abc import Iterator

import pytest

import quant_trading_system
from quant_trading_system.core.errors import Bug, ExitCode, InDoubt, OperatorError, Refused, Unavailable, VenueError
from tests.tidy.source import ROOT, FunctionNode, modules

PACKAGE = "quant_trading_system"
VENUE_OUTCOMES = (Refused, Unavailable, InDoubt)
CONNECTION_ENDS = {"BrokerAuthError": "ends a stream or the start: nobody may try again with the same keys"}
STAGES = ("core", "market", "strategy", "portfolio", "risk", "orders", "ledger", "engine")
CLI_KNOWS = {
    "app": "what a verb does",
    "core": "words",
    "cli": "its own parts",
    "persistence": "`db` and `control kill` work when the daemon is down",
    "simulator": "the verb `exchange` is that program",
}


def package_exceptions() -> Iterator[type[BaseException]]:
    """Every exception class that a module of the package defines."""
    for found in pkgutil.walk_packages(quant_trading_system.__path__, f"{PACKAGE}."):
        if found.name.endswith("__main__") or ".migrations." in found.name:
            continue
        module = importlib.import_module(found.name)
        for member in vars(module).values():
            if isinstance(member, type) and issubclass(member, BaseException) and member.__module__ == found.name:
                yield member


# types


@pytest.mark.requirement("R198")
def test_every_function_says_what_it_takes_and_what_it_gives():
    silent = [
        f"{module.name}:{function.lineno}: {function.name}({argument})"
        for module in modules(PACKAGE, "scripts", "benchmarks")
        for function in module.functions()
        for argument in untyped(function)
    ]
    assert silent == []


def untyped(function: FunctionNode) -> Iterator[str]:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    rest = [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
    for argument in [*named, *rest]:
        if argument.annotation is None and argument.arg not in {"self", "cls"}:
            yield argument.arg
    if function.returns is None:
        yield "return"


@pytest.mark.requirement("R198")
def test_types_are_checked_strictly_in_the_whole_tree_and_by_every_make_check():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert settings["strict"] is True
    assert set(settings["files"]) >= {PACKAGE, "tests", "scripts", "benchmarks"}
    loosened = [each for each in settings["overrides"] if "ignore_errors" in each or "follow_imports" in each]
    assert loosened == []
    ours = [each for each in settings["overrides"] if any(PACKAGE in name for name in each["module"])]
    assert ours == [], "no module of the package is checked less strictly than another"
    assert "mypy" in (ROOT / "Makefile").read_text()


@pytest.mark.requirement("R198")
def test_core_stages_and_engine_know_no_any():
    loose = [
        f"{module.name}:{line}"
        for module in modules(*(f"{PACKAGE}/{stage}" for stage in STAGES))
        for line, name in module.imports()
        if name == "typing.Any"
    ]
    assert loose == []


# errors


@pytest.mark.requirement("R196")
def test_what_goes_wrong_at_the_broker_is_permanent_or_transient_or_unknown_and_nothing_between():
    classes = [each for each in package_exceptions() if issubclass(each, VenueError) and each is not VenueError]
    assert len(classes) > len(VENUE_OUTCOMES)
    for each in classes:
        outcomes = [outcome for outcome in VENUE_OUTCOMES if issubclass(each, outcome)]
        assert len(outcomes) == (0 if each.__name__ in CONNECTION_ENDS else 1), each


@pytest.mark.requirement("R196")
@pytest.mark.requirement("R197")
def test_what_a_person_can_put_right_carries_its_message_its_fix_and_its_exit_code():
    classes = [each for each in package_exceptions() if issubclass(each, OperatorError)]
    assert len(classes) >= 5
    plain = OperatorError("the port is taken", fix="choose another", exit_code=ExitCode.CONFIGURATION)
    assert (str(plain), plain.fix, plain.exit_code) == ("the port is taken", "choose another", 4)
    assert not [each for each in classes if issubclass(each, VenueError | Bug)]


@pytest.mark.requirement("R196")
def test_no_error_of_ours_is_a_bare_exception_raised_on_the_spot():
    raised = [
        f"{module.name}:{node.lineno}"
        for module in modules(PACKAGE)
        for node in ast.walk(module.tree)
        if "migrations" not in module.name  # alembic shows what they raise to whoever migrates by hand
        and isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and ast.unparse(node.exc.func) in {"Exception", "BaseException", "RuntimeError"}
    ]
    assert raised == []


# the command line


@pytest.mark.requirement("R200")
def test_the_command_line_reaches_the_engine_and_the_broker_through_app_alone():
    beyond = [
        f"{module.name}:{line}: {name}"
        for module in modules(f"{PACKAGE}/cli")
        for line, name in module.imports()
        if name.startswith(f"{PACKAGE}.") and name.split(".")[1] not in CLI_KNOWS
    ]
    assert beyond == []
