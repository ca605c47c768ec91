"""The waveform of an hour from storage-api: made when first asked for, and kept.

Baselines: for the kept one the same JSON as a plain file from the same server; for making it bare libopus decoding the same packets.
"""

import shutil
import time
from collections.abc import Iterator

from bench import bare_libopus, speech, stored_recording
from bench.fetching import Fetched, conversation, fetch
from bench.figure import Figure
from bench.process import BenchError
from bench.scale import Scale
from bench.stored_recording import UID
from bench.workbench import Workbench

PART = "waveform"
CID = "hour"


def measure(scale: Scale) -> Iterator[Figure]:
    """Milliseconds until the whole answer is there."""
    seconds = scale.hour_batches * 60
    made: list[Fetched] = []
    kept: list[Fetched] = []
    plain: list[Fetched] = []
    bare_wall_s: list[float] = []
    packets = speech.packets(scale.hour_batches * speech.BATCH_PACKETS)
    with Workbench() as workbench:
        stored_recording.store(workbench.store, CID, scale.hour_batches)
        api = workbench.service("storage_api")
        files = workbench.plain_files()
        path = f"{conversation(CID)}/waveform"
        fetch(api.process, api.port, path, workbench.service_token, files.folder / "waveform")
        fetch(files.process, files.port, "/waveform")
        for _ in range(scale.rounds):
            shutil.rmtree(workbench.store / "waveforms")
            made.append(fetch(api.process, api.port, path, workbench.service_token))
            if len(list((workbench.store / "waveforms" / UID / CID).iterdir())) != scale.hour_batches:
                raise BenchError("not every waveform was kept")
            kept.append(fetch(api.process, api.port, path, workbench.service_token))
            plain.append(fetch(files.process, files.port, "/waveform"))
            began = time.perf_counter()
            bare_libopus.decode(packets, speech.SAMPLE_RATE)
            bare_wall_s.append(time.perf_counter() - began)
    size = f"{kept[0].size / 1e3:.0f} kB"
    notes = (f"{scale.hour_batches} batches of 60 s, 16 kHz mono, 1,024 samples a pixel, warm page cache",)
    yield Figure(
        part=PART,
        what=f"{seconds // 60} minutes, kept ({size})",
        unit="ms",
        ours=tuple(one.wall_s * 1000 for one in kept),
        baseline_name="the same JSON as a plain file from the same server",
        baseline=tuple(one.wall_s * 1000 for one in plain),
        better="less",
        notes=notes,
    )
    yield Figure(
        part=PART,
        what=f"{seconds // 60} minutes, made and kept",
        unit="ms",
        ours=tuple(one.wall_s * 1000 for one in made),
        baseline_name="bare libopus decoding the packets, one core",
        baseline=tuple(wall_s * 1000 for wall_s in bare_wall_s),
        better="less",
    )
