"""How benchmarks are judged: a wrong median or verdict would make every figure worthless."""

from __future__ import annotations
