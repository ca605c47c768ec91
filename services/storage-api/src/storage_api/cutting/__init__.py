"""Deleting chunks, and stretches of time out of the objects that hold them (docs/deleting.md)."""
