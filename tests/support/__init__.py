"""Builders, clocks and servers that tests share."""

from __future__ import annotations
