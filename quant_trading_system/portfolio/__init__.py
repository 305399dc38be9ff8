"""How much of each target, and the netting of all strategies. Decides order intents."""

from __future__ import annotations
