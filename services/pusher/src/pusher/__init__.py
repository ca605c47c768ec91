"""The pusher: Redis in, bucket out.

Owns when a batch is cut, how it is built, and that it is stored before its entries go. What lies in Redis belongs to
`audiobus`, what lies in the bucket to `audiostore`.
"""

__version__ = "0.1.0"
