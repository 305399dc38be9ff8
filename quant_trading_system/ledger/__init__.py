"""What we own and what it earned, from fills alone."""

from __future__ import annotations
