"""Many downloads at once: whether each gets its share.

Figure: what the slowest got beside the mean, and the fastest. Baseline: the same number of plain files from the same kind of server. Clients are threads of this
process; all begin together, and what each has by the time the first one ends counts.
"""

import http.client
import threading
import time
from collections.abc import Iterator
from statistics import mean

from bench import stored_recording
from bench.fetching import PIECE_BYTES, conversation, fetch
from bench.figure import Figure, Goal
from bench.process import BenchError
from bench.scale import Scale
from bench.workbench import Workbench
from tapedeck.up.ports import LOOPBACK

PART = "fairness"
CLIENTS = 20
LEAST_SHARE = 0.5


def measure(scale: Scale) -> Iterator[Figure]:
    """Shares of the mean."""
    with Workbench() as workbench:
        stored_recording.store(workbench.store, "hour", scale.hour_batches)
        api, files = workbench.service("storage_api"), workbench.plain_files()
        for kind, seconds in (("ogg", 4.0), ("wav", 12.0)):
            path = f"{conversation('hour')}/audio?format={kind}"
            fetch(api.process, api.port, path, workbench.service_token, files.folder / kind)
            ours, plain = [], []
            for _ in range(scale.few_rounds):
                ours.append(_shares(api.port, path, workbench.service_token, seconds))
                plain.append(_shares(files.port, f"/{kind}", "", seconds / 4))
            for which, name in ((0, "slowest"), (1, "fastest")):
                yield Figure(
                    part=PART,
                    what=f"the {name} of {CLIENTS} downloads at once as {kind}",
                    unit="of the mean",
                    ours=tuple(shares[which] for shares in ours),
                    baseline_name="plain files from the same server",
                    baseline=tuple(shares[which] for shares in plain),
                    better="less" if which else "more",
                    goal=Goal("value", "at most", 2) if which else Goal("value", "at least", LEAST_SHARE),
                    notes=("bytes that each of them had of the downloads of a few seconds, again and again",),
                )


def _shares(port: int, path: str, token: str, seconds: float) -> tuple[float, float]:
    """Of the slowest and of the fastest. Each client asks anew as soon as it has all."""
    got = [0] * CLIENTS
    together = threading.Barrier(CLIENTS)
    failed: list[str] = []

    def download(number: int) -> None:
        piece = memoryview(bytearray(PIECE_BYTES // 8))
        together.wait()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            connection = http.client.HTTPConnection(LOOPBACK, port, timeout=120)
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            if answer.status != 200:
                failed.append(f"{path} answered {answer.status}")
                return
            while time.perf_counter() < until and (size := answer.readinto(piece)):
                got[number] += size
            connection.close()

    threads = [threading.Thread(target=download, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed or not all(got):
        raise BenchError(failed[0] if failed else "a download got nothing at all")
    return min(got) / mean(got), max(got) / mean(got)
