"""Reads the JSON body of a request, exactly: numbers keep their decimal digits."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import msgspec
from aiohttp import web

from quant_trading_system.simulator.refusals import malformed

BODY_BYTES_MAX = 64 * 1_024  # the longest order body is a bracket with a 128-character id; a fault plan is longer

_DECODER = msgspec.json.Decoder(dict[str, object], float_hook=Decimal)


async def read_object(request: web.Request) -> dict[str, object]:
    """The body as a JSON object.

    Raises:
        Refusal: 400, it is none.
    """
    try:
        body = await request.read()
    except web.RequestPayloadError:  # it is not packed as its headers say
        raise malformed() from None
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError, RecursionError):
        raise malformed() from None


async def fetch(request: web.Request) -> None:
    """Take the body off the wire while the line is there; what is wrong with it is found when it is read."""
    with suppress(web.RequestPayloadError, web.HTTPRequestEntityTooLarge):
        await request.read()
