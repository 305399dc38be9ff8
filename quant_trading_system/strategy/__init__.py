"""What each strategy wants to hold. Decides targets, never orders."""

from __future__ import annotations
