"""What the product costs beside what its users would take instead. Never imported by the product."""

from __future__ import annotations
