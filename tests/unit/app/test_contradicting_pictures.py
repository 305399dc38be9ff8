"""An empty or old answer with status 200 is no proof of being flat: the account and the orders tell it (fault C8)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest
from msgspec import structs

from quant_trading_system.app.inbox import Inbox
from quant_trading_system.app.reconciler import Reconciler
from quant_trading_system.core.broker import BrokerAccount, BrokerPosition
from quant_trading_system.core.events import AnyEvent, BrokerSnapshot, SnapshotFailed
from quant_trading_system.core.types import Nanos, Symbol
from tests.support.virtual_loop import run_virtual
from tests.unit.adapters.builders import START_NS, LoopClock
from tests.unit.app.fakes import ACCOUNT, ScriptedRead, drain


def held(quantity: int) -> BrokerPosition:
    """So many shares, worth 100 USD each."""
    return BrokerPosition(
        symbol=Symbol("AAPL"),
        asset_id="a",
        quantity=Decimal(quantity),
        average_entry_price=Decimal(99),
        current_price=Decimal(100),
        market_value_usd=Decimal(quantity * 100),
    )


class Shown(ScriptedRead):
    """A broker that shows these positions, and an account that counts so much in positions."""

    def __init__(self, positions: Sequence[BrokerPosition], *, counted_usd: str) -> None:
        super().__init__()
        self._positions = positions
        self._account = structs.replace(ACCOUNT, equity_usd=ACCOUNT.cash_usd + Decimal(counted_usd))

    async def positions(self) -> Sequence[BrokerPosition]:
        return self._positions

    async def account(self) -> BrokerAccount:
        return self._account


def read_once(positions: Sequence[BrokerPosition], *, counted_usd: str) -> AnyEvent:
    inbox = Inbox()
    reconciler = Reconciler(
        read=Shown(positions, counted_usd=counted_usd),  # type: ignore[arg-type]
        inbox=inbox,
        clock=LoopClock(),
        since_ns=Nanos(START_NS),
        oldest_live_ns=lambda: None,
    )
    run_virtual(reconciler.read_once())
    (event,) = drain(inbox)
    return event


@pytest.mark.requirement("R119")
@pytest.mark.fault("C8")
@pytest.mark.invariant("I16")
@pytest.mark.parametrize(
    ("positions", "counted_usd"),
    [
        ((), "4700"),
        ((held(20),), "4700"),
        ((held(-47),), "4700"),
        ((held(47),), "0"),
    ],
    ids=["an empty list", "an old quantity", "the other sign", "a list of before"],
)
def test_positions_that_the_account_contradicts_fail_the_pass_however_often_they_are_shown(positions, counted_usd):
    failed = read_once(positions, counted_usd=counted_usd)
    assert isinstance(failed, SnapshotFailed)
    assert not failed.discarded
    assert f"the account counts {counted_usd}.00 USD in positions" in failed.reason


@pytest.mark.parametrize(
    ("positions", "counted_usd"),
    [
        ((), "0"),
        ((held(47),), "4700"),
        ((held(47),), "4780"),
        ((), "9"),
        ((held(-47),), "-4700"),
        ((structs.replace(held(47), market_value_usd=None),), "0"),
    ],
    ids=["flat", "equal", "a price that moved between the reads", "cents", "short", "a value that is not told"],
)
def test_positions_that_the_account_counts_too_are_believed(positions, counted_usd):
    assert isinstance(read_once(positions, counted_usd=counted_usd), BrokerSnapshot)
