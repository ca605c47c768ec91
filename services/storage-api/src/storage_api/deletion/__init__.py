"""Deleting what was recorded: one conversation at once, all of a user's as an operation."""
