"""Scripts over many parts on virtual time."""

from __future__ import annotations
