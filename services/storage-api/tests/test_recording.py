"""What a reader sees while the world moves: flushes, copies, deletions, and Redis or the bucket away."""

import asyncio
import itertools

import pytest

from audiobus import Bus, Conversation
from audiobus.errors import BusUnavailableError
from audiocodec import read_ogg_opus
from audiostore import open_store
from audiostore.names import CONTENT_TYPE
from storage_api.passage import passages
from storage_api.timeline import Live, Stored
from tapedeck_testing.draining.steps import Meanwhile, Stepping


class Interposed:
    """A store at which something happens just before an operation: the world moves while a reader reads."""

    def __init__(self, store) -> None:
        self._store = store
        self.before_list = None
        self.before_get = None
        self._moving = (
            asyncio.Lock()
        )  # objects are fetched side by side: what happens before one happens before all

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def list(self, prefix, after=""):
        if self.before_list:
            act, self.before_list = self.before_list, None
            await act()
        async for info in self._store.list(prefix, after):
            yield info

    async def get(self, name):
        async with self._moving:
            if self.before_get:
                act, self.before_get = self.before_get, None
                await act()
        return await self._store.get(name)


@pytest.fixture
def moving(store):
    return Interposed(store)


async def test_a_flush_between_tail_and_listing_shows_neither_hole_nor_echo(
    serve, one_bus, moving, tmp_path, tape, conversation, pcm_tone
):
    await tape.record(pcm_tone(20))
    sent = [packet for chunk, _ in tape.chunks for packet in chunk.packets]
    async with serve(one_bus, moving, tmp_path) as api:
        for query in ({"format": "pcm"}, {"format": "ogg"}):
            last = 8 if query["format"] == "pcm" else len(tape.chunks)
            moving.before_list = lambda last=last: tape.drain(0 if last == 8 else 8, last)
            answer = await api.get(conversation, "/audio", **query)
            assert moving.before_list is None
            if query["format"] == "pcm":
                assert len(answer.content) == 640_000
            else:
                assert read_ogg_opus(answer.content).packets == sent


async def test_17_a_flush_at_any_step_of_a_reader_shows_neither_hole_nor_echo(
    serve, redis_url, one_bus, store, tmp_path, tape_for, pcm_tone
):
    """Between the live tail and the bucket, and before every other request that a reader makes (docs/interleavings.md)."""
    current = [Meanwhile(1, lambda: asyncio.sleep(0))]

    async def step(name: str) -> None:
        if name != "PING":  # the service's own look whether Redis is there
            await current[0].step(name)

    async with Bus(redis_url, prefix=one_bus.keys.prefix) as bus:
        client, bus.client = bus.client, Stepping(bus.client, step)
        async with serve(bus, Stepping(store, step), tmp_path) as api:
            for at in itertools.count(1):
                tape = tape_for(Conversation("user-1", f"conv-{at}"))
                await tape.record(pcm_tone(8))
                await tape.drain(0, 3)
                sent = [packet for chunk, _ in tape.chunks for packet in chunk.packets]
                current[0] = Meanwhile(at, lambda tape=tape: tape.drain(3, len(tape.chunks)))
                answer = await api.get(tape.conversation, "/audio")
                assert read_ogg_opus(answer.content).packets == sent, f"at step {at}"
                assert answer.headers["tapedeck-missing"] == "0"
                if not current[0].happened:
                    break
        bus.client = client
    assert at > 6


async def test_what_was_put_damaged_is_heard_as_soon_as_it_is_put_right(
    api, tape, conversation, pcm_tone, tmp_path
):
    """Whoever looked in between heard what waits, and does not take the object for damaged when nothing waits any more."""
    await tape.record(pcm_tone(8))
    (name,) = await tape.put(0, len(tape.chunks))
    path = tmp_path / "store" / name
    good = path.read_bytes()
    path.write_bytes(good[:60] + bytes(400) + good[460:])
    for _ in range(3):
        rows = (await api.get(conversation, "/chunks")).json()["chunks"]
        assert [row["path"] for row in rows if row["unreadable"]] == [name]
        assert len((await api.get(conversation, "/audio", format="pcm")).content) == 256_000
    path.write_bytes(good)
    await tape.finish(len(tape.chunks))
    answer = await api.get(conversation, "/audio", format="pcm")
    assert (len(answer.content), answer.headers["tapedeck-missing"]) == (256_000, "0")


