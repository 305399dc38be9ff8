"""Decides who may ask: the key pair in Alpaca's headers, HTTP Basic, or a bearer token."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

KEY_HEADER = "APCA-API-KEY-ID"
SECRET_HEADER = "APCA-API-SECRET-KEY"  # noqa: S105 - the header's name


PAPER_PREFIX = "PK"
LIVE_PREFIX = "AK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The one key pair of the one account. As a bearer token the secret stands for both."""

    key_id: str
    secret_key: str = field(repr=False)

    def match(self, key_id: str, secret_key: str) -> bool:
        """Compare in constant time."""
        same_key = hmac.compare_digest(key_id.encode(), self.key_id.encode())
        same_secret = hmac.compare_digest(secret_key.encode(), self.secret_key.encode())
        return same_key and same_secret

    def match_token(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.secret_key.encode())

    def match_login(self, key_id: str, secret_key: str) -> bool:
        """The streams' login message; "oauth" as key marks the secret as a token."""
        return self.match_token(secret_key) if key_id == "oauth" else self.match(key_id, secret_key)


def has_credentials(headers: Mapping[str, str]) -> bool:
    """Whether the headers try to log in at all (a stream may log in by message instead)."""
    return KEY_HEADER in headers or "Authorization" in headers


def is_authorized(headers: Mapping[str, str], credentials: Credentials) -> bool:
    """Judge the headers of a request or handshake."""
    key_id, secret_key = headers.get(KEY_HEADER), headers.get(SECRET_HEADER)
    if key_id is not None and secret_key is not None:
        return credentials.match(key_id, secret_key)
    scheme, _, rest = headers.get("Authorization", "").partition(" ")
    if scheme.casefold() == "bearer":
        return credentials.match_token(rest.strip())
    if scheme.casefold() == "basic":
        return _match_basic(rest.strip(), credentials)
    return False


def _match_basic(encoded: str, credentials: Credentials) -> bool:
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except ValueError:  # no base64, not even ASCII, or not UTF-8 inside
        return False
    key_id, colon, secret_key = text.partition(":")
    return bool(colon) and credentials.match(key_id, secret_key)


def is_of_another_host(headers: Mapping[str, str], credentials: Credentials) -> bool:
    """Whether the key is a live account's where this account is a paper one, or the reverse (reference 1.1, 1.2)."""
    key_id = headers.get(KEY_HEADER, "")
    return {key_id[:2], credentials.key_id[:2]} == {PAPER_PREFIX, LIVE_PREFIX}
