"""Python's cyclic collector, told what it need not look at.

A service has some hundred thousand objects from its imports, which stay for good, and makes and frees thousands a second, hardly any in cycles. Left
to itself the collector walks over all of them again and again: a tenth of the CPU of a pusher. Owns when that is spared.
"""

import gc
from typing import Final

YOUNG: Final = 10_000
"""New containers until the youngest are looked at (CPython's default is 700): a batch brings some thousand that are gone a moment later."""


def settle() -> None:
    """Once a service has started: what there is stays, and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
