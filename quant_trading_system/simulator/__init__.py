"""The embedded exchange: an Alpaca-compatible venue with books of its own."""

from __future__ import annotations
