"""A fresh key to seal with, as an entry of the ring: `<id>:<base64>` (docs: sealing)."""

import base64
import secrets
import time
from typing import Final

KEY_BYTES: Final = 32
"""AES-256."""


def new_id() -> str:
    """An id made from the date, which no other key has."""
    return f"k{time.strftime('%Y%m%d', time.gmtime())}-{secrets.token_hex(2)}"


def new_entry(key_id: str) -> str:
    """An entry of this id, which the caller has checked."""
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"
