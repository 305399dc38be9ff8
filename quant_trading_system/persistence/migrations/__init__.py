"""Migrations of the schema: linear, dated, each in one transaction."""
