"""Dividends and splits out of a directory's table of adjustment factors. Decides what the table does not say.

Two neighbouring rows say what happened on the session after the first one's day. When it was declared, who was on
record and when it was paid is not written there: the usual distances of their time are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from hashlib import blake2b
from itertools import pairwise
from uuid import UUID

from quant_trading_system.datafiles import DataDirectory, FactorRow, read_factors
from quant_trading_system.simulator import calendar
from quant_trading_system.simulator.assets import cusip_of
from quant_trading_system.simulator.corporate_actions import ActionKind, CorporateAction

DECLARED_SESSIONS_BEFORE = 15
PAID_SESSIONS_AFTER = 14
RATIO_DENOMINATOR_MAX = 20  # of splits; factors are rounded to seven digits
STOCK_DIVIDEND_RATIO_MAX = 1.10  # fewer new shares than this are a stock dividend
RATIO_MOVES = 1e-5  # less is rounding
CENT_TENTH = Decimal("0.001")  # factors of seven digits say no more of a dividend
RATE_STEP = Decimal("0.000001")


def actions_of(directory: DataDirectory, symbol: str) -> tuple[CorporateAction, ...]:
    """A symbol's actions by ex-date; none where the directory has no file of them.

    Raises:
        DataFileError: the file is not sound.
    """
    if not directory.has("corporate_actions", symbol):
        return ()
    rows = read_factors(directory.path("corporate_actions", symbol))
    return tuple(_between(symbol, rows))


def _between(symbol: str, rows: Iterable[FactorRow]) -> Iterator[CorporateAction]:
    for row, following in pairwise(rows):
        sessions = calendar.sessions_after(row.until, 1)
        if not sessions:
            continue
        ex_date = sessions[0].day
        ratio = following.split_factor / row.split_factor
        if abs(ratio - 1) > RATIO_MOVES:
            yield _split(symbol, ex_date, ratio)
        kept = row.price_factor / following.price_factor
        cash = Decimal(str(row.reference_price * (1 - kept))).quantize(CENT_TENTH)
        if cash > 0:
            yield _dividend(symbol, ex_date, cash)


def _dividend(symbol: str, ex_date: date, cash: Decimal) -> CorporateAction:
    after = calendar.sessions_after(ex_date, PAID_SESSIONS_AFTER)
    payable = after[-1].day if after else ex_date
    return CorporateAction(
        id=_id("cash_dividend", symbol, ex_date),
        kind="cash_dividend",
        symbol=symbol,
        ex_date=ex_date,
        record_date=calendar.record_date_of(ex_date),
        payable_date=payable,
        process_date=payable,
        declared_date=_declared(ex_date),
        cash=cash,
        cusip=cusip_of(symbol),
    )


def _split(symbol: str, ex_date: date, ratio: float) -> CorporateAction:
    """A split in the smallest whole numbers, or a stock dividend of a few shares for a hundred."""
    whole = Fraction(ratio).limit_denominator(RATIO_DENOMINATOR_MAX)
    kind: ActionKind = "forward_split" if ratio > 1 else "reverse_split"
    if 1 < ratio < STOCK_DIVIDEND_RATIO_MAX:
        kind = "stock_dividend"
    is_split = kind != "stock_dividend"
    return CorporateAction(
        id=_id("split", symbol, ex_date),
        kind=kind,
        symbol=symbol,
        ex_date=ex_date,
        record_date=calendar.record_date_of(ex_date),
        payable_date=ex_date,
        process_date=ex_date,
        declared_date=_declared(ex_date),
        old_rate=Decimal(whole.denominator) if is_split else None,
        new_rate=Decimal(whole.numerator) if is_split else None,
        rate=None if is_split else Decimal(str(ratio - 1)).quantize(RATE_STEP),
        cusip=cusip_of(symbol),
        new_cusip=cusip_of(f"{symbol} {ex_date}") if kind == "reverse_split" else "",
    )


def _declared(ex_date: date) -> date:
    before = calendar.sessions_before(ex_date, DECLARED_SESSIONS_BEFORE)
    return before[0].day if before else ex_date


def _id(*what: object) -> str:
    text = ":".join(str(part) for part in what)
    return str(UUID(bytes=blake2b(text.encode(), digest_size=16, person=b"recorded").digest(), version=4))
