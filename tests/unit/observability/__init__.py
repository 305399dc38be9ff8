"""Tests of quant_trading_system.observability."""

from __future__ import annotations
