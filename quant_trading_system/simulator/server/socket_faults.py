"""Decides which frames of a stream really leave, when and how often, and which of its lines break."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Collection
from typing import Generic, TypeVar

from quant_trading_system.simulator.server.clients import AnyConnection, Clients
from quant_trading_system.simulator.server.faults import FRAME_KINDS, FaultPlan, FaultRule, Firing, Kind

REPLAYED_FRAMES = 3  # Lean.Brokerages.Alpaca #41: `new` and `fill` came again up to three times
CLOSE_CODE_DEFAULT = 1000
FRAME_ERRORS = frozenset({407, 500})  # codes of stream_error that come at a frame

Frame = TypeVar("Frame")


class FrameFaults(Generic[Frame]):
    """Applies the plan to one stream. A frame here is one order event, or the messages of one channel of one tick."""

    def __init__(self, plan: FaultPlan, where: str) -> None:
        self._plan = plan
        self._where = where
        self._recent: deque[Frame] = deque(maxlen=REPLAYED_FRAMES)
        self._held: Frame | None = None
        self._late: list[tuple[float, int, Frame]] = []
        self._delayed = 0

    @property
    def is_idle(self) -> bool:
        """Whether every frame simply leaves."""
        return self._plan.is_empty and self._held is None and not self._late

    def frames_for(self, frame: Frame, *, event: str = "") -> tuple[Frame, ...]:
        """What leaves for this frame, in order: usually just the frame."""
        if self.is_idle:
            return (frame,)
        fired = self._plan.fire_all(self._where, FRAME_KINDS, event=event)
        if self._plan.is_muted(self._where, at_frame=True) or Kind.DROP_FRAME in fired:
            return ()
        if Kind.DELAY_FRAME in fired:
            self._delay(frame, fired[Kind.DELAY_FRAME])
            return ()
        leaving = [frame]
        self._recent.append(frame)
        if self._held is not None:
            leaving.append(self._held)
            self._held = None
        elif Kind.REORDER in fired:
            self._held = frame
            return ()
        if Kind.DUPLICATE_FRAME in fired:
            leaving.append(frame)
        if Kind.REPLAY_FRAMES in fired:
            leaving.extend(self._recent)
        return tuple(leaving)

    def due(self) -> list[Frame]:
        """Delayed frames whose time has come."""
        frames: list[Frame] = []
        now_s = time.monotonic()
        while self._late and self._late[0][0] <= now_s:
            frames.append(heapq.heappop(self._late)[2])
        return frames

    def _delay(self, frame: Frame, firing: Firing) -> None:
        self._delayed += 1  # breaks ties: frames are not compared
        heapq.heappush(self._late, (time.monotonic() + firing.rule.latency_ms / 1_000, self._delayed, frame))


class LineFaults(Generic[AnyConnection]):
    """Breaks, closes and starves the lines of one stream.

    Args:
        frame_errors: codes of errors that come at a frame; None where the stream has one error without a code.
    """

    def __init__(
        self,
        plan: FaultPlan,
        where: str,
        clients: Clients[AnyConnection],
        *,
        frame_errors: Collection[int] | None = FRAME_ERRORS,
    ) -> None:
        self._plan = plan
        self._where = where
        self._clients = clients
        self._frame_errors = frame_errors
        self._starving_since_s: float | None = None
        self._has_starved = False

    def act(self, *, at_frame: bool) -> bool:
        """Let faults of lines happen; True when they took the lines that a frame was to go out on.

        Rules that are counted or drawn have their occasions at frames, the others act at any moment.
        """
        if self._plan.is_empty:
            self._feed()
            return False
        if not self._clients:
            return False
        self._act_by_age()
        if self._plan.cuts_stream(self._where, at_frame=at_frame):
            self._clients.cut_all()
            return True
        closing = self._plan.strikes(Kind.CLOSE_STREAM, self._where, at_frame=at_frame)
        if closing is not None:
            self._clients.close_all(code=closing.code or CLOSE_CODE_DEFAULT)
            return True
        self._starve(at_frame=at_frame)
        return self._fails(at_frame=at_frame)

    def _starve(self, *, at_frame: bool) -> None:
        """Starve the lines that are open when the fault begins; those that come later are well."""
        if not self._plan.has(Kind.STARVE_STREAM):
            self._feed()
            return
        if self._starving_since_s is None and self._plan.strikes(Kind.STARVE_STREAM, self._where, at_frame=at_frame):
            self._starving_since_s = time.monotonic()
        since_s = self._starving_since_s or 0.0
        for client in self._clients:
            if client.opened_s <= since_s and not client.is_starved:
                client.is_starved = self._has_starved = True

    def _feed(self) -> None:
        """The plan was healed, or its time is over."""
        self._starving_since_s = None
        if self._has_starved:
            self._has_starved = False
            for client in self._clients:
                client.is_starved = False

    def _fails(self, *, at_frame: bool) -> bool:
        if self._frame_errors is None:
            rule = self._plan.strikes(Kind.STREAM_ERROR, self._where, at_frame=at_frame)
            code = 500 if rule else None
        else:
            codes = self._frame_errors if at_frame else ()
            code = self._plan.fires_with_code(Kind.STREAM_ERROR, self._where, codes)
        if code is None:
            return False
        for client in self._clients:
            client.fail(code)
        return True

    def _act_by_age(self) -> None:
        now_s = time.monotonic()
        for client in self._clients:
            if client.outbox.is_closing:
                continue
            age_s = now_s - client.opened_s
            if not client.is_starved and self._is_struck(Kind.STARVE_STREAM, age_s):
                client.is_starved = self._has_starved = True
            if self._is_struck(Kind.DISCONNECT_STREAM, age_s):
                client.outbox.cut()
            elif closing := self._is_struck(Kind.CLOSE_STREAM, age_s):
                client.outbox.close_after(code=closing.code or CLOSE_CODE_DEFAULT)

    def _is_struck(self, kind: Kind, age_s: float) -> FaultRule | None:
        return self._plan.fires_at_age(kind, self._where, age_s)
