"""What never leaves the process in clear: decides which keys, which registered values and which patterns are masked."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote

MASK = "***"
SECRET_CHARACTERS_MIN = 6
"""Shorter values are not searched for in texts: masking every "sim" would hide more than it protects."""
DEPTH_MAX = 8
ITEMS_MAX = 200
TEXT_CHARACTERS_MAX = 16_384

_KEY = re.compile(
    r"secret|token|passw(?:or)?d|passphrase|authorization|credential|cookie|private|signature|totp"
    r"|(?:^|[_\-\s.])(?:api|access|secret|broker|live|paper)?[_\-]?key(?:s|[_\-]?id)?$",
    re.IGNORECASE,
)
_PATTERNS = (
    (re.compile(r"\b[PAC]K[A-Z0-9]{16,24}\b"), MASK),  # Alpaca key ids: PK paper, AK live, CK broker
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), r"\1 " + MASK),
    (re.compile(r"(?i)(APCA-API-(?:SECRET-KEY|KEY-ID)['\"]?\s*[:=]\s*b?['\"]?)[^\s'\",}]+"), r"\1" + MASK),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s/@]+@"), r"\1:" + MASK + "@"),
    (re.compile(r"(?i)\b((?:password|secret|token|api_?key)['\"]?\s*[=:]\s*['\"]?)[^\s'\"&,;}]+"), r"\1" + MASK),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL), MASK),
)
_SUSPICIOUS = re.compile(r"[PAC]K[A-Z0-9]{16}|://|(?i:bearer|basic|apca|passw|secret|token|key)")
"""What each pattern needs at least: one search spares most lines the six."""


class Redactor:
    """Masks secrets in anything that is about to be logged or sent. Knows the exact values it was given."""

    def __init__(self) -> None:
        self._values: tuple[str, ...] = ()

    def register(self, *secrets: str) -> None:
        """Mask these values wherever they turn up, also in base64 or percent-encoded."""
        known = set(self._values)
        for secret in secrets:
            if len(secret) < SECRET_CHARACTERS_MIN:
                continue
            known.update((secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()))
        self._values = tuple(sorted(known, key=len, reverse=True))  # the longest first: one may hold another

    def text(self, text: str) -> str:
        """`text` without secrets, and no longer than `TEXT_CHARACTERS_MAX`."""
        for value in self._values:
            if value in text:
                text = text.replace(value, MASK)
        if _SUSPICIOUS.search(text):
            for pattern, replacement in _PATTERNS:
                text = pattern.sub(replacement, text)
        if len(text) > TEXT_CHARACTERS_MAX:
            return text[:TEXT_CHARACTERS_MAX] + f"… {len(text) - TEXT_CHARACTERS_MAX} characters more"
        return text

    def value(self, value: object, *, depth: int = 0) -> object:
        """`value` without secrets; containers are copied, other objects become their masked text."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth >= DEPTH_MAX:
            return "…"
        if isinstance(value, Mapping):
            return self.mapping(value, depth=depth)
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item, depth=depth + 1) for item in list(value)[:ITEMS_MAX]]
        return self.text(str(value))

    def mapping(self, mapping: Mapping[object, object], *, depth: int = 0) -> dict[str, object]:
        """A copy of `mapping` in which what is named like a secret is masked whole."""
        return {str(key): self._field(str(key), value, depth) for key, value in list(mapping.items())[:ITEMS_MAX]}

    def _field(self, key: str, value: object, depth: int) -> object:
        if names_a_secret(key) and value is not None and value != "":
            return MASK
        return self.value(value, depth=depth + 1)


@lru_cache(maxsize=4_096)
def names_a_secret(key: str) -> bool:
    """Whether a field of this name holds a secret, whatever its value."""
    return _KEY.search(key) is not None
