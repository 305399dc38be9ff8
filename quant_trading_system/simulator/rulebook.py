"""The rules that were others at other dates or that nobody has settled. Decides none of them: says which are in force.

How answers were written at a date is the server's business; here stands only what an order runs into.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """Today's rules, unless said otherwise."""

    # Prices finer than a tick were cut in 2021, those of legs kept (reference 2.7, recorded); now they are refused.
    cuts_sub_penny: bool = False
    # A fourth day trade in five days with less than 25,000 USD was refused until 2026-06-04 (reference 2.12).
    protects_pattern_day_traders: bool = False
    # Whether a client id is taken for ever or only by an open order is an open question (reference 13, number 1).
    frees_client_ids: bool = False


TODAY = Rulebook()
