"""Promises of the strategies."""
