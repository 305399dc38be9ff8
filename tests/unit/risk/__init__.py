"""Promises of the gate, the guards and the limits."""
