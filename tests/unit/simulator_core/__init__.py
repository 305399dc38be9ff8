"""Tests of the embedded exchange's core: synchronous, without sockets and without clocks."""
