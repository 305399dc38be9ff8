"""What of Alpaca is not here: options, locates, tokenization, wallets. Decides that they are refused to everybody.

They are refused as Alpaca refuses an account without the permission (reference 1.2).
"""

from __future__ import annotations

from aiohttp import web

from quant_trading_system.simulator.refusals import Refusal

EXCLUDED = (
    "/v1/locates{rest:(/.*)?}",
    "/v2/options/{rest:.*}",
    "/v2/positions/{symbol}/exercise",
    "/v2/positions/{symbol}/do-not-exercise",
    "/v2/tokenization/{rest:.*}",
    "/v2/wallets{rest:(/.*)?}",
    "/v1beta1/options/{rest:.*}",
    "/v1beta1/forex/{rest:.*}",
    "/v1beta1/logos/{rest:.*}",
)


def add_exclusions(router: web.UrlDispatcher) -> None:
    """Register what is refused, whatever the method."""
    for path in EXCLUDED:
        router.add_route("*", path, _refuse)


async def _refuse(_request: web.Request) -> web.Response:
    raise Refusal(403, 40310000, "forbidden.")  # a new one: an exception that is raised again keeps its old frames
