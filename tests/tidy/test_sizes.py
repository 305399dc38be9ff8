"""How long a module and a function may be: beyond these numbers nobody reads them whole."""

from __future__ import annotations

from tests.tidy.source import FunctionNode, modules

MODULE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70


def length(function: FunctionNode) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_no_module_is_longer_than_600_lines():
    sizes = {module.name: len(module.lines) for module in modules()}
    assert {name: size for name, size in sizes.items() if size > MODULE_LINES_MAX} == {}


def test_no_function_is_longer_than_70_lines():
    too_long = [
        f"{module.name}:{function.lineno}: {function.name} has {length(function)} lines"
        for module in modules()
        for function in module.functions()
        if length(function) > FUNCTION_LINES_MAX
    ]
    assert too_long == []
