"""Tests of quant_trading_system.cli."""

from __future__ import annotations
