"""What the exchange plays: recorded days or a generated market. This file decides nothing."""

from __future__ import annotations
