"""The model knows every statement the package sends: a text that was changed in one place alone shows here first."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator

import pytest

from tests.simulation.stores import reading
from tests.simulation.stores.statements import STATEMENTS
from tests.tidy.source import PACKAGE, Module, modules

HOME = PACKAGE / "persistence"
ASKS = {"fetch", "fetchrow", "fetchval", "execute", "_read"}
NOT_OF_THE_DAEMON = {
    "embedded.py": "makes roles and databases of a server it started",
    "schema.py": "brings a schema to its head",
    "history.py:_newest": "the text is composed: reading.py has one for each table",
    "database.py:health": "what doctor shows of a server",
    "batches.py": "composed: generated.py reads them",
}


def texts(module: Module) -> Iterator[tuple[str, str]]:
    """Every (place, statement) that a module asks with."""
    namespace = vars(importlib.import_module(module.name.removesuffix(".py").replace("/", ".")))
    for function in module.functions():
        place = f"{module.path.name}:{function.name}"
        if place in NOT_OF_THE_DAEMON:
            continue
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in ASKS:
                for argument in call.args[:2]:
                    text = namespace.get(argument.id) if isinstance(argument, ast.Name) else None
                    if isinstance(argument, ast.Constant):
                        text = argument.value
                    if isinstance(text, str) and " " in text:
                        yield place, text


STORES = [
    m
    for m in modules("quant_trading_system/persistence")
    if m.path.parent == HOME and m.path.name not in NOT_OF_THE_DAEMON
]


@pytest.mark.parametrize("module", STORES, ids=lambda module: module.path.stem)
def test_every_statement_of_a_module_is_known_word_for_word(module: Module):
    assert reading is not None
    assert [(place, text) for place, text in texts(module) if text not in STATEMENTS] == []


def test_the_statements_are_found_in_the_source():
    found = {text for module in STORES for _, text in texts(module)}
    assert len(found) > 30
    assert {"SELECT max(sequence) FROM intents", "SELECT * FROM instance"} <= found
    assert PACKAGE.name == "quant_trading_system"
