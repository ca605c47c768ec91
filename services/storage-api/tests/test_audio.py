"""`…/audio` over real HTTP, a real Redis and a real store."""

import io
import itertools
import wave
from array import array

import msgspec
import numpy as np
import pytest

from audiobus import Conversation
from audiocodec import Decoder, read_ogg_opus

T0 = 1_700_000_000_000


def lag(played: array, source: bytes) -> int:
    """By how many samples what is heard is late, as cross-correlation finds it."""
    heard = np.asarray(played, dtype=float)
    wanted = np.frombuffer(source, dtype="<i2").astype(float)
    assert len(heard) == len(wanted)
    shifts = range(-15, 16)
    return max(shifts, key=lambda shift: float(np.roll(heard, -shift)[20:-20] @ wanted[20:-20]))


def shifted(chunks, offset: int):
    """The same chunks, later in the session."""
    return [
        (msgspec.structs.replace(chunk, first_offset=chunk.first_offset + offset), end + offset)
        for chunk, end in chunks
    ]


async def packets_of(api, conversation: Conversation, **query) -> list[bytes]:
    answer = await api.get(conversation, "/audio", format="ogg", **query)
    assert answer.status_code == 200, answer.text
    return read_ogg_opus(answer.content).packets


@pytest.mark.parametrize(
    "where", ["tail", "bucket", "both", "overlapping", "all twice", "two objects of one audio"]
)
async def test_every_sample_once_wherever_it_lies(api, tape, conversation, speech, where):
    await tape.record(speech)
    sent = [packet for chunk, _ in tape.chunks for packet in chunk.packets]
    count = len(tape.chunks)
    match where:
        case "bucket":
            await tape.drain(0, 25)
            await tape.drain(25, count)
        case "both":
            await tape.drain(0, 30)
        case "overlapping":
            await tape.drain(0, 20)
            await tape.put(20, 45)
        case "all twice":
            await tape.put(0, count)
        case "two objects of one audio":
            await tape.put(0, 40)
            await tape.put(30, count)
            await tape.finish(count)
    played = await api.pcm(conversation)
    assert len(played) == 960_000
    assert lag(played, speech) == 0
    assert await packets_of(api, conversation) == sent
    assert await packets_of(api, conversation, fill_gaps="false") == sent
    answer = await api.get(conversation, "/audio", format="wav")
    with wave.open(io.BytesIO(answer.content)) as file:
        assert (file.getnframes(), file.getframerate(), file.getnchannels()) == (960_000, 16_000, 1)
        assert file.readframes(960_000) == played.tobytes()
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["tapedeck-missing"] == "0"
    assert "tapedeck-live" not in answer.headers


async def test_audio_that_a_device_just_had_acked_is_in_the_answer(api, tape, conversation, encode, pcm_tone):
    await tape.open()
    chunks = encode(pcm_tone(3.0))
    await tape.append(chunks[:2])
    before = len(await api.pcm(conversation))
    await tape.append(chunks[2:3])
    # A chunk's packets are whole frames less the encoder's lookahead; what is acked is what they decode to.
    assert (before, len(await api.pcm(conversation))) == (32_000 - 104, 48_000 - 104)


async def test_gaps_are_silence_or_left_out(api, tape, conversation, encode, speech):
    await tape.open()
    first = encode(speech[:64_000])
    await tape.append(first)
    await tape.append(shifted(encode(speech[64_000:128_000], run_start_ms=T0 + 5_000), 64_000))
    await tape.drain(0, len(tape.chunks))
    filled = await api.pcm(conversation)
    assert len(filled) == 7 * 16_000
    assert not any(filled[2 * 16_000 : 5 * 16_000])
    assert lag(filled[5 * 16_000 :], speech[64_000:128_000]) == 0
    without = await api.pcm(conversation, fill_gaps="false")
    assert without == filled[: 2 * 16_000] + filled[5 * 16_000 :]
    ogg = read_ogg_opus((await api.get(conversation, "/audio")).content)
    assert abs(ogg.end_granule - ogg.head.pre_skip - 7 * 48_000) <= 60
    sent = [packet for chunk, _ in tape.chunks for packet in chunk.packets]
    assert [packet for packet in ogg.packets if packet in set(sent)] == sent
    assert await packets_of(api, conversation, fill_gaps="false") == sent


