"""Decides what faults do to the JSON of an answer or of a stream's frame: its fields, its lists, its stamps.

A field is named by a path: `status`, `order.filled_qty`, `0.easy_to_borrow`, `bars.*.*.c`. A list without a number in
the path stands for all of its rows.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

import msgspec

from quant_trading_system.simulator.instants import NEW_YORK
from quant_trading_system.simulator.numbers import plain
from quant_trading_system.simulator.server.fault_kinds import JSON_KINDS, Kind
from quant_trading_system.simulator.server.fault_rules import FaultRule

EXTRA_FIELD = "unannounced"
EXTRA_VALUE = {"since": "tomorrow"}
ECHO_FIELD = "symbol"
VALUE_FIELD = "status"

_STAMP = re.compile(rb'"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})"')
_OTHER_SIDE = {"buy": "sell", "sell": "buy", "long": "short", "short": "long"}


def spoil(body: bytes, rules: Sequence[FaultRule]) -> bytes:
    """The body after these rules, in their order. What is not JSON stays as it is."""
    for rule in rules:
        body = _spoil_once(body, rule)
    return body


def spoil_object(frame: dict[str, object], rules: Sequence[FaultRule]) -> dict[str, object]:
    """As `spoil`, for the data of a frame."""
    spoilt: dict[str, object] = msgspec.json.decode(spoil(msgspec.json.encode(frame), rules))
    return spoilt


def _spoil_once(body: bytes, rule: FaultRule) -> bytes:
    assert rule.kind in JSON_KINDS, f"expected a fault of bodies, found {rule.kind}"
    if rule.kind is Kind.CLOCK_SKEW:
        return body if rule.scope == "date" else _STAMP.sub(_shifter(rule.skew_seconds), body)
    if rule.kind is Kind.OFFSET_STAMPS:
        return _STAMP.sub(_write_in_new_york, body)
    try:
        tree = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    _change(tree, rule)
    return msgspec.json.encode(tree)


def _change(tree: object, rule: FaultRule) -> None:
    if rule.kind is Kind.EXTRA_FIELD:
        for node in _objects(tree):
            node[rule.field or EXTRA_FIELD] = EXTRA_VALUE if rule.value is None else rule.value
        return
    default = ECHO_FIELD if rule.kind is Kind.WRONG_ECHO else VALUE_FIELD
    path = (rule.field or default).split(".")
    name = path[-1]
    for holder in list(_holders(tree, path[:-1])):
        if rule.kind is Kind.SET_FIELD:
            holder[name] = rule.value
        elif name not in holder:
            continue
        elif rule.kind is Kind.MISSING_FIELD:
            del holder[name]
        elif rule.kind is Kind.NULL_FIELD:
            holder[name] = None
        elif rule.kind is Kind.UNKNOWN_VALUE:
            holder[name] = f"unannounced_{name}" if rule.value is None else rule.value
        else:
            holder[name] = _wrong(name, holder[name])


def _holders(tree: object, path: Sequence[str]) -> Iterator[dict[str, object]]:
    """The objects at the end of a path."""
    if isinstance(tree, list):
        first = path[0] if path else "*"
        if first.isdecimal():
            rows, rest = tree[int(first) : int(first) + 1], path[1:]
        else:
            rows, rest = tree, path[1:] if first == "*" else path
        for row in rows:
            yield from _holders(row, rest)
    elif isinstance(tree, dict):
        if not path:
            yield tree
        elif path[0] == "*":
            for value in tree.values():
                yield from _holders(value, path[1:])
        elif path[0] in tree:
            yield from _holders(tree[path[0]], path[1:])


def _objects(tree: object) -> Iterator[dict[str, object]]:
    """Every object of a tree."""
    if isinstance(tree, dict):
        for value in list(tree.values()):
            yield from _objects(value)
        yield tree
    elif isinstance(tree, list):
        for value in tree:
            yield from _objects(value)


def _wrong(name: str, value: object) -> object:
    """Something of the same form that is not what was asked for."""
    if value in _OTHER_SIDE:
        return _OTHER_SIDE[str(value)]
    if name.endswith("id") and name != "client_order_id":
        return str(uuid.uuid5(uuid.NAMESPACE_OID, str(value)))
    try:
        return plain(Decimal(str(value)) + 1)
    except InvalidOperation:
        return f"{value}X"


def halve_lists(body: bytes) -> bytes:
    """Half of a list's rows, or of each list in an object; what says how to go on is gone."""
    try:
        tree = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    return msgspec.json.encode(_halved(tree))


def _halved(tree: object) -> object:
    if isinstance(tree, list):
        return tree[: len(tree) // 2]
    if isinstance(tree, dict):
        return {name: None if name == "next_page_token" else _halved(value) for name, value in tree.items()}
    return tree


def empty_lists(body: bytes) -> bytes:
    """The list without its rows, or the object with its lists and maps of lists emptied."""
    try:
        tree = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    if isinstance(tree, list):
        return b"[]"
    return msgspec.json.encode(_emptied(tree))


def _emptied(tree: object) -> object:
    if not isinstance(tree, dict):
        return tree
    emptied: dict[str, object] = {}
    for name, value in tree.items():
        if isinstance(value, list):
            emptied[name] = []
        elif isinstance(value, dict) and value and all(isinstance(rows, list) for rows in value.values()):
            emptied[name] = {}
        else:
            emptied[name] = None if name == "next_page_token" else value
    return emptied


def _shifter(seconds: int) -> Callable[[re.Match[bytes]], bytes]:
    def shift(match: re.Match[bytes]) -> bytes:
        whole = datetime.fromisoformat(match[1].decode()) + timedelta(seconds=seconds)
        return b'"' + whole.isoformat().encode() + (match[2] or b"") + match[3] + b'"'

    return shift


def _write_in_new_york(match: re.Match[bytes]) -> bytes:
    if match[3] != b"Z":
        return match[0]
    local = datetime.fromisoformat(match[1].decode() + "+00:00").astimezone(NEW_YORK).isoformat()
    return b'"' + local[:-6].encode() + (match[2] or b"") + local[-6:].encode() + b'"'
