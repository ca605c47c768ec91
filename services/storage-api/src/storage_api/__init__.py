"""Bucket and live tail in, HTTP out: lists, plays and flushes what people recorded; serves the web console."""