async def test_a_session_resumed_without_a_gap_is_seamless_in_time(api, tape, conversation, encode, speech):
    await tape.open()
    await tape.append(encode(speech[:64_000]))
    resumed = [
        (msgspec.structs.replace(chunk, first_sample=chunk.first_sample + 2 * 48_000), end)
        for chunk, end in encode(speech[64_000:128_000])
    ]
    await tape.append(shifted(resumed, 64_000))
    await tape.drain(0, 2)
    await tape.put(2, 4)
    played = await api.pcm(conversation)
    assert len(played) == 4 * 16_000
    assert lag(played, speech[:128_000]) == 0
    sent = [packet for chunk, _ in tape.chunks for packet in chunk.packets]
    assert await packets_of(api, conversation) == sent


@pytest.mark.parametrize("drained", [0, 3, 6])
@pytest.mark.parametrize(
    ("start", "end"),
    [(0.0, 0.5), (1.2345, 4.321), (2.9999, 3.0001), (1.00004, 3.50002), (5.5, None), (None, 0.25)],
)
async def test_start_and_end_cut_to_the_sample(api, tape, conversation, speech, drained, start, end):
    source = speech[: 6 * 32_000]
    await tape.record(source)
    if drained:
        await tape.drain(0, drained)
    query = {name: f"{T0 / 1000 + at:.5f}" for name, at in (("start", start), ("end", end)) if at is not None}
    played = await api.pcm(conversation, **query)
    # Of the samples at 48 kHz those nearest to `start` and `end`, and of those at 16 kHz those nearest to these.
    first = round((start or 0) * 48_000)
    last = round(end * 48_000) if end else 6 * 48_000
    assert len(played) == (last + 1) // 3 - (first + 1) // 3
    if len(played) > 4_000:
        wanted = source[(first + 1) // 3 * 2 :][: len(played) * 2]
        assert lag(played, wanted) == 0
    answer = await api.get(conversation, "/audio", **query)
    ogg = read_ogg_opus(answer.content)
    assert ogg.end_granule - ogg.head.pre_skip == last - first
    assert ogg.head.pre_skip >= 120


async def test_both_sides_of_a_cut_put_together_are_the_whole(api, tape, conversation, speech):
    """Wherever it is cut: of the run's first second, so that one decoder's start is the other's."""
    await tape.record(speech[: 2 * 32_000])
    await tape.drain(0, 1)
    whole = await api.pcm(conversation)
    for micros in (0, 10, 20, 40, 50, 62, 63):
        at = f"{T0 // 1000}.100{micros:03d}"
        before, after = await api.pcm(conversation, end=at), await api.pcm(conversation, start=at)
        first = 1_600 + (round(micros * 0.048) + 1) // 3
        assert before == whole[:first]
        assert len(after) == 32_000 - first
        # No packet is left out where a decoder begins so near to the run's start.
        assert after == whole[first:]


@pytest.mark.parametrize("kind", ["pcm", "wav"])
async def test_a_window_of_a_batch_has_the_very_samples_of_the_whole(api, tape, conversation, speech, kind):
    """However late in the batch it begins: the decoder has come through all of it."""
    await tape.record(speech[: 9 * 32_000])
    await tape.drain(0, 4)
    await tape.drain(4, len(tape.chunks))
    rate = 24_000 if kind == "wav" else 16_000
    query = {"format": kind, "sample_rate": rate, "channels": 2}
    skip = 44 if kind == "wav" else 0
    whole = (await api.get(conversation, "/audio", **query)).content[skip:]
    cuts = [0.0, 0.7, 2.5, 3.999, 4.0, 4.2, 7.3125, 9.0]
    for first, last in itertools.pairwise(cuts):
        window = {"start": f"{T0 / 1000 + first:.4f}", "end": f"{T0 / 1000 + last:.4f}"}
        played = (await api.get(conversation, "/audio", **query, **window)).content[skip:]
        assert played == whole[round(first * rate) * 4 : round(last * rate) * 4], (first, last)


async def test_a_window_outside_of_the_recording_is_no_audio_and_one_in_a_gap_is_silence(
    api, tape, conversation, encode, pcm_tone
):
    await tape.open()
    await tape.append(encode(pcm_tone(1)))
    await tape.append(shifted(encode(pcm_tone(1), run_start_ms=T0 + 10_000), 32_000))
    for query in ({"end": T0 / 1000}, {"start": T0 / 1000 + 11}, {"start": "1", "end": "2"}):
        answer = await api.get(conversation, "/audio", **query)
        assert (answer.status_code, answer.json()["code"]) == (404, "no_audio")
    inside = {"start": T0 / 1000 + 2, "end": T0 / 1000 + 5}
    assert set(await api.pcm(conversation, **inside)) == {0}
    assert (
        read_ogg_opus((await api.get(conversation, "/audio", **inside)).content).end_granule
        == 3 * 48_000 + 960
    )
    assert (await api.get(conversation, "/audio", fill_gaps="false", **inside)).status_code == 404
    late = {"start": T0 / 1000 + 9, "end": T0 / 1000 + 10.5}
    assert len(await api.pcm(conversation, **late)) == 24_000
    ogg = read_ogg_opus((await api.get(conversation, "/audio", **late)).content)
    assert abs(ogg.end_granule - ogg.head.pre_skip - 72_000) <= 60


@pytest.mark.parametrize(
    ("start", "end"),
    [(2.0051, None), (4.99, None), (4.9941, 6.5), (4.9999, 6), (3.3, 5.7), (0, 2.0101), (0.5, 2.003), (1, 4)],
)
async def test_ogg_cut_in_a_gap_sounds_as_pcm_does(api, tape, conversation, encode, speech, start, end):
    await tape.open()
    await tape.append(encode(speech[32_000:96_000]))
    await tape.append(shifted(encode(speech[96_000:160_000], run_start_ms=T0 + 5_000), 64_000))
    await tape.drain(0, len(tape.chunks))
    query = {name: f"{T0 / 1000 + at:.4f}" for name, at in (("start", start), ("end", end)) if at is not None}
    wanted = await api.pcm(conversation, sample_rate=48_000, **query)
    ogg = read_ogg_opus((await api.get(conversation, "/audio", **query)).content)
    decoder = Decoder(48_000, 1)
    decoded = array("h", b"".join(decoder.decode(packet) for packet in ogg.packets))
    heard = decoded[ogg.head.pre_skip : ogg.end_granule]
    assert len(heard) == len(wanted)
    assert lag(heard, wanted.tobytes()) == 0


async def test_timestamps_take_the_chunks_that_begin_or_lie_there(api, tape, conversation, speech):
    await tape.record(speech[: 30 * 32_000])
    await tape.drain(0, 10)
    await tape.drain(10, 20)
    listed = (await api.get(conversation, "/chunks")).json()["chunks"]
    assert [chunk["state"] for chunk in listed[:3]] == ["stored", "stored", "live"]
    second = listed[1]
    by_start = await api.pcm(conversation, timestamps=second["timestamp"])
    inside = await api.pcm(conversation, timestamps=f"{T0 / 1000 + 15},{second['start']}")
    assert len(by_start) == 160_000
    assert inside == by_start
    both = await api.pcm(conversation, timestamps=f"{second['timestamp']},{listed[0]['timestamp']}")
    assert len(both) == 320_000 - 104
    for chunk in listed:
        alone = await api.pcm(conversation, timestamps=chunk["timestamp"])
        assert abs(len(alone) - chunk["duration_ms"] * 16) < 16
    answer = await api.get(conversation, "/audio", timestamps="1.000")
    assert answer.json()["code"] == "no_audio"
    answer = await api.get(conversation, "/audio", timestamps=second["timestamp"], start=T0 / 1000)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")


async def test_rate_and_channels_are_the_recordings_or_what_is_asked_for(api, tape, conversation, pcm_tone):
    await tape.record(pcm_tone(2, 48_000, channels=2), 48_000, 2)
    answer = await api.get(conversation, "/audio", format="pcm")
    assert (answer.headers["tapedeck-sample-rate"], answer.headers["tapedeck-channels"]) == ("48000", "2")
    assert len(answer.content) == 2 * 48_000 * 4
    answer = await api.get(conversation, "/audio", format="pcm", sample_rate=8000, channels=1)
    assert (answer.headers["tapedeck-sample-rate"], answer.headers["tapedeck-channels"]) == ("8000", "1")
    assert len(answer.content) == 2 * 8_000 * 2
    assert read_ogg_opus((await api.get(conversation, "/audio")).content).head.channels == 2


async def test_head_says_what_get_would(api, tape, conversation, pcm_tone):
    await tape.record(pcm_tone(2))
    headers = {"Authorization": "Bearer read-token"}
    for kind in ("wav", "ogg"):
        path = api.path(conversation, f"/audio?format={kind}")
        head, get = await api.http.head(path, headers=headers), await api.http.get(path, headers=headers)
        varying = {"date", "x-request-id", "transfer-encoding"}
        said = [
            {name: value for name, value in answer.headers.items() if name not in varying}
            for answer in (head, get)
        ]
        assert said[0] == said[1]
        assert head.content == b""
        assert head.headers["content-disposition"] == f'attachment; filename="conv-1_1700000000.000.{kind}"'
        assert head.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("fill_gaps", ["true", "false"])
async def test_an_answer_says_when_its_first_sample_was_recorded(
    api, tape, conversation, pcm_tone, fill_gaps
):
    """A start before the recording cuts nothing, and the position of what is heard counts from the first sample."""
    await tape.record(pcm_tone(2))
    for start, said in ((1_600_000_000, "22:13:20.000Z"), (1_700_000_001, "22:13:21.000Z")):
        query = {"format": "wav", "fill_gaps": fill_gaps, "start": start}
        answer = await api.get(conversation, "/audio", **query)
        assert answer.headers["tapedeck-start"] == f"2023-11-14T{said}"
        part = await api.get(conversation, "/audio", headers={"Range": "bytes=100-200"}, **query)
        assert (part.status_code, part.headers["tapedeck-start"]) == (206, f"2023-11-14T{said}")


async def test_head_knows_no_ranges(api, tape, conversation, pcm_tone):
    await tape.record(pcm_tone(1))
    path = api.path(conversation, "/audio?format=wav")
    for asked in ("bytes=0-9", "bytes=99999999-"):
        answer = await api.http.head(path, headers={"Authorization": "Bearer read-token", "Range": asked})
        assert (answer.status_code, answer.headers["content-length"]) == (200, str(44 + 32_000))
        assert "content-range" not in answer.headers


async def test_enhanced_users_leave_no_copy_in_a_cache(api, tape, conversation, one_bus, pcm_tone):
    await tape.record(pcm_tone(1))
    await one_bus.command("HSET", one_bus.keys.user(conversation.uid), "protection", "enhanced")
    answer = await api.get(conversation, "/audio")
    assert answer.headers["cache-control"] == "private, no-store"


async def test_ranges_of_wav_are_pieces_of_the_whole(api, tape, conversation, speech):
    await tape.record(speech[: 20 * 32_000])
    await tape.drain(0, 8)
    await tape.drain(8, 14)
    whole = (await api.get(conversation, "/audio", format="wav")).content
    for asked, first, last in [
        ("bytes=0-", 0, len(whole)),
        ("bytes=0-99", 0, 100),
        ("bytes=10-50", 10, 51),
        ("bytes=44-44", 44, 45),
        ("bytes=400001-500000", 400_001, 500_001),
        ("bytes=-1000", len(whole) - 1000, len(whole)),
        ("bytes=600000-999999999", 600_000, len(whole)),
    ]:
        answer = await api.get(conversation, "/audio", format="wav", headers={"Range": asked})
        assert answer.status_code == 206
        assert answer.headers["content-range"] == f"bytes {first}-{last - 1}/{len(whole)}"
        assert answer.content == whole[first:last]
    answer = await api.get(conversation, "/audio", format="wav", headers={"Range": "bytes=99999999-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(whole)}")


async def test_more_than_a_day_with_gaps_filled_is_too_long(api, tape, conversation, encode, pcm_tone):
    await tape.open()
    await tape.append(encode(pcm_tone(1)))
    await tape.append(shifted(encode(pcm_tone(1), run_start_ms=T0 + 90_000_000), 32_000))
    answer = await api.get(conversation, "/audio", format="pcm")
    assert (answer.status_code, answer.json()["code"]) == (422, "too_long")
    assert len(await api.pcm(conversation, fill_gaps="false")) == 32_000
    assert len(await api.pcm(conversation, start=T0 / 1000 + 89_990)) == 11 * 16_000


async def test_accept_chooses_the_form(api, tape, conversation, pcm_tone):
    await tape.record(pcm_tone(1))
    answer = await api.get(conversation, "/audio", headers={"Accept": "audio/wav"})
    assert answer.content[:4] == b"RIFF"
    answer = await api.get(conversation, "/audio", headers={"Accept": "text/plain"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize(
    "query",
    [
        {"start": "yesterday"},
        {"start": "2023-13-01T00:00:00Z"},
        {"end": "-1"},
        {"start": "1e9"},
        {"start": "nan"},
        {"start": "10", "end": "10"},
        {"start": "10", "end": "9"},
        {"format": "mp3"},
        {"fill_gaps": "yes"},
        {"strict": "1"},
        {"format": "wav", "sample_rate": "44100"},
        {"format": "wav", "sample_rate": "16000.0"},
        {"format": "wav", "channels": "3"},
        {"format": "ogg", "channels": "1"},
        {"timestamps": "1,,2"},
        {"timestamps": ",".join(["1"] * 1001)},
        {"start": "9" * 40_000},
    ],
)
async def test_bad_parameters_are_refused(api, tape, conversation, pcm_tone, query):
    await tape.record(pcm_tone(1))
    answer = await api.get(conversation, "/audio", **query)
    # A query that is longer than a request line may be never reaches the handler.
    if answer.status_code != 431 and len(str(query)) < 32_000:
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "bad_parameter"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


def snr_db(played: array, source: bytes) -> float:
    heard, wanted = np.asarray(played, dtype=float), np.frombuffer(source, dtype="<i2").astype(float)
    return float(10 * np.log10((wanted @ wanted) / ((heard - wanted) @ (heard - wanted))))


async def test_batches_decode_as_one_run_would(api, tape, conversation, speech):
    """Each object alone, with its pre-roll, is within half a decibel of a decoder that runs through."""
    source = speech[: 30 * 32_000]
    await tape.record(source)
    through = await api.pcm(conversation)
    count = len(tape.chunks)
    for first in range(0, count, 3):
        await tape.drain(first, min(count, first + 3))
    apart = await api.pcm(conversation)
    assert len((await api.get(conversation, "/chunks")).json()["chunks"]) > 10
    assert abs(snr_db(apart, source) - snr_db(through, source)) < 0.5
