"""The failpoints: each name at exactly one place, at the edge alone."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from quant_trading_system.core.failpoints import NAMES
from tests.tidy.source import modules

EDGE = tuple(f"quant_trading_system/{folder}/" for folder in ("app", "adapters", "persistence"))


def calls() -> Iterator[tuple[str, object]]:
    """Every call of `failpoint` in the package: the module, and the name it gives, None where that is no literal."""
    for module in modules("quant_trading_system"):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "failpoint":
                argument = node.args[0]
                yield module.name, argument.value if isinstance(argument, ast.Constant) else None


def test_every_failpoint_is_called_at_exactly_one_place_and_none_is_unknown():
    assert Counter(name for _, name in calls()) == Counter(NAMES)
    assert len(NAMES) >= 45


def test_failpoints_are_at_the_edge_alone():
    assert [name for name, _ in calls() if not name.startswith(EDGE)] == []
