"""Wiring: settings, the eight steps, inbox, performers, shutdown."""

from __future__ import annotations
