"""Loads TA-Lib without the data-frame libraries it would pull in. Decides only how that import happens."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from types import ModuleType

FRAME_LIBRARIES = ("pandas", "polars")


@cache
def load_streams() -> ModuleType:
    """The module of TA-Lib's stream handles.

    `import talib` wraps its functions for pandas and polars wherever those are installed, which costs a second and
    30 MiB. None in `sys.modules` makes their import fail as if they were absent; a library that somebody loaded
    before stays, and the placeholders go again afterwards.
    """
    kept_out = [name for name in FRAME_LIBRARIES if name not in sys.modules]
    for name in kept_out:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        return import_module("talib.stream")
    finally:
        for name in kept_out:
            if sys.modules.get(name) is None:
                sys.modules.pop(name, None)
