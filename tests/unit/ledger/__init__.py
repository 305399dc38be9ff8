"""Promises of the ledger: conservation, idempotence, average cost."""
