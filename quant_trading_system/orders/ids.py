"""Client order ids: functions of account, database instance, strategy and sequence alone (I3).

    qts-<instance>-<account>-<strategy>-<sequence>

`instance` is a random token made with the schema and again at every restore, so that an empty or restored database
never repeats an id, and another database's orders on our account are recognised as such.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection

from msgspec import Struct

from quant_trading_system.core.types import ClientOrderId, StrategyId

PREFIX = "qts"
CHARACTERS_MAX = 48
INSTANCE_CHARACTERS = 8
ACCOUNT_CHARACTERS = 4
STRATEGY_CHARACTERS_MAX = 20
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_FORM = re.compile(
    r"qts-(?P<instance>[0-9a-z]{8})-(?P<account>[0-9a-f]{4})-(?P<strategy>[0-9a-z_.-]{1,20})-(?P<n>[0-9a-z]+)"
)


class ParsedId(Struct, frozen=True, kw_only=True):
    """The parts of an id of this program, of whatever database."""

    instance: str
    account: str
    strategy: str
    sequence: int


def client_order_id(*, account: str, instance: str, strategy: StrategyId, sequence: int) -> ClientOrderId:
    """The id of one intent, at most 48 characters."""
    assert sequence > 0, f"sequences begin at 1, found {sequence}"
    parts = (
        PREFIX,
        instance_part(instance),
        _hash(account, ACCOUNT_CHARACTERS),
        strategy_part(strategy),
        _base36(sequence),
    )
    text = "-".join(parts)
    assert len(text) <= CHARACTERS_MAX, f"{text} has {len(text)} characters, limit {CHARACTERS_MAX}"
    return ClientOrderId(text)


def parse(client_id: str) -> ParsedId | None:
    """The parts of an id, or None where this program did not make it."""
    found = _FORM.fullmatch(client_id)
    if found is None:
        return None
    return ParsedId(
        instance=found["instance"], account=found["account"], strategy=found["strategy"], sequence=int(found["n"], 36)
    )


def is_ours(client_id: str, instance: str) -> bool:
    """Whether this database made the id."""
    parsed = parse(client_id)
    return parsed is not None and parsed.instance == instance_part(instance)


def is_foreign(client_id: str, instance: str, former: Collection[str] = ()) -> bool:
    """Whether this program made the id, but with another database: a second daemon, or a lost life (fault K1).

    `former` are tokens that this database had before it was restored.
    """
    parsed = parse(client_id)
    return parsed is not None and parsed.instance not in {instance_part(each) for each in (instance, *former)}


def instance_part(instance: str) -> str:
    """Eight characters of the instance token as they stand in ids."""
    return instance if re.fullmatch(r"[0-9a-z]{8}", instance) else _hash(instance, INSTANCE_CHARACTERS)


def strategy_part(strategy: str) -> str:
    """The strategy's own name where it fits, else its beginning and a hash, so that two long names differ."""
    slug = re.sub(r"[^0-9a-z_.-]", "_", strategy.lower())
    if slug == strategy and 0 < len(slug) <= STRATEGY_CHARACTERS_MAX:
        return slug
    return f"{slug[: STRATEGY_CHARACTERS_MAX - 5]}.{_hash(strategy, 4)}"


def _hash(text: str, characters: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:characters]


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return text
