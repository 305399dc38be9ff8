"""The HTTP interface over a real socket: routes, access, headers, hosts, bodies, no event streams."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os

import aiohttp
import pytest

from quant_trading_system.core.errors import ExitCode, OperatorError
from quant_trading_system.dashboard import controls, guard, serve
from quant_trading_system.dashboard.guard import Guard
from quant_trading_system.dashboard.route_table import ROUTES, Auth
from quant_trading_system.dashboard.routes import make_app
from quant_trading_system.dashboard.serve import serving
from tests.contract.dashboard_support import BEARER, BODIES, COMMANDS, Desk, raw_exchange, served
from tests.unit.dashboard.builders import DECISION, ORDER, TOKEN, FakePort, ReadyCheck

GETS = [route for route in ROUTES if route.method == "GET" and route.name != "events"]


def path_of(route) -> str:
    return route.path.replace("{order_id}", "qts-1").replace("{file}", "app.css")


# every route


@pytest.mark.parametrize("route", GETS, ids=lambda route: route.path)
def test_every_read_is_open_on_loopback_and_says_nothing_it_should_not(route):
    async def scenario(desk: Desk) -> None:
        status, content, response = await desk.get(path_of(route))
        assert status == 200, content
        for name, value in guard.HEADERS.items():
            assert response.headers[name] == value
        assert "aiohttp" not in str(response.headers)
        status, _, head = await desk.ask("HEAD", path_of(route))
        assert (status, head.headers["Content-Type"]) == (200, response.headers["Content-Type"])

    served(scenario)


@pytest.mark.requirement("R110")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_with_the_token_reaches_the_engine(name):
    async def scenario(desk: Desk) -> None:
        status, content, _ = await desk.command(name)
        assert (status, content["accepted"], content["text"]) == (200, True, f"{name} done")
        (command, operator, reason, arguments) = desk.port.asked[0]
        assert command == name
        assert operator == BODIES.get(name, {}).get("operator", "http")
        assert reason == BODIES.get(name, {}).get("reason", "")
        assert arguments == {"unlock": {"symbol": "IBM"}, "enable": {"strategy": "momentum"}}.get(name, {})

    served(scenario)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "unauthorized"),
        ({"Authorization": ""}, 401, "unauthorized"),
        ({"Authorization": "Bearer "}, 401, "unauthorized"),
        ({"Authorization": f"Bearer {TOKEN[:-1]}"}, 401, "unauthorized"),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401, "unauthorized"),
        ({"Authorization": f"Basic {TOKEN}"}, 401, "unauthorized"),
        ({"Authorization": TOKEN}, 401, "unauthorized"),
        (BEARER | {"Sec-Fetch-Site": "cross-site"}, 403, "cross_site"),
        (BEARER | {"Sec-Fetch-Site": "same-site"}, 403, "cross_site"),
        (BEARER | {"Origin": "https://evil.example"}, 403, "cross_origin"),
        (BEARER | {"Origin": "null"}, 403, "cross_origin"),
        (BEARER | {"Host": "evil.example"}, 421, "host_not_allowed"),
    ],
)
def test_nobody_else_commands_the_daemon(name, headers, status, code):
    async def scenario(desk: Desk) -> None:
        found, content, _ = await desk.post(f"/api/v1/control/{name}", json=BODIES.get(name, {}), headers=headers)
        assert (found, content["code"]) == (status, code)
        assert desk.port.asked == []

    served(scenario)


def test_a_page_of_ours_commands_with_its_csrf_token():
    async def scenario(desk: Desk) -> None:
        token = Guard(token=TOKEN, allowed_hosts=[]).csrf_token
        status, content, _ = await desk.command("pause", Origin=desk.url)
        assert (status, content["code"]) == (403, "csrf")
        headers = {"Origin": desk.url, "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": token}
        status, _, _ = await desk.command("pause", **headers)
        assert status == 200
        _, page, _ = await desk.get("/")
        assert f'<meta name="csrf-token" content="{token}">'.encode() in page
        assert TOKEN.encode() not in page

    served(scenario)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.2"),
        *("0.0.0.0", "[::2]", "10.0.0.1:8080", "attacker@127.0.0.1", "127.0.0.1:80@evil.example", "2130706433"),
        *("0x7f.1", "localhost:99999", "localhost:abc", "local host", "LOCALHOST.evil", "evil.example#localhost"),
        *("metadata.internal", "xn--lcalhost-n3a", "127.1"),
    ],
)
def test_a_host_of_another_name_is_not_served(host):
    async def scenario(desk: Desk) -> None:
        answer = await raw_exchange(
            desk.number, f"GET /api/v1/status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        assert answer.split(b"\r\n")[0].split(b" ")[1] in (b"421", b"400")
        assert b"PA3SIMULATED" not in answer

    served(scenario)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost:1234", "[::1]:8080", "localhost."])
def test_a_loopback_name_is_served_at_any_port(host):
    async def scenario(desk: Desk) -> None:
        status, _, _ = await desk.get("/livez", headers={"Host": host})
        assert status == 200

    served(scenario)


def test_a_request_without_a_host_or_with_two_is_not_served():
    async def scenario(desk: Desk) -> None:
        none = await raw_exchange(desk.number, b"GET /livez HTTP/1.0\r\n\r\n")
        assert b" 421 " in none.split(b"\r\n")[0]
        two = await raw_exchange(
            desk.number, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nConnection: close\r\n\r\n"
        )
        assert two.split(b"\r\n")[0].split(b" ")[1] in (b"421", b"400")

    served(scenario)


@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "PROPFIND"])
@pytest.mark.parametrize("path", ["/api/v1/status", "/nowhere", "/api/v1/control/kill"])
def test_other_methods_are_refused(method, path):
    async def scenario(desk: Desk) -> None:
        answer = await raw_exchange(
            desk.number, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        assert answer.split(b" ")[1] in (b"405", b"400")
        assert desk.port.asked == []

    served(scenario)


def test_a_get_does_not_command_and_a_post_does_not_read():
    async def scenario(desk: Desk) -> None:
        status, content, response = await desk.get("/api/v1/control/kill", headers=BEARER)
        assert (status, content["code"], response.headers["Allow"]) == (405, "method_not_allowed", "POST")
        status, _, response = await desk.post("/api/v1/status", headers=BEARER)
        assert (status, "GET" in response.headers["Allow"]) == (405, True)
        assert desk.port.asked == []

    served(scenario)


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api/v1/nothing", "/static/../routes.py", "/static/none", "/api/v2/status"]
)
def test_an_unknown_path_is_a_problem_with_a_code(path):
    async def scenario(desk: Desk) -> None:
        status, content, response = await desk.get(path)
        assert (status, content["code"]) == (404, "not_found")
        assert response.content_type == "application/problem+json"
        assert response.headers["Content-Security-Policy"]

    served(scenario)


# bodies


@pytest.mark.parametrize(
    ("raw", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_json"),
        (b'{"force":1}', "application/json", 422, "invalid_field"),
        (b'{"operator":7}', "application/json", 422, "invalid_field"),
        (b"operator=me", "application/x-www-form-urlencoded", 415, "not_json"),
        (b"{}", "text/plain", 415, "not_json"),
        (b'{"reason":"' + b"x" * 70_000 + b'"}', "application/json", 413, "body_too_large"),
    ],
)
def test_a_bad_body_is_refused_and_reaches_nobody(raw, content_type, status, code):
    async def scenario(desk: Desk) -> None:
        found, content, _ = await desk.post(
            "/api/v1/control/pause", data=raw, headers=BEARER | {"Content-Type": content_type}
        )
        assert (found, content["code"]) == (status, code)
        assert desk.port.asked == []

    served(scenario)


def test_a_body_that_grows_beyond_the_limit_without_saying_so_is_refused():
    async def chunks():
        for _ in range(40):
            yield b" " * 4_096

    async def scenario(desk: Desk) -> None:
        status, content, _ = await desk.post(
            "/api/v1/control/pause", data=chunks(), headers=BEARER | {"Content-Type": "application/json"}
        )
        assert (status, content["code"]) == (413, "body_too_large")

    served(scenario)


def test_a_body_that_never_comes_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(controls, "BODY_SECONDS_MAX", 0.1)

    async def scenario(desk: Desk) -> None:
        head = (
            "POST /api/v1/control/pause HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{{"
        )
        assert b" 408 " in (await raw_exchange(desk.number, head.encode())).split(b"\r\n")[0]

    served(scenario)


def test_a_client_that_never_finishes_its_request_is_closed(monkeypatch):
    monkeypatch.setattr(serve, "HEAD_SECONDS_MAX", 0.2)

    async def scenario(desk: Desk) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", desk.number)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: loc")
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        assert (await desk.get("/livez"))[0] == 200

    served(scenario)


def test_a_kept_connection_outlives_the_deadline_of_its_first_request(monkeypatch):
    monkeypatch.setattr(serve, "HEAD_SECONDS_MAX", 0.1)

    async def scenario(desk: Desk) -> None:
        assert (await desk.get("/livez"))[0] == 200
        await asyncio.sleep(0.3)
        assert (await desk.get("/livez"))[0] == 200

    served(scenario)


def test_more_connections_than_allowed_are_turned_away(monkeypatch):
    monkeypatch.setattr(serve, "CONNECTIONS_MAX", 3)

    async def scenario(desk: Desk) -> None:
        opened = [await asyncio.open_connection("127.0.0.1", desk.number) for _ in range(3)]
        with pytest.raises(aiohttp.ClientError):
            await desk.get("/livez")
        for _, writer in opened:
            writer.close()

    served(scenario)


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00\x01\x00", b"BLAH\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
def test_what_is_no_http_is_refused_without_a_word_about_the_server(sent):
    async def scenario(desk: Desk) -> None:
        answer = await raw_exchange(desk.number, sent + b"\r\n\r\n")
        assert answer.split(b" ")[1] == b"400"
        assert b"aiohttp" not in answer
        assert b"Traceback" not in answer
        assert b"Content-Security-Policy" in answer

    served(scenario)


def test_guessing_tokens_is_slowed_and_the_right_one_still_works():
    async def scenario(desk: Desk) -> None:
        found = [
            (await desk.post("/api/v1/control/kill", json={}, headers={"Authorization": f"Bearer {n}"}))[0]
            for n in range(15)
        ]
        assert set(found[:10]) == {401}
        assert 429 in found[10:]
        assert (await desk.command("kill"))[0] == 200

    served(scenario)


def test_one_address_cannot_ask_without_end():
    async def scenario(desk: Desk) -> None:
        found = [(await desk.get("/livez"))[0] for _ in range(int(guard.REQUESTS_BURST) + 120)]
        assert 429 in found
        assert (await desk.command("kill"))[0] == 200

    served(scenario)


# what the answers say


def test_status_names_mode_account_state_steps_and_exchange():
    async def scenario(desk: Desk) -> None:
        _, content, _ = await desk.get("/api/v1/status")
        assert (content["mode"], content["account"], content["trading_state"]) == ("sim", "PA3SIMULATED", "ACTIVE")
        assert content["exchange_url"] == "http://127.0.0.1:8090"
        assert [step["number"] for step in content["steps"]] == list(range(1, 9))
        assert content["steps"][0]["seconds"] == 0.2
        assert content["pid"] == os.getpid()
        assert content["kill_latch"]["state"] == "CLEAR"

    served(scenario)


@pytest.mark.parametrize("name", ["account", "positions", "orders", "strategies", "risk", "reconciliation"])
def test_before_the_engine_runs_its_reads_say_that_it_starts(name):
    async def scenario(desk: Desk) -> None:
        status, content, _ = await desk.get(f"/api/v1/{name}")
        assert (status, content["code"]) == (503, "starting")
        status, content, _ = await desk.get("/api/v1/status")
        assert (status, content["trading_state"]) == (200, "STARTING")

    served(scenario, now=None)


@pytest.mark.parametrize("path", ["fills", "decisions", "orders?status=all", "orders/qts-1"])
def test_a_database_that_is_away_is_said_and_nothing_is_made_up(path):
    async def scenario(desk: Desk) -> None:
        status, content, _ = await desk.get(f"/api/v1/{path}")
        assert (status, content["code"]) == (503, "history_unavailable")
        assert "connection refused" in content["detail"]
        assert (await desk.get("/api/v1/positions"))[0] == 200
        assert (await desk.get("/"))[0] == 200

    served(scenario, history_error="connection refused")


def test_decisions_are_asked_for_by_symbol_time_and_order():
    async def scenario(desk: Desk) -> None:
        _, content, _ = await desk.get("/api/v1/decisions?symbol=spy&at=2013-10-07T10:31&limit=3&order=qts-1")
        assert [row["symbol"] for row in content["decisions"]] == ["SPY"]
        asked = desk.port.asked_decisions[0]
        assert (asked["symbol"], asked["limit"], asked["order"]) == ("SPY", 3, "qts-1")
        assert asked["at_ns"] == DECISION.venue_ns + 60 * 1_000_000_000
        status, content, _ = await desk.get("/api/v1/decisions?at=teatime")
        assert (status, content["field"]) == (422, "at")

    served(scenario)


def test_orders_are_open_ones_unless_asked_otherwise():
    async def scenario(desk: Desk) -> None:
        _, content, _ = await desk.get("/api/v1/orders")
        assert [order["client_order_id"] for order in content["orders"]] == [ORDER.client_order_id]
        _, content, _ = await desk.get("/api/v1/orders?symbol=IBM")
        assert content["orders"] == []
        _, content, _ = await desk.get("/api/v1/orders?status=closed")
        assert [order["state"] for order in content["orders"]] == ["FILLED"]
        _, content, _ = await desk.get("/api/v1/orders?status=all&symbol=ibm")
        assert len(content["orders"]) == 2

    served(scenario)


def test_an_order_is_followed_from_decision_to_fill():
    async def scenario(desk: Desk) -> None:
        _, story, _ = await desk.get("/api/v1/orders/qts-1")
        assert story["decision"]["inputs"] == {"ma_fast": 168.2, "rsi": 61.5}
        assert [state["state"] for state in story["states"]] == ["FILLED"]
        assert story["fills"][0]["slippage_bps"] == "0.53"
        assert story["order"]["books"] == [{"strategy": "momentum", "qty": "100"}]
        status, content, _ = await desk.get("/api/v1/orders/nobody")
        assert (status, content["code"]) == (404, "order_not_found")

    served(scenario)


@pytest.mark.requirement("R040")
def test_probes_answer_one_word_and_their_reasons_where_asked():
    async def scenario(desk: Desk) -> None:
        assert (await desk.get("/livez"))[:2] == (200, b"ok")
        assert (await desk.get("/healthz"))[:2] == (200, b"ok")
        assert (await desk.get("/readyz"))[:2] == (503, b"not ready")
        _, text, _ = await desk.get("/readyz?verbose")
        assert text == b"[-] streams: market data down\nnot ready\n"
        desk.port.alive = (False, "engine loop advanced 12 s ago")
        assert (await desk.get("/livez"))[:2] == (503, b"stalled")
        desk.port.checks = ()
        assert (await desk.get("/readyz"))[0] == 503

    served(scenario, checks=[ReadyCheck("streams", False, "market data down")])


def test_metrics_are_rendered_as_the_scraper_asks():
    async def scenario(desk: Desk) -> None:
        _, _, text = await desk.get("/metrics")
        assert text.content_type == "text/plain"
        _, _, metrics = await desk.get("/metrics", headers={"Accept": "application/openmetrics-text"})
        assert metrics.content_type == "application/openmetrics-text"

    served(scenario)


@pytest.mark.requirement("R041")
def test_a_handler_that_fails_shows_no_trace(monkeypatch):
    def broken(self):
        raise RuntimeError("a secret inside")

    monkeypatch.setattr(FakePort, "view", broken)

    async def scenario(desk: Desk) -> None:
        status, content, _ = await desk.get("/api/v1/positions")
        assert (status, content["code"]) == (500, "internal_error")
        assert "secret" not in json.dumps(content)

    served(scenario)


# commands that do not succeed


def test_a_refusal_of_the_engine_is_a_409_with_its_words():
    async def scenario(desk: Desk) -> None:
        status, content, _ = await desk.command("reset")
        assert (status, content["code"]) == (409, "refused")
        assert content["detail"] == "no clean reconciliation yet"

    served(scenario, refuses="no clean reconciliation yet")


def test_an_engine_that_takes_no_commands_is_a_503():
    async def scenario(desk: Desk) -> None:
        status, content, _ = await desk.command("pause")
        assert (status, content["code"]) == (503, "not_ready")

    served(scenario, is_ready=False)


def test_an_engine_that_does_not_answer_is_a_504(monkeypatch):
    monkeypatch.setattr(controls, "ANSWER_SECONDS_MAX", 0.05)

    async def scenario(desk: Desk) -> None:
        status, content, _ = await desk.command("pause")
        assert (status, content["code"]) == (504, "engine_timeout")

    served(scenario, never_answers=True)


def test_an_address_in_use_is_an_error_with_its_fix():
    async def scenario(desk: Desk) -> None:
        app = make_app(FakePort(), token=TOKEN)
        with pytest.raises(OperatorError, match="cannot listen") as refused:
            async with serving(app, host="127.0.0.1", port=desk.number):
                pass
        assert refused.value.exit_code is ExitCode.CONFIGURATION
        assert "--http" in refused.value.fix

    served(scenario)


def test_the_matrix_of_access_is_the_declared_one():
    async def scenario(desk: Desk) -> None:
        for route in ROUTES:
            if route.name == "events":
                continue
            method = desk.get if route.method == "GET" else desk.post
            status, _, _ = await method(path_of(route))
            assert (status == 401) == (route.auth is Auth.TOKEN), route.path

    served(scenario)
