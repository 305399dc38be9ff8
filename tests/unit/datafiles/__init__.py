"""Promises of the reader of market-data files."""
