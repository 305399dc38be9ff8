"""Durable and live stores: PostgreSQL, Redis, latch file, tape."""

from __future__ import annotations
