"""The first byte of a long conversation: out of a folder, and out of a bucket like Google's with and without a delay for each call.

Baseline: what the store itself takes for what has to come first, a listing and one object, by a server that looks at nothing.
"""

from collections.abc import Iterator

from bench import stored_recording
from bench.bucket import DELAY_MS, Bucket
from bench.fetching import Fetched, conversation, fetch
from bench.figure import Figure, Goal
from bench.scale import Scale
from bench.stored_recording import UID
from bench.workbench import PlainCopies, Service, Workbench

PART = "first-byte"
CID = "day"
GOAL_MS = 100
FORMATS = ("wav", "ogg")


def measure(scale: Scale) -> Iterator[Figure]:
    """Milliseconds until the first byte of the body is there."""
    with Workbench() as workbench:
        stored_recording.store(workbench.store, CID, scale.day_batches)
        hours = f"{scale.day_batches / 60:g} hours ({scale.day_batches} objects)"
        cold: list[Fetched] = []
        own: list[Fetched] = []
        copies = workbench.plain_copies()
        for _ in range(scale.few_rounds):
            api = workbench.service("storage_api")
            cold.append(_ours(workbench, api, "wav"))
            own.append(_bare(copies))
            api.process.end()
        yield _figure(f"{hours} as wav out of a folder, never seen before", cold, own)
        api = workbench.service("storage_api")
        yield from _formats(workbench, api, copies, f"{hours} as", "out of a folder", scale.rounds)
        api.process.end()
        bucket = Bucket(workbench, 0, filled=True)
        copies = workbench.plain_copies(bucket.settings)
        for delay_ms in (0, DELAY_MS):
            where = f"out of a bucket that takes {delay_ms} ms"
            bucket.delay(delay_ms)
            api = workbench.service("storage_api", port=0, **bucket.settings)
            seen, own = [_ours(workbench, api, "wav")], [_bare(copies)]
            yield _figure(f"{hours} as wav {where}, never seen before", seen, own)
            yield from _formats(workbench, api, copies, f"{hours} as", where, scale.rounds)
            api.process.end()


def _formats(
    workbench: Workbench, api: Service, copies: PlainCopies, what: str, where: str, rounds: int
) -> Iterator[Figure]:
    ours: dict[str, list[Fetched]] = {kind: [] for kind in FORMATS}
    own: list[Fetched] = []
    for kind in FORMATS:
        _ours(workbench, api, kind)
    for _ in range(rounds):
        for kind in FORMATS:
            ours[kind].append(_ours(workbench, api, kind))
        own.append(_bare(copies))
    for kind in FORMATS:
        yield _figure(f"{what} {kind} {where}", ours[kind], own)


def _ours(workbench: Workbench, api: Service, kind: str) -> Fetched:
    path = f"{conversation(CID)}/audio?format={kind}"
    return fetch(api.process, api.port, path, workbench.service_token, most_bytes=1)


def _bare(copies: PlainCopies) -> Fetched:
    return fetch(copies.process, copies.port, f"/chunks/{UID}/{CID}/", most_bytes=1)


def _figure(what: str, ours: list[Fetched], own: list[Fetched]) -> Figure:
    """The goal is what is beyond the store's own."""
    return Figure(
        part=PART,
        what=what,
        unit="ms",
        ours=tuple(one.first_s * 1000 for one in ours),
        baseline_name="the store's own: the listing and the first object, copied",
        baseline=tuple(one.first_s * 1000 for one in own),
        better="less",
        goal=Goal("above", "at most", GOAL_MS),
        notes=("the goal is for what comes on top of the baseline",),
    )
