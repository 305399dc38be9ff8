"""The REST side: every path of a trading client and of its market data, and what goes wrong with the answers."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.support.hostile_broker import schedule as points
from tests.support.hostile_broker import wire
from tests.support.hostile_broker.books import FINAL, Order, Refused
from tests.support.hostile_broker.desk import Desk
from tests.support.hostile_broker.market import is_session_day, session_ns
from tests.support.hostile_broker.times import EASTERN, NANOS, as_utc, eastern_stamp, parse

TRADING = "application/json; charset=UTF-8"
HTML_502 = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>"
)
HTML_401 = "<html><head><title>401 Authorization Required</title></head><body><hr><center>nginx</center></body></html>"
HTML_504 = "<html><body><h1>504 Gateway Time-out</h1>\nThe server didn't respond in time.\n</body></html>"
SILENCE_S = 25.0
REST_S = 8.0  # nobody trades at its price
STAMPS = re.compile(r'"(created_at|updated_at|submitted_at)": "(\d{4}-\d\d-\d\dT[^"]+)Z"')
NUMBERS = re.compile(r'"(qty|filled_qty|cash|price|cum_qty)": "(-?\d+(?:\.\d+)?)"')
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Rest:
    """Handlers over one desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._older: dict[str, str] = {}
        self._last_power = "100000"
        self._is_blocked = False

    def routes(self) -> list[web.RouteDef]:
        guarded = self._guarded
        return [
            web.post("/v2/orders", guarded(self.submit)),
            web.get("/v2/orders", guarded(self._faulty(self.orders, is_list=True))),
            web.delete("/v2/orders", guarded(self.cancel_all)),
            web.get("/v2/orders:by_client_order_id", guarded(self._faulty(self.by_client_id))),
            web.get("/v2/orders/{id}", guarded(self._faulty(self.order))),
            web.patch("/v2/orders/{id}", guarded(self.replace)),
            web.delete("/v2/orders/{id}", guarded(self.cancel)),
            web.get("/v2/positions", guarded(self._faulty(self.positions, is_list=True))),
            web.get("/v2/positions/{symbol}", guarded(self._faulty(self.position))),
            web.get("/v2/account", guarded(self._faulty(self.account))),
            web.get("/v2/account/activities", guarded(self._faulty(self.activities, is_list=True))),
            web.get("/v2/account/activities/{kind}", guarded(self._faulty(self.activities, is_list=True))),
            web.get("/v2/account/configurations", guarded(self._faulty(self.configurations))),
            web.get("/v2/clock", guarded(self._faulty(self.clock))),
            web.get("/v2/calendar", guarded(self._faulty(self.calendar))),
            web.get("/v2/assets", guarded(self._faulty(self.assets))),
            web.get("/v2/assets/{symbol}", guarded(self._faulty(self.asset))),
            web.get("/v2/stocks/bars", guarded(self._faulty(self.bars))),
            web.get("/v2/stocks/{what}/latest", guarded(self._faulty(self.latest))),
            web.get("/v1/corporate-actions", guarded(self._faulty(self.corporate_actions))),
            web.get("/hostile/report", self.report),
            web.post("/hostile/calm", self.calm),
        ]

    # keys and faults

    def _guarded(self, handler: Handler) -> Handler:
        async def run(request: web.Request) -> web.StreamResponse:
            self._desk.requests += 1
            key, secret = request.headers.get("APCA-API-KEY-ID"), request.headers.get("APCA-API-SECRET-KEY")
            if (key, secret) != self._desk.keys:
                return self._json({"message": "unauthorized."}, 401)
            return await handler(request)

        return run

    def _faulty(self, handler: Handler, *, is_list: bool = False) -> Handler:
        """A read with what goes wrong on the way. `handler` raises `Refused` or answers JSON."""

        async def run(request: web.Request) -> web.StreamResponse:
            fault = self._desk.schedule.draw(points.READ)
            if fault in ("html_502", "error_500", "too_many_bare", "empty_body", "cut"):
                return self._failure(request, fault)
            if fault == "slow":
                await asyncio.sleep(self._desk.schedule.between(0.3, 2.5))
            try:
                answer = await handler(request)
            except Refused as refused:
                return self._json(refused.body, refused.status)
            assert isinstance(answer, web.Response)
            if answer.content_type != "application/json" or answer.status != 200:
                return answer
            text = answer.text or ""
            if is_list:
                text = self._spoil_list(request, text)
            return self._spoil(text, fault)

        return run

    def _failure(self, request: web.Request, fault: str) -> web.StreamResponse:
        match fault:
            case "html_502":
                return web.Response(status=502, text=HTML_502, content_type="text/html")
            case "error_500":
                return self._json({"code": 50010000, "message": "internal server error"}, 500)
            case "too_many_bare":
                return self._json({"code": 42910000, "message": "rate limit exceeded"}, 429)
            case "empty_body":
                return web.Response(status=200, body=b"", content_type="application/json")
            case _:
                self._cut(request)
                return web.Response(status=500)

    def _spoil(self, text: str, fault: str | None) -> web.StreamResponse:
        match fault:
            case "truncated":
                return web.Response(text=text[: max(1, len(text) * 2 // 3)], content_type="application/json")
            case "extra_fields":
                text = text.replace('"id": ', '"something_new": {"deep": [1, null]}, "id": ')
            case "offset_stamps":
                text = STAMPS.sub(self._with_offset, text)
            case "numbers":
                text = NUMBERS.sub(r'"\1": \2', text)
        return web.Response(text=text, content_type="application/json", charset="utf-8")

    def _with_offset(self, found: re.Match[str]) -> str:
        return f'"{found.group(1)}": "{eastern_stamp(parse(found.group(2) + "Z"))}"'

    def _spoil_list(self, request: web.Request, text: str) -> str:
        place = str(request.rel_url.path)
        older, self._older[place] = self._older.get(place), text
        match self._desk.schedule.draw(points.LIST):
            case "empty_list":
                return "[]"
            case "stale" if older is not None:
                return older
            case "partial_page":
                rows = json.loads(text)
                return json.dumps(rows[: len(rows) // 2])
        return text

    def _json(self, body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
        return web.Response(
            text=json.dumps(body), status=status, content_type="application/json", charset="utf-8", headers=headers
        )

    @staticmethod
    def _cut(request: web.Request) -> None:
        if request.transport is not None:
            request.transport.abort()

    # orders

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """Whatever is answered, what was accepted stays accepted."""
        raw = await request.read()
        desk = self._desk
        fields = json.loads(raw)
        client_id = str(fields.get("client_order_id", ""))
        desk.posts.setdefault(client_id, []).append(raw)
        fault = desk.schedule.draw(points.SUBMIT)
        early = self._before_acceptance(request, fault, fields)
        if early is not None:
            return early
        try:
            order = desk.books.submit(fields)
        except Refused as refused:
            return self._json(refused.body, refused.status)
        desk.accepted.setdefault(client_id, []).append(order.id)
        order.rests_until_s = time.monotonic() + REST_S if fault == "rests" else 0.0
        asyncio.get_running_loop().create_task(self._live(order, rejects=fault == "late_reject"))
        return await self._answer_submit(request, order, fault)

    def _before_acceptance(
        self, request: web.Request, fault: str | None, fields: dict[str, Any]
    ) -> web.StreamResponse | None:
        match fault:
            case "lost_504":
                return web.Response(status=504, text=HTML_504, content_type="text/html")
            case "lost_cut":
                self._cut(request)
                return web.Response(status=500)
            case "too_many_bare":
                return self._json({"code": 42910000, "message": "rate limit exceeded"}, 429)
            case "too_many_told":
                reset = self._desk.time.now_ns() // NANOS + 1
                told = {"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
                return self._json({"code": 42910000, "message": "rate limit exceeded"}, 429, told)
            case "refused_buying_power":
                cost = {"cost_basis": "8177000000", "message": "insufficient buying power"}
                return self._json({"buying_power": "0", "code": 40310000, **cost}, 403)
        return None

    async def _answer_submit(self, request: web.Request, order: Order, fault: str | None) -> web.StreamResponse:
        body = json.dumps(wire.order_body(order, self._desk.books, nested=True))
        match fault:
            case "accept_then_504":
                return web.Response(status=504, text=HTML_504, content_type="text/html")
            case "accept_then_cut":
                self._cut(request)
            case "accept_then_silence":
                await asyncio.sleep(SILENCE_S)
            case "accept_then_empty":
                return web.Response(status=200, body=b"", content_type="application/json")
            case "accept_then_truncated":
                return web.Response(text=body[: len(body) // 2], content_type="application/json")
            case "filled_before_answer":
                await asyncio.sleep(0.6)  # the answer still shows what was so when it was written
            case "unknown_status":
                body = body.replace(f'"status": "{order.status}"', '"status": "under_examination"')
        return web.Response(text=body, content_type="application/json", charset="utf-8")

    async def _live(self, order: Order, *, rejects: bool) -> None:
        between = self._desk.schedule.between
        await asyncio.sleep(between(0.001, 0.02))
        self._desk.books.acknowledge(order, rejects=rejects)
        await asyncio.sleep(between(0.005, 0.2))
        if order.status in ("new", "partially_filled"):
            self._desk.books.match()
        if order.time_in_force in ("ioc", "fok") and order.status not in FINAL:
            self._desk.books.cancel(order)
            self._desk.books.finish_cancel(order)

    async def orders(self, request: web.Request) -> web.StreamResponse:
        query, books = request.query, self._desk.books
        status, limit = query.get("status", "open"), int(query.get("limit", "50"))
        if limit > 500:
            return self._json({"code": 40010001, "message": "limit must be no more than 500"}, 422)
        rows = [
            order
            for order in books.orders.values()
            if status == "all" or (order.status in FINAL) is (status == "closed")
        ]
        rows.sort(key=lambda order: (order.submitted_ns, order.id))
        if "after" in query:
            rows = [order for order in rows if order.submitted_ns > parse(query["after"])]
        if "until" in query:
            rows = [order for order in rows if order.submitted_ns < parse(query["until"])]
        if "symbols" in query:
            rows = [order for order in rows if order.symbol in query["symbols"].split(",")]
        if "after_order_id" in query:
            last = books.orders[query["after_order_id"]]
            rows = [order for order in rows if (order.submitted_ns, order.id) > (last.submitted_ns, last.id)]
        if query.get("direction", "desc") == "desc":
            rows.reverse()
        nested = query.get("nested", "false").lower() == "true"
        if nested:
            rows = [order for order in rows if order.parent is None]
        return self._json([wire.order_body(order, books, nested=nested) for order in rows[:limit]])

    async def by_client_id(self, request: web.Request) -> web.StreamResponse:
        client_id = request.query.get("client_order_id", "")
        order = self._desk.books.by_client.get(client_id)
        if order is None:
            return self._json({"code": 40410000, "message": f"order not found for {client_id}"}, 404)
        return self._json(wire.order_body(order, self._desk.books, nested=True))

    def _find(self, request: web.Request) -> Order:
        order = self._desk.books.orders.get(request.match_info["id"])
        if order is None:
            raise Refused(404, {"code": 40410000, "message": f"order not found for {request.match_info['id']}"})
        return order

    async def order(self, request: web.Request) -> web.StreamResponse:
        return self._json(wire.order_body(self._find(request), self._desk.books, nested=True))

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        desk = self._desk
        fault = desk.schedule.draw(points.CANCEL)
        if fault == "error_500":
            return self._json({"code": 50010000, "message": "internal server error"}, 500)
        try:
            order = self._find(request)
            if fault == "fill_first" and order.status in ("new", "partially_filled"):
                desk.books.fill_whole(order)
            desk.books.cancel(order)
        except Refused as refused:
            return self._json(refused.body, refused.status)
        order.is_stuck = order.is_stuck or fault == "stuck"
        asyncio.get_running_loop().create_task(self._finish_cancel(order))
        if fault == "cut":
            self._cut(request)
        return web.Response(status=204)

    async def _finish_cancel(self, order: Order) -> None:
        await asyncio.sleep(self._desk.schedule.between(0.01, 0.4))
        self._desk.books.finish_cancel(order)

    async def cancel_all(self, request: web.Request) -> web.StreamResponse:
        """207, one entry for each: taken, or the reason why not."""
        entries = []
        for order in list(self._desk.books.orders.values()):
            if order.status in FINAL or order.parent is not None:
                continue
            if self._desk.schedule.is_on and self._desk.schedule.chance(0.2):
                entries.append({"id": order.id, "status": 500, "body": {"code": 50010000, "message": "internal"}})
                continue
            try:
                self._desk.books.cancel(order)
            except Refused as refused:
                entries.append({"id": order.id, "status": refused.status, "body": refused.body})
                continue
            asyncio.get_running_loop().create_task(self._finish_cancel(order))
            entries.append({"id": order.id, "status": 200, "body": wire.order_body(order, self._desk.books)})
        return self._json(entries, 207)

    async def replace(self, request: web.Request) -> web.StreamResponse:
        try:
            heir = self._desk.books.replace(self._find(request), json.loads(await request.read()))
        except Refused as refused:
            return self._json(refused.body, refused.status)
        return self._json(wire.order_body(heir, self._desk.books))

    # account and books

    async def positions(self, _request: web.Request) -> web.StreamResponse:
        desk = self._desk
        return self._json(
            [wire.position_body(each, desk.books, desk.market, desk.now_ns()) for each in sorted(desk.books.positions)]
        )

    async def position(self, request: web.Request) -> web.StreamResponse:
        desk, symbol = self._desk, request.match_info["symbol"]
        if symbol not in desk.books.positions:
            raise Refused(404, {"code": 40410000, "message": "position does not exist"})
        return self._json(wire.position_body(symbol, desk.books, desk.market, desk.now_ns()))

    async def account(self, _request: web.Request) -> web.StreamResponse:
        desk = self._desk
        body = wire.account_body(desk.books, desk.market, desk.now_ns())
        fault = desk.schedule.draw(points.ACCOUNT)
        self._is_blocked = (self._is_blocked or fault == "blocked") and not desk.schedule.is_over
        if self._is_blocked:  # until somebody lifts it
            body["trading_blocked"] = True
        if fault == "new_status":
            body["status"] = "ACCOUNT_UPDATED"
        power, body["buying_power"] = body["buying_power"], self._last_power if fault else body["buying_power"]
        self._last_power = power
        return self._json(body)

    async def activities(self, request: web.Request) -> web.StreamResponse:
        query, books = request.query, self._desk.books
        kinds = request.match_info.get("kind", query.get("activity_types", "FILL")).split(",")
        is_trades = "FILL" in kinds and query.get("category") != "non_trade_activity"
        rows = [wire.fill_activity(each) for each in books.executions] if is_trades else []
        if "after" in query:
            after_ns = parse(query["after"])
            rows = [row for row in rows if parse(str(row["transaction_time"])) > after_ns]
        rows.sort(key=lambda row: str(row["id"]), reverse=query.get("direction", "desc") == "desc")
        token = query.get("page_token")
        if token is not None:
            ids = [row["id"] for row in rows]
            rows = rows[ids.index(token) + 1 :] if token in ids else []
        return self._json(rows[: min(100, int(query.get("page_size", "100")))])

    async def configurations(self, _request: web.Request) -> web.StreamResponse:
        flags = dict.fromkeys(("no_shorting", "suspend_trade", "ptp_no_exception_entry"), False)
        return self._json(
            {**flags, "fractional_trading": True, "max_margin_multiplier": "1", "trade_confirm_email": "all"}
        )

    # hours and instruments

    async def clock(self, _request: web.Request) -> web.StreamResponse:
        desk = self._desk
        fault = desk.schedule.draw(points.CLOCK)
        if fault == "html_401":
            return web.Response(status=401, text=HTML_401, content_type="text/html")
        now_ns = desk.now_ns()
        day = as_utc(now_ns).astimezone(EASTERN).date()
        opens, closes = session_ns(day)
        is_open = is_session_day(day) and opens <= now_ns < closes
        tomorrow = 86_400 * NANOS
        while not is_open and (opens <= now_ns or not is_session_day(as_utc(opens).astimezone(EASTERN).date())):
            opens, closes = opens + tomorrow, closes + tomorrow
        shown_ns = now_ns - 3 * NANOS if fault == "skewed" else now_ns
        return self._json({
            "timestamp": eastern_stamp(shown_ns),
            "is_open": is_open,
            "next_open": eastern_stamp(opens + tomorrow if is_open else opens, has_fraction=False),
            "next_close": eastern_stamp(closes, has_fraction=False),
        })  # fmt: skip

    async def calendar(self, request: web.Request) -> web.StreamResponse:
        start, end = parse(request.query["start"]), parse(request.query["end"])
        days = [as_utc(at).date() for at in range(start, end + 1, 86_400 * NANOS)]
        hours = {"open": "09:30", "close": "16:00", "session_open": "0400", "session_close": "2000"}
        days = [day for day in days if is_session_day(day)]
        return self._json([{"date": day.isoformat(), **hours, "settlement_date": day.isoformat()} for day in days])

    async def assets(self, _request: web.Request) -> web.StreamResponse:
        return self._json([wire.asset_body(symbol) for symbol in self._desk.market.symbols])

    async def asset(self, request: web.Request) -> web.StreamResponse:
        symbol = request.match_info["symbol"]
        if symbol not in self._desk.market.symbols:
            raise Refused(404, {"code": 40410000, "message": f"asset not found for {symbol}"})
        return self._json(wire.asset_body(symbol))

    # market data

    async def bars(self, request: web.Request) -> web.StreamResponse:
        """Symbol after symbol; the page is counted over all of them."""
        query, market = request.query, self._desk.market
        start_ns = parse(query["start"])
        end_ns = min(parse(query["end"]) if "end" in query else self._desk.now_ns(), self._desk.now_ns())
        rows = []
        for symbol in query["symbols"].split(","):
            if symbol in market.symbols:
                read = market.daily_bars if query["timeframe"] in ("1Day", "1D") else market.minute_bars
                rows += [(symbol, bar) for bar in read(symbol, start_ns, end_ns)]
        first = int(query.get("page_token", "0"))
        page = rows[first : first + min(700, int(query.get("limit", "1000")))]
        found: dict[str, list[object]] = {}
        for symbol, bar in page:
            found.setdefault(symbol, []).append(bar)
        following = first + len(page)
        return self._json({"bars": found, "next_page_token": str(following) if following < len(rows) else None})

    async def latest(self, request: web.Request) -> web.StreamResponse:
        desk, what = self._desk, request.match_info["what"]
        symbols = [each for each in request.query["symbols"].split(",") if each in desk.market.symbols]
        return self._json({what: {symbol: desk.latest(what, symbol) for symbol in symbols}})

    async def corporate_actions(self, _request: web.Request) -> web.StreamResponse:
        return self._json({"corporate_actions": {}, "next_page_token": None})

    # what the judge asks

    async def report(self, _request: web.Request) -> web.StreamResponse:
        return self._json(self._desk.report())

    async def calm(self, _request: web.Request) -> web.StreamResponse:
        self._desk.calm()
        return self._json({})
