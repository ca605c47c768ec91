"""listen: live audio in over WebSockets, chunks out to Redis, acknowledged once they are safe there.

The rules of the protocol are pure modules (`session` and what it is made of); the shell around them (`connection`,
`admission`, `app`, `service`) does the I/O.
"""
