"""Object names, the batch file and the bucket backends of Tapedeck.

Owns what lies in a bucket: how it is called, what it holds, and how it gets there whole. It knows nothing of Redis or of services.
"""

from audiostore.opened_later import OpenedLater, open_stores
from audiostore.opening import open_store

__all__ = ["OpenedLater", "open_store", "open_stores"]
