"""The fault kinds of the simulation: rows of the fault matrix, how long each lasts, what it may be told.

Decides nothing: `plan` draws from this table, `world` plays it. A kind acts from `at_s` for `for_s` seconds of market
time, or once where it has no duration. What a parameter means stands in the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from quant_trading_system.core.failpoints import NAMES

Value = float | str


class Span(Struct, frozen=True):
    """A number between two bounds; `is_log`: as often small as large."""

    low: float
    high: float
    is_log: bool = False


class Choice(Struct, frozen=True):
    """One of these."""

    values: tuple[Value, ...]


Parameter = Span | Choice


class Kind(Struct, frozen=True, kw_only=True):
    """One row. `rows` are ids of the fault matrix; `seconds` is how long it lasts, None where it happens once."""

    name: str
    rows: tuple[str, ...]
    text: str
    seconds: Span | None = None
    times_max: int = 2
    parameters: Mapping[str, Parameter] = MappingProxyType({})
    weight: float = 1.0
    """Times as likely as others: what seldom finds its occasion is planned more often."""
    ends_life: bool = False
    """The daemon's process ends by it (and comes back): at most a few of them in one seed."""


def _kind(
    rows: str,
    name: str,
    text: str,
    seconds: Span | None = None,
    *,
    times_max: int = 2,
    weight: float = 1.0,
    ends_life: bool = False,
    **parameters: Parameter,
) -> Kind:
    return Kind(
        name=name,
        rows=tuple(rows.split()),
        text=text,
        seconds=seconds,
        times_max=times_max,
        parameters=MappingProxyType(parameters),
        weight=weight,
        ends_life=ends_life,
    )


BRIEF = Span(3, 60, is_log=True)
SHORT = Span(4, 60, is_log=True)
LONG = Span(10, 300, is_log=True)
OUTAGE = Span(4, 60, is_log=True)
"""While something is away nothing trades, and in a seed of many faults something always is: none is away for long."""
DOWN = Span(0.5, 25, is_log=True)
POSTS = Span(60, 400, is_log=True)
"""An order leaves every minute or two: what befalls orders lasts until one does."""
TURNED_AWAY = Span(50, 240, is_log=True)
"""No order gets through meanwhile, and nothing else befalls one."""
CANCELS = Span(120, 700, is_log=True)
"""A cancel is seldomer still, though orders rest meanwhile."""
AFTER_OPEN = Span(330, 400)
"""Entries are allowed from five minutes after the open; only then is a night over."""
BETWEEN = ("before_commit", "after_commit")
"""Just before the next order's intent is committed, and between that and its bytes."""
MOSTLY = Span(0.5, 1.0)
OFTEN = Span(0.2, 1.0)
SOMETIMES = Span(0.05, 0.6)
LOST_HOW = Choice(("timeout", "reset", "502", "503", "504"))
LIVE_WORDS = (
    "accepted", "pending_new", "accepted_for_bidding", "pending_review", "held", "stopped", "suspended", "calculated",
    "done_for_day", "pending_cancel", "pending_replace", "new",
)  # fmt: skip
UNKNOWN_WORDS = ("a_word_nobody_knows",) * 8
"""Words that say an order may live. A final word that is not so has no anchor: a broker that says it is believed."""
NOT_HERE: Mapping[str, str] = MappingProxyType(
    {
        "migration": "a simulated database is made at head; processes crash there (make simulate-process)",
        "step.configuration": "the simulated daemon has no files to read settings from; processes crash there",
        "step.observability": "logs and metrics are silent here; processes crash there",
        "step.market_data": "the feed is told, not dialled; processes crash there",
        "tape": "recovery never needs the tape, and the world keeps a hash instead; processes crash there",
    }
)
"""Failpoints that the simulated daemon does not pass, by the beginning of their names, and why."""
POINTS = tuple(name for name in NAMES if not name.startswith(tuple(NOT_HERE)))
REFUSALS = (
    "403 40310000 insufficient buying power",
    "403 40310000 potential wash trade detected. use complex orders",
    "403 40310000 account not eligible to trade uncovered option contracts",
    "403 40310010 asset is halted",
    "403 40310100 trade denied due to pattern day trading protection",
    "403 - forbidden.",
    "422 42210000 asset is not tradable",
    "422 40010001 qty must be > 0",
    "422 42210000 invalid limit_price 1.005. sub-penny increment does not fulfill minimum pricing criteria",
    "404 40410000 asset not found",
    "400 40010000 request body format is invalid",
    "400 40010001 missing required field",
    "401 40110000 request is not authorized",
)
UNKNOWN_REFUSALS = ("403 49999999 a code nobody knows", "409 - conflict", "418 - ", "422 42299999 odd", "451 - legal")

