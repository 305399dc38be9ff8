"""A broker that nobody of the exchange's authors wrote: from the protocol's description alone, with books of its own.

It answers as a real one was seen to answer on its bad days, on a seeded schedule. It imports nothing of the package it
is played against, so that a misunderstanding cannot stand on both sides.
"""
