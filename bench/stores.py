"""`gs://` by google-cloud-storage, as it is, beside the same by obstore: both against one fake-gcs-server.

CPU is that of the process which calls, over all its threads; each library runs in a new process each round. What decision 4 rests on.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

from bench.figure import Figure
from bench.process import ROOT, BenchError, Process, listens
from bench.scale import Scale
from bench.store_worker import BYTES, LISTED
from tapedeck.up.ports import LOOPBACK, free_port

PART = "stores"
SIZES = {
    "put": (f"CPU of a create-only put of {BYTES // 1000} KB", "ms a put"),
    "get": (f"CPU of a get of {BYTES // 1000} KB", "ms a get"),
    "list": (f"CPU of listing {LISTED:,} names", "ms a list"),
    "import": ("CPU of importing the library and opening the store", "ms"),
    "memory": ("memory of library, threads and buffers, at its highest", "MiB"),
}


def measure(scale: Scale) -> Iterator[Figure]:
    """Five figures, `gs://` as it is (google-cloud-storage in threads) over obstore."""
    server = shutil.which("fake-gcs-server", path=f"{ROOT / '.tools' / 'bin'}:{os.environ['PATH']}")
    if server is None:
        raise BenchError("no fake-gcs-server in .tools/bin or on PATH: make tools")
    google: list[dict[str, float]] = []
    obstore: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        port, line_port = free_port(LOOPBACK, None), free_port(LOOPBACK, None)
        log = Path(folder) / "log"
        where = (
            "-scheme",
            "http",
            "-host",
            "127.0.0.1",
            "-port",
            str(port),
            "-public-host",
            f"127.0.0.1:{line_port}",
        )
        command = [
            server,
            *where,
            "-external-url",
            f"http://127.0.0.1:{line_port}",
            "-backend",
            "memory",
            "-log-level",
            "warn",
        ]
        line = [sys.executable, "-m", "bench.xml_line", str(line_port), str(port)]
        with Process(command, log) as bucket_server, Process(line, log) as between:
            bucket_server.until(lambda: listens(port), "the port")
            between.until(lambda: listens(line_port), "the port")
            endpoint = f"http://127.0.0.1:{line_port}"
            for _ in range(scale.rounds):
                google.append(_round("google", endpoint, scale.batches))
                obstore.append(_round("obstore", endpoint, scale.batches))
    for key, (what, unit) in SIZES.items():
        yield Figure(
            part=PART,
            what=what,
            unit=unit,
            ours=tuple(figures[key] for figures in google),
            baseline_name="the same by obstore",
            baseline=tuple(figures[key] for figures in obstore),
            better="less",
            notes=(
                f"{scale.batches} puts and gets a round, 8 at once",
                "`gs://` compares the CRC32C that Google answers; over obstore it lies in the metadata, and a list does not tell it",
            ),
        )


def _round(library: str, endpoint: str, count: int) -> dict[str, float]:
    """One library in a new process and a new bucket."""
    bucket = f"bench-{uuid.uuid4().hex[:12]}"
    _ask(f"{endpoint}/storage/v1/b?project=bench", json.dumps({"name": bucket}).encode())
    for number in range(LISTED):
        _ask(f"{endpoint}/upload/storage/v1/b/{bucket}/o?uploadType=media&name=listed/{number:04d}", b"x")
    ended = subprocess.run(
        [sys.executable, "-m", "bench.store_worker", library, endpoint, bucket, str(count)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        raise BenchError(f"{library} failed:\n{ended.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(ended.stdout)
    return figures


def _ask(url: str, body: bytes) -> None:
    with urllib.request.urlopen(
        urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=10
    ):
        pass
