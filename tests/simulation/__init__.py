"""The daemon's own parts in a simulated world: plans, world, checkers, campaign. `docs/simulation.md` explains them."""

from __future__ import annotations
