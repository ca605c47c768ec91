"""What `make run` ends in: the bundled speech through the whole system, and the proof that it came back."""
