"""The key pair that opens the broker. Decides that it cannot be shown by accident."""

from __future__ import annotations

KEY_ID_HEADER = "APCA-API-KEY-ID"
SECRET_HEADER = "APCA-API-SECRET-KEY"  # noqa: S105 - the name of a header


class Credentials:
    """A key pair whose repr, str and pickle show nothing."""

    __slots__ = ("_key_id", "_secret_key")

    def __init__(self, key_id: str, secret_key: str) -> None:
        assert key_id, "a key id is not empty"
        assert secret_key, "a secret key is not empty"
        self._key_id = key_id
        self._secret_key = secret_key

    @property
    def key_id(self) -> str:
        return self._key_id

    @property
    def secret_key(self) -> str:
        return self._secret_key

    def headers(self) -> dict[str, str]:
        """What every REST request carries."""
        return {KEY_ID_HEADER: self._key_id, SECRET_HEADER: self._secret_key}

    def __repr__(self) -> str:
        return "Credentials(…)"

    def __reduce__(self) -> str:
        raise TypeError("credentials are not written anywhere")
