"""Conversations of older and newer objects, sealed and plain, of several rates and channel counts, over real HTTP."""

import base64
import struct
from array import array

import msgspec
import numpy as np
import pytest
import pytest_asyncio

from audiocodec import Decoder, Encoder, read_ogg_opus
from audiocodec.pcm import interleave
from audiocodec.resampler import resample
from audiostore import open_store, sealing
from audiostore.key_ring import KeyRing, KeySource
from storage_api.keys import Keys

T0 = 1_700_000_000_000
KEY = base64.b64encode(bytes(range(32))).decode()
RING = f"k1:{KEY}"
EARLY_48K = 4
"""The encoder takes away what is below hearing, which moves low tones by less than a sample at 16 kHz."""


def lag(heard, wanted, most: int = 60) -> int:
    have, want = (np.asarray(pcm, dtype=float) for pcm in (heard, wanted))
    inner = want[most:-most]
    return max(
        range(-most, most + 1),
        key=lambda shift: float(have[most + shift : most + shift + len(inner)] @ inner),
    )


def blob(pcm: bytes) -> bytes:
    packets = Encoder(16_000, complexity=0).encode(pcm)
    head = struct.pack("<II", len(packets), len(pcm))
    return head + b"".join(struct.pack("<H", len(packet)) + packet for packet in packets)


@pytest_asyncio.fixture
async def put(store, conversation):
    """Puts an older object: a suffix, its start in ms after T0, its bytes."""

    async def make(start_ms: int, suffix: str, data: bytes) -> str:
        at = T0 + start_ms
        name = f"chunks/{conversation.uid}/{conversation.cid}/{at // 1000}.{at % 1000:03d}.{suffix}"
        await store.put(name, data, content_type="x/y", metadata={})
        return name

    return make


async def rows(api, conversation) -> dict[str, tuple[bool, str | None]]:
    """What …/chunks says of each stored chunk, by the end of its name: overlapped, and why it cannot be read."""
    listed = (await api.get(conversation, "/chunks")).json()["chunks"]
    return {
        row["path"].split("/")[-1][11:]: (row["overlapped"], row["unreadable"])
        for row in listed
        if row["path"]
    }


async def test_of_several_objects_at_one_time_the_best_that_decodes_is_played(api, put, conversation, speech):
    second = 32_000
    await put(0, "bin", speech[:second])
    await put(0, "opus", b"\1\0\0")
    await put(1_000, "bin", speech[second : 2 * second])
    await put(1_000, "opus", blob(speech[second : 2 * second]))
    await put(2_000, "bin", b"")
    await put(2_000, "opus", blob(speech[2 * second : 3 * second])[:-1])
    await put(3_000, "bin", speech[3 * second : 4 * second])
    played = await api.pcm(conversation)
    assert len(played) == 4 * 16_000
    assert played[:16_000].tobytes() == speech[:second]
    assert lag(played[16_000:32_000], array("h", speech[second : 2 * second]), 200) == 104
    assert not any(played[32_000:48_000])
    assert played[48_000:].tobytes() == speech[3 * second : 4 * second]
    listed = (await api.get(conversation, "/chunks")).json()
    assert [(row["path"][-18:], row["overlapped"], row["unreadable"]) for row in listed["chunks"]] == [
        ("1700000000.000.bin", False, None),
        ("700000000.000.opus", False, "damaged"),
        ("1700000001.000.bin", True, None),
        ("700000001.000.opus", False, None),
        ("1700000002.000.bin", False, "damaged"),
        ("700000002.000.opus", False, "damaged"),
        ("1700000003.000.bin", False, None),
    ]
    # What is covered by another object at the same start is no gap.
    assert [(gap["start"][-7:], gap["duration_ms"]) for gap in listed["gaps"]] == [("22.000Z", 1_000)]
    answer = await api.get(conversation, "/audio", format="pcm")
    assert answer.headers["tapedeck-missing"] == "3"
    one = (await api.get(conversation)).json()
    assert (one["chunks"], one["recorded_seconds"]) == (7, 3.0)


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        ((0, "opus", b"x"), 200),  # how long it was nobody knows: what begins with it is taken for the same
        ((500, "opus", b"x"), 502),
        ((500, "bin", b""), 200),  # empty
        ((2_500, "bin", b""), 502),  # empty, and nothing else has its time
        ((1_000, "opus", blob(bytes(32_000))[:-1]), 200),
        ((1_500, "opus", blob(bytes(32_000))[:-1]), 502),  # half a second is lost
        ((1_000, "enc", bytes(32_032)), 200),
        ((1_000, "enc", bytes(32_034)), 502),  # a sample is lost
    ],
)
async def test_strict_fails_only_where_time_is_lost(api, put, conversation, speech, bad, status):
    await put(0, "bin", speech[:32_000])
    await put(1_000, "bin", speech[32_000:64_000])
    await put(*bad)
    answer = await api.get(conversation, "/audio", format="pcm", strict="true")
    assert answer.status_code == status
    lenient = await api.get(conversation, "/audio", format="pcm")
    assert (lenient.status_code, lenient.headers["tapedeck-missing"]) == (200, "1")
    listed = (await api.get(conversation, "/chunks")).json()["chunks"]
    assert sum(row["unreadable"] is not None for row in listed) == 1
    if status == 200:
        assert answer.content == lenient.content == speech[:64_000]


