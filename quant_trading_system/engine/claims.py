"""Shares of strategies that the owner sold by hand: when a strategy leaves, the external book takes them over.

The strategies' books are untouched by what somebody trades in the broker's app: it stands in the external book, which
may be short against them, and the sum is the broker's position. A strategy that leaves more than the account holds
cannot sell it. What is missing it hands to the external book, at the mark, without an order (fault C11).
"""

from __future__ import annotations

from decimal import Decimal

from quant_trading_system.core.money import ZERO, plain, whole_shares
from quant_trading_system.core.types import StrategyId, Symbol
from quant_trading_system.engine.desk import Desk
from quant_trading_system.ledger.books import EXTERNAL
from quant_trading_system.portfolio.netting import apportion


def claim_external(desk: Desk, symbol: Symbol) -> None:
    """Cross inside what strategies want to leave and the account has no more."""
    external = desk.ledger.book_quantity(EXTERNAL, symbol)
    mark = desk.mark(symbol)
    if not external or mark is None:
        return
    sign = 1 if external < ZERO else -1
    leaving = {
        strategy: shares for strategy in desk.strategies if (shares := _leaving(desk, strategy, symbol, sign)) > ZERO
    }
    left = max(ZERO, desk.ledger.position(symbol) * sign)
    missing = whole_shares(min(abs(external), sum(leaving.values(), ZERO) - left))
    if missing <= ZERO:
        return
    for part in apportion(leaving, missing):
        desk.ledger.transfer(part.strategy, EXTERNAL, symbol, part.quantity * sign, mark)
        desk.audit(
            "portfolio",
            "external_claim",
            reason="the shares it leaves were traded by hand at the broker",
            outcome="booked",
            symbol=symbol,
            strategy=part.strategy,
            quantity=plain(part.quantity * sign),
            price=plain(mark),
        )
    desk.remember_books(symbol)


def _leaving(desk: Desk, strategy: StrategyId, symbol: Symbol, sign: int) -> Decimal:
    """Whole shares on the side of `sign` that a strategy holds and does not want any more."""
    held = desk.ledger.book_quantity(strategy, symbol) * sign
    wanted = desk.portfolio.target(strategy, symbol)
    if held <= ZERO or wanted is None:
        return ZERO
    return whole_shares(max(ZERO, held - max(ZERO, wanted * sign)))
