"""Sends alerts to one HTTP address as JSON. Decides how long that may take, and what neutral mode hides."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping
from urllib.parse import urlsplit

import aiohttp
import msgspec

TIMEOUT_S = 5.0
ATTEMPTS_MAX = 3
RETRY_DELAYS_S = (0.5, 2.0)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_NUMBER = re.compile(r"(?<![A-Za-z])[$]?\d[\d,.:%-]*")


class Webhook:
    """POSTs one JSON object an alert. 2xx is success; everything else is tried at most three times."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError(f"an alert webhook must be an https address, was {parts.scheme or 'nothing'}://…")
        self._url = url
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def post(self, payload: Mapping[str, object]) -> str:
        """Send one alert. Returns `ok` or why not, without the address (it may hold a token)."""
        body = msgspec.json.encode(payload)
        result = "not tried"
        for attempt in range(ATTEMPTS_MAX):
            result = await self._post_once(body)
            if result == "ok" or result.startswith("refused"):
                return result
            if attempt < len(RETRY_DELAYS_S):
                await asyncio.sleep(RETRY_DELAYS_S[attempt])
        return result

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post_once(self, body: bytes) -> str:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        try:
            async with self._session.post(
                self._url, data=body, headers={"Content-Type": "application/json"}, allow_redirects=False
            ) as response:
                if 200 <= response.status < 300:
                    return "ok"
                kind = "refused" if 400 <= response.status < 500 and response.status != 429 else "failed"
                return f"{kind}: status {response.status}"
        except TimeoutError:
            return f"failed: no answer within {self._timeout_s:g} s"
        except aiohttp.ClientError as error:
            return f"failed: {type(error).__name__}"


class Neutral:
    """Takes symbols, numbers, the account and every context value out of a text that leaves the machine."""

    def __init__(self, symbols: Callable[[], Collection[str]], account: Callable[[], str]) -> None:
        self._symbols = symbols
        self._account = account

    def text(self, text: str, context: Mapping[str, str]) -> str:
        private = {self._account(), *self._symbols(), *context.values()} - {""}
        for value in sorted(private, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "***", text)
        return _NUMBER.sub("#", text)

    def context(self, context: Mapping[str, str]) -> dict[str, str]:
        return dict.fromkeys(context, "***")
