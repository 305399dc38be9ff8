"""Answers that are lost, late, doubled or wrong: nothing is sent twice, and silence is never a rejection."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest

from quant_trading_system.adapters.alpaca.orders import payload
from quant_trading_system.core.broker import BrokerAccount, Execution
from quant_trading_system.core.events import AnyEvent, BrokerSnapshot, OrderAnswered, OrderRefused, OrderUpdated
from quant_trading_system.core.types import Direction, ExecutionId, Nanos, Side, Symbol
from quant_trading_system.core.values import Approved
from quant_trading_system.simulator.orders import SimOrder
from quant_trading_system.simulator.requests import OrderRequest
from tests.support.floor import MOMENTUM, REVERSION, SYMBOL, Floor, broker_order, scripted_floor

MSFT = Symbol("MSFT")
Submit = Callable[[], SimOrder]
PERIOD_S = 16  # a reconciliation period and a second


def deafen(floor: Floor) -> None:
    """From now on nothing is heard of orders: no stream, no look-up, no reconciliation."""
    floor.filter_update = lambda _update: ()
    floor.answers_lookups = False
    floor.reconciles = False


def blind(snapshot: BrokerSnapshot, account: BrokerAccount) -> BrokerSnapshot:
    """A pass of before the order."""
    return msgspec.structs.replace(
        snapshot, open_orders=(), closed_orders=(), positions=(), executions=(), account=account
    )


def heal(floor: Floor) -> None:
    """Everything that was lost is heard again from now on; what was lost stays lost."""
    floor.on_post = None
    floor.filter_update = lambda update: [update]
    floor.answers_lookups = True
    floor.reconciles = True


def accept_and_lose(floor: Floor) -> Callable[[Approved, Submit], AnyEvent]:
    """The exchange takes the order; its answer never arrives, and nobody else tells (fault A2)."""

    def post(approved: Approved, submit: Submit) -> AnyEvent:
        deafen(floor)
        submit()
        return floor.in_doubt(approved)

    return post


def lose(floor: Floor) -> Callable[[Approved, Submit], AnyEvent]:
    """The request itself is lost; to the sender it looks the same (fault A3)."""
    return lambda approved, _submit: floor.in_doubt(approved, "connection reset after 200 bytes")


# A2: accepted, and the answer lost


@pytest.mark.fault("A2")
@pytest.mark.invariant("I4")
@pytest.mark.invariant("I5")
def test_an_order_whose_answer_is_lost_is_unknown_and_counts_as_if_it_will_fill():
    floor = scripted_floor()
    floor.on_post = accept_and_lose(floor)
    floor.decide(Direction.LONG)
    view = floor.engine.view()
    limit = floor.sent[0].intent.limit_price
    assert limit is not None
    assert [order.status for order in view.open_orders] == ["UNKNOWN"]
    assert view.unknown_orders == 1
    assert view.gross_exposure_usd == 47 * Decimal(100)
    assert view.money.own_buying_power_usd == Decimal(100_000) - 47 * limit
    floor.advance(120)
    assert floor.broker_positions() == {SYMBOL: Decimal(47)}
    assert floor.engine.view().gross_exposure_usd == 47 * Decimal(100)  # at worst, and so it is
    assert floor.status_of(floor.sent[0]) == "UNKNOWN"


@pytest.mark.fault("A2")
@pytest.mark.invariant("I2")
def test_a_symbol_with_an_order_of_unknown_fate_is_frozen_and_others_trade_on():
    floor = scripted_floor(symbols=(SYMBOL, MSFT))
    account = floor.snapshot().account
    floor.filter_snapshot = lambda snapshot: blind(snapshot, account)
    floor.on_post = accept_and_lose(floor)
    floor.decide(Direction.LONG)
    floor.on_post = None
    floor.reconciles = True
    floor.decide(Direction.LONG, strategy=REVERSION)
    floor.decide(Direction.LONG, symbol=MSFT)
    assert [approved.intent.symbol for approved in floor.sent] == [SYMBOL, MSFT]


@pytest.mark.requirement("R093")
@pytest.mark.fault("A2")
@pytest.mark.invariant("I2")
@pytest.mark.parametrize("channel", ["look-up", "stream", "reconciliation"])
def test_a_lost_answer_is_resolved_by_any_channel_and_the_order_is_never_sent_again(channel: str):
    floor = scripted_floor()
    floor.on_post = accept_and_lose(floor)
    floor.decide(Direction.LONG)
    assert floor.status_of(floor.sent[0]) == "UNKNOWN"
    match channel:
        case "look-up":
            floor.answers_lookups = True
        case "stream":
            floor.filter_update = lambda update: [update]
        case _:
            floor.reconciles = True
    floor.advance(PERIOD_S)
    assert floor.status_of(floor.sent[0]) == "FILLED"
    heal(floor)
    floor.advance(120)
    assert len(floor.posted) == len(floor.sent) == len(floor.exchange.ledger()["orders"]) == 1  # type: ignore[arg-type]
    assert floor.books() == {"momentum": Decimal(47)}
    floor.must_agree()


# A3: never accepted


@pytest.mark.fault("A3")
@pytest.mark.invariant("I4")
def test_absence_is_believed_after_the_quarantine_and_two_clean_passes_and_not_a_second_sooner():
    floor = scripted_floor()
    floor.on_post = lose(floor)
    floor.decide(Direction.LONG)
    floor.on_post = None
    seconds = 0
    while floor.status_of(floor.sent[0]) == "UNKNOWN":
        assert seconds < 120, "an order the broker denies for two minutes is absent"
        floor.advance(1)
        seconds += 1
    assert seconds >= 60
    assert floor.status_of(floor.sent[0]) == "DROPPED"
    assert floor.alerted("order_absent")
    assert floor.engine.view().money.own_buying_power_usd == Decimal(100_000)


@pytest.mark.fault("A3")
@pytest.mark.invariant("I4")
def test_one_clean_pass_after_the_quarantine_is_not_enough():
    floor = scripted_floor()
    floor.on_post = lose(floor)
    floor.decide(Direction.LONG)
    floor.on_post = None
    floor.reconciles = False
    floor.advance(90)
    floor.reconciles = True
    floor.reconcile()
    assert floor.status_of(floor.sent[0]) == "UNKNOWN"
    floor.advance(PERIOD_S)
    assert floor.status_of(floor.sent[0]) == "DROPPED"


@pytest.mark.requirement("R098")
@pytest.mark.fault("A3")
@pytest.mark.invariant("I2")
@pytest.mark.invariant("I3")
def test_what_follows_a_proven_absence_is_a_new_decision_under_a_new_id():
    floor = scripted_floor()
    floor.on_post = lose(floor)
    floor.decide(Direction.LONG)
    floor.on_post = None
    floor.advance(150)
    lost, anew = floor.sent
    assert floor.status_of(lost) == "DROPPED"
    assert lost.intent.client_order_id != anew.intent.client_order_id
    assert lost.intent.decision_id != anew.intent.decision_id
    assert len(floor.posted) == 1
    floor.must_agree()


@pytest.mark.fault("A3")
@pytest.mark.invariant("I4")
@pytest.mark.parametrize("missing", ["clean passes", "an answer to the question"])
def test_absence_is_not_believed_without(missing: str):
    floor = scripted_floor()
    floor.on_post = lose(floor)
    floor.answers_lookups = missing != "an answer to the question"
    floor.decide(Direction.LONG)
    floor.reconciles = missing != "clean passes"
    floor.advance(600)
    assert floor.status_of(floor.sent[0]) == "UNKNOWN"
    assert len(floor.sent) == 1


@pytest.mark.fault("A4")
@pytest.mark.invariant("I2")
@pytest.mark.invariant("I4")
@pytest.mark.parametrize("delay_s", [5, 20, 55])
def test_an_original_that_arrives_late_is_the_only_one_there_ever_is(delay_s: int):
    floor = scripted_floor()
    late: list[Submit] = []

    def post(approved: Approved, submit: Submit) -> AnyEvent:
        late.append(submit)
        return floor.in_doubt(approved)

    floor.on_post = post
    floor.decide(Direction.LONG)
    floor.advance(delay_s)
    assert floor.status_of(floor.sent[0]) == "UNKNOWN"
    late[0]()
    floor.advance(90)
    assert len(floor.sent) == len(floor.posted) == 1
    assert floor.books() == {"momentum": Decimal(47)}
    floor.must_agree()


# A1: not one byte left


@pytest.mark.requirement("R087")
@pytest.mark.fault("A1")
def test_an_order_of_which_no_byte_left_gives_its_reservation_back():
    floor = scripted_floor()
    floor.before_write = lambda _approved: "no connection in 4 attempts"
    floor.decide(Direction.LONG)
    view = floor.engine.view()
    assert floor.live == ()
    assert view.money.own_buying_power_usd == Decimal(100_000)
    assert view.gross_exposure_usd == Decimal(0)
    row = floor.order_rows[-1]
    assert (row.status, row.reason, row.sent_ns) == ("DROPPED", "no connection in 4 attempts", None)
    floor.before_write = lambda _approved: None
    floor.advance(90)
    floor.must_agree()
    assert floor.books() == {"momentum": Decimal(47)}


# answers that are late, doubled, or a refusal


@pytest.mark.fault("A8")
@pytest.mark.invariant("I13")
def test_a_fill_that_overtakes_the_answer_to_the_post_is_booked_once():
    floor = scripted_floor()

    def post(approved: Approved, submit: Submit) -> AnyEvent:
        early_picture = broker_order(submit())
        floor.pass_ms(200)
        return OrderAnswered(client_order_id=approved.intent.client_order_id, order=early_picture, **floor.stamps())

    floor.on_post = post
    floor.decide(Direction.LONG)
    told = [type(event).__name__ for event in floor.told]
    assert told.index("OrderUpdated") < told.index("OrderAnswered")
    assert floor.status_of(floor.sent[0]) == "FILLED"
    floor.advance(60)
    assert len(floor.fills) == 1
    assert floor.alerted("illegal_transition") == []
    floor.must_agree()


@pytest.mark.fault("A5")
@pytest.mark.invariant("I2")
@pytest.mark.invariant("I13")
def test_an_acknowledgement_by_the_stream_outweighs_the_answer_that_is_lost_afterwards():
    floor = scripted_floor()

    def post(approved: Approved, submit: Submit) -> AnyEvent:
        submit()
        floor.pass_ms(5)
        return floor.in_doubt(approved)

    floor.on_post = post
    floor.decide(Direction.LONG)
    assert "UNKNOWN" not in {row.status for row in floor.order_rows}
    floor.advance(60)
    assert len(floor.posted) == len(floor.fills) == 1
    floor.must_agree()


@pytest.mark.requirement("R098")
@pytest.mark.fault("A9")
@pytest.mark.invariant("I4")
@pytest.mark.parametrize(
    ("http_status", "code", "message"),
    [
        (403, 40310000, "insufficient buying power"),
        (403, 40310000, "potential wash trade detected"),
        (403, 40310010, "asset AAPL is halted"),
        (422, 42210000, "limit price must be in increments of 0.01"),
        (422, 40010001, "qty is required"),
    ],
)
def test_a_definite_refusal_ends_the_order_with_its_reason_and_its_id_is_never_sent_again(
    http_status: int, code: int, message: str
):
    floor = scripted_floor()
    ids: list[str] = []

    def post(approved: Approved, _submit: Submit) -> AnyEvent:
        ids.append(approved.intent.client_order_id)
        return OrderRefused(
            client_order_id=approved.intent.client_order_id,
            http_status=http_status,
            code=code,
            message=message,
            **floor.stamps(),
        )

    floor.on_post = post
    floor.decide(Direction.LONG)
    row = floor.order_rows[-1]
    assert (row.status, row.is_final) == ("REJECTED", True)
    assert row.reason == f"{http_status} {code}: {message}"
    assert floor.engine.view().money.own_buying_power_usd == Decimal(100_000)
    floor.advance(400)
    assert len(ids) == len(set(ids)) <= 5  # a bar's decision each, until the entry is forgotten
    assert floor.posted == []


@pytest.mark.fault("A9")
@pytest.mark.invariant("I4")
@pytest.mark.parametrize(("http_status", "code"), [(409, 40910000), (403, 40399999), (418, None), (422, None)])
def test_a_refusal_that_nobody_knows_proves_nothing(http_status: int, code: int | None):
    floor = scripted_floor()

    def post(approved: Approved, submit: Submit) -> AnyEvent:
        deafen(floor)
        submit()
        client_order_id = approved.intent.client_order_id
        return OrderRefused(
            client_order_id=client_order_id, http_status=http_status, code=code, message="?", **floor.stamps()
        )

    floor.on_post = post
    floor.decide(Direction.LONG)
    assert [order.status for order in floor.live] == ["UNKNOWN"]
    assert floor.alerted("refusal_not_understood")
    heal(floor)
    floor.advance(PERIOD_S)
    floor.must_agree()
    assert floor.positions() == {SYMBOL: Decimal(47)}


@pytest.mark.invariant("I2")
@pytest.mark.invariant("I4")
def test_a_duplicate_id_is_looked_up_and_is_ours_where_the_order_found_equals_what_was_sent():
    floor = scripted_floor()

    def post(approved: Approved, submit: Submit) -> AnyEvent:
        submit()
        return floor.answer(approved, submit)  # the same bytes again: 422

    floor.on_post = post
    floor.decide(Direction.LONG)
    floor.on_post = None
    assert floor.status_of(floor.sent[0]) == "WORKING"
    floor.advance(PERIOD_S)
    assert floor.status_of(floor.sent[0]) == "FILLED"
    assert floor.engine.view().locks == {}
    floor.must_agree()


@pytest.mark.fault("A13")
@pytest.mark.invariant("I7")
def test_an_id_that_carries_another_order_than_was_sent_locks_the_symbol_and_the_larger_quantity_counts():
    floor = scripted_floor()

    def post(approved: Approved, submit: Submit) -> AnyEvent:
        body = {**msgspec.json.decode(payload(approved.intent)), "qty": "60", "limit_price": "90"}
        floor.exchange.submit(OrderRequest.from_body(body))
        return floor.answer(approved, submit)

    floor.on_post = post
    floor.decide(Direction.LONG)
    view = floor.engine.view()
    assert "another order than was sent" in view.locks[SYMBOL]
    assert "quantity 60 instead of 47" in floor.alerted("echo_differs")[0].text
    assert view.gross_exposure_usd == 60 * Decimal(100)


@pytest.mark.requirement("R106")
@pytest.mark.fault("A6")
@pytest.mark.invariant("I4")
@pytest.mark.invariant("I17")
def test_an_order_nobody_tells_of_stays_unknown_for_hours_and_a_person_hears_within_thirty_seconds():
    floor = scripted_floor()
    floor.on_post = accept_and_lose(floor)
    floor.decide(Direction.LONG)
    floor.advance(31)
    assert floor.alerted("order_unknown")
    floor.advance(3 * 3600)
    assert floor.status_of(floor.sent[0]) == "UNKNOWN"
    assert len(floor.alerted("order_unknown")) == 1
    assert len(floor.sent) == 1
    heal(floor)
    floor.advance(180)
    assert floor.books() == {"momentum": Decimal(47)}  # and it is not sold again because it came late
    assert floor.alerted("illegal_transition") == []
    floor.must_agree()


@pytest.mark.requirement("R106")
@pytest.mark.fault("A6")
def test_an_order_without_any_acknowledgement_becomes_unknown_by_itself_and_is_asked_about():
    floor = scripted_floor()

    def post(_approved: Approved, submit: Submit) -> None:
        deafen(floor)
        submit()

    floor.on_post = post
    floor.decide(Direction.LONG)
    assert [order.status for order in floor.live] == ["SENDING"]
    floor.advance(11)
    assert [order.status for order in floor.live] == ["UNKNOWN"]
    assert floor.alerted("order_late")
    heal(floor)
    floor.advance(PERIOD_S)
    assert floor.live == ()
    floor.must_agree()
    assert floor.scripts[MOMENTUM].holdings[-1] in (Decimal(0), Decimal(47))


@pytest.mark.fault("A7")
@pytest.mark.invariant("I2")
@pytest.mark.invariant("I4")
@pytest.mark.parametrize("restarts", [False, True])
def test_an_order_that_the_broker_says_to_have_and_does_not_show_is_never_absent(restarts: bool):
    floor = scripted_floor()
    account = floor.snapshot().account

    def hidden(snapshot: BrokerSnapshot) -> BrokerSnapshot:
        return blind(snapshot, account)

    def post(approved: Approved, submit: Submit) -> AnyEvent:
        submit()
        deafen(floor)
        floor.answers_lookups = True
        floor.hides_orders = True
        return floor.in_doubt(approved, "the broker knows this id already", is_duplicate=True)

    floor.on_post = post
    floor.filter_snapshot = hidden
    floor.decide(Direction.LONG)
    floor.reconciles = True
    if restarts:
        first, floor = floor, floor.crash()
        floor.hides_orders = True
        floor.filter_update = lambda _update: ()
        floor.filter_snapshot = hidden
        floor.start()
        assert floor.engine.unknown_orders == 1
        floor.sent = list(first.sent)
    floor.advance(600)
    assert floor.engine.unknown_orders == 1
    assert "said that it has an order of this id" in floor.alerted("order_unknown")[0].text
    floor.hides_orders = False
    floor.advance(PERIOD_S)
    assert floor.engine.unknown_orders == 0
    heal(floor)
    floor.filter_snapshot = lambda snapshot: snapshot
    floor.advance(120)
    assert floor.books() == {"momentum": Decimal(47)}
    assert len(floor.exchange.ledger()["orders"]) == 1  # type: ignore[arg-type]
    floor.must_agree()


@pytest.mark.fault("A13")
@pytest.mark.invariant("I5")
@pytest.mark.invariant("I7")
@pytest.mark.parametrize("field", ["side", "symbol"])
def test_an_order_that_the_broker_made_something_else_of_counts_as_both(field: str):
    floor = scripted_floor(symbols=(SYMBOL, MSFT))

    def post(approved: Approved, submit: Submit) -> AnyEvent:
        shown = broker_order(submit())
        side = Side.SELL if field == "side" else shown.side
        symbol = MSFT if field == "symbol" else shown.symbol
        deafen(floor)
        return OrderAnswered(
            client_order_id=approved.intent.client_order_id,
            order=msgspec.structs.replace(shown, side=side, symbol=symbol),
            **floor.stamps(),
        )

    floor.on_post = post
    floor.decide(Direction.LONG)
    assert "another order than was sent" in floor.engine.view().locks[SYMBOL]
    buys, sells, _ = floor.engine._desk.orders.open_quantities(SYMBOL)
    assert buys == Decimal(47)
    if field == "side":
        assert sells == Decimal(47)
    else:
        assert floor.engine._desk.orders.open_quantities(MSFT)[0] == Decimal(47)
        assert floor.engine.view().gross_exposure_usd == 2 * 47 * Decimal(100)


@pytest.mark.fault("A13")
@pytest.mark.invariant("I12")
def test_a_fill_on_the_other_side_than_was_ordered_is_nobodys_here():
    floor = scripted_floor()
    floor.buy_resting()
    floor.reconciles = False
    (order,) = floor.engine._desk.orders.all_recent()
    shown = broker_order(floor.exchange.order_by_client_id(order.client_order_id))
    fill = Execution(
        execution_id=ExecutionId("e1"),
        broker_order_id=shown.broker_order_id,
        client_order_id=order.client_order_id,
        symbol=SYMBOL,
        side=Side.SELL,
        quantity=Decimal(5),
        price=Decimal(100),
        cumulative_quantity=Decimal(5),
        venue_ns=floor.now_ns,
    )
    picture = msgspec.structs.replace(
        shown, side=Side.SELL, filled_quantity=Decimal(5), updated_ns=Nanos(floor.now_ns + 1)
    )
    floor.tell(OrderUpdated(word="partial_fill", event_id=None, order=picture, execution=fill, **floor.stamps()))
    assert floor.books() == {"external": Decimal(-5)}
    assert SYMBOL in floor.engine.view().locks


@pytest.mark.fault("A7")
@pytest.mark.fault("C5")
@pytest.mark.invariant("I4")
@pytest.mark.invariant("I12")
def test_a_fill_of_a_stranger_keeps_an_order_of_unknown_fate_from_being_absent_and_is_its_own_in_the_end():
    floor = scripted_floor()

    def hidden(snapshot: BrokerSnapshot) -> BrokerSnapshot:
        """Orders are not shown; what they did is."""
        return msgspec.structs.replace(snapshot, open_orders=(), closed_orders=())

    floor.on_post = accept_and_lose(floor)
    floor.hides_orders = True
    floor.filter_snapshot = hidden
    floor.decide(Direction.LONG)
    floor.answers_lookups = floor.reconciles = True
    floor.advance(300)
    assert floor.books() == {"external": Decimal(47)}
    assert floor.engine.unknown_orders == 1
    assert floor.alerted("order_suspected")
    heal(floor)
    floor.hides_orders = False
    floor.filter_snapshot = lambda snapshot: snapshot
    floor.advance(60)
    assert floor.books() == {"momentum": Decimal(47)}
    assert len(floor.sent) == 1
    floor.must_agree()


@pytest.mark.fault("C11")
@pytest.mark.invariant("I15")
def test_a_fill_that_the_picture_shows_as_the_owners_keeps_no_order_from_being_absent():
    floor = scripted_floor()
    floor.on_post = lose(floor)
    floor.filter_update = lambda _update: []
    floor.decide(Direction.LONG)
    floor.on_post = None
    assert floor.engine.unknown_orders == 1
    theirs = OrderRequest(symbol=SYMBOL, qty=Decimal(3), side="buy", type="market", time_in_force="day")
    floor.exchange.external_order(theirs)
    floor.advance(200)
    assert floor.books()["external"] == 3
    assert not floor.alerted("order_suspected")
    assert floor.alerted("order_absent")
    assert floor.engine.unknown_orders == 0


def test_a_person_may_let_an_order_be_absent_that_the_broker_only_seemed_to_have():
    floor = scripted_floor()
    floor.on_post = lambda approved, _submit: floor.in_doubt(approved, is_duplicate=True)
    floor.decide(Direction.LONG)
    floor.on_post = None
    floor.advance(300)
    assert floor.engine.unknown_orders == 1
    answer = floor.ask("unlock", symbol=str(SYMBOL), reason="the broker's desk says it has none")
    assert not answer.accepted
    assert "not held against their absence" in answer.text
    floor.advance(PERIOD_S)  # two passes: one at once, one of the grid
    assert floor.status_of(floor.sent[0]) == "DROPPED"