async def test_a_finish_while_the_tail_is_read_keeps_the_pre_roll(
    api, one_bus, tape, conversation, pcm_tone, monkeypatch
):
    await tape.record(pcm_tone(20))
    read = one_bus.read
    drained = []

    async def read_after_a_finish(*args, **kwargs):
        if not drained:
            drained.append(await tape.drain(0, 10))
        return await read(*args, **kwargs)

    monkeypatch.setattr(one_bus, "read", read_after_a_finish)
    recording = await api.services.recordings.find(conversation)
    *_, passage = passages(recording.timeline.plays)
    spans = await recording.tail.load(one_bus, conversation, passage)
    assert recording.tail.sounds(passage, spans)[0].preroll == tape.preroll(10)


async def test_where_it_is_not_known_what_is_deleted_the_answer_says_that_redis_is_away(
    api, tape, conversation, pcm_tone, monkeypatch
):
    """What it was asked before it answered: what it does not tell must not pass for all of it."""
    await tape.record(pcm_tone(4))
    await tape.drain(0, 2)
    asked = []

    async def hangs(*_):
        asked.append("names")
        raise BusUnavailableError("HGETALL: no answer")

    monkeypatch.setattr("storage_api.recording.noted", hangs)
    answer = await api.get(conversation, "/audio", format="pcm")
    assert (answer.status_code, answer.headers["tapedeck-live"]) == (200, "unavailable")
    assert answer.headers["cache-control"] == "private, no-store"
    assert 0 < len(answer.content) < 128_000
    assert asked == ["names"]


async def test_an_object_that_is_gone_when_it_is_fetched_means_list_again(
    serve, one_bus, moving, tmp_path, tape, conversation, pcm_tone
):
    await tape.record(pcm_tone(20))
    sent = [packet for chunk, _ in tape.chunks for packet in chunk.packets]
    names = await tape.drain(0, 10) + await tape.drain(10, len(tape.chunks))

    async def cut_anew() -> None:
        """What a rewrite does: the rest first, then the old object goes."""
        await tape.put(0, 4)
        await tape.put(4, 13)
        await tape.store.delete(names[0])

    async with serve(one_bus, moving, tmp_path) as api:
        moving.before_get = cut_anew
        answer = await api.get(conversation, "/audio")
        assert moving.before_get is None
        assert read_ogg_opus(answer.content).packets == sent
        assert answer.headers["tapedeck-missing"] == "0"
        # Its tag is that of what is there now, not of what was listed first.
        later = await api.get(conversation, "/audio")
        assert (later.headers["etag"], later.content) == (answer.headers["etag"], answer.content)


async def test_deleted_under_the_readers_hands_is_left_out_or_gone(
    serve, one_bus, moving, tmp_path, tape, conversation, pcm_tone
):
    await tape.record(pcm_tone(20))
    names = await tape.drain(0, 10) + await tape.drain(10, len(tape.chunks))
    async with serve(one_bus, moving, tmp_path) as api:
        moving.before_get = lambda: tape.store.delete(names[1])
        answer = await api.get(conversation, "/audio", format="pcm")
        assert len(answer.content) == 2 * (160_000 - 104)
        later = await api.get(conversation, "/audio", format="pcm")
        assert (later.headers["etag"], later.content) == (answer.headers["etag"], answer.content)
        moving.before_get = lambda: one_bus.command("SET", one_bus.keys.tomb(conversation), "1")
        answer = await api.get(conversation, "/audio")
        assert answer.status_code == 200  # nothing was missing when it was fetched
        answer = await api.get(conversation, "/audio")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_what_cannot_be_read_is_counted_and_its_time_is_a_gap(
    api, tape, conversation, store, pcm_tone, tmp_path
):
    await tape.record(pcm_tone(30))
    names = await tape.drain(0, 10) + await tape.drain(10, 20) + await tape.drain(20, len(tape.chunks))
    path = tmp_path / "store" / names[1]
    data = bytearray(path.read_bytes())
    data[-200] ^= 1  # in the body: the tags are right
    path.write_bytes(data)
    sealed = f"chunks/{conversation.uid}/{conversation.cid}/1700000100.000-1700000101.000.batch.enc"
    await store.put(sealed, b"TDSEAL01 and more", content_type="application/octet-stream", metadata={})
    other = f"chunks/{conversation.uid}/{conversation.cid}/1700000200.000-1700000201.000.batch.bin"
    await store.put(other, b"OggS" + bytes(32_000), content_type=CONTENT_TYPE, metadata={})

    # From the first sample to the end of what is named, whether it can be read or not, at the first look as at later ones.
    for _ in range(2):
        played = await api.pcm(conversation)
        assert len(played) == 201 * 16_000
    assert any(played[: 9 * 16_000])
    assert not any(played[10 * 16_000 : 19 * 16_000])
    assert any(played[21 * 16_000 :])
    answer = await api.get(conversation, "/audio", format="ogg")
    assert answer.headers["tapedeck-missing"] == "3"
    assert abs(read_ogg_opus(answer.content).end_granule - 201 * 48_000) < 960
    answer = await api.get(conversation, "/audio", format="ogg", end=1_700_000_050)
    assert answer.headers["tapedeck-missing"] == "1"
    assert len(await api.pcm(conversation, fill_gaps="false")) == 20 * 16_000

    answer = await api.get(conversation, "/audio", strict="true")
    assert (answer.status_code, answer.json()["code"], answer.json()["missing"]) == (502, "incomplete", 3)
    listed = (await api.get(conversation, "/chunks")).json()["chunks"]
    assert [chunk["unreadable"] for chunk in listed] == [None, "not_a_batch", None, "damaged", "not_a_batch"]
    assert [chunk["protection"] for chunk in listed][3] == "enhanced"
    # A stretch, or a chunk, of which nothing can be read is silence, and says so.
    for query in ({"start": 1_700_000_012, "end": 1_700_000_013}, {"timestamps": "1700000100.5"}):
        only_bad = await api.get(conversation, "/audio", format="pcm", **query)
        assert (only_bad.status_code, only_bad.headers["tapedeck-missing"]) == (200, "1")
        assert only_bad.content == bytes(32_000)
        refused = await api.get(conversation, "/audio", strict="true", **query)
        assert (refused.status_code, refused.json()["code"]) == (502, "incomplete")


