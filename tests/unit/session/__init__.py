"""Promises of the session calendar."""
