"""The example client for devices, and the microphone that tests give it."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

EXAMPLE = Path(__file__).parents[3] / "docs/examples/device_client.py"


def load() -> ModuleType:
    """The example, imported from the documentation."""
    spec = importlib.util.spec_from_file_location("device_client", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Microphone:
    """Gives packets of 20 ms without ever waiting, up to a `limit` that the test moves."""

    def __init__(self, packets: Sequence[bytes], start_ms: int) -> None:
        self.packets, self.start_ms = packets, start_ms
        self.given = self.limit = 0

    def __call__(self) -> tuple[int, bytes] | tuple[()] | None:
        """The next packet and when it began, unix ms; nothing where the limit is reached; None at the end."""
        if self.given == len(self.packets):
            return None
        if self.given == self.limit:
            return ()
        self.given += 1
        return self.start_ms + 20 * (self.given - 1), self.packets[self.given - 1]
