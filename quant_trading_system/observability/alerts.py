"""Alerts: the log always, a webhook where one is set. Decides what counts as the same alert, and what waits."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from quant_trading_system.core.clock import Clock, to_datetime
from quant_trading_system.core.records import AlertRecord
from quant_trading_system.core.types import NANOS_PER_SECOND, Severity
from quant_trading_system.observability.logs import get_logger
from quant_trading_system.observability.webhook import Neutral, Webhook

DEDUPE_WINDOW_S = 60.0
QUEUE_MAX = 200
RECENT_MAX = 500
CODES_MAX = 1_000
FLUSH_SECONDS_MAX = 5.0

_LEVELS = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "critical"}


@dataclass(slots=True)
class _Repeat:
    first_mono_ns: int
    count: int = 0


class Alerts:
    """Takes alerts from anywhere in the event loop without waiting; `run` carries them out of the machine.

    The same severity, code and text within a minute is one alert: the further ones are counted, and the next that goes
    out says how many there were.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        webhook: Webhook | None = None,
        neutral: Neutral | None = None,
        source: Mapping[str, str] | None = None,
        on_sent: Callable[[str, str], None] = lambda _channel, _result: None,
        dedupe_window_s: float = DEDUPE_WINDOW_S,
    ) -> None:
        self._clock = clock
        self._webhook = webhook
        self._neutral = neutral
        self._source = dict(source or {})
        self._on_sent = on_sent
        self._window_ns = int(dedupe_window_s * NANOS_PER_SECOND)
        self._repeats: OrderedDict[tuple[Severity, str, str], _Repeat] = OrderedDict()
        self._queue: asyncio.Queue[dict[str, object]] = asyncio.Queue(maxsize=QUEUE_MAX)
        self._recent: deque[AlertRecord] = deque(maxlen=RECENT_MAX)
        self._log = get_logger("alerts")

    def send(self, severity: Severity, code: str, text: str, context: Mapping[str, str] | None = None) -> bool:
        """Alert somebody. Returns False where it only repeats what was said within the window."""
        details = dict(context or {})
        repeated = self._repeated(severity, code, text)
        if repeated is None:
            self._on_sent("log", "repeated")
            return False
        if repeated:
            details["repeated"] = str(repeated)
        self._recent.appendleft(
            AlertRecord(
                venue_ns=self._clock.venue_ns(),
                seen_ns=self._clock.wall_ns(),
                severity=severity,
                code=code,
                text=text,
                context=details,
            )
        )
        getattr(self._log, _LEVELS[severity])("alert", code=code, severity=severity.value, text=text, context=details)
        self._on_sent("log", "ok")
        if self._webhook is not None:
            self._enqueue(self._payload(severity, code, text, details))
        return True

    def recent(self, limit: int) -> list[AlertRecord]:
        """Newest first."""
        return list(self._recent)[:limit]

    async def test(self) -> str:
        """Try every channel now. Returns `ok`, or what the webhook said."""
        self._log.info("alert", code="test", severity=Severity.INFO.value, text="test alert at start", context={})
        self._on_sent("log", "ok")
        if self._webhook is None:
            return "ok"
        return await self._deliver(self._payload(Severity.INFO, "test", "test alert at start", {}))

    async def run(self) -> None:
        """Deliver queued alerts until cancelled; one at a time, each bounded by the webhook's own limits."""
        try:
            while True:
                await self._deliver(await self._queue.get())
        finally:
            if self._webhook is not None:
                await self._webhook.close()

    async def flush(self, timeout_s: float = FLUSH_SECONDS_MAX) -> int:
        """On the way down: deliver what waits, for at most `timeout_s`. Returns how many were left unsent."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self._queue.empty():
                    await self._deliver(self._queue.get_nowait())
        except TimeoutError:
            self._log.warning("alerts_left_unsent", count=self._queue.qsize())
        finally:
            if self._webhook is not None:
                await self._webhook.close()
        return self._queue.qsize()

    async def _deliver(self, payload: dict[str, object]) -> str:
        if self._webhook is None:
            return "ok"
        result = await self._webhook.post(payload)
        self._on_sent("webhook", "ok" if result == "ok" else "failed")
        if result != "ok":
            self._log.warning("alert_not_delivered", channel="webhook", code=payload["code"], result=result)
        return result

    def _enqueue(self, payload: dict[str, object]) -> None:
        if self._queue.full():
            dropped = self._queue.get_nowait()  # the oldest: what happens now matters more
            self._on_sent("webhook", "dropped")
            self._log.warning("alert_dropped", channel="webhook", code=dropped["code"], waiting_max=QUEUE_MAX)
        self._queue.put_nowait(payload)

    def _payload(self, severity: Severity, code: str, text: str, context: Mapping[str, str]) -> dict[str, object]:
        if self._neutral is not None:
            text, context = self._neutral.text(text, context), self._neutral.context(context)
        return {
            **self._source,
            "severity": severity.value,
            "code": code,
            "text": text,
            "context": dict(context),
            "at": to_datetime(self._clock.wall_ns()).isoformat(),
        }

    def _repeated(self, severity: Severity, code: str, text: str) -> int | None:
        """How often this was held back before it goes out now; None where it is held back."""
        key = (severity, code, text)
        now_ns = self._clock.mono_ns()
        known = self._repeats.get(key)
        if known is not None and now_ns - known.first_mono_ns < self._window_ns:
            known.count += 1
            return None
        self._repeats[key] = _Repeat(now_ns)
        self._repeats.move_to_end(key)
        if len(self._repeats) > CODES_MAX:
            self._repeats.popitem(last=False)
        return 0 if known is None else known.count
