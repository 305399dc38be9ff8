"""The transition table: every pair is in it or refused, every status can be reached, and final means final."""

from __future__ import annotations

from itertools import product

import pytest

from quant_trading_system.orders.status import (
    BELIEVED_DEAD,
    FINAL_WORDS,
    TABLE,
    TERMINAL,
    WORDS,
    IllegalTransition,
    Status,
    Trigger,
    advance,
    meaning,
)

FILLS = {Trigger.PART_FILL, Trigger.LAST_FILL}
LIVE = set(Status) - TERMINAL
OUR_OWN_DOING = {Trigger.SEND, Trigger.DROP, Trigger.DOUBT, Trigger.ABSENT}


@pytest.mark.parametrize(("status", "trigger"), list(product(Status, Trigger)), ids=lambda part: part.name)
def test_a_pair_is_in_the_table_or_refused(status, trigger):
    if (status, trigger) in TABLE:
        assert advance(status, trigger) is TABLE[status, trigger]
        return
    with pytest.raises(IllegalTransition, match=f"{trigger.name} while {status.name}"):
        advance(status, trigger)


def test_every_status_can_be_reached():
    reached, before = {Status.READY}, set[Status]()
    while reached != before:
        before = set(reached)
        reached |= {after for (status, _), after in TABLE.items() if status in reached}
    assert reached == set(Status)


def test_a_final_status_is_left_by_a_fill_alone_or_by_the_brokers_word_about_what_we_believed_dead():
    for (status, trigger), after in TABLE.items():
        if status in TERMINAL and after is not status:
            assert trigger in FILLS or status in BELIEVED_DEAD


@pytest.mark.invariant("I4")
def test_lost_answers_and_silence_never_finalise():
    assert {advance(status, Trigger.DOUBT) for status in LIVE} == {Status.UNKNOWN}


@pytest.mark.invariant("I4")
def test_only_an_unknown_order_can_be_absent_and_only_an_unsent_one_dropped():
    assert {status for status, trigger in TABLE if trigger is Trigger.ABSENT} == {Status.UNKNOWN}
    dropped = {status for status, trigger in TABLE if trigger is Trigger.DROP}
    assert dropped == {Status.READY, Status.UNKNOWN, Status.DROPPED}


@pytest.mark.parametrize("status", [each for each in Status if each in LIVE])
def test_the_brokers_final_words_end_every_live_order(status):
    ends = {advance(status, WORDS[word]) for word in FINAL_WORDS}
    assert ends == {Status.FILLED, Status.CANCELED, Status.EXPIRED, Status.REPLACED, Status.REJECTED}


@pytest.mark.parametrize("status", [each for each in Status if each in TERMINAL])
def test_no_fill_is_refused_by_a_final_order(status):
    assert advance(status, Trigger.LAST_FILL) is Status.FILLED


@pytest.mark.fault("A14")
def test_all_words_of_the_broker_have_a_meaning():
    documented = (
        "new partially_filled filled done_for_day canceled expired replaced pending_cancel pending_replace accepted "
        "pending_new accepted_for_bidding stopped rejected suspended calculated held pending_review"
    )
    assert set(WORDS) == set(documented.split())
    assert not {meaning(word) for word in documented.split()} & OUR_OWN_DOING


@pytest.mark.fault("A14")
@pytest.mark.parametrize("word", ["", "NEW", "restated", "x" * 200, "bust"])
def test_an_unknown_word_casts_doubt(word):
    assert meaning(word) is Trigger.DOUBT
