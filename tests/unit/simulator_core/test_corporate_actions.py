"""Adjustment factors: what dividends, splits and spin-offs do to the bars before them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from quant_trading_system.simulator.corporate_actions import (
    UNADJUSTED,
    AdjustmentFactors,
    BarFactors,
    CorporateAction,
    parse_adjustment,
)

JUNE, JULY, AUGUST = date(2026, 6, 9), date(2026, 7, 9), date(2026, 8, 10)
BEFORE = date(2026, 5, 1)


def action(kind, ex_date, **fields):
    return CorporateAction(
        id=f"{kind} {ex_date}", kind=kind, symbol="X", ex_date=ex_date, process_date=ex_date, **fields
    )


SPLIT = action("forward_split", JUNE, old_rate=Decimal(1), new_rate=Decimal(4))
DIVIDEND = action("cash_dividend", JULY, cash=Decimal("0.50"))
SPIN_OFF = action("spin_off", AUGUST, old_rate=Decimal(10), new_rate=Decimal(1), new_symbol="Y")


def factors(adjustment, actions=(SPIN_OFF, SPLIT, DIVIDEND), **options):
    return AdjustmentFactors(actions, kinds=parse_adjustment(adjustment), close_before=lambda day: 100.0, **options)


def test_raw_bars_stay_as_they_are():
    assert factors("raw").at(BEFORE) == UNADJUSTED


def test_a_split_divides_earlier_prices_and_multiplies_earlier_volumes():
    assert factors("split").at(BEFORE) == BarFactors(0.25, 4.0)
    assert factors("split").at(JUNE) == UNADJUSTED


def test_a_reverse_split_and_a_stock_dividend_are_splits():
    reverse = action("reverse_split", JUNE, old_rate=Decimal(10), new_rate=Decimal(1))
    stock = action("stock_dividend", JUNE, rate=Decimal("0.05"))
    assert factors("split", (reverse,)).at(BEFORE) == BarFactors(10.0, 0.1)
    assert factors("split", (stock,)).at(BEFORE).price == pytest.approx(1 / 1.05)


def test_a_dividend_takes_its_part_of_the_last_close_and_leaves_volumes():
    assert factors("dividend").at(JUNE) == BarFactors(0.995, 1.0)
    assert factors("dividend").at(JULY) == UNADJUSTED


def test_a_spin_off_counts_where_the_new_company_has_a_price():
    assert factors("spin-off").at(BEFORE) == UNADJUSTED
    assert factors("spin-off", value_of_spin_off=lambda action: 50.0).at(BEFORE).price == pytest.approx(0.95)


def test_all_of_them_multiply():
    made = factors("all", value_of_spin_off=lambda action: 50.0)
    assert made.at(BEFORE).price == pytest.approx(0.25 * 0.995 * 0.95)
    assert made.at(JUNE).price == pytest.approx(0.995 * 0.95)
    assert made.at(JULY).price == pytest.approx(0.95)
    assert made.at(AUGUST) == UNADJUSTED
    assert factors("split,dividend").at(BEFORE).price == pytest.approx(0.25 * 0.995)


def test_a_dividend_without_a_price_or_above_it_is_left_out():
    kinds = parse_adjustment("dividend")
    assert AdjustmentFactors((DIVIDEND,), kinds=kinds, close_before=lambda day: None).at(BEFORE) == UNADJUSTED
    assert AdjustmentFactors((DIVIDEND,), kinds=kinds, close_before=lambda day: 0.4).at(BEFORE) == UNADJUSTED


@pytest.mark.parametrize("text", ["", "none", "split,", "ALL", "split, dividend"])
def test_another_word_is_no_adjustment(text):
    with pytest.raises(ValueError, match="invalid adjustment"):
        parse_adjustment(text)


def test_an_action_is_known_from_its_declaration_on():
    declared = action("cash_dividend", JULY, cash=Decimal(1), declared_date=JUNE)
    assert declared.is_known_on(JUNE)
    assert not declared.is_known_on(BEFORE)
    assert DIVIDEND.is_known_on(BEFORE)
