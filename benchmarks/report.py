"""How results are shown: lines on a terminal, and the tables of benchmarks/results.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

from benchmarks.bench import Goal, Result

HEAD = """# Results

Written by `make bench`; do not edit. Medians of {rounds} rounds in which every contender is measured once; cores are
shared and noisy, so the ratios count, not the figures. Definitions are in `benchmarks/`, one file a benchmark.

{machine}
"""


def machine() -> str:
    """The circumstances that move every figure alike."""
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs."


def lines(result: Result) -> list[str]:
    """The benchmark on a terminal."""
    shown = [f"{result.bench.title} [{result.bench.unit}]"]
    for name, value in result.medians.items():
        spread = f"{number(min(result.values[name]))} – {number(max(result.values[name]))}"
        shown.append(f"  {name:<44} {number(value):>10}   ({spread})")
    shown += [f"  {name:<44} not measured: {reason}" for name, reason in result.missing.items()]
    shown += [f"  goal: {goal.says}: {verdict(goal, measured)}" for goal, measured in result.verdicts()]
    return shown


def document(results: Sequence[Result], *, rounds: int) -> str:
    parts = [HEAD.format(rounds=rounds, machine=machine())]
    for result in results:
        parts.append(
            f"\n## {result.bench.title}\n\n| {result.bench.unit} | median | lowest | highest |\n|---|---|---|---|\n"
        )
        for name, value in result.medians.items():
            low, high = min(result.values[name]), max(result.values[name])
            parts.append(f"| {name} | **{number(value)}** | {number(low)} | {number(high)} |\n")
        parts += [f"| {name} | not measured: {reason} | | |\n" for name, reason in result.missing.items()]
        if result.bench.goals:
            parts.append("\n")
        parts += [f"- {goal.says}: {verdict(goal, measured)}\n" for goal, measured in result.verdicts()]
    return "".join(parts)


def verdict(goal: Goal, measured: float | None) -> str:
    if measured is None:
        return "not measured"
    times = "×" if goal.to is not None else ""
    if goal.bound is None:
        return f"{number(measured)}{times}"
    missed = "not yet (binds later)" if goal.binds_later else "MISSED"
    word = "met" if goal.is_met(measured) else missed
    return f"{number(measured)}{times}, {goal.is_met_by} {number(goal.bound)}{times}: {word}"


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
