"""The live tail: what waits, with its packets kept or read again."""

import msgspec
import pytest

from audiocodec import read_ogg_opus
from storage_api.live_tail import parse_entries, read_live_tail
from storage_api.passage import passages


@pytest.fixture
def keeps_nothing(monkeypatch):
    """As where the bucket has been away for hours: packets are not kept, and read again when they are played."""
    monkeypatch.setattr("storage_api.live_tail.KEPT_BYTES", 0)
    monkeypatch.setattr("storage_api.live_tail.PAGE_ENTRIES", 7)
    monkeypatch.setattr("storage_api.passage.MAX_LIVE_SAMPLES", 5 * 48_000)


async def test_every_entry_is_a_piece(tape, one_bus, conversation, pcm_tone):
    await tape.record(pcm_tone(3))
    tail = await read_live_tail(one_bus, conversation)
    assert [live.id.offset for live in tail.chunks] == [end for _, end in tape.chunks]
    assert [(live.sample_rate, live.channels) for live in tail.chunks] == [(16_000, 1)] * 4
    assert tail.unheard == ()


async def test_an_opened_session_is_no_audio_and_rubbish_is_counted(tape, one_bus, conversation):
    await tape.open()
    await one_bus.command("XADD", one_bus.keys.audio(conversation), f"{tape.epoch}-5", "c", b"rubbish")
    await one_bus.command(
        "XADD", one_bus.keys.audio(conversation), f"{tape.epoch}-6", "x", b"of another version"
    )
    found, bad = parse_entries("conv-1", await one_bus.read(conversation, count=10))
    assert (found, [(one.id.offset, one.why) for one in bad]) == ([], [(5, "damaged")])


async def test_the_pre_roll_is_the_last_320_ms_before(tape, one_bus, conversation, encode, pcm_tone):
    await tape.open()
    await tape.append(encode(pcm_tone(3), chunk_s=0.1))
    tail = await read_live_tail(one_bus, conversation)
    sent = [packet for chunk, _ in tape.chunks for packet in chunk.packets]
    (passage,) = passages(_plays(tail)[20:])
    (sound,) = tail.sounds(passage, await tail.load(one_bus, conversation, passage))
    at = sent.index(sound.span.packets[0])
    assert sound.preroll == tuple(sent[at - 16 : at])


def _plays(tail):
    from storage_api.timeline import timeline  # noqa: PLC0415 - for this helper alone

    return timeline(tail.pieces).plays


async def test_after_a_flush_the_kept_pre_roll_stands_before_the_first(tape, one_bus, conversation, pcm_tone):
    await tape.record(pcm_tone(6))
    await tape.drain(0, 3)
    tail = await read_live_tail(one_bus, conversation)
    (passage,) = passages(_plays(tail))
    (sound,) = tail.sounds(passage, await tail.load(one_bus, conversation, passage))
    assert sound.preroll == tape.preroll(3)
    assert len(sound.preroll) == 16


async def test_a_tail_too_long_to_keep_is_read_again(api, tape, conversation, pcm_tone, keeps_nothing):
    await tape.record(pcm_tone(30))
    await tape.drain(0, 4)
    sent = [packet for chunk, _ in tape.chunks for packet in chunk.packets]
    tail = await read_live_tail(api.services.bus, conversation)
    assert not any(live.span.packets for live in tail.chunks)
    answer = await api.get(conversation, "/audio")
    assert read_ogg_opus(answer.content).packets == sent
    assert len(await api.pcm(conversation)) == 480_000


async def test_what_was_stored_since_it_was_read_comes_from_the_bucket(
    api, tape, conversation, pcm_tone, keeps_nothing
):
    await tape.record(pcm_tone(30))
    sent = [packet for chunk, _ in tape.chunks for packet in chunk.packets]
    services = api.services
    recording = await services.recordings.find(conversation)
    await tape.drain(0, 17)
    from storage_api.loading import Loader  # noqa: PLC0415 - for this test alone

    loader = Loader(services.recordings, recording, services.workers)
    found = []
    for passage in passages(recording.timeline.plays):
        for sound in await loader.load_wherever(passage):
            found += sound.span.packets
    assert found == sent


async def test_entries_without_packets_only_move_the_offset(
    api, tape, conversation, encode, pcm_tone, one_bus
):
    """Bytes that are no packets are counted and left out; what comes before and after is one run all the same."""
    chunks = encode(pcm_tone(4))
    await tape.open()
    nothing = [(empty_after(chunks[0][0], 0, samples=0), 30)]
    first = moved(chunks[:2], 30)
    between = [(empty_after(first[1][0], first[1][1]), first[1][1] + 50)]
    rest = moved(chunks[2:], 80)
    await tape.append([*nothing, *first, *between, *rest])
    tail = await read_live_tail(one_bus, conversation)
    assert len(tail.chunks) == len(chunks)
    (passage,) = passages(_plays(tail))
    (sound,) = tail.sounds(passage, await tail.load(one_bus, conversation, passage))
    assert sound.span.packets == tuple(packet for chunk, _ in chunks for packet in chunk.packets)
    assert (await api.get(conversation)).json()["chunks"] == len(chunks)


async def test_a_session_of_nothing_but_rubbish_is_no_recording(api, tape, conversation, encode, pcm_tone):
    await tape.open()
    await tape.append([(empty_after(encode(pcm_tone(1))[0][0], 0, samples=0), 99)])
    assert (await api.get(conversation)).status_code == 404
    path = f"/v1/users/{conversation.uid}/conversations"
    answer = await api.http.get(path, headers={"Authorization": "Bearer all-token"})
    assert answer.json()["conversations"] == []


def moved(chunks, by: int):
    return [
        (msgspec.structs.replace(chunk, first_offset=chunk.first_offset + by), end + by)
        for chunk, end in chunks
    ]


def empty_after(chunk, offset: int, samples: int | None = None):
    """The entry that `listen` writes where nothing of what came was a packet."""
    at = chunk.first_sample + (chunk.samples if samples is None else samples)
    return msgspec.structs.replace(
        chunk, first_sample=at, samples=0, lead=0, trim=0, starts=False, first_offset=offset, packets=()
    )
