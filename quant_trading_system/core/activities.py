"""What the broker's activities mean for cash and shares. Decides what is a flow, income, a fee, or a gift of shares.

A deposit or withdrawal is a flow: neither profit nor loss. Dividends and interest are income, fees are costs. What the
broker names by a word nobody knows counts as a flow where it adds and as a fee where it takes: an unknown word must
never look like profit.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from quant_trading_system.core.broker import Activity
from quant_trading_system.core.money import ZERO

FLOW_KINDS = frozenset({"CSD", "CSW", "TRANS", "JNL", "JNLC", "ACATC"})
INCOME_KINDS = frozenset({"DIV", "DIVCGL", "DIVCGS", "DIVROC", "DIVTXEX", "CGD", "INT"})
FEE_KINDS = frozenset({"FEE", "PTC", "DIVFEE", "DIVFT", "DIVNRA", "DIVTW", "INTNRA", "INTTW", "WH"})
TAKEN_WITH_FILLS = frozenset({"CFEE"})
"""Told at the end of the day, taken with each fill of a coin: nothing moves when it is told."""
SHARE_KINDS = frozenset({"SPLIT", "SSP", "SSO", "SPIN", "NC", "MA", "REORG", "JNLS", "ACATS", "OPASN", "OPEXC", "VOF"})
STOCK_DIVIDEND = ("DIV", "SDIV")
NAME_CHANGE = "NC"


UNEXPLAINED_USD_MAX = Decimal(10)
"""Cash that comes without a word is no rounding beyond it: a flow until an activity explains it."""


class MoneyClass(StrEnum):
    FLOW = "flow"
    INCOME = "income"
    FEE = "fee"
    IN_LIEU = "in_lieu"  # cash for a fraction of a share: the books of its symbol earn it


def money_class(activity: Activity) -> MoneyClass:
    """What the cash of an activity is."""
    kind = activity.kind
    if kind in FLOW_KINDS:
        return MoneyClass.FLOW
    if moves_shares(activity) and activity.symbol is not None:
        return MoneyClass.IN_LIEU
    if kind in FEE_KINDS:
        return MoneyClass.FEE
    if kind in INCOME_KINDS:
        return MoneyClass.INCOME
    return MoneyClass.FLOW if activity.net_amount_usd > ZERO else MoneyClass.FEE


def moves_shares(activity: Activity) -> bool:
    """Whether it is of a kind that gives or takes shares; a cash dividend names shares and moves none."""
    return activity.kind in SHARE_KINDS or (activity.kind, activity.sub_kind) == STOCK_DIVIDEND


def cash_moved(activity: Activity) -> Decimal:
    """USD the activity adds to the account when it is told."""
    return ZERO if activity.kind in TAKEN_WITH_FILLS else activity.net_amount_usd


def shares_moved(activity: Activity) -> Decimal:
    """Signed shares of its symbol that the activity says were given or taken."""
    return activity.quantity if moves_shares(activity) else ZERO


def unexplained_flow(standing_usd: Decimal, moved_usd: Decimal) -> Decimal:
    """What of a change of cash without a word counts as a flow; `standing_usd` of earlier ones still does.

    Cash that came must not look like profit; cash that went is a loss, unless it is what came before.
    """
    if moved_usd > UNEXPLAINED_USD_MAX:
        return moved_usd
    return max(moved_usd, -standing_usd) if moved_usd < ZERO else ZERO
