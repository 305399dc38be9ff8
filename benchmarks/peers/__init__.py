"""What the product is compared with. These run in .venv-bench and import nothing of ours."""

from __future__ import annotations
