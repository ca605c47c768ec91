"""Killed before and after every step, and asked again: nothing outside the cut is lost, nothing of it comes back, and the books close."""

from itertools import pairwise

import pytest

from audiobus import Bus, Conversation
from audiobus.replacing import Replacing
from audiobus.script import Script
from audiocodec.packet import packet_facts
from audiostore.waveform_names import waveform_name

STEPS = 60
"""More than there are."""


class DiesError(Exception):
    """The process is killed."""


class Life:
    """How many steps are left to it: of those that change something. What only reads leaves everything as it was after the step before."""

    def __init__(self) -> None:
        self.left = 10**9

    def around(self, call):
        """Dies after the call, its answer unheard; and is dead from then on."""

        async def mortal(*args, **kwargs):
            if self.left < 0:
                raise DiesError
            answer = await call(*args, **kwargs)
            self.left -= 1
            if self.left < 0:
                raise DiesError
            return answer

        return mortal


class MortalStore:
    """A store that somebody who may be killed uses."""

    def __init__(self, real, life: Life) -> None:
        self._real, self._life = real, life

    def __getattr__(self, name):
        found = getattr(self._real, name)
        return self._life.around(found) if name in {"put", "delete"} else found


@pytest.fixture
def life(monkeypatch) -> Life:
    life = Life()
    read, forget = Bus.command, life.around(Bus.command)

    async def command(bus, *args):
        return await (forget if args[0] == "HDEL" else read)(bus, *args)

    monkeypatch.setattr(Script, "run", life.around(Script.run))
    monkeypatch.setattr(Bus, "command", command)
    return life


def touched(tape, start_s: float, end_s: float) -> tuple[set[bytes], int]:
    """The packets of which some audio lies there, and how many samples they play."""
    found, samples = set(), 0
    for chunk, _ in tape.chunks:
        at = chunk.first_sample - chunk.lead
        for packet in chunk.packets:
            end = at + packet_facts(packet).samples
            first, last = max(at, chunk.first_sample), min(end, chunk.first_sample + chunk.samples)
            if first < end_s * 48_000 and start_s * 48_000 < last:
                found.add(packet)
                samples += last - first
            at = end
    return found, samples


@pytest.mark.parametrize("timestamps", [False, True], ids=["stretch", "timestamps"])
async def test_killed_at_every_step_and_asked_again(
    serve, one_bus, tape_for, store, tmp_path, encode, speech, cutter, life, batches, names, timestamps
):
    chunks = encode(speech[: 4 * 32_000], chunk_s=0.5)
    ended = []
    async with serve(one_bus, MortalStore(store, life), tmp_path) as api:
        for dies_at in range(STEPS):
            conversation = cutter.conversation = Conversation("user-1", f"conv-{dies_at}")
            tape = tape_for(conversation)
            await tape.open()
            await tape.append(chunks)
            stored = [name for at in (0, 2, 4) for name in await tape.drain(at, at + 2)]
            await tape.drain(6, len(chunks))
            waveform = waveform_name(stored[1], sealed=False)
            await store.put(waveform, b"x", content_type="application/octet-stream", metadata={})
            start, end = (chunks[2][0].first_sample / 48_000, chunks[4][0].first_sample / 48_000)
            if not timestamps:
                start, end = 0.7, 1.9
            gone, samples = touched(tape, start, end)

            async def ask():
                if timestamps:
                    return await cutter.chunks(api, 1.2)
                return await cutter.stretch(api, 0.7, 1.9)

            life.left = dies_at
            first = await ask()
            life.left = 10**9
            # A while later.
            await one_bus.command("DEL", one_bus.keys.replacing_lease(conversation))
            second = await ask()
            assert (first.status_code, second.status_code) in {(500, 200), (200, 200)}, dies_at
            found: set[bytes] = set()
            kept = []
            for batch in await batches(store, prefix=f"chunks/user-1/{conversation.cid}/"):
                found.update(batch.preroll)
                for span in batch.spans:
                    found.update(span.packets)
                    kept.append((span.first_sample, span.first_sample + span.samples))
            every = {packet for chunk, _ in chunks for packet in chunk.packets}
            assert found == every - gone, dies_at
            kept.sort()
            assert all(a[1] <= b[0] for a, b in pairwise(kept)), dies_at
            balance = await cutter.balance()
            assert (balance.deleted, balance.stored) == (samples, sum(b - a for a, b in kept)), dies_at
            assert await Replacing(one_bus, conversation).unfinished() == {}
            assert waveform not in await names(store)
            ended.append(first.status_code)
            if first.status_code == 200:
                assert second.json() == {"deleted_objects": 0, "deleted_seconds": 0}
                break
        else:
            pytest.fail("it never came to its end")
    assert len(ended) > 10
