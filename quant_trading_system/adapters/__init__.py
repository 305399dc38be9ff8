"""The outside world as events and effects. Decides nothing about trading."""

from __future__ import annotations
