"""Promises of market state: what is believed, bars, indicators."""
