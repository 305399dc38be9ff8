"""Chance for many things at once: arrays of draws that are functions of what they are for, and of nothing else.

A draw does not depend on how many others are made beside it, so a symbol moves the same alone and among a thousand,
and a minute is the same whether it is played or read from history. Sums within groups are made of whole numbers for
the same reason: those of floats depend on what stands around them.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # splitmix64 (Steele, Lea, Flood 2014), as are the two factors below
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_KIND_BITS = np.uint64(40)  # draws of one kind within one key: more than any minute has
_MANTISSA_SHIFT = np.uint64(11)
_UNIT = 2.0**-53


def key_of(*purpose: object) -> int:
    """A key of 64 bits that is a function of what it is for."""
    text = ":".join(str(part) for part in purpose)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def keys_at(keys: Keys, places: Ints) -> Keys:
    """Keys of places within other keys: of the minutes of a day, say."""
    return _mixed(keys ^ _mixed(places.astype(np.uint64) * _GOLDEN))


def bits(keys: Keys, kind: int, places: Ints | int = 0) -> Keys:
    """Sixty-four random bits for each key; `kind` tells apart what is drawn for the same key and place."""
    counter = (np.uint64(kind) << _KIND_BITS) + np.atleast_1d(np.asarray(places)).astype(np.uint64)
    return _mixed(keys + (counter + np.uint64(1)) * _GOLDEN)


def uniform(keys: Keys, kind: int, places: Ints | int = 0) -> Floats:
    """Draws from [0, 1)."""
    return np.asarray((bits(keys, kind, places) >> _MANTISSA_SHIFT).astype(np.float64) * _UNIT)


def below(keys: Keys, kind: int, ends: Ints | int, places: Ints | int = 0) -> Ints:
    """Whole numbers from 0 to below `ends`."""
    return np.asarray(uniform(keys, kind, places) * ends).astype(np.int64)


def exponential(keys: Keys, kind: int, places: Ints | int = 0) -> Floats:
    """Draws from the exponential distribution with mean 1."""
    return np.asarray(-np.log1p(-uniform(keys, kind, places)))


def normal(keys: Keys, kind: int, places: Ints | int = 0) -> Floats:
    """Draws from the standard normal distribution (Box and Muller 1958)."""
    angle = 2.0 * np.pi * uniform(keys, kind + 1, places)
    return np.asarray(np.sqrt(2.0 * exponential(keys, kind, places)) * np.cos(angle))


def group_places(counts: Ints) -> tuple[Ints, Ints, Ints]:
    """Groups of some sizes laid out one after the other: where each begins, whose each row is, its place there."""
    firsts = np.cumsum(counts) - counts
    owners = np.repeat(np.arange(len(counts)), counts)
    return firsts, owners, np.arange(len(owners)) - firsts[owners]


def _mixed(values: Keys) -> Keys:
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return np.asarray(values ^ (values >> np.uint64(31)))
