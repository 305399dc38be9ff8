"""What a company does to its shares: dividends, splits, spin-offs, new names. Decides factors; moves no money.

The kinds, their dates and their rates are those of Alpaca's `/v1/corporate-actions` (specification of 2026-08).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Literal, get_args

import msgspec

ActionKind = Literal["cash_dividend", "forward_split", "reverse_split", "name_change", "stock_dividend", "spin_off"]
ACTION_KINDS: tuple[ActionKind, ...] = get_args(ActionKind)
SPLITS: tuple[ActionKind, ...] = ("forward_split", "reverse_split", "stock_dividend")

Adjustment = Literal["raw", "split", "dividend", "spin-off", "all"]
ADJUSTMENTS: tuple[Adjustment, ...] = get_args(Adjustment)
_KINDS_OF: dict[str, tuple[ActionKind, ...]] = {
    "raw": (),
    "split": SPLITS,
    "dividend": ("cash_dividend",),
    "spin-off": ("spin_off",),
    "all": (*SPLITS, "cash_dividend", "spin_off"),
}

CloseBefore = Callable[[date], float | None]


class CorporateAction(msgspec.Struct, frozen=True, kw_only=True):
    """One corporate action. What a kind does not have stays None.

    `ex_date` is the first session on which the shares trade without it (of a name change: under the new name).
    """

    id: str
    kind: ActionKind
    symbol: str
    ex_date: date
    process_date: date  # when the broker books it: the ex-date of splits and names, else the payable date
    record_date: date | None = None
    payable_date: date | None = None
    declared_date: date | None = None  # known to the market from this day on; None: always known
    new_symbol: str | None = None  # of name changes, and the company that a spin-off makes
    cash: Decimal | None = None  # USD a share, of cash dividends
    old_rate: Decimal | None = None  # of splits and spin-offs: this many old shares
    new_rate: Decimal | None = None  # become this many, or give this many of the new company
    rate: Decimal | None = None  # new shares for each old one, of stock dividends
    cusip: str = ""
    new_cusip: str = ""

    @property
    def share_ratio(self) -> Decimal:
        """How many shares of the symbol one share becomes on the ex-date; 1 where their number stays."""
        if self.kind == "stock_dividend":
            assert self.rate is not None, f"{self.id}: expected a rate"
            return 1 + self.rate
        if self.kind in SPLITS:
            assert self.old_rate, f"{self.id}: expected an old rate"
            assert self.new_rate, f"{self.id}: expected a new rate"
            return self.new_rate / self.old_rate
        return Decimal(1)

    def is_known_on(self, day: date) -> bool:
        return self.declared_date is None or self.declared_date <= day


def parse_adjustment(text: str) -> tuple[ActionKind, ...]:
    """The kinds of action that a comma-separated `adjustment` undoes.

    Raises:
        ValueError: a word that is none of `raw`, `split`, `dividend`, `spin-off`, `all`.
    """
    kinds: dict[ActionKind, None] = {}
    for word in text.split(","):
        if word not in _KINDS_OF:
            raise ValueError(f"invalid adjustment: {text}")
        kinds.update(dict.fromkeys(_KINDS_OF[word]))
    return tuple(kinds)


class BarFactors(msgspec.Struct, frozen=True):
    """What a bar is multiplied with: prices with `price`, volume with `volume`."""

    price: float
    volume: float


UNADJUSTED = BarFactors(1.0, 1.0)


class AdjustmentFactors:
    """The factors of one symbol by date.

    Args:
        actions: of the symbol, in any order; those of other kinds are left out.
        kinds: what is undone (`parse_adjustment`).
        close_before: the raw close in USD of the last session before a date; a dividend without one is left out.
        value_of_spin_off: USD a share of the new company on the ex-date, None where nobody knows: left out.
    """

    def __init__(
        self,
        actions: Iterable[CorporateAction],
        *,
        kinds: Sequence[ActionKind],
        close_before: CloseBefore,
        value_of_spin_off: Callable[[CorporateAction], float | None] = lambda action: None,
    ) -> None:
        self._steps: list[tuple[date, BarFactors]] = []  # latest first: what bars before each date are multiplied with
        price = volume = 1.0
        wanted = [action for action in actions if action.kind in kinds]
        for action in sorted(wanted, key=lambda action: (action.ex_date, action.id), reverse=True):
            step = _step(action, close_before, value_of_spin_off)
            price, volume = price * step.price, volume * step.volume
            self._steps.append((action.ex_date, BarFactors(price, volume)))

    def at(self, day: date) -> BarFactors:
        """The factors of a bar of a New York date: every later ex-date counts."""
        found = UNADJUSTED
        for ex_date, factors in self._steps:
            if day >= ex_date:
                break
            found = factors
        return found


def _step(
    action: CorporateAction, close_before: CloseBefore, value_of_spin_off: Callable[[CorporateAction], float | None]
) -> BarFactors:
    """What one action does to the bars before it."""
    if action.kind in SPLITS:
        ratio = float(action.share_ratio)
        return BarFactors(1.0 / ratio, ratio)
    close = close_before(action.ex_date)
    if action.kind == "cash_dividend":
        lost = None if action.cash is None else float(action.cash)
    elif action.kind == "spin_off" and action.old_rate and action.new_rate:
        value = value_of_spin_off(action)
        lost = None if value is None else value * float(action.new_rate / action.old_rate)
    else:
        lost = None
    if lost is None or close is None or not 0 < lost < close:
        return UNADJUSTED
    return BarFactors(1.0 - lost / close, 1.0)
