"""The Overview page: what the desk must see is there, in words, at every moment of the daemon's life."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from quant_trading_system.core.types import Mode, Nanos, StrategyId, TradingState
from quant_trading_system.core.views import LimitView
from quant_trading_system.dashboard import curve, overview
from quant_trading_system.dashboard.hub import EventHub
from quant_trading_system.dashboard.pages import OverviewSource, Pages
from tests.support.virtual_loop import run_virtual
from tests.unit.dashboard.builders import (
    DECISION,
    HALT,
    MONEY,
    NOW,
    ORDER,
    POSITION,
    SECOND,
    SESSION,
    STRATEGY,
    FakePort,
    Step,
    equity_points,
    new_york,
    view,
)


def facts(**changes: Any) -> overview.Facts:
    defaults: dict[str, Any] = {
        "mode": Mode.SIM,
        "band": "SYNTHETIC",
        "account": "PA3SIMULATED",
        "version": "0.1.0",
        "view": view(),
        "steps": tuple(Step(number) for number in range(1, 9)),
        "decisions": [DECISION],
        "points": equity_points(100_000, 100_200, 100_100),
        "history_note": "",
    }
    return overview.Facts(**(defaults | changes))


def page(**changes: object) -> overview.Overview:
    return overview.build(facts(view=view(**changes)))


def words(rows: list[list[overview.Text]]) -> list[list[str]]:
    return [[cell.t for cell in row] for row in rows]


async def html_of(port: FakePort) -> str:
    pages = Pages(port, EventHub(), csrf_token="c" * 64)
    response = await pages.overview(make_mocked_request("GET", "/"), None)
    assert isinstance(response, web.Response)
    assert response.text is not None
    return response.text


def rendered(port: FakePort) -> str:
    return run_virtual(html_of(port))


def test_the_page_shows_every_block_without_a_script():
    html = rendered(FakePort())
    for shown in (
        "SIM · SYNTHETIC",
        "ACTIVE",
        "nothing is blocked",
        "$100,250.25",
        "+$250.25",
        "+0.25 %",
        "0.31 % of 10.00 %",
        "0.50 % of 1.00 %",
        "closes in 5 h 30 min, at 16:00",
        "IBM",
        "momentum 120, mean_reversion −20",
        "BAC",
        "100 / 300",
        "P15 price available: no quote",
        "AIG",
        "drift seen twice",
        "PA3SIMULATED",
        "clear",
        "7.0 s",
    ):
        assert shown in html, shown
    assert 'd="M0.0 ' in html


def test_nothing_is_left_to_a_style_or_script_inside_the_page():
    html = rendered(FakePort())
    assert "style=" not in html
    assert not re.search(r"\son\w+=", html)
    assert re.findall(r"<script[^>]*>", html) == ['<script type="module" src="/static/live.js">']


def test_what_others_wrote_is_text_never_markup():
    bad = msgspec.structs.replace(DECISION, reason="<script>alert(1)</script>", symbol="<b>X")
    html = rendered(FakePort(decision_rows=[bad], now=view(locks={"<i>": '"><img src=x>'})))
    assert "<script>alert" not in html
    assert "<b>X" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    ("mode", "band", "expected"),
    [
        (Mode.SIM, "SYNTHETIC", "SIM · SYNTHETIC"),
        (Mode.SIM, "RECORDED", "SIM · RECORDED"),
        (Mode.PAPER, "", "PAPER"),
        (Mode.LIVE, "", "LIVE · …7890"),
    ],
)
def test_the_mode_is_in_band_title_and_page_attributes(mode, band, expected):
    made = overview.build(facts(mode=mode, band=band, account="1234567890"))
    assert made.texts["band"].t == expected
    assert made.title.startswith(expected)
    assert made.flags["mode"] == mode.value
    assert made.flags["band"] == band.lower()


def test_a_halt_shows_its_cause_and_for_how_long():
    made = page(state=TradingState.HALTED, causes=(HALT,))
    assert made.texts["state"] == overview.Text("HALTED", "bad")
    assert words(made.rows["causes"]) == [["daily loss hard", "lost 2.1 % of 2 %", "for 90 s"]]
    assert made.title == "SIM · SYNTHETIC · HALTED · AlphaTrade"


def test_before_the_engine_runs_the_steps_are_shown():
    steps = (Step(1), Step(2, "Observability", 0.0, "starting", ""), Step(3, "Database", 0.0, "waiting", ""))
    html = rendered(FakePort(now=None, steps=steps, history_error="not connected"))
    assert "STARTING" in html
    assert "Observability" in html
    made = overview.build(facts(view=None, steps=steps))
    assert made.flags["started"] == "no"
    assert [row[2].t for row in made.rows["steps"]] == ["ready", "starting", "waiting"]
    assert made.texts["equity"].t == "–"


@pytest.mark.parametrize(
    ("changes", "expected", "tone"),
    [
        ({}, "open", "good"),
        ({"close_ns": new_york("2013-10-07T13:00")}, "open, half day", "good"),
        ({"is_open_by_broker": False}, "calendar says open, broker says closed", "warn"),
        ({"is_open_by_calendar": False, "is_open_by_broker": False}, "closed", "muted"),
    ],
)
def test_the_market_clock_says_what_both_sources_say(changes, expected, tone):
    made = page(session=msgspec.structs.replace(SESSION, **changes))
    assert made.texts["clock-session"] == overview.Text(expected, tone)


def test_a_closed_market_says_when_it_opens():
    closed = msgspec.structs.replace(SESSION, is_open_by_calendar=False, is_open_by_broker=False)
    assert page(session=closed).texts["clock-next"].t == "opens in 23 h 00 min, Tue 08 Oct 09:30"
    early = msgspec.structs.replace(closed, open_ns=new_york("2013-10-07T11:00"))
    assert page(session=early).texts["clock-next"].t == "opens in 30 min, Mon 07 Oct 11:00"


@pytest.mark.parametrize(("age_s", "tone"), [(0.3, "good"), (30.0, "bad"), (None, "bad")])
def test_old_data_is_red_while_the_market_is_open(age_s, tone):
    assert page(stream_last_message_age_s={"market_data": age_s}).texts["data-age"].k == tone


def test_old_data_is_grey_while_the_market_is_closed():
    closed = msgspec.structs.replace(SESSION, is_open_by_calendar=False)
    made = page(stream_last_message_age_s={"market_data": 9_000.0}, session=closed)
    assert made.texts["data-age"] == overview.Text("2 h 30 min", "muted")


def test_a_reconciliation_that_never_was_is_red():
    assert page(reconciliation_age_s=None).texts["reconciliation"] == overview.Text("–", "bad")


def test_a_latch_that_one_store_misses_is_not_clear():
    shown = page(latches={"latch_file": "CLEAR", "redis": "MISSING"}).texts["kill"]
    assert shown.k == "bad"
    assert "MISSING" in shown.t
    assert "redis" in shown.t


def test_a_position_the_broker_sees_otherwise_is_flagged():
    other = msgspec.structs.replace(POSITION, broker_quantity=Decimal(90))
    row = page(positions=(other,)).rows["positions"][0]
    assert row[1] == overview.Text("100 (broker 90)", "num bad")


@pytest.mark.requirement("R124")
def test_a_position_names_the_books_it_is_in():
    row = page(positions=(POSITION,)).rows["positions"][0]
    assert row[6].t == "momentum 120, mean_reversion −20"


def test_an_unknown_order_is_red():
    unknown = msgspec.structs.replace(ORDER, status="UNKNOWN")
    made = page(open_orders=(unknown,), unknown_orders=1)
    assert made.rows["orders"][0][4] == overview.Text("UNKNOWN", "bad")
    assert made.texts["unknown"] == overview.Text("1", "bad")


def test_a_strategy_that_is_off_says_why():
    off = msgspec.structs.replace(STRATEGY, strategy=StrategyId("x"), is_enabled=False, disabled_reason="3 rejects")
    assert words(page(strategies=(off,)).rows["strategies"]) == [["x", "off", "+$262.00", "3 rejects"]]


def test_a_bar_never_leaves_its_track():
    limit = LimitView(control="P29", name="daily loss", limit="2 %", measured="3 %", usage=1.5)
    assert page(limits=(limit,)).bars["day-loss"] == overview.Bar(1.0, "3 % of 2 %", "bad")


def test_an_account_that_is_not_known_is_a_dash_not_a_zero():
    unknown = msgspec.structs.replace(MONEY, equity_usd=None, day_pnl_usd=None, drawdown_ratio=None)
    made = page(money=unknown, positions=())
    assert [made.texts[name].t for name in ("equity", "day-pnl", "drawdown")] == ["–", "–", "–"]


def test_the_page_as_json_is_one_line_with_the_same_words():
    made = page()
    raw = overview.encode(made)
    assert b"\n" not in raw
    assert json.loads(raw)["texts"]["band"]["t"] == "SIM · SYNTHETIC"


def test_every_place_of_the_template_is_filled_by_the_model():
    html = rendered(FakePort())
    made = overview.build(facts())
    assert set(re.findall(r'data-text="([\w-]+)"', html)) <= set(made.texts)
    assert set(re.findall(r'data-rows="([\w-]+)"', html)) == set(made.rows)
    assert set(re.findall(r'data-bar="([\w-]+)"', html)) == set(made.bars)
    assert set(re.findall(r'data-curve(?:-text)?="(\w+)"', html)) | {"tone"} == set(curve.Curve.__struct_fields__)
    starting = overview.build(facts(view=None))
    assert set(starting.texts) == set(made.texts)
    assert set(starting.rows) == set(made.rows)


# the curve


def test_the_curve_ends_at_the_equity_of_now():
    drawn = curve.draw(equity_points(100, 110, 105), base_usd=Decimal(100), now_ns=NOW, now_usd=Decimal(108))
    assert drawn.line.count(" L") == 3
    assert (drawn.high, drawn.low, drawn.tone) == ("$110.00", "$100.00", "good")
    assert drawn.base.startswith("M0 ")
    assert drawn.first == "Mon 07 Oct 10:27"


def test_a_curve_that_moves_by_cents_is_flat():
    drawn = curve.draw(equity_points(100_000, 100_001), base_usd=None, now_ns=0, now_usd=None)
    heights = [float(point.split()[1]) for point in re.findall(r"[\d.]+ [\d.]+", drawn.line)]
    assert max(heights) - min(heights) < 5


def test_a_new_day_is_marked():
    points = equity_points(1_000, 1_010, step_s=86_400)
    drawn = curve.draw(points, base_usd=None, now_ns=NOW, now_usd=Decimal(1_005))
    assert drawn.days.count("M") == 2


@pytest.mark.parametrize("points", [[], equity_points(100_000)])
def test_a_curve_of_no_or_one_point_breaks_nothing(points):
    drawn = curve.draw(points, base_usd=None, now_ns=0, now_usd=None)
    assert bool(drawn.line) == bool(points)


def test_every_point_lies_in_the_box():
    drawn = curve.draw(
        equity_points(*range(90_000, 110_000, 200)), base_usd=Decimal(80_000), now_ns=NOW, now_usd=Decimal(120_000)
    )
    for x, y in (map(float, point.split()) for point in re.findall(r"[\d.]+ [\d.]+", drawn.line)):
        assert 0 <= x <= curve.WIDTH
        assert 0 <= y <= curve.HEIGHT


# gathering


def test_readers_that_come_together_share_one_gathering():
    async def scenario() -> FakePort:
        port = FakePort()
        source = OverviewSource(port, EventHub(), monotonic_s=lambda: 100.0)
        for _ in range(5):
            await source.page()
        return port

    assert len(run_virtual(scenario()).asked_decisions) == 1


def test_a_database_that_is_away_leaves_the_last_history_and_a_note():
    async def scenario() -> overview.Overview:
        port = FakePort()
        now_s = [100.0]
        source = OverviewSource(port, EventHub(), monotonic_s=lambda: now_s[0])
        await source.page()
        port.history_error = "connection refused"
        now_s[0] += 10
        return await source.page()

    made = run_virtual(scenario())
    assert made.rows["decisions"][0][1].t == "SPY"
    assert "connection refused" in made.texts["history-note"].t


def test_a_new_decision_is_shown_at_the_next_gathering():
    async def scenario() -> int:
        port, hub = FakePort(), EventHub()
        now_s = [100.0]
        source = OverviewSource(port, hub, monotonic_s=lambda: now_s[0])
        await source.page()
        hub.publish_record(DECISION)
        now_s[0] += 1
        await source.page()
        return len(port.asked_decisions)

    assert run_virtual(scenario()) == 2


def test_a_view_of_the_future_shows_no_negative_age():
    young = msgspec.structs.replace(ORDER, created_ns=Nanos(NOW + 3 * SECOND))
    assert page(open_orders=(young,)).rows["orders"][0][6].t == "0.0 s"
