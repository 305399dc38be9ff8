"""What goes out for an intent, and what an answer proves."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from quant_trading_system.adapters.alpaca.answers import parse_order
from quant_trading_system.adapters.alpaca.failures import Unreadable
from quant_trading_system.adapters.alpaca.http import Reply
from quant_trading_system.adapters.alpaca.orders import (
    DEFINITE_REFUSALS,
    DUPLICATE_MESSAGE,
    echo_difference,
    is_duplicate,
    judge_refusal,
    payload,
)
from quant_trading_system.core.errors import InDoubt, Refused
from quant_trading_system.core.types import OrderClass, OrderType, Side, TimeInForce
from quant_trading_system.core.values import OrderIntent
from tests.unit.adapters.builders import intent, order_body, order_fields


def reply(status: int, body: Any) -> Reply:
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Reply(status=status, headers={}, body=content)


@pytest.mark.invariant("I3")
def test_the_same_intent_gives_the_same_bytes():
    assert payload(intent()) == (
        b'{"symbol":"AAPL","qty":"10","side":"buy","type":"limit","time_in_force":"day","limit_price":"190.1",'
        b'"client_order_id":"acct-inst-mom-1"}'
    )
    assert payload(intent(quantity=Decimal("10.000"), limit_price=Decimal("190.1"))) == payload(intent())


def test_prices_travel_as_text_and_only_where_there_are_some():
    order = intent(
        side=Side.SELL, order_type=OrderType.STOP_LIMIT, stop_price=Decimal("0.1234"), time_in_force=TimeInForce.GTC
    )
    fields = msgspec.json.decode(payload(order))
    assert (fields["stop_price"], fields["limit_price"], fields["side"]) == ("0.1234", "190.1", "sell")
    assert "limit_price" not in msgspec.json.decode(payload(intent(order_type=OrderType.MARKET, limit_price=None)))


@pytest.mark.fault("A9")
@pytest.mark.parametrize(("status", "code"), sorted(DEFINITE_REFUSALS))
def test_every_known_refusal_is_definite(status: int, code: int):
    judged = judge_refusal(reply(status, {"code": code, "message": "no", "buying_power": "0"}))
    assert isinstance(judged, Refused)
    assert (judged.http_status, judged.code, judged.message, judged.extra) == (
        status,
        code,
        "no",
        {"buying_power": "0"},
    )


@pytest.mark.fault("A9")
@given(status=some.integers(400, 499), code=some.none() | some.integers(40000000, 49999999))
def test_a_refusal_nobody_knows_leaves_the_order_in_doubt(status: int, code: int | None):
    judged = judge_refusal(reply(status, {"code": code, "message": "?"}))
    assert isinstance(judged, Refused if (status, code) in DEFINITE_REFUSALS else InDoubt)


@pytest.mark.fault("A2")
@pytest.mark.parametrize("status", [202, 204, 302, 408, 409, 418, 429, 500, 502, 503, 504])
@pytest.mark.parametrize(
    "body", [b"", b"<html>Bad Gateway</html>", {"code": 42910000, "message": "rate limit exceeded"}]
)
def test_anything_else_leaves_the_order_in_doubt(status: int, body: Any):
    assert isinstance(judge_refusal(reply(status, body)), InDoubt)


@pytest.mark.parametrize(("status", "message"), [(401, "unauthorized."), (403, "forbidden.")])
def test_refused_keys_are_definite_even_without_a_code(status: int, message: str):
    assert isinstance(judge_refusal(reply(status, {"message": message})), Refused)
    assert isinstance(judge_refusal(reply(status, b"<html>401</html>")), InDoubt)


@pytest.mark.parametrize("code", [40010001, 42210000])
def test_a_taken_client_order_id_is_told_from_other_refusals(code: int):
    taken = judge_refusal(reply(422, {"code": code, "message": DUPLICATE_MESSAGE}))
    other = judge_refusal(reply(422, {"code": code, "message": "qty must be > 0"}))
    assert isinstance(taken, Refused)
    assert isinstance(other, Refused)
    assert (is_duplicate(taken), is_duplicate(other)) == (True, False)


@pytest.mark.fault("A13")
@pytest.mark.invariant("I7")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"symbol": "AAPX"}, "symbol AAPX"), ({"side": "sell"}, "side sell"), ({"qty": "100"}, "qty 100"),
        ({"qty": None, "notional": "10"}, "qty None"), ({"client_order_id": "other"}, "client_order_id other"),
        ({"limit_price": "191.1"}, "limit_price 191.1"), ({"limit_price": None}, "limit_price None"),
    ],
)  # fmt: skip
def test_an_echo_that_differs_is_named(change: dict[str, Any], named: str):
    difference = echo_difference(parse_order(order_body(**change)), intent())
    assert difference is not None
    assert difference.startswith(named)


def test_an_echo_that_is_equal_in_value_is_equal():
    assert echo_difference(parse_order(order_body(qty="10.0", limit_price="190.100")), intent()) is None


# legs


def with_stop(**changes: object) -> OrderIntent:
    return intent(order_class=OrderClass.OTO, stop_loss_price=Decimal("186.00"), **changes)


@pytest.mark.invariant("I3")
def test_legs_are_part_of_the_bytes():
    fields = msgspec.json.decode(payload(with_stop()))
    assert fields["order_class"] == "oto"
    assert fields["stop_loss"] == {"stop_price": "186"}
    assert "take_profit" not in fields
    both = msgspec.json.decode(
        payload(
            intent(
                order_class=OrderClass.BRACKET,
                stop_loss_price=Decimal("186.00"),
                take_profit_price=Decimal("195.50"),
            )
        )
    )
    assert both["take_profit"] == {"limit_price": "195.5"}


def leg(**changes: object) -> dict[str, object]:
    fields = {"id": "leg", "side": "sell", "type": "stop", "limit_price": None, "stop_price": "186", "status": "held"}
    return order_fields(**(fields | changes))


@pytest.mark.fault("A13")
@pytest.mark.invariant("I7")
@pytest.mark.parametrize(
    ("legs", "differs"),
    [
        ([leg()], ""),
        (None, "legs"),
        ([leg(stop_price="187")], "legs"),
        ([leg(qty="9")], "legs"),
        ([leg(side="buy")], "legs"),
        ([leg(), leg(id="second")], "legs"),
    ],
)
def test_the_echo_of_legs_is_compared(legs: list[dict[str, object]] | None, differs: str):
    found = echo_difference(parse_order(order_body(order_class="oto", legs=legs)), with_stop())
    assert (found or "").split(" ")[0] == differs


@pytest.mark.invariant("I7")
def test_another_class_is_another_order():
    assert (echo_difference(parse_order(order_body(order_class="oto")), intent()) or "").startswith("order_class")
    assert echo_difference(parse_order(order_body(order_class="simple")), intent()) is None


def test_a_leg_shows_no_legs_of_its_own():
    nested = {**leg(), "legs": [leg()]}
    with pytest.raises(Unreadable):
        parse_order(order_body(order_class="oto", legs=[nested]))
