"""Event streams: nothing is missed on a reconnect, nobody slow holds anything up, and everything ends."""

from __future__ import annotations

import json

import pytest

from quant_trading_system.core.records import AuditRecord
from quant_trading_system.dashboard.hub import EventHub, Message, StreamEnded, Subscription, TooManyClients
from tests.support.virtual_loop import run_virtual
from tests.unit.dashboard.builders import ALERT, DECISION, FILL, NOW, ORDER_ROW


async def drained(client: Subscription, most: int = 1_000) -> list[Message]:
    found: list[Message] = []
    while len(found) < most and (message := await client.next(0.01)) is not None:
        found.append(message)
    return found


def test_a_record_reaches_every_client_with_an_id_that_grows():
    async def scenario() -> None:
        hub = EventHub(run_id="run")
        with hub.subscribe() as one, hub.subscribe() as two:
            for record in (DECISION, ORDER_ROW, FILL, ALERT):
                hub.publish_record(record)
            for client in (one, two):
                messages = await drained(client)
                assert [message.kind for message in messages] == ["decision", "order", "fill", "alert"]
                assert [message.id for message in messages] == ["run-1", "run-2", "run-3", "run-4"]
                assert json.loads(messages[0].data)["symbol"] == "SPY"

    run_virtual(scenario())


def test_records_that_nobody_needs_live_are_left_out():
    async def scenario() -> None:
        hub = EventHub()
        with hub.subscribe() as client:
            hub.publish_record(
                AuditRecord(venue_ns=NOW, seen_ns=NOW, actor="a", action="b", reason="", outcome="", details={})
            )
            assert await drained(client) == []

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("last_event_id", "expected"),
    [
        ("run-3", ["4", "5"]),
        ("run-5", []),
        ("", []),
        ("other-3", ["reset"]),
        ("run-1", ["reset"]),
        ("run-99", ["reset"]),
        ("nonsense", ["reset"]),
        ("run-x", ["reset"]),
        ("run-²", ["reset"]),
        ("-1", ["reset"]),
    ],
)
def test_a_client_that_comes_back_gets_what_it_missed_or_a_reset(last_event_id, expected):
    async def scenario() -> None:
        hub = EventHub(run_id="run", kept_max=3)
        for number in range(1, 6):
            hub.publish("tick", str(number).encode())
        with hub.subscribe(last_event_id) as client:
            messages = await drained(client)
            assert [m.kind if m.kind == "reset" else m.data.decode() for m in messages] == expected

    run_virtual(scenario())


def test_a_slow_client_is_cut_off_and_costs_nobody_anything():
    async def scenario() -> None:
        hub = EventHub(waiting_max=3)
        slow, quick = hub.subscribe(), hub.subscribe()
        for number in range(10):
            hub.publish("tick", str(number).encode())
            assert len(await drained(quick)) == 1
        assert hub.cut_off == 1
        assert hub.clients == 1
        with pytest.raises(StreamEnded):
            await slow.next(1)

    run_virtual(scenario())


def test_there_is_room_for_so_many_clients_and_no_more():
    async def scenario() -> None:
        hub = EventHub(clients_max=2)
        with hub.subscribe():
            hub.subscribe()
            with pytest.raises(TooManyClients):
                hub.subscribe()
        hub.subscribe()

    run_virtual(scenario())


def test_closing_ends_every_stream_at_once():
    async def scenario() -> None:
        hub = EventHub(run_id="run")
        client = hub.subscribe()
        hub.publish("tick", b"1")
        hub.close()
        assert await drained(client, 1) == [Message("tick", b"1", "run-1")]
        with pytest.raises(StreamEnded):
            await client.next(5)
        with pytest.raises(StreamEnded):
            hub.subscribe()

    run_virtual(scenario())


def test_an_event_is_framed_as_the_standard_says():
    assert Message("fill", b'{"a":1}', "run-7").encode() == b'id: run-7\nevent: fill\ndata: {"a":1}\n\n'
    assert Message("overview", b"{}").encode() == b"event: overview\ndata: {}\n\n"
