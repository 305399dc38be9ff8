"""Decides which tickers were one company's: the data of earlier and later names belong to the one that is asked for.

Reference 10.1, `asof`: META asked for as of a day after the renaming has FB's data too, told as META's; FB asked for as
of such a day has its own alone, because nobody is called that any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from quant_trading_system.simulator.corporate_actions import CorporateAction
from quant_trading_system.simulator.instants import new_york_ns

NAMES_MAX = 16  # of one company; more would be a circle
BEGINNING_NS = 0
END_NS = 1 << 63


@dataclass(frozen=True, slots=True)
class Name:
    """A ticker and the inclusive range of stamps in which it was a company's."""

    symbol: str
    first_ns: int = BEGINNING_NS
    last_ns: int = END_NS


def names_of(symbol: str, changes: Sequence[CorporateAction], asof: date) -> tuple[Name, ...]:
    """All names of the company that was called `symbol` on a date, the earliest first.

    Args:
        changes: the name changes that have happened, of all companies.
    """
    ordered = sorted((change for change in changes if change.new_symbol), key=lambda change: change.ex_date)
    before = [change for change in ordered if change.ex_date <= asof]
    after = [change for change in ordered if change.ex_date > asof]
    last = next((change for change in reversed(before) if symbol in (change.symbol, change.new_symbol)), None)
    if last is not None and last.new_symbol != symbol:
        return (Name(symbol),)  # called otherwise by then: the ticker alone
    earlier = _earlier(symbol, before)
    later = _later(symbol, after)
    if not earlier and not later:
        return (Name(symbol),)
    return tuple(_ranges([*reversed(earlier), *later], symbol))


def _earlier(symbol: str, before: Sequence[CorporateAction]) -> list[CorporateAction]:
    """The changes that led to a name, the latest first."""
    found: list[CorporateAction] = []
    for change in reversed(before):
        if change.new_symbol == symbol and len(found) < NAMES_MAX:
            found.append(change)
            symbol = change.symbol
    return found


def _later(symbol: str, after: Sequence[CorporateAction]) -> list[CorporateAction]:
    found: list[CorporateAction] = []
    for change in after:
        if change.symbol == symbol and change.new_symbol and len(found) < NAMES_MAX:
            found.append(change)
            symbol = change.new_symbol
    return found


def _ranges(changes: Sequence[CorporateAction], symbol: str) -> Iterable[Name]:
    first_ns = BEGINNING_NS
    for change in changes:
        begin_ns = new_york_ns(change.ex_date)
        yield Name(change.symbol, first_ns, begin_ns - 1)
        first_ns = begin_ns
    yield Name(changes[-1].new_symbol or symbol, first_ns)
