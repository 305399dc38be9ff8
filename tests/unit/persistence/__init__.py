"""Unit tests of the stores: what needs no server."""
