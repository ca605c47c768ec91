"""Waveforms: peaks of what is played, kept for each object of the bucket once they were asked for, joined and thinned for each request."""
