"""Tests of quant_trading_system.dashboard."""

from __future__ import annotations
