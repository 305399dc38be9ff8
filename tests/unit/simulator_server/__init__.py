"""Promises of the exchange's server that need no socket."""