KINDS: tuple[Kind, ...] = (
    # A. submitting
    _kind("A1", "post_refused", "POST orders: the connection is refused, no byte leaves", TURNED_AWAY,
          probability=OFTEN, weight=2.2),
    _kind("A2", "post_answer_lost", "POST orders: carried out, and the answer is lost in this way", POSTS,
          probability=OFTEN, how=Choice(("timeout", "reset", "502", "503", "504", "truncated", "empty", "html")),
          weight=2),
    _kind("A3", "post_lost", "POST orders: its bytes leave and never arrive; the daemon sees this", TURNED_AWAY,
          probability=OFTEN, how=LOST_HOW, weight=2.9),
    _kind("A4", "post_delayed", "POST orders: cut at once, carried out delay_s later", TURNED_AWAY, probability=OFTEN,
          delay_s=Span(2, 50, is_log=True), how=LOST_HOW, weight=2.8),
    _kind("A5 A8", "post_answer_slow", "POST orders: carried out at once, answered delay_s later, behind the stream",
          POSTS, probability=OFTEN, delay_s=Span(0.5, 30, is_log=True), weight=2.5),
    _kind("A6", "order_mute", "the next order is taken, its answer lost, and nothing tells of it until the end: asked"
          " for by its id the broker is silent, or (404, for a part of the quarantine at most) says that it has none",
          POSTS, times_max=3, lookup=Choice(("timeout", "404")), weight=2.8),
    _kind("A7", "duplicate_unshown", "POST orders: arrives twice, the second answer (422 must be unique) is given, and"
          " the order is shown by nothing until the end", POSTS, times_max=3, weight=2.8),
    _kind("A9", "post_rejected", "POST orders: refused with this status, code and message", TURNED_AWAY, times_max=3,
          probability=OFTEN, refusal=Choice(REFUSALS), weight=2.8),
    _kind("A9", "post_unknown_refusal", "POST orders: refused with a status or code that nobody knows; carried_out: 1"
          " where the order was taken all the same", TURNED_AWAY, probability=OFTEN, refusal=Choice(UNKNOWN_REFUSALS),
          carried_out=Choice((0.0, 1.0)), weight=3),
    _kind("A10", "rate_limited", "REST: 429, with the X-RateLimit headers or without", BRIEF, probability=OFTEN,
          headers=Choice((0.0, 1.0))),
    _kind("A11", "strategy_nonsense", "a strategy's signal holds NaN, infinity, -0.0, 1e-9 or 1e12", SHORT,
          how=Choice(("nan", "infinity", "minus_zero", "tiny", "huge")), weight=2),
    _kind("A12", "rejected_thrice", "POST orders of one symbol: the same refusal every time", TURNED_AWAY,
          refusal=Choice(REFUSALS), weight=3.6),
    _kind("A13", "wrong_echo", "POST orders: taken as asked, the answer says another symbol, side, qty, id or price;"
          " more: 1 where the broker really takes more shares than were asked for", POSTS, probability=OFTEN,
          field=Choice(("symbol", "side", "qty", "client_order_id", "limit_price")), more=Choice((0.0, 0.0, 1.0)),
          weight=2.4),
    _kind("A14", "odd_status", "an order's status word is this one until the end; when: in the answer to its POST and"
          " from then on, while it works, or while its cancel is under way; part: 1 where a part fills first", POSTS,
          probability=MOSTLY, status=Choice((*LIVE_WORDS, *UNKNOWN_WORDS)), delay_s=Span(0.4, 8, is_log=True),
          when=Choice(("answer", "answer", "working", "working", "canceling")), part=Choice((0.0, 1.0)), weight=2.6),
    _kind("A14 B2", "broker_ends", "the venue, or the owner in the app, ends an order of ours; when: before the answer"
          " to its POST and every frame, the same with that answer lost, while it works, while its cancel is under way;"
          " part: 1 where a part fills first; then: the broker takes that back, and it fills or lives on after all",
          POSTS, probability=MOSTLY,
          when=Choice(("first_word", "first_word", "unanswered", "working", "working", "canceling")),
          part=Choice((0.0, 1.0)), word=Choice(("canceled", "expired", "expired", "rejected", "rejected", "owner")),
          then=Choice(("", "", "fill", "fill", "live", "part", "replaced", "replaced")),
          delay_s=Span(0.4, 8, is_log=True), weight=5),
    _kind("A14", "rejected_late", "POST orders: answered with 200, and the order is rejected delay_s later; silent: 1"
          " where no frame tells of it", POSTS, probability=OFTEN, delay_s=Span(0.01, 20, is_log=True),
          silent=Choice((0.0, 0.0, 1.0)), weight=2.4),
    # B. the life of an order
    _kind("B1", "fill_races_cancel", "when a cancel arrives the order fills first; the answer is 422 or 404", CANCELS,
          status=Choice(("422", "404")), weight=1.8),
    _kind("B2", "partial_races_cancel", "when a cancel arrives a part fills first, and the frame of the fill comes"
          " behind that of the cancel", CANCELS, delay_s=Span(0.2, 20, is_log=True), weight=2.2),
    _kind("B3", "partial_fills", "orders fill in parts with this probability", POSTS, probability=SOMETIMES),
    _kind("B4", "cancel_stuck", "cancels are answered 204 and the orders stay pending_cancel", CANCELS, weight=1.7),
    _kind("B4", "cancel_fails", "DELETE orders: an error, carried out or not; DELETE of all: 207 with mixed results",
          CANCELS, probability=OFTEN, status=Choice(("500", "429", "504", "timeout", "422", "refused", "refused")),
          carried_out=Choice((0.0, 1.0)), weight=1.7),
    _kind("B5", "replaced_outside", "the owner replaces an order of ours in the app, this often in a row; when: as soon"
          " as one lives, before the answer to its POST and every frame, the same with that answer lost, while it"
          " works; how: it is done after delay_s, or the venue refuses, or the order ends before; then: the old one"
          " fills after all", POSTS, times=Choice((1.0, 2.0, 3.0)), probability=MOSTLY, part=Choice((0.0, 1.0)),
          when=Choice(("now", "first_word", "first_word", "unanswered", "working", "working")),
          delay_s=Span(0.4, 8, is_log=True),
          how=Choice(("done", "done", "done", "done", "refused", "filled", "canceled", "expired", "rejected", "owner",
                      "odd")), then=Choice(("", "fill")), weight=4.5),
    _kind("B6", "cancel_slow", "a cancel takes delay_s at the venue, so that shares stay held for orders", CANCELS,
          delay_s=Span(1, 20, is_log=True), weight=2),
    _kind("B7", "leg_fills_during_cancel", "when a leg or its parent is cancelled, a leg fills first (both: 1)",
          CANCELS, both=Choice((0.0, 1.0)), weight=9),
    # C. fills, stream, reconciliation
    _kind("C1", "frames_dropped", "trade_updates: frames are lost, the stream is healthy", LONG, probability=SOMETIMES,
          weight=1.8),
    _kind("C2 D1", "stream_mute", "trade_updates: connections stay open and say nothing until the end",
          Span(8, 120, is_log=True), weight=0.7),
    _kind("C2", "stream_cut", "trade_updates: cut, and no new connection until the end", OUTAGE, weight=1.2),
    _kind("C3", "frames_doubled", "trade_updates: frames come twice", LONG, probability=SOMETIMES, weight=2.2),
    _kind("C3", "frames_reordered", "trade_updates: a frame is sent behind the next one", LONG, probability=OFTEN,
          weight=1.8),
    _kind("C3", "frames_replayed", "trade_updates: after a frame the last three come again", LONG,
          probability=SOMETIMES, weight=2),
    _kind("C4", "frame_overfilled", "trade_updates: cumulative quantity goes back, or beyond the order's (how)", LONG,
          probability=OFTEN, how=Choice(("back", "beyond")), weight=4),
    _kind("C5", "frames_delayed", "trade_updates: a frame comes delay_s later, behind reconciliation", LONG,
          probability=SOMETIMES, delay_s=Span(1, 60, is_log=True), weight=2),
    _kind("C6", "position_appears", "the broker holds shares that no execution explains: qty more of a symbol",
          qty=Choice((1.0, 7.0, 100.0)), symbol=Choice((0.0, 1.0, 2.0)), weight=1.1),
    _kind("C7", "position_vanishes", "the broker's position changes without an execution: to flat, less, or another"
          " sign", how=Choice(("flat", "less", "sign")), weight=2.2),
    _kind("C8", "read_fails", "GET: an error or no answer", OUTAGE, probability=OFTEN,
          how=Choice(("500", "timeout", "502", "truncated", "reset"))),
    _kind("C8", "read_empty", "GET of a list: 200 and no rows", SHORT, probability=SOMETIMES,
          what=Choice(("orders", "positions", "activities", "all")), weight=1.7),
    _kind("C8", "read_partial", "GET of a list: the second half is missing", SHORT, probability=SOMETIMES,
          what=Choice(("orders", "positions", "activities", "all")), weight=1.4),
    _kind("C8", "read_stale", "GET: answered as it was when the fault began", SHORT, probability=OFTEN,
          what=Choice(("orders", "positions", "account", "activities", "all"))),
    _kind("C9", "fill_mid_pass", "an open order of ours fills between two reads of one pass", POSTS,
          before=Choice(("positions", "account", "activities", "orders")), weight=5.5),
    _kind("C10", "read_slow", "GET: answered after delay_s", SHORT, probability=OFTEN,
          delay_s=Span(0.5, 8, is_log=True), weight=1.1),
    _kind("C11", "external_order", "the owner trades in the app", side=Choice(("buy", "sell")),
          qty=Choice((1.0, 3.0, 50.0)), form=Choice(("market", "resting")), symbol=Choice((0.0, 1.0, 2.0))),
    _kind("C12", "bust", "an execution of ours is taken back; when: at once, or as soon as an order waits for its next"
          " try", when=Choice(("now", "now", "before_retry")), times_max=3, weight=4.5),
    _kind("C12", "correct", "an execution of ours turns out to be of another price or quantity",
          how=Choice(("price", "qty")), times_max=3, weight=3.2),
    _kind("C12", "unknown_event", "trade_updates: a frame has an event name that nobody knows", LONG,
          probability=SOMETIMES, weight=1.7),
    _kind("C13", "many_orders", "the owner's app holds this many open orders until the end, and pages of activities",
          Span(20, 60), times_max=1, orders=Span(20, 60, is_log=True), weight=0.9),
    # D. market data, corporate actions
    _kind("D1", "feed_mute", "market data: the socket stays open and says nothing", OUTAGE),
    _kind("D3", "bad_quotes", "market data: quotes are of this kind", SHORT, probability=SOMETIMES,
          how=Choice(("stale", "crossed", "locked", "zero", "negative", "tenfold")), weight=1.7),
    _kind("D5", "halt", "a symbol is halted until the end", LONG, symbol=Choice((0.0, 1.0, 2.0))),
    _kind("D9 D10", "split", "over a night a symbol splits in this ratio (new for old); the venue's clock jumps to the"
          " next open", AFTER_OPEN, times_max=1,
          ratio=Choice(("2:1", "3:1", "7:1", "3:2", "50:1", "1:2", "1:10", "1:7")), symbol=Choice((0.0, 1.0, 2.0)),
          weight=1.4),
    _kind("D12", "cash_flow", "cash moves without a trade: dividend, fee, interest, deposit, withdrawal",
          how=Choice(("dividend", "fee", "interest", "deposit", "withdrawal")),
          amount_usd=Span(0.01, 900, is_log=True)),
    # E. limits, guards, kill
    _kind("E1 E3", "decisions_at_once", "strategies change their minds on every bar, all of them in one step", LONG),
    _kind("E7", "price_shock", "the price of every symbol moves by this fraction", fraction=Choice(
        (-0.3, -0.12, -0.06, -0.03, -0.015, 0.03)), times_max=1, weight=1.1),
    _kind("E8", "control_fails", "one control raises, answers nonsense or is without its input", SHORT,
          rule=Span(0, 1), how=Choice(("raises", "nonsense", "missing")), weight=2.4),
    _kind("E9 E10", "kill", "the kill switch is engaged; reset_after_s: a person resets then (0: nobody)",
          times_max=1, by=Choice(("operator", "file", "between_check_and_write", "between_commit_and_check")),
          reset_after_s=Choice((0.0, 3.0, 3.0, 15.0))),
    _kind("E10", "operator", "a person pauses until the end, with the entries cancelled or not, or cancels all",
          SHORT, command=Choice(("pause", "pause-cancel", "cancel-all")), weight=1.3),
    _kind("E11", "kill_then_crash", "kill, then the process dies while Redis is wiped and the database is down for a"
          " while; a person resets reset_after_s after the restart (0: nobody)", times_max=1, ends_life=True,
          down_s=DOWN, reset_after_s=Choice((0.0, 3.0, 3.0, 15.0)), weight=2.6),
    # F. death and stores
    _kind("F1", "crash", "the process dies and is started again after down_s", times_max=3, ends_life=True,
          down_s=DOWN, weight=1.1),
    _kind("F2", "crash_at_failpoint", "the process dies where it passes a failpoint for the hit-th time from here on;"
          " soon after `point`'s occasion is brought about", times_max=3, ends_life=True, point=Choice(POINTS),
          hit=Choice((1.0, 1.0, 2.0, 5.0)), down_s=DOWN, weight=1.5),
    _kind("F3", "crash_in_recovery", "the process dies, and again `depth` times while it recovers", times_max=1,
          ends_life=True, depth=Choice((1.0, 2.0, 3.0, 5.0)), after_s=Span(0.005, 2, is_log=True), weight=1.6),
    _kind("F4", "commit_lost", "database: the answer to a COMMIT is lost; done: 1 where it was carried out", LONG,
          probability=SOMETIMES, done=Choice((0.0, 1.0)), weight=0.8),
    _kind("F5", "database_down", "database: connections break and none is granted until the end", OUTAGE),
    _kind("F5", "database_emptied", "the process dies, and starts on an empty database (exit 7 expected); the real one"
          " is back after down_s", times_max=1, ends_life=True, down_s=Span(5, 25), weight=2.2),
    _kind("F13", "database_restored", "the process dies, and starts on the database of age_s before; mark: 1 where the"
          " state directory still knows how far that had come", times_max=1, ends_life=True, weight=2,
          age_s=Span(1, 200, is_log=True), mark=Choice((1.0, 1.0, 0.0)), down_s=DOWN),
    _kind("F7", "redis_down", "Redis: no connection", OUTAGE, weight=1.1),
    _kind("F7", "redis_flushed", "Redis: everything is gone; when: at once, or the latch's reading ends before a write",
          when=Choice(("now", "now", "after_commit")), weight=1.3),
    _kind("F7", "redis_restored", "Redis: an older state is back, or keys have wrong types",
          how=Choice(("old", "types"))),
    _kind("F7", "redis_slow", "Redis: answers take delay_s", SHORT, delay_s=Span(0.2, 10, is_log=True)),
    _kind("F8", "disk_full", "files: no space left", SHORT),
    _kind("F10", "latch_torn", "the process dies while the latch file is written: of its bytes this part is kept",
          times_max=1, ends_life=True, keep=Span(0, 1), down_s=DOWN, weight=2.8),
    _kind("F11", "statement_fails", "database: a statement fails in this way", SHORT, probability=SOMETIMES,
          how=Choice(("serialization", "deadlock", "timeout", "pool")), weight=1.1),
    _kind("F11", "database_slow", "database: answers take delay_s", SHORT, delay_s=Span(0.02, 3, is_log=True)),
    # G. network and login
    _kind("G1", "blackhole", "nothing passes between daemon and broker, and nobody says so; half: one way only", OUTAGE,
          half=Choice(("both", "to_broker", "from_broker")), weight=1.1),
    _kind("G2", "connect_refused", "streams: cut, and every handshake is refused with 429 or 406", OUTAGE,
          status=Choice(("429", "406")), weight=1.3),
    _kind("G5", "login_refused", "REST: 401 or 403 for every call", OUTAGE, status=Choice(("401", "403"))),
    _kind("G6", "rest_down", "REST: refused, while both streams live", OUTAGE, weight=1.1),
    _kind("G7", "swizzle", "links stop one by one and heal in another order: REST, trade_updates, market data,"
          " database, Redis", Span(20, 80), order=Span(0, 1)),
    # H. clock and runtime
    _kind("H1", "wall_jump", "the wall clock jumps, and back at the end; monotonic and venue time do not", LONG,
          jump_s=Choice((3600.0, -3600.0, 172800.0, -172800.0, 2.0, -2.0))),
    _kind("H1", "date_skew", "the broker's Date header is off by skew_s", LONG,
          skew_s=Choice((-90.0, -1.5, 1.5, 90.0)), weight=0.8),
    _kind("H2", "suspend", "the process stands still and goes on, as with SIGSTOP and SIGCONT; when: at once, or while"
          " an order leaves", Span(2, 60, is_log=True), when=Choice(("now", "now", *BETWEEN)), weight=1.7),
    _kind("H3", "task_dies", "a supervised task raises, or ends; task is the part of the list of names",
          task=Span(0, 1), how=Choice(("raises", "returns", "cancelled")), weight=1.4),
    _kind("H5", "cancelled_at_await", "the order path's task is cancelled at one of its awaits and started again",
          hit=Span(1, 30, is_log=True), weight=5),
    _kind("H7", "sigterm", "an ordered stop, and a start after down_s", times_max=1, ends_life=True,
          down_s=DOWN, weight=1.4),
    # K. a second daemon
    _kind("K1 F5", "second_daemon", "another daemon starts on the same account, with our database or an empty one"
          " of its own (own), and must refuse", SHORT, times_max=1, own=Choice((0.0, 1.0)), weight=1.6),
    _kind("K2", "lease_lost", "the connection that holds the lease breaks, or another holder takes the lease (how), of"
          " which the first learns at its next renewal (unnoticed)", how=Choice(("connection", "taken", "unnoticed"))),
    _kind("K2", "takeover", "the process is suspended beyond the lease, a standby takes over, the first goes on; when:"
          " at once, or while an order leaves", times_max=1, ends_life=True, frozen_s=Span(17, 30),
          when=Choice(("now", "now", *BETWEEN)), weight=3.0),
)  # fmt: skip

BY_NAME: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in KINDS})
