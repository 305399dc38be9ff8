"""Pages and API over the daemon's state. Decides nothing about trading."""

from __future__ import annotations
