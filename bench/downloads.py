"""Download of an hour as `ogg` and as `wav` from storage-api, in multiples of real time.

Baselines take turns with it: for `ogg` a plain copy of the very objects by a server that looks at nothing, and the same bytes as a plain file; for `wav`
bare libopus decoding the same packets, on all cores, in processes that do nothing else. Beside both stands what sending as many bytes takes, and nothing else.
"""

from collections.abc import Iterator

from bench import speech, stored_recording
from bench.both_cores import BothCores, Decoded
from bench.fetching import Fetched, conversation, fetch
from bench.figure import Figure, Goal
from bench.process import BenchError
from bench.scale import Scale
from bench.stored_recording import UID
from bench.workbench import Workbench

PART = "download"
CID = "hour"
FORMATS = ("ogg", "wav")


def measure(scale: Scale) -> Iterator[Figure]:
    """Seconds of audio for each second of waiting, and for each second of the server's CPU."""
    seconds = scale.hour_batches * 60
    ours: dict[str, list[Fetched]] = {kind: [] for kind in FORMATS}
    plain: dict[str, list[Fetched]] = {kind: [] for kind in FORMATS}
    sent: dict[str, list[Fetched]] = {kind: [] for kind in FORMATS}
    copied: list[Fetched] = []
    bare: list[Decoded] = []
    with Workbench() as workbench, BothCores() as both:
        stored_recording.store(workbench.store, CID, scale.hour_batches)
        api = workbench.service("storage_api")
        files, copies = workbench.plain_files(), workbench.plain_copies()
        path = f"{conversation(CID)}/audio?format="
        objects = f"/chunks/{UID}/{CID}/"
        for kind in FORMATS:
            warm = fetch(api.process, api.port, path + kind, workbench.service_token, files.folder / kind)
            _check(kind, warm.size, seconds)
            fetch(files.process, files.port, f"/{kind}")
        for _ in range(scale.rounds):
            for kind in FORMATS:
                ours[kind].append(fetch(api.process, api.port, path + kind, workbench.service_token))
                plain[kind].append(fetch(files.process, files.port, f"/{kind}"))
                sent[kind].append(fetch(copies.process, copies.port, f"/bytes/{ours[kind][-1].size}"))
            copied.append(fetch(copies.process, copies.port, objects))
            bare.append(both.decode(scale.hour_batches * speech.BATCH_PACKETS))
    speed = {kind: tuple(seconds / one.wall_s for one in ours[kind]) for kind in FORMATS}
    notes = (
        f"{scale.hour_batches} batches of 60 s, 16 kHz mono, warm page cache, one client in another process",
    )
    ogg_size, wav_size = (f"{ours[kind][0].size / 1e6:.1f} MB" for kind in FORMATS)
    yield Figure(
        part=PART,
        what=f"{seconds // 60} minutes as ogg ({ogg_size})",
        unit="times real time",
        ours=speed["ogg"],
        baseline_name="plain file from the same server",
        baseline=tuple(seconds / one.wall_s for one in plain["ogg"]),
        better="more",
        goal=Goal("value", "at least", 5_000),
        notes=notes,
    )
    yield Figure(
        part=PART,
        what=f"{seconds // 60} minutes as ogg",
        unit="ms",
        ours=tuple(one.wall_s * 1000 for one in ours["ogg"]),
        baseline_name="plain copy of the same objects, out of the same store by the same server",
        baseline=tuple(one.wall_s * 1000 for one in copied),
        better="less",
        goal=Goal("ratio", "at most", 3),
    )
    yield Figure(
        part=PART,
        what=f"{seconds // 60} minutes as ogg, CPU of the server",
        unit="CPU seconds",
        ours=tuple(one.cpu_s for one in ours["ogg"]),
        baseline_name="plain copy",
        baseline=tuple(one.cpu_s for one in copied),
        better="less",
    )
    yield Figure(
        part=PART,
        what=f"{seconds // 60} minutes as wav ({wav_size})",
        unit="times real time",
        ours=speed["wav"],
        baseline_name="bare libopus decoding the packets on the same cores, a process each",
        baseline=tuple(seconds / one.wall_s for one in bare),
        better="more",
        goal=Goal("ratio", "at least", 0.85),
    )
    yield Figure(
        part=PART,
        what=f"{seconds // 60} minutes as wav, CPU of the server",
        unit="CPU seconds",
        ours=tuple(one.cpu_s for one in ours["wav"]),
        baseline_name="bare libopus decoding",
        baseline=tuple(one.cpu_s for one in bare),
        better="less",
    )
    for kind in FORMATS:
        yield Figure(
            part=PART,
            what=f"{seconds // 60} minutes as {kind}, CPU of the server",
            unit="CPU seconds",
            ours=tuple(one.cpu_s for one in ours[kind]),
            baseline_name="sending as many bytes, and nothing else",
            baseline=tuple(one.cpu_s for one in sent[kind]),
            better="less",
        )


def _check(kind: str, size: int, seconds: int) -> None:
    """That the whole recording came."""
    least = seconds * speech.SAMPLE_RATE * 2 * 0.999 if kind == "wav" else seconds * 24_000 / 8 * 0.5
    if size < least:
        raise BenchError(f"{seconds} s as {kind} are only {size} bytes")
