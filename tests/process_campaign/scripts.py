"""How each failpoint is reached. Decides what happens to a daemon so that it comes by the named place and dies."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace

from quant_trading_system.core.failpoints import NAMES
from tests.process_campaign import judges
from tests.process_campaign.runs import Chain, Run
from tests.process_campaign.stage import command, signal_group, status, wait_ended, wait_stopped, wait_until
from tests.support.daemon_process import DaemonProcess

REACHED_SECONDS_MAX = 8.0  # two renewals of the lease; orders come several a second
STOP_SECONDS_MAX = 14.0
START_SECONDS_MAX = 30.0
LATCH_SECONDS_MAX = 8.0
RESET_SECONDS_MAX = 40.0  # a reset asks for a reconciliation that found nothing

Script = Callable[[Chain, Run], None]

OFTEN = frozenset(
    {
        "engine_loop.before_effects",
        "gateway.before_intent_commit",
        "gateway.after_intent_commit",
        "gateway.before_check",
        "gateway.before_bytes",
        "http.after_bytes",
        "gateway.before_answer",
        "gateway.after_answer",
        "intents.before_transaction",
        "intents.inside_transaction",
        "intents.after_transaction",
        "writer.before_batch",
        "writer.inside_batch",
        "writer.after_batch",
        "trade_stream.update_told",
    }
)
"""Reached many times a second while it trades: which time it is, is drawn."""


def run_failpoint(chain: Chain, run: Run) -> None:
    """Bring a daemon to the failpoint `run.subject`, let it die there, and judge."""
    SCRIPTS[run.subject](chain, run)


def while_trading(chain: Chain, run: Run) -> None:
    """At its start, or while it trades by itself."""
    hit = run.rng.randint(1, 4) if run.subject in OFTEN else 1
    daemon = chain.begin(run, f"{run.subject}:{hit}")
    finish(chain, run, daemon, REACHED_SECONDS_MAX)


def by_a_stop(chain: Chain, run: Run) -> None:
    """On the way down, with orders under way."""
    daemon = chain.begin(run, run.subject)
    time.sleep(run.rng.uniform(0.2, 1.2))
    if run.subject.startswith("performers."):
        wait_until(lambda: chain.stage.ledger().open_orders > 0, REACHED_SECONDS_MAX)
    signal_group(daemon, signal.SIGTERM)
    finish(chain, run, daemon, STOP_SECONDS_MAX)


def with_faults(*faults: dict[str, object]) -> Script:
    """While it trades and the exchange misbehaves."""

    def script(chain: Chain, run: Run) -> None:
        exchange = chain.stage.exchange
        exchange.post("faults", {"faults": list(faults), "seed": run.seed})
        daemon = chain.begin(run, run.subject)
        wait_ended(daemon, REACHED_SECONDS_MAX)
        exchange.post("faults", {"faults": [], "seed": run.seed})
        finish(chain, run, daemon, 0.0)

    return script


def after_failures(first: str) -> Script:
    """While it trades, after another failpoint raised an error."""

    def script(chain: Chain, run: Run) -> None:
        daemon = chain.begin(run, f"{first}:{run.rng.randint(1, 3)}=error,{run.subject}")
        finish(chain, run, daemon, REACHED_SECONDS_MAX)

    return script


def without_an_exchange(chain: Chain, run: Run) -> None:
    """The exchange dies between the commit of an intent and its first byte: nobody listens, and it is tried again."""
    daemon = chain.begin(run, f"intents.after_transaction:{run.rng.randint(1, 3)}=stop,{run.subject}")
    if wait_stopped(daemon, REACHED_SECONDS_MAX):
        chain.stage.exchange.kill()
        signal_group(daemon, signal.SIGCONT)
        wait_ended(daemon, REACHED_SECONDS_MAX)
        chain.stage.restart_exchange()
    finish(chain, run, daemon, 0.0)


def by_losing_the_lease(chain: Chain, run: Run) -> None:
    """PostgreSQL ends the session that carries the lock."""
    daemon = chain.begin(run, run.subject)
    chain.stage.end_lease_session()
    finish(chain, run, daemon, REACHED_SECONDS_MAX)


HITS_BY_THEN = {
    "latch_file.before_fsync": 3,
    "latch_file.before_rename": 2,
    "latch_file.after_rename": 2,
    "latch_file.before_new_spare": 2,
}
"""The file is written when the database is made, once and once more for its spare; then comes the kill."""


def by_a_kill(chain: Chain, run: Run) -> None:
    """The kill latch is engaged while it trades; whatever was written of it by then holds after the death."""
    hit = run.rng.choice((1, HITS_BY_THEN.get(run.subject, 1)))
    daemon = chain.begin(run, f"{run.subject}:{hit}")
    if daemon.popen.poll() is not None:  # the file that is born with the database
        finish(chain, run, daemon, 0.0)
        return
    time.sleep(run.rng.uniform(0.0, 0.6))
    engage(daemon, run)
    finish(chain, run, daemon, LATCH_SECONDS_MAX)
    (chain.stage.state / "KILL").unlink(missing_ok=True)
    copies = (chain.stage.latch_file(), chain.stage.rows().latch)
    if run.subject.endswith(("after_file", "after_row", "after_mirror")) and "ENGAGED" not in copies:
        run.violations.append(f"kill: the copies say {copies} after {run.subject}")
    recover_from_kill(chain, run, must_be_engaged=copies != ("CLEAR", "CLEAR"))


def by_a_reset(chain: Chain, run: Run) -> None:
    """The latch is cleared; a death in between leaves it engaged."""
    daemon = chain.begin(run, run.subject)
    engage(daemon, run)
    wait_until(lambda: status(daemon).get("trading_state") == "HALTED", LATCH_SECONDS_MAX)
    give_up_s = time.monotonic() + RESET_SECONDS_MAX
    while daemon.popen.poll() is None and time.monotonic() < give_up_s:
        command(daemon, "reset")
        wait_ended(daemon, 0.5)
    finish(chain, run, daemon, 0.0)
    copies = (chain.stage.latch_file(), chain.stage.rows().latch)
    recover_from_kill(chain, run, must_be_engaged=copies != ("CLEAR", "CLEAR"))


def in_a_new_life(with_schema: bool) -> Script:
    """At the very first start on a database, and then again on what that left behind."""

    def script(chain: Chain, run: Run) -> None:
        stage = chain.stage
        if stage.ledger().orders:  # the last one traded before it was killed
            stage.empty_exchange()
        stage.begin_anew(stage.servers.new_database() if with_schema else stage.servers.empty_database())
        daemon = chain.begin(run, run.subject)
        finish(chain, run, daemon, 0.0)
        again = Run(kind=run.kind, subject=run.subject, seed=run.seed)
        second = chain.begin(again)
        run.violations += again.violations
        second.kill()

    return script


def after_a_restore(chain: Chain, run: Run) -> None:
    """On a backup that is older than what the state directory knows: ids are never repeated, and the books agree."""
    stage = chain.stage
    trade_and_die(chain, run)
    backup = stage.back_up()
    trade_and_die(chain, run)
    stage.dsn = backup
    before = {order.broker_order_id for order in stage.ledger().orders}
    dying = stage.start(run.subject)
    run.reached = wait_ended(dying, START_SECONDS_MAX) == -signal.SIGKILL
    dying.end()
    again = Run(kind=run.kind, subject=run.subject, seed=run.seed)
    recovered = chain.begin(again)
    time.sleep(1.0)
    ledger, rows = stage.ledger(), stage.rows()
    later = replace(ledger, orders=tuple(each for each in ledger.orders if each.broker_order_id not in before))
    run.violations += [*again.violations, *judges.find_duplicates(ledger), *judges.find_unstored(later, rows)]
    run.violations += chain.judge_quiet(recovered)
    recovered.kill()
    chain.over.append(run)


def trade_and_die(chain: Chain, run: Run) -> None:
    daemon = chain.begin(run)
    wait_until(lambda: chain.stage.ledger().executed != {}, REACHED_SECONDS_MAX, 0.1)
    time.sleep(run.rng.uniform(0.3, 1.0))
    daemon.kill()


def finish(chain: Chain, run: Run, daemon: DaemonProcess, seconds_max: float) -> None:
    """Wait for the death at the failpoint; who does not come by is killed, and the run does not count as reached."""
    code = wait_ended(daemon, seconds_max)
    run.reached = code == -signal.SIGKILL
    if code is None:
        said = status(daemon)
        run.note = f"not reached: {said.get('trading_state')} {[cause['cause'] for cause in said.get('causes', ())]}"
        daemon.kill()
    elif code != -signal.SIGKILL:
        run.note = run.note or f"ended with {code}"
    chain.end(run)


def engage(daemon: DaemonProcess, run: Run) -> None:
    """By the interface, or by touching the file."""
    if run.rng.random() < 0.5:
        (daemon.state_dir / "KILL").touch()
    else:
        command(daemon, "kill")


def recover_from_kill(chain: Chain, run: Run, *, must_be_engaged: bool) -> None:
    """The next daemon still is killed where any copy says so."""
    again = Run(kind=run.kind, subject=run.subject, seed=run.seed)
    daemon = chain.begin(again)
    run.violations += again.violations
    causes = {cause["cause"] for cause in status(daemon).get("causes", [])}
    if must_be_engaged and "kill" not in causes:
        run.violations.append(f"kill: engaged before the death, and the next daemon has causes {sorted(causes)}")
    daemon.kill()


REFUSAL = {"kind": "error_403", "where": "POST /v2/orders", "code": 40310000, "message": "insufficient buying power"}
LOST = {"kind": "accept_then_drop", "where": "POST /v2/orders", "probability": 0.5}
ENGAGING = tuple(
    name for name in NAMES if name.startswith(("latch.engage.", "latch_file.")) or name.endswith("_cancel_all")
)
CLEARING = tuple(name for name in NAMES if name.startswith("latch.clear."))
LATCHING = ENGAGING + CLEARING
RENEWING = tuple(name for name in NAMES if name.startswith("instance.") and "_renew" in name)
SPECIAL: dict[str, Script] = {
    **{name: by_a_stop for name in NAMES if name.startswith("stop.") or name.endswith(".left")},
    "lease.before_release": by_a_stop,
    "performers.before_cancel": by_a_stop,
    "performers.after_cancel": by_a_stop,
    "performers.before_ask": with_faults(LOST),
    "performers.after_ask": with_faults(LOST),
    "gateway.before_doubt": with_faults(LOST),
    "gateway.before_refusal": with_faults(REFUSAL),
    "gateway.dropped": after_failures("intents.inside_transaction"),
    "intents.before_read_back": after_failures("intents.inside_transaction"),
    "gateway.before_retry": without_an_exchange,
    "lease.dropped": by_losing_the_lease,
    **dict.fromkeys(ENGAGING, by_a_kill),
    **dict.fromkeys(CLEARING, by_a_reset),
    **{name: in_a_new_life(with_schema=False) for name in NAMES if name.startswith("migration.")},
    **{name: in_a_new_life(with_schema=True) for name in NAMES if name.startswith("instance.")},
    **dict.fromkeys(RENEWING, after_a_restore),
}
SCRIPTS: dict[str, Script] = {name: SPECIAL.get(name, while_trading) for name in NAMES}
FIRST_STARTS = tuple(name for name in NAMES if name.startswith(("migration.", "instance.")) and name not in RENEWING)
