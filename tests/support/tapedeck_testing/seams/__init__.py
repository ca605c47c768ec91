"""Seams: recordings of every kind, cut and killed at random, against one decoder that runs through. `python -m tapedeck_testing.seams`."""
