"""One verb a file: what people and make call beside the program itself."""

from __future__ import annotations
