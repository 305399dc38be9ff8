"""Composition of the stages: one event in, effects out."""

from __future__ import annotations
