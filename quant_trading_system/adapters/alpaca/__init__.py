"""Alpaca's REST and WebSocket protocol over aiohttp."""

from __future__ import annotations
