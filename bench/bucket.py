"""The bucket of a measurement: `bucket_server` as a process, and what it tells. Owns the address that services are given."""

import json
import urllib.request
from collections import Counter

from bench.process import listens
from bench.workbench import Workbench
from tapedeck.up.ports import LOOPBACK, free_port

DELAY_MS = 50
"""Of every answer: what Google's takes for a small object, and more than it takes for a list."""
NAME = "bench"


class Bucket:
    """A running one. Ends with the workbench."""

    def __init__(self, workbench: Workbench, delay_ms: int = DELAY_MS, *, filled: bool = False) -> None:
        """`filled`: what lies in the workbench's `file://` store is in it from the start."""
        self._port = free_port(LOOPBACK, None)
        folder = [str(workbench.store)] if filled else []
        self.process = workbench.python(
            f"bucket-{self._port}", "bench.bucket_server", str(self._port), str(delay_ms), *folder
        ).until(lambda: listens(self._port), "an answer")

    @property
    def endpoint(self) -> str:
        """For `STORAGE_EMULATOR_HOST`."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def settings(self) -> dict[str, str]:
        """Of a service that shall use it."""
        return {"TAPEDECK_STORE_URL": f"gs://{NAME}", "STORAGE_EMULATOR_HOST": self.endpoint}

    @property
    def counts(self) -> Counter[str]:
        """Requests so far by kind (`put`, `list`, …), `objects` made of them, and their `bytes`."""
        return Counter(self._ask("GET", "counts"))

    def delay(self, ms: int) -> None:
        """From now on every answer comes so much later."""
        self._ask("POST", f"delay/{ms}")

    def leave(self) -> None:
        """From now on every request is answered with 503."""
        self._ask("POST", "away")

    def come_back(self) -> None:
        """And works again."""
        self._ask("POST", "back")

    def _ask(self, method: str, what: str) -> dict[str, int]:
        request = urllib.request.Request(f"{self.endpoint}/bench/{what}", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            told: dict[str, int] = json.loads(answer.read())
        return told
