"""Hostile and broken clients over raw sockets, and what they leave behind in the server that they meet."""
