"""Whether an intent may become an order. The gate here alone makes an approved one."""

from __future__ import annotations
