"""What the market says now: prices, bars, indicators, freshness. Decides whether data may be believed."""

from __future__ import annotations