@pytest.mark.parametrize("defect", ["nothing but a page's magic", "sealed", "cut short"])
async def test_where_nothing_at_all_can_be_read_its_time_is_silence(
    api, tape, store, conversation, pcm_tone, tmp_path, defect
):
    folder = f"chunks/{conversation.uid}/{conversation.cid}/"
    if defect == "cut short":  # its head is right, and says when it is and what form it has
        await tape.record(pcm_tone(1, 8_000), 8_000, start_ms=1_700_000_100_000)
        (name,) = await tape.drain(0, len(tape.chunks))
        path = tmp_path / "store" / name
        path.write_bytes(path.read_bytes()[:-100])
    elif defect == "sealed":
        name = folder + "1700000100.000-1700000101.000.batch.enc"
        await store.put(name, b"TDSEAL01 and more", content_type=CONTENT_TYPE, metadata={})
    else:
        name = folder + "1700000100.000-1700000101.000.batch.bin"
        await store.put(name, b"OggS and nothing more", content_type=CONTENT_TYPE, metadata={})
    rate = 8_000 if defect == "cut short" else 16_000
    for _ in range(2):
        answer = await api.get(conversation, "/audio", format="pcm")
        assert (answer.status_code, answer.headers["tapedeck-missing"]) == (200, "1")
        assert (answer.headers["tapedeck-sample-rate"], answer.headers["tapedeck-channels"]) == (
            str(rate),
            "1",
        )
        assert answer.content == bytes(rate * 2)
    ogg = read_ogg_opus((await api.get(conversation, "/audio")).content)
    assert (ogg.end_granule - ogg.head.pre_skip, ogg.head.input_sample_rate) == (48_000, rate)
    answer = await api.get(conversation, "/audio", fill_gaps="false")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_audio")
    assert answer.headers["tapedeck-missing"] == "1"
    answer = await api.get(conversation, "/audio", strict="true")
    assert (answer.status_code, answer.json()["code"], answer.json()["missing"]) == (502, "incomplete", 1)
    answer = await api.get(conversation)
    assert answer.json()["recorded_seconds"] == 0
    assert answer.json()["start"] == "2023-11-14T22:15:00.000Z"


