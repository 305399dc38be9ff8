"""Faults of `trade_updates` and of market data: frames lost, doubled, late; feeds that are mute or lie. Rows C, D."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from quant_trading_system.core.clock import to_datetime
from quant_trading_system.core.events import QuoteSeen
from quant_trading_system.core.types import NANOS_PER_SECOND
from tests.simulation.faults.stage import Player, Stage
from tests.simulation.streams import Frame

FILLS = ("fill", "partial_fill")
STALE_NS = 90 * NANOS_PER_SECOND


def frames_dropped(stage: Stage) -> None:
    def bend(frame: Frame) -> None:
        frame.is_dropped = True

    stage.bend_frames(bend)


def stream_cut(stage: Stage) -> None:
    _refuse_handshakes(stage, "connection refused")


def stream_mute(stage: Stage) -> None:
    """Nothing is cut at the end: what was lost is missing until somebody looks, or makes the connection anew."""
    streams = stage.world.streams
    streams.mute[stage.number] = None
    stage.reach()
    stage.at_end(lambda: streams.mute.pop(stage.number, None))


def connect_refused(stage: Stage) -> None:
    _refuse_handshakes(stage, stage.word("status"))
    stage.world.feed.block(stage.number)
    stage.at_end(lambda: stage.world.feed.unblock(stage.number))


def _refuse_handshakes(stage: Stage, how: str) -> None:
    streams = stage.world.streams
    streams.refusals[stage.number] = how
    stage.at_end(lambda: streams.refusals.pop(stage.number, None))
    if streams.cut_all():
        stage.reach()


def frames_doubled(stage: Stage) -> None:
    def bend(frame: Frame) -> None:
        frame.copies += 1

    stage.bend_frames(bend)


def frames_reordered(stage: Stage) -> None:
    def bend(frame: Frame) -> None:
        frame.is_held = True

    stage.bend_frames(bend)


def frames_delayed(stage: Stage) -> None:
    delay_s = stage.number_of("delay_s")

    def bend(frame: Frame) -> None:
        frame.delay_s += delay_s

    stage.bend_frames(bend)


def frames_replayed(stage: Stage) -> None:
    streams = stage.world.streams

    def after(_frame: Frame) -> None:
        if stage.is_drawn():
            stage.reach()
            for raw in streams.recent:
                streams.send_raw(raw, delay_s=0.001)

    streams.after[stage.number] = after
    stage.at_end(lambda: streams.after.pop(stage.number, None))


def frame_overfilled(stage: Stage) -> None:
    how = stage.word("how")

    def bend(frame: Frame) -> bool:
        order: dict[str, Any] = frame.event_json["order"]
        filled = Decimal(order["filled_qty"])
        if frame.event.event not in FILLS and not filled:  # beside a fill, a later word may tell other numbers, too
            return False
        order["filled_qty"] = str(filled + Decimal(order["qty"]) if how == "beyond" else max(Decimal(0), filled - 1))
        return True

    stage.bend_frames(bend)


def unknown_event(stage: Stage) -> None:
    def bend(frame: Frame) -> None:
        frame.event_json["event"] = "unannounced_event"

    stage.bend_frames(bend)


def feed_mute(stage: Stage) -> None:
    feed = stage.world.feed
    feed.mute[stage.number] = None
    stage.reach()
    stage.at_end(lambda: feed.mute.pop(stage.number, None))


def bad_quotes(stage: Stage) -> None:
    how = stage.word("how")
    rules = stage.world.feed.quote_rules

    def rule(quote: QuoteSeen) -> QuoteSeen:
        if not stage.is_drawn():
            return quote
        stage.reach()
        return _spoilt(quote, how)

    rules[stage.number] = rule
    stage.at_end(lambda: rules.pop(stage.number, None))


def _spoilt(quote: QuoteSeen, how: str) -> QuoteSeen:
    replace = msgspec.structs.replace
    match how:
        case "stale":
            return replace(quote, venue_at=to_datetime(quote.venue_ns - STALE_NS))
        case "crossed":
            return replace(quote, bid_price=quote.ask_price, ask_price=quote.bid_price)
        case "locked":
            return replace(quote, ask_price=quote.bid_price)
        case "zero":
            return replace(quote, bid_price=0.0)
        case "negative":
            return replace(quote, bid_price=-quote.bid_price)
        case "tenfold":
            return replace(quote, bid_price=10 * quote.bid_price, ask_price=10 * quote.ask_price)
        case _:
            raise ValueError(f"no bad quote of the kind {how}")


PLAYERS: dict[str, Player] = {
    each.__name__: each
    for each in (
        frames_dropped, stream_cut, stream_mute, connect_refused, frames_doubled, frames_reordered, frames_delayed,
        frames_replayed, frame_overfilled, unknown_event, feed_mute, bad_quotes,
    )
}  # fmt: skip
