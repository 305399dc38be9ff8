"""Logs, metrics, alerts and health. Decides what leaves the process and what is redacted."""

from __future__ import annotations