async def test_an_object_that_turns_out_to_be_unreadable_makes_room_for_another(
    api, put, conversation, speech, tape, tmp_path
):
    """Its head was well: only reading it whole shows the defect, and what it covered is planned anew."""
    await put(500, "bin", speech[: 2 * 32_000])
    await tape.record(speech[32_000 : 3 * 32_000])
    (name,) = await tape.drain(0, len(tape.chunks))
    path = tmp_path / "store" / name
    assert (await rows(api, conversation))["500.bin"] == (True, None)
    data = bytearray(path.read_bytes())
    data[-200] ^= 1
    path.write_bytes(data)
    answer = await api.get(conversation, "/audio", format="pcm")
    assert answer.headers["tapedeck-missing"] == "1"
    assert answer.content == bytes(16_000) + speech[: 2 * 32_000]
    assert (await rows(api, conversation))["500.bin"] == (False, None)


@pytest.mark.parametrize("newer_first", [True, False])
async def test_older_and_newer_audio_of_one_conversation(api, put, tape, conversation, speech, newer_first):
    older_ms, newer_ms = (4_000, 0) if newer_first else (0, 4_000)
    await put(older_ms, "bin", speech[: 2 * 32_000])
    await put(older_ms + 2_000, "opus", blob(speech[2 * 32_000 : 3 * 32_000]))
    await tape.record(speech[3 * 32_000 : 6 * 32_000], start_ms=T0 + newer_ms)
    await tape.drain(0, 2)
    played = await api.pcm(conversation)
    assert len(played) == 7 * 16_000
    older = played[older_ms * 16 :][: 2 * 16_000]
    assert older.tobytes() == speech[: 2 * 32_000]
    newer = played[newer_ms * 16 :][: 3 * 16_000]
    assert lag(newer, array("h", speech[3 * 32_000 : 6 * 32_000])) == 0
    ogg = read_ogg_opus((await api.get(conversation, "/audio")).content)
    sent = [packet for chunk, _ in tape.chunks for packet in chunk.packets]
    assert [packet for packet in ogg.packets if packet in set(sent)] == sent
    decoder = Decoder(16_000, 1)
    heard = array("h", b"".join(decoder.decode(packet) for packet in ogg.packets))[ogg.head.pre_skip // 3 :]
    assert abs(ogg.end_granule - ogg.head.pre_skip - 7 * 48_000) <= 60
    assert abs(lag(heard[older_ms * 16 :][: 3 * 16_000], played[older_ms * 16 :][: 3 * 16_000])) <= 1
    assert abs(lag(heard[newer_ms * 16 :][: 3 * 16_000], newer)) <= 1
    listed = (await api.get(conversation, "/chunks")).json()
    assert {row["format"] for row in listed["chunks"]} == {"pcm_s16le", "opus", "ogg_opus"}
    assert [gap["duration_ms"] for gap in listed["gaps"]] == [1_000]


async def test_older_audio_under_newer_is_trimmed_to_the_sample(api, put, tape, conversation, speech):
    await tape.record(speech[: 2 * 32_000])
    await tape.drain(0, len(tape.chunks))
    await put(1_500, "bin", speech[48_000 : 48_000 + 32_000 * 2])
    played = await api.pcm(conversation)
    assert len(played) == round(3.5 * 16_000)
    assert lag(played[: 2 * 16_000], array("h", speech[: 2 * 32_000])) == 0
    assert played[2 * 16_000 :].tobytes() == speech[2 * 32_000 : 2 * 32_000 + 48_000]
    # In ogg the encoder of the older audio begins without a gap: late by its lead-in and the padding before it, 26 ms at the most.
    ogg = read_ogg_opus((await api.get(conversation, "/audio")).content)
    assert 0 <= ogg.end_granule - ogg.head.pre_skip - round(3.5 * 48_000) <= 960 + 312


async def test_a_rate_that_opus_has_not_is_played_at_the_next_above(
    api, tape, put, conversation, encode, speech
):
    source = resample(speech[:64_000], 16_000, 44_100)
    made = encode(resample(source, 44_100, 48_000), 48_000)
    await tape.open()
    await tape.append([(msgspec.structs.replace(chunk, sample_rate=44_100), end) for chunk, end in made])
    await tape.drain(0, 2)
    for state in ("both", "stored"):
        answer = await api.get(conversation, "/audio", format="wav")
        assert (answer.headers["tapedeck-sample-rate"], answer.headers["tapedeck-channels"]) == ("48000", "1")
        assert struct.unpack_from("<I", answer.content, 24) == (48_000,)
        played = array("h", answer.content[44:])
        assert len(played) == 2 * 48_000
        assert abs(lag(played, array("h", resample(source, 44_100, 48_000)))) <= EARLY_48K
        ogg = read_ogg_opus((await api.get(conversation, "/audio")).content)
        assert ogg.head.input_sample_rate == 44_100
        assert len(await api.pcm(conversation, sample_rate=16_000)) == 2 * 16_000
        if state == "both":
            await tape.put(2, len(tape.chunks))
            await tape.finish(len(tape.chunks))
    await put(3_000, "bin", bytes(range(256)) * 125)
    assert len(await api.pcm(conversation)) == 4 * 48_000


async def test_two_channels_and_one_in_any_order(api, tape, put, conversation, speech):
    near = resample(speech[:64_000], 16_000, 48_000)
    far = resample(speech[64_000:128_000], 16_000, 48_000)
    await tape.record(interleave(near, far), 48_000, 2)
    await tape.drain(0, len(tape.chunks))
    await put(3_000, "bin", speech[:32_000])
    answer = await api.get(conversation, "/audio", format="pcm")
    assert (answer.headers["tapedeck-sample-rate"], answer.headers["tapedeck-channels"]) == ("48000", "2")
    both = array("h", answer.content)
    assert len(both) == 4 * 48_000 * 2
    assert abs(lag(both[: 4 * 48_000 : 2], array("h", near))) <= EARLY_48K
    assert abs(lag(both[1 : 4 * 48_000 : 2], array("h", far))) <= EARLY_48K
    assert (
        both[6 * 48_000 :: 2]
        == both[6 * 48_000 + 1 :: 2]
        == array("h", resample(speech[:32_000], 16_000, 48_000))
    )
    mono = await api.pcm(conversation, channels=1)
    wanted = np.add(array("h", near), array("h", far), dtype=int) // 2
    assert abs(lag(mono[: 2 * 48_000], wanted)) <= EARLY_48K
    assert mono[3 * 48_000 :] == both[6 * 48_000 :: 2]
    ogg = read_ogg_opus((await api.get(conversation, "/audio")).content)
    assert ogg.head.channels == 2
    decoder = Decoder(48_000, 2)
    heard = array("h", b"".join(decoder.decode(packet) for packet in ogg.packets))[2 * ogg.head.pre_skip :]
    assert (
        heard[2 * 3 * 48_000 + 960 :: 2] == heard[2 * 3 * 48_000 + 961 :: 2]
    )  # one channel is heard on both sides
    assert abs(lag(heard[6 * 48_000 : 8 * 48_000 : 2], mono[3 * 48_000 :])) <= 60


async def test_older_audio_first_makes_the_form_and_stereo_is_mixed_down(
    api, tape, put, conversation, speech
):
    await put(0, "bin", speech[:32_000])
    near = resample(speech[32_000:64_000], 16_000, 48_000)
    await tape.record(interleave(near, near), 48_000, 2, start_ms=T0 + 2_000)
    answer = await api.get(conversation, "/audio", format="pcm")
    assert (answer.headers["tapedeck-sample-rate"], answer.headers["tapedeck-channels"]) == ("16000", "1")
    assert len(answer.content) == 3 * 32_000
    assert answer.content[:32_000] == speech[:32_000]
    assert lag(array("h", answer.content[64_000:]), array("h", speech[32_000:64_000])) == 0
    wide = array(
        "h", (await api.get(conversation, "/audio", format="pcm", channels=2, sample_rate=48_000)).content
    )
    assert len(wide) == 3 * 48_000 * 2


async def test_sealed_audio_of_ours_is_played_like_any_other(
    serve, one_bus, tape, conversation, speech, tmp_path
):
    sealed, plain = open_store("memory:"), open_store("memory:")
    tape.store = plain
    await tape.record(speech[: 20 * 32_000])
    names = await tape.drain(0, 10) + await tape.drain(10, 21)
    ring = KeyRing.parse(RING)
    for name in names:
        info = await plain.head(name)
        data = sealing.seal(await plain.get(name), ring, conversation.uid)
        await sealed.put(
            name.replace(".bin", ".enc"), data, content_type=sealing.CONTENT_TYPE, metadata=info.metadata
        )
    async with serve(one_bus, plain, tmp_path) as api:
        wanted = {
            kind: (await api.get(conversation, "/audio", format=kind)).content for kind in ("wav", "ogg")
        }
    async with serve(one_bus, sealed, tmp_path, Keys(KeySource(RING))) as api:
        for kind, content in wanted.items():
            answer = await api.get(conversation, "/audio", format=kind)
            assert (answer.content, answer.headers["tapedeck-missing"]) == (content, "0")
        listed = (await api.get(conversation, "/chunks")).json()["chunks"]
        assert [(row["protection"], row["format"]) for row in listed] == [("enhanced", "ogg_opus")] * 2
    async with serve(one_bus, sealed, tmp_path) as api:
        answer = await api.get(conversation, "/audio", format="pcm")
        assert (answer.status_code, answer.headers["tapedeck-missing"]) == (200, "2")
        assert answer.content == bytes(20 * 32_000)
        assert (await api.get(conversation, "/audio", strict="true")).status_code == 502
        listed = (await api.get(conversation, "/chunks")).json()["chunks"]
        assert [(row["unreadable"], row["format"]) for row in listed] == [("no_key", "ogg_opus")] * 2
