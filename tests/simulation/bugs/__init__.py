"""Planted bugs: what the campaign must find, and the machine that plants them."""
