"""Fuzzing of everything that parses: one target a parser, run by atheris (`make fuzz`) and replayed by pytest."""
