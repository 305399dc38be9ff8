"""Tests. A test name is a promise; marks say what it proves."""

from __future__ import annotations
