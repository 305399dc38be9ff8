"""What one run is, and the chain that judges it: after the death, and again once the next daemon is READY."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.process_campaign import judges
from tests.process_campaign.books import Ledger
from tests.process_campaign.stage import Stage, command, status, wait_ended, wait_ready, wait_until
from tests.support.daemon_process import DaemonProcess

BOOKED_SECONDS_MAX = 20.0  # a reconciliation and what is written behind it
ACTIVE_SECONDS_MAX = 10.0
QUIET_SECONDS_MAX = 40.0
ORDERED_STOP_SECONDS_MAX = 10.0  # fault H7
BACK_SECONDS_MAX = 40.0
REFUSED = 7
TEMPORARY = 75


@dataclass(slots=True, kw_only=True)
class Run:
    """One entry of the totals. `subject`: the failpoint or variant of the kind."""

    kind: str
    subject: str
    seed: int
    reached: bool = True
    in_flight: bool = False
    is_trading: bool = False
    """Whether the daemon had come so far that it could trade when it died."""
    ready_s: float | None = None
    active_s: float | None = None
    took_s: float = 0.0
    note: str = ""
    violations: list[str] = field(default_factory=list)

    @property
    def rng(self) -> random.Random:
        return random.Random(f"{self.kind}/{self.subject}/{self.seed}")


class Chain:
    """The runs on one stage. A run is begun on a daemon, ended with its death, and over with the next READY."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.waiting: list[Run] = []
        self.over: list[Run] = []

    def begin(self, run: Run, failpoint: str = "", *, state: Path | None = None) -> DaemonProcess:
        """Start a daemon; where it comes up, the runs that wait for a recovery are judged by it."""
        began_s = time.monotonic()
        daemon = self.stage.start(failpoint, state=state)
        self.await_recovery(run, daemon, began_s)
        return daemon

    def await_recovery(self, run: Run, daemon: DaemonProcess, began_s: float) -> None:
        ready_s = wait_ready(daemon, began_s)
        if ready_s is None:
            if daemon.popen.returncode != -9 and not run.note:
                run.note = f"ended with {daemon.popen.returncode} during the start"
                if daemon.popen.returncode not in (0,):
                    run.violations.append(f"start: {run.note}: {daemon.output[-600:]}")
            return
        run.is_trading = True
        active_s = self._active_s(daemon, began_s, ready_s)
        for waiting in self.waiting:
            waiting.ready_s, waiting.active_s = ready_s, active_s
        if self.waiting:
            self.waiting[-1].violations += self.judge_recovered(daemon)
            self.over += self.waiting
            self.waiting = []

    def end(self, run: Run) -> None:
        """Judge at once what must hold at any moment: the daemon is dead, the exchange goes on."""
        rows_before = self.stage.rows()
        ledger = self.stage.ledger()
        rows = self.stage.rows()
        unsent = rows.intents.keys() - {order.client_order_id for order in ledger.orders} - rows_before.orders.keys()
        run.in_flight = bool(ledger.open_orders or unsent)
        run.violations += judges.find_duplicates(ledger)
        run.violations += judges.find_unstored(ledger, rows)
        run.violations += judges.find_phantoms(rows_before, ledger)
        run.violations += judges.find_invented_fills(rows_before, ledger)
        run.violations += judges.find_unbalanced(rows)
        self.waiting.append(run)

    def judge_recovered(self, daemon: DaemonProcess) -> list[str]:
        """With a daemon that came up again: what was executed while nobody looked gets booked, once."""
        stage = self.stage
        ledger = stage.ledger()
        lost = self._missing(ledger)
        give_up_s = time.monotonic() + BOOKED_SECONDS_MAX
        while lost and daemon.popen.poll() is None and time.monotonic() < give_up_s:
            time.sleep(0.1)
            lost = self._missing(ledger)
        rows = stage.rows()
        after = stage.ledger()
        return [
            *lost,
            *judges.find_duplicates(after),
            *judges.find_unstored(ledger, rows),
            *judges.find_phantoms(rows, after),
            *judges.find_invented_fills(rows, after),
            *judges.find_unbalanced(rows),
        ]

    def recover(self) -> list[str]:
        """A last daemon, for the runs that still wait to be judged."""
        daemon, found = self._last_daemon()
        daemon.kill()
        return found

    def _missing(self, ledger: Ledger) -> list[str]:
        rows = self.stage.rows()
        return judges.find_lost_fills(ledger, rows) + judges.find_unclaimed(ledger, rows)

    def close(self) -> list[str]:
        """A last daemon: judges who still waits, then pauses, agrees with the exchange to the cent, stops in order."""
        daemon, found = self._last_daemon()
        if found:
            return found
        found = self.judge_quiet(daemon)
        daemon.signal(signal.SIGTERM)
        code = wait_ended(daemon, ORDERED_STOP_SECONDS_MAX)
        if code != 0:
            found.append(f"close: the ordered stop ended with {code}")
        return found

    def _last_daemon(self) -> tuple[DaemonProcess, list[str]]:
        last = Run(kind="close", subject="", seed=self.stage.seed)
        daemon = self.begin(last)
        if daemon.popen.poll() is None:
            return daemon, []
        self.over += self.waiting
        self.waiting = []
        return daemon, [*last.violations, "the last daemon did not come up"]

    def goes_on(self, daemon: DaemonProcess, when: str) -> list[str]:
        """It trades again, waits out what is over, or has ended so that a supervisor restarts it; nothing is lost."""

        def is_back() -> bool:
            said = status(daemon)
            causes = said.get("causes", ())
            is_waiting = all("over, ends after" in each["detail"] or each["cause"] == "incidents" for each in causes)
            return said.get("trading_state") == "ACTIVE" or (bool(causes) and is_waiting)

        if not wait_until(lambda: daemon.popen.poll() is not None or is_back(), BACK_SECONDS_MAX, 0.1):
            said = status(daemon)
            return [f"not trading again {when}: {said.get('trading_state')} {said.get('causes')}"]
        code = daemon.popen.poll()
        if code is not None:
            return [] if code in (TEMPORARY, REFUSED) else [f"ended with {code} {when}: {daemon.output[-400:]}"]
        return self.judge_recovered(daemon)

    def judge_quiet(self, daemon: DaemonProcess) -> list[str]:
        """Pause, wait until nothing is open, and compare exactly."""
        stage = self.stage
        command(daemon, "pause")
        found = ["unequal: never compared"]
        give_up_s = time.monotonic() + QUIET_SECONDS_MAX
        while found and time.monotonic() < give_up_s:
            ledger, said, rows = stage.ledger(), status(daemon), stage.rows()
            found = judges.find_unequal(rows, judges.to_number(said.get("cash")), ledger)
            if found:
                time.sleep(0.2)
        return found

    def _active_s(self, daemon: DaemonProcess, began_s: float, ready_s: float) -> float | None:
        line = next(line for line in daemon.output.splitlines() if line.startswith("READY in"))
        if line.endswith("ACTIVE"):
            return ready_s
        if line.endswith("HALTED"):  # so it stays until a person resets it
            if _causes(daemon) == {"incidents"}:  # of the runs before, in the same session of the exchange
                command(daemon, "reset")
            return None
        if wait_until(lambda: status(daemon).get("trading_state") == "ACTIVE", ACTIVE_SECONDS_MAX):
            return time.monotonic() - began_s
        return None


def _causes(daemon: DaemonProcess) -> set[str]:
    return {cause["cause"] for cause in status(daemon).get("causes", ())}
