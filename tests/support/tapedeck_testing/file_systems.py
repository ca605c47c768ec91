"""What the file system below a test can do."""

import os
from pathlib import Path


def has_attributes(folder: Path) -> bool:
    """Whether files there can have attributes of their users, as `file://` keeps metadata in one."""
    tried = folder / "attributes-tried"
    tried.write_bytes(b"")
    try:
        os.setxattr(tried, "user.tried", b"1")
    except (AttributeError, OSError):
        return False
    finally:
        tried.unlink()
    return True
