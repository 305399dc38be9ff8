"""Decides which frames of a stream really leave, and how often: lost, doubled, replayed, swapped, muted or cut."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from quant_trading_system.simulator.server.faults import FRAME_KINDS, FaultPlan, Kind

REPLAYED_FRAMES = 3  # Lean.Brokerages.Alpaca #41: `new` and `fill` came again up to three times

Frame = TypeVar("Frame")


class FrameFaults(Generic[Frame]):
    """Applies the plan to one stream. A frame here is one order event, or one batch of market messages."""

    def __init__(self, plan: FaultPlan, where: str) -> None:
        self._plan = plan
        self._where = where
        self._recent: deque[Frame] = deque(maxlen=REPLAYED_FRAMES)
        self._held: Frame | None = None

    def frames_for(self, frame: Frame) -> tuple[Frame, ...]:
        """What leaves for this frame, in order: usually just the frame."""
        if self._plan.is_empty and self._held is None:
            return (frame,)
        fired = self._plan.fire_all(self._where, FRAME_KINDS)
        if self._plan.is_muted(self._where, at_frame=True) or Kind.DROP_FRAME in fired:
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

    def is_cut(self, *, at_frame: bool) -> bool:
        """Whether the connections of this stream are to be cut now."""
        return not self._plan.is_empty and self._plan.cuts_stream(self._where, at_frame=at_frame)
