"""How corporate actions are written: as rows of lists by type, and as events. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

from quant_trading_system.simulator.corporate_actions import ActionKind, CorporateAction

CURRENCY = "USD"
LIST_OF: dict[ActionKind, str] = {
    "cash_dividend": "cash_dividends",
    "forward_split": "forward_splits",
    "reverse_split": "reverse_splits",
    "name_change": "name_changes",
    "stock_dividend": "stock_dividends",
    "spin_off": "spin_offs",
}

Json = dict[str, object]
NumberOf = Callable[[Decimal], object]


def action_json(action: CorporateAction, number_of: NumberOf = float) -> Json:
    """One action with the keys of its kind; dates that it does not have are left out.

    Args:
        number_of: writes rates; lists have numbers, events have texts.
    """
    row: Json = {"id": action.id, "currency": CURRENCY, "process_date": action.process_date.isoformat()}
    row.update(_WRITERS[action.kind](action, number_of))
    if action.kind != "name_change":
        row["ex_date"] = action.ex_date.isoformat()
        row.update(_date("record_date", action.record_date) | _date("payable_date", action.payable_date))
    return row


def _date(name: str, day: date | None) -> Json:
    return {} if day is None else {name: day.isoformat()}


def _cash_dividend(action: CorporateAction, number_of: NumberOf) -> Json:
    assert action.cash is not None, f"{action.id}: expected cash"
    return {
        "symbol": action.symbol,
        "cusip": action.cusip,
        "rate": number_of(action.cash),
        "special": False,
        "foreign": False,
    }


def _stock_dividend(action: CorporateAction, number_of: NumberOf) -> Json:
    assert action.rate is not None, f"{action.id}: expected a rate"
    return {"symbol": action.symbol, "cusip": action.cusip, "rate": number_of(action.rate)}


def _forward_split(action: CorporateAction, number_of: NumberOf) -> Json:
    return {"symbol": action.symbol, "cusip": action.cusip, **_rates(action, number_of)}


def _reverse_split(action: CorporateAction, number_of: NumberOf) -> Json:
    return {
        "symbol": action.symbol,
        "old_cusip": action.cusip,
        "new_cusip": action.new_cusip,
        **_rates(action, number_of),
    }


def _rates(action: CorporateAction, number_of: NumberOf) -> Json:
    assert action.old_rate is not None, f"{action.id}: expected an old rate"
    assert action.new_rate is not None, f"{action.id}: expected a new rate"
    return {"old_rate": number_of(action.old_rate), "new_rate": number_of(action.new_rate)}


def _name_change(action: CorporateAction, _number_of: NumberOf) -> Json:
    return {
        "old_symbol": action.symbol,
        "old_cusip": action.cusip,
        "new_symbol": action.new_symbol or action.symbol,
        "new_cusip": action.new_cusip,
    }


def _spin_off(action: CorporateAction, number_of: NumberOf) -> Json:
    rates = _rates(action, number_of)
    return {
        "source_symbol": action.symbol,
        "source_cusip": action.cusip,
        "source_rate": rates["old_rate"],
        "new_symbol": action.new_symbol or "",
        "new_cusip": action.new_cusip,
        "new_rate": rates["new_rate"],
    }


_WRITERS: dict[ActionKind, Callable[[CorporateAction, NumberOf], Json]] = {
    "cash_dividend": _cash_dividend,
    "forward_split": _forward_split,
    "reverse_split": _reverse_split,
    "name_change": _name_change,
    "stock_dividend": _stock_dividend,
    "spin_off": _spin_off,
}
