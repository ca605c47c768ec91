"""Faults: devices that stream for minutes, what is done to the system under them, and the account of what was stored."""
