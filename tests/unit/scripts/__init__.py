"""What the scripts decide, apart from the files they write."""

from __future__ import annotations
