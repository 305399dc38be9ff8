"""Our constants, payloads and words against those of Alpaca's own SDK."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from alpaca.common.enums import BaseURL
from alpaca.trading import enums
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest, StopLimitOrderRequest, StopOrderRequest

from quant_trading_system.adapters.alpaca.answers import parse_order
from quant_trading_system.adapters.alpaca.hosts import LIVE, PAPER
from quant_trading_system.adapters.alpaca.orders import payload
from quant_trading_system.core.types import OrderType, Side, TimeInForce
from tests.unit.adapters.builders import intent, order_body

NOT_OURS = {"trailing_stop", "mleg"}
"""Order types of the SDK that the daemon never sends; it still reads them."""


def test_our_hosts_are_the_sdks():
    assert PAPER.trading_url == BaseURL.TRADING_PAPER.value
    assert LIVE.trading_url == BaseURL.TRADING_LIVE.value
    assert {PAPER.data_url, LIVE.data_url} == {BaseURL.DATA.value}
    assert {PAPER.stream_url, LIVE.stream_url} == {BaseURL.MARKET_DATA_STREAM.value}
    assert PAPER.trade_stream_url == BaseURL.TRADING_STREAM_PAPER.value
    assert LIVE.trade_stream_url == BaseURL.TRADING_STREAM_LIVE.value


@pytest.mark.parametrize(
    ("request_kind", "order_type", "prices"),
    [
        (MarketOrderRequest, OrderType.MARKET, {}),
        (LimitOrderRequest, OrderType.LIMIT, {"limit_price": "190.1"}),
        (StopOrderRequest, OrderType.STOP, {"stop_price": "189.05"}),
        (StopLimitOrderRequest, OrderType.STOP_LIMIT, {"limit_price": "190.1", "stop_price": "189.05"}),
    ],
)
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("time_in_force", list(TimeInForce))
def test_our_payload_is_the_sdks(
    request_kind: Any, order_type: OrderType, prices: dict[str, str], side: Side, time_in_force: TimeInForce
):
    asked = {"limit_price": None, "stop_price": None, **{name: Decimal(text) for name, text in prices.items()}}
    ours = msgspec.json.decode(payload(intent(side=side, order_type=order_type, time_in_force=time_in_force, **asked)))
    theirs = request_kind(
        symbol="AAPL", qty=10, side=side.value, time_in_force=time_in_force.value, client_order_id="acct-inst-mom-1",
        **{name: float(text) for name, text in prices.items()},
    ).to_request_fields()  # fmt: skip
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        if isinstance(value, float | int):
            assert Decimal(ours[name]) == Decimal(str(value))
        else:
            assert ours[name] == getattr(value, "value", value)


def test_our_words_cover_the_sdks():
    assert {kind.value for kind in enums.OrderType} - NOT_OURS == {kind.value for kind in OrderType}
    assert {tif.value for tif in enums.TimeInForce} == {tif.value for tif in TimeInForce}
    assert {side.value for side in enums.OrderSide} == {side.value for side in Side}


@pytest.mark.fault("A14")
@pytest.mark.parametrize("status", [status.value for status in enums.OrderStatus])
def test_every_status_of_the_sdk_can_be_read(status: str):
    assert parse_order(order_body(status=status)).status == status
