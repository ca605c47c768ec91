"""What takes long where a conversation has thousands of objects is done in threads: others are served meanwhile."""

import threading

from storage_api.cutting import timestamps, waiting
from storage_api.cutting.cutting import Cutting


async def test_objects_rows_and_what_waits_are_looked_through_in_threads(
    api, tape, cutter, pcm_tone, monkeypatch
):
    seen = {}

    def watch(owner, name) -> None:
        real = getattr(owner, name)

        def watched(*args):
            seen[name] = threading.current_thread() is not threading.main_thread()
            return real(*args)

        monkeypatch.setattr(owner, name, watched)

    for name in ("_by_name", "_found", "_order"):
        watch(Cutting, name)
    watch(timestamps, "choose")
    watch(waiting, "_last_of")
    await tape.record(pcm_tone(4))
    await tape.drain(0, 2)
    await tape.drain(2, len(tape.chunks))
    assert (await cutter.chunks(api, 0.0)).json()["deleted_objects"] == 1
    assert seen == dict.fromkeys(seen, True)
    assert len(seen) == 5
