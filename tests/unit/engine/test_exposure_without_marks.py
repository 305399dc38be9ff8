"""Worst-case exposure where no price is known: infinite, so that everything that adds risk is refused."""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.types import Symbol
from quant_trading_system.engine.risk_view import build_exposure
from quant_trading_system.ledger.books import EXTERNAL
from tests.support.floor import scripted_floor


def test_positions_of_both_signs_without_a_mark_are_infinite_and_break_nothing():
    desk = scripted_floor(symbols=("AAPL", "MSFT")).engine._desk
    desk.ledger.adjust(Symbol("NOPRICE"), EXTERNAL, Decimal(3), Decimal(1), "test")
    desk.ledger.adjust(Symbol("NEITHER"), EXTERNAL, Decimal(-3), Decimal(1), "test")

    exposure = build_exposure(desk, Symbol("AAPL"))

    assert exposure.gross_usd == Decimal("Infinity")
    assert exposure.net_usd == Decimal("Infinity")
    assert exposure.symbol_usd == 0