async def test_nothing_recorded_is_not_found_anywhere(api, tape, conversation):
    await tape.open()  # somebody connected, and sent nothing
    for rest in ("", "/chunks", "/audio"):
        for asked in (conversation, Conversation(conversation.uid, "never"), Conversation("nobody", "never")):
            answer = await api.get(asked, rest)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_without_redis_the_stored_part_is_served_and_says_so(
    serve, redis_process, store, tmp_path, tape_for, conversation, pcm_tone
):
    async with Bus(redis_process.url) as bus, serve(bus, store, tmp_path) as api:
        tape = tape_for(conversation)
        tape.bus = bus
        await tape.record(pcm_tone(20))
        await tape.drain(0, 10)
        assert len(await api.pcm(conversation)) == 320_000
        redis_process.kill()
        answer = await api.get(conversation, "/audio", format="pcm")
        assert answer.headers["tapedeck-live"] == "unavailable"
        assert answer.headers["cache-control"] == "private, no-store"
        assert len(answer.content) == 320_000 - 208
        assert (await api.get(conversation, "/audio", strict="true")).status_code == 502
        for rest in ("", "/chunks"):
            assert (await api.get(conversation, rest)).headers["tapedeck-live"] == "unavailable"
        everything = await api.http.get(
            f"/v1/users/{conversation.uid}/conversations", headers={"Authorization": "Bearer all-token"}
        )
        assert everything.headers["tapedeck-live"] == "unavailable"
        assert [row["conversation_id"] for row in everything.json()["conversations"]] == [conversation.cid]

        # What is stored ends before that time: whether the rest waits, nobody can tell.
        for later in ({"start": "4000000000"}, {"timestamps": "4000000000"}):
            answer = await api.get(conversation, "/audio", **later)
            assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")

        other = Conversation(conversation.uid, "not-stored")
        for rest in ("", "/chunks", "/audio"):
            answer = await api.get(other, rest)
            assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")
            assert "retry-after" in answer.headers
        path = "/v1/users/nobody/conversations"
        answer = await api.http.get(path, headers={"Authorization": "Bearer all-token"})
        assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")
        answer = await api.http.post(
            api.path(conversation, ":flush"), headers={"Authorization": "Bearer all-token"}
        )
        assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")

        redis_process.start()
        assert len(await api.pcm(conversation)) == 320_000


async def test_a_redis_that_refuses_us_is_unavailable_and_no_defect(
    serve, redis_process, store, tmp_path, tape_for, conversation, pcm_tone
):
    async with Bus(redis_process.url) as bus, serve(bus, store, tmp_path) as api:
        tape = tape_for(conversation)
        tape.bus = bus
        await tape.record(pcm_tone(20))
        await tape.drain(0, 10)
        await bus.command("ACL", "SETUSER", "default", "-@all", "+acl")
        answer = await api.get(conversation, "/audio", format="pcm")
        assert answer.headers["tapedeck-live"] == "unavailable"
        assert len(answer.content) == 320_000 - 208
        answer = await api.http.post(
            api.path(conversation, ":flush"), headers={"Authorization": "Bearer all-token"}
        )
        assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")
        await bus.command("ACL", "SETUSER", "default", "+@all")
        assert len(await api.pcm(conversation)) == 320_000


async def test_a_long_tail_is_read_to_its_end(api, tape, conversation, encode, pcm_tone):
    await tape.open()
    await tape.append(encode(pcm_tone(40), chunk_s=0.06))
    assert len(tape.chunks) > 600
    assert len(await api.pcm(conversation)) == 640_000


async def test_two_sessions_at_one_time_play_the_earlier(api, tape_for, conversation, pcm_tone):
    early, late = tape_for(conversation), tape_for(conversation)
    await early.record(pcm_tone(4))
    await early.drain(0, len(early.chunks))
    await late.record(pcm_tone(4, hertz=300), start_ms=1_700_000_002_000)
    played = await api.pcm(conversation)
    assert len(played) == 6 * 16_000
    recording = await api.services.recordings.find(conversation)
    assert any(isinstance(source, Live) for source in recording.timeline.overlapped)
    assert not any(isinstance(source, Stored) for source in recording.timeline.overlapped)
    states = [
        (chunk["state"], chunk["overlapped"])
        for chunk in (await api.get(conversation, "/chunks")).json()["chunks"]
    ]
    assert states[0] == ("stored", False)
    assert ("live", True) in states
    assert ("live", False) in states


async def test_a_store_that_cannot_be_read_is_unavailable(
    serve, one_bus, tmp_path, tape, conversation, pcm_tone
):
    await tape.record(pcm_tone(1))
    broken = open_store(f"file://{tmp_path}/broken")
    (tmp_path / "broken" / "chunks").write_text("a file where a folder should be")
    async with serve(one_bus, broken, tmp_path) as api:
        answer = await api.get(conversation, "/audio")
        assert answer.status_code in (200, 503)
    await broken.close()
