"""Reads what clients of market data send. Decides which subscription makes sense, and which code says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from quant_trading_system.simulator.server.data_frames import MSGPACK, Encoding
from quant_trading_system.simulator.server.feeds import FOLLOWING_TRADES, Feed

SYMBOLS_NAMED_MAX = 100_000

Command = Mapping[str, Any]
Subscription = dict[str, frozenset[str]]


def decode_command(payload: str | bytes, encoding: Encoding) -> Command | None:
    """A command, None when it is no object in the connection's encoding (JSON is always understood)."""
    try:
        if encoding is MSGPACK and isinstance(payload, bytes):
            command = msgspec.msgpack.decode(payload)
        else:
            command = json.loads(payload)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return command if isinstance(command, Mapping) else None


def read_subscription(command: Command, feed: Feed) -> Subscription | int:
    """The symbols by channel that a command names, or the code to refuse it with."""
    asked = {name: value for name, value in command.items() if name not in ("action", *FOLLOWING_TRADES)}
    if not any(asked.values()):
        return 400
    for channel, symbols in asked.items():
        if channel not in feed.channels:
            return 410
        if not isinstance(symbols, list) or len(symbols) > SYMBOLS_NAMED_MAX:
            return 400
        if not all(map(feed.is_symbol, symbols)):
            return 400
    return {channel: frozenset(symbols) for channel, symbols in asked.items()}


def changed_subscription(held: Subscription, asked: Subscription, *, is_adding: bool) -> Subscription:
    """What is held after a subscribe, which adds, or an unsubscribe, which takes away."""
    changed = dict(held)
    for channel, symbols in asked.items():
        changed[channel] = held[channel] | symbols if is_adding else held[channel] - symbols
    return changed


def half_of(asked: Subscription) -> Subscription:
    """A fault: what a server keeps that loses symbols."""
    return {channel: frozenset(sorted(symbols)[: len(symbols) // 2]) for channel, symbols in asked.items()}
