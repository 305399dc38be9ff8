"""What has become of each order: the transition table, the manager, reconciliation."""

from __future__ import annotations
