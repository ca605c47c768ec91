"""Download of an hour as `ogg` and as `wav` from storage-api, in multiples of real time.

Baselines take turns with it: the same bytes as a plain file from the same server, and, for `wav`, bare libopus decoding the same packets.
"""

import asyncio
import http.client
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from audiostore import open_store
from audiostore.batch import batch_end_ms, batch_file, batch_start_ms
from audiostore.names import CONTENT_TYPE, BatchName
from bench import bare_libopus, speech
from bench.figure import Figure
from bench.process import BenchError, Process
from bench.scale import Scale
from bench.workbench import Workbench
from tapedeck.up.ports import LOOPBACK

PART = "download"
UID, CID = "bench", "hour"
START_MS = 1_700_000_000_000
FORMATS = ("ogg", "wav")
PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """One download."""

    wall_s: float
    cpu_s: float
    """Of the server."""
    size: int


def measure(scale: Scale) -> Iterator[Figure]:
    """Seconds of audio for each second of waiting, and for each second of the server's CPU."""
    seconds = scale.hour_batches * 60
    ours: dict[str, list[Fetched]] = {kind: [] for kind in FORMATS}
    plain: dict[str, list[Fetched]] = {kind: [] for kind in FORMATS}
    bare_wall_s: list[float] = []
    bare_cpu_s: list[float] = []
    packets = speech.packets(scale.hour_batches * speech.BATCH_PACKETS)
    with Workbench() as workbench:
        asyncio.run(fill(workbench.store, scale.hour_batches))
        api = workbench.service("storage_api")
        files = workbench.plain_files()
        path = f"/v1/users/{UID}/conversations/{CID}/audio?format="
        for kind in FORMATS:
            warm = fetch(api.process, api.port, path + kind, workbench.service_token, files.folder / kind)
            _check(kind, warm.size, seconds)
            fetch(files.process, files.port, f"/{kind}", "", None)
        for _ in range(scale.rounds):
            for kind in FORMATS:
                ours[kind].append(fetch(api.process, api.port, path + kind, workbench.service_token, None))
                plain[kind].append(fetch(files.process, files.port, f"/{kind}", "", None))
            wall_s, cpu_s = time.perf_counter(), time.thread_time()
            bare_libopus.decode(packets, speech.SAMPLE_RATE)
            bare_wall_s.append(time.perf_counter() - wall_s)
            bare_cpu_s.append(time.thread_time() - cpu_s)
    for kind in FORMATS:
        size = f"{ours[kind][0].size / 1e6:.1f} MB"
        waited = tuple(seconds / one.wall_s for one in ours[kind])
        yield Figure(
            part=PART,
            what=f"{seconds // 60} minutes as {kind} ({size})",
            unit="times real time",
            ours=waited,
            baseline_name="plain file from the same server",
            baseline=tuple(seconds / one.wall_s for one in plain[kind]),
            better="more",
            notes=(
                f"{scale.hour_batches} batches of 60 s, 16 kHz mono, warm page cache, one client in another process",
            ),
        )
        if kind == "wav":
            yield Figure(
                part=PART,
                what=f"{seconds // 60} minutes as wav",
                unit="times real time",
                ours=waited,
                baseline_name="bare libopus decoding the packets, one core",
                baseline=tuple(seconds / wall_s for wall_s in bare_wall_s),
                better="more",
            )
        yield Figure(
            part=PART,
            what=f"{seconds // 60} minutes as {kind}, CPU of the server",
            unit="CPU seconds",
            ours=tuple(max(one.cpu_s, 0.01) for one in ours[kind]),
            baseline_name="plain file" if kind == "ogg" else "bare libopus decoding",
            baseline=tuple(max(one.cpu_s, 0.01) for one in plain[kind])
            if kind == "ogg"
            else tuple(bare_cpu_s),
            better="less",
            notes=("CPU is exact to 0.01 s, which is all that a plain file takes",),
        )


async def fill(root: Path, count: int) -> None:
    """The recording, stored as the pusher stores it."""
    store = open_store(f"file://{root}")
    for batch in speech.batches(CID, START_MS, START_MS, count):
        name = BatchName(UID, CID, batch_start_ms(batch), batch_end_ms(batch)).path
        file = batch_file(batch)
        await store.put(name, file.data, content_type=CONTENT_TYPE, metadata=file.metadata)
    await store.close()


def fetch(process: Process, port: int, path: str, token: str, into: Path | None) -> Fetched:
    """A download; kept only where `into` says so."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=300)
    piece = memoryview(bytearray(PIECE_BYTES))
    cpu_s, began = process.cpu_s, time.perf_counter()
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise BenchError(f"{path} answered {answer.status}: {answer.read()[:500]!r}")
    size = 0
    pieces: list[bytes] = []
    while got := answer.readinto(piece):
        size += got
        if into is not None:
            pieces.append(bytes(piece[:got]))
    wall_s, cpu_s = time.perf_counter() - began, process.cpu_s - cpu_s
    connection.close()
    if into is not None:
        into.write_bytes(b"".join(pieces))
    return Fetched(wall_s, cpu_s, size)


def _check(kind: str, size: int, seconds: int) -> None:
    """That the whole recording came."""
    least = seconds * speech.SAMPLE_RATE * 2 * 0.999 if kind == "wav" else seconds * 24_000 / 8 * 0.5
    if size < least:
        raise BenchError(f"{seconds} s as {kind} are only {size} bytes")
