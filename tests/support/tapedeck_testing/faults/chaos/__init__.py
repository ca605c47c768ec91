"""Chaos: the whole system as real processes, every kind of fault at once, and a verdict that leaves nothing out."""
