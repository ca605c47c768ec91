"""What storage-api takes where each call of the bucket takes 50 ms, beside the same bucket without a delay.

Of an hour: as `ogg`, as `wav`, and its kept waveform. The others (first byte, chunks, merge) have a line for it in their own parts.
"""

from collections.abc import Callable, Iterator

from bench import stored_recording
from bench.bucket import DELAY_MS, Bucket
from bench.fetching import Fetched, conversation, fetch
from bench.figure import Figure, Goal
from bench.scale import Scale
from bench.stored_recording import UID
from bench.workbench import Workbench

PART = "latency"
CID = "hour"
GOAL = 2
ASKED = {"as ogg": "audio?format=ogg", "as wav": "audio?format=wav", "waveform, kept": "waveform"}


def measure(scale: Scale) -> Iterator[Figure]:
    """Milliseconds, with the delay and without it in turns."""
    took: dict[tuple[str, int], list[Fetched]] = {
        (what, ms): [] for what in (*ASKED, "copy") for ms in (0, DELAY_MS)
    }
    with Workbench() as workbench:
        stored_recording.store(workbench.store, CID, scale.hour_batches)
        bucket = Bucket(workbench, 0, filled=True)
        api = workbench.service("storage_api", port=0, **bucket.settings)
        copies = workbench.plain_copies(bucket.settings)

        def ours(path: str) -> Callable[[], Fetched]:
            return lambda: fetch(
                api.process, api.port, f"{conversation(CID)}/{path}", workbench.service_token
            )

        calls = {what: ours(path) for what, path in ASKED.items()}
        calls["copy"] = lambda: fetch(copies.process, copies.port, f"/chunks/{UID}/{CID}/")
        for call in calls.values():
            call()
        for _ in range(scale.rounds):
            for ms in (0, DELAY_MS):
                bucket.delay(ms)
                for what, call in calls.items():
                    took[what, ms].append(call())
    minutes = scale.hour_batches
    for what in ASKED:
        yield Figure(
            part=PART,
            what=f"{minutes} minutes {what}, from a bucket that takes {DELAY_MS} ms for each call",
            unit="ms",
            ours=tuple(one.wall_s * 1000 for one in took[what, DELAY_MS]),
            baseline_name="the same bucket without a delay",
            baseline=tuple(one.wall_s * 1000 for one in took[what, 0]),
            better="less",
            goal=Goal("ratio", "at most", GOAL),
        )
    yield Figure(
        part=PART,
        what=f"{minutes} minutes as ogg, from a bucket that takes {DELAY_MS} ms for each call",
        unit="ms",
        ours=tuple(one.wall_s * 1000 for one in took["as ogg", DELAY_MS]),
        baseline_name="plain copy of the same objects, out of the same bucket by the same server",
        baseline=tuple(one.wall_s * 1000 for one in took["copy", DELAY_MS]),
        better="less",
        goal=Goal("ratio", "at most", 3),
    )
