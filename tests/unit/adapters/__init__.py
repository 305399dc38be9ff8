"""The Alpaca adapters without a socket: decoding, budgets, breakers, judgement of answers."""

from __future__ import annotations
