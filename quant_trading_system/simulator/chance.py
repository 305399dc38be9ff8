"""Ids and draws. Each is a function of the seed and of what it is for, so a restart and a second run make the same.

There is no generator with a state to keep: what order 17 draws does not depend on who drew before it.
"""

from __future__ import annotations

import math
from hashlib import blake2b

_MANTISSA_BITS = 53


class Chance:
    """All randomness of one world."""

    def __init__(self, seed: int) -> None:
        self._key = seed.to_bytes(16, "big", signed=True)

    def uuid(self, purpose: str, number: int) -> str:
        """A version 4 UUID in lower case."""
        return uuid4_text(self._digest(f"{purpose}:{number}"))

    def uniform(self, purpose: str, number: int, attempt: int = 0) -> float:
        """A draw from [0, 1)."""
        digest = self._digest(f"{purpose}:{number}:{attempt}")
        return (int.from_bytes(digest[:8], "big") >> (64 - _MANTISSA_BITS)) / (1 << _MANTISSA_BITS)

    def exponential(self, purpose: str, number: int, *, mean: float) -> float:
        """A draw from the exponential distribution."""
        return -mean * math.log1p(-self.uniform(purpose, number))

    def normal(self, purpose: str, number: int) -> float:
        """A draw from the standard normal distribution (Box and Muller, 1958)."""
        radius = math.sqrt(-2.0 * math.log1p(-self.uniform(purpose, number)))
        return radius * math.cos(2.0 * math.pi * self.uniform(purpose, number, attempt=1))

    def _digest(self, text: str) -> bytes:
        return blake2b(text.encode(), digest_size=16, key=self._key).digest()


def asset_id(symbol: str) -> str:
    """The id of an asset: the same in every world."""
    return uuid4_text(blake2b(symbol.encode(), digest_size=16, person=b"asset").digest())


def uuid4_text(octets: bytes) -> str:
    """Sixteen octets as a version 4 UUID (RFC 9562), at a quarter of what `uuid.UUID` takes: every order needs five."""
    text = octets.hex()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"
