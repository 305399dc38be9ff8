"""Promises of the order manager, its table, and reconciliation."""
