"""What the tests of listen need: a desk for its sessions, a running service, and clients of it."""
