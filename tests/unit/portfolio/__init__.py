"""Promises of sizing, netting and plans."""
