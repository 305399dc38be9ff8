"""Reads the JSON body of a request, exactly: numbers keep their decimal digits."""

from __future__ import annotations

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
    body = await request.read()
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError):
        raise malformed() from None
