"""`GET …/{cid}/waveform?samples_per_pixel&start&end` over real HTTP: peaks are those of what `…/audio?format=pcm` plays."""

import numpy as np
import pytest

from audiobus import Conversation
from storage_api.waveforms.pixels import MAX_PIXELS

T0 = 1_700_000_000_000
BLOCK_48K = 768  # 256 frames at 16 kHz


def before(start_ms: int = T0) -> int:
    """Frames at 16 kHz from the beginning of the block that holds `start_ms` to it."""
    return start_ms * 48 % BLOCK_48K // 3


@pytest.mark.parametrize("where", ["tail", "bucket", "both", "overlapping"])
@pytest.mark.parametrize("each", [256, 1024, 5120])
async def test_peaks_are_those_of_the_audio_wherever_it_lies(
    api, tape, conversation, speech, draw, plainly, where, each
):
    await tape.record(speech, start_ms=T0 + 7)
    match where:
        case "bucket":
            await tape.drain(0, 25)
            await tape.drain(25, len(tape.chunks))
        case "both":
            await tape.drain(0, 30)
        case "overlapping":
            await tape.drain(0, 20)
            await tape.put(20, 45)
    wanted = plainly(await api.pcm(conversation), 1, each, before(T0 + 7))
    for _ in range(2):  # made, then kept
        got = await draw(api, conversation, samples_per_pixel=each)
        assert (got.json["sample_rate"], got.json["channels"]) == (16_000, 1)
        assert got.json["samples_per_pixel"] == each
        assert got.peaks.shape == wanted.shape
        assert abs(got.peaks - wanted).max() <= (0 if where != "tail" else 1)
        assert wanted.max() > 30
        assert got.start_s == pytest.approx((T0 + 7) / 1000 - before(T0 + 7) / 16_000, abs=0.0011)
        assert got.headers["tapedeck-missing"] == "0"
        assert got.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("drained", [0, 20, 60])
@pytest.mark.parametrize(
    ("start", "end"), [(0, 5), (3.2, 17.6), (3.21, 17.333), (25, None), (None, 0.1), (9.99, 10)]
)
async def test_start_and_end_are_cut_to_the_pixel(
    api, tape, conversation, speech, draw, plainly, drained, start, end
):
    await tape.record(speech[: 30 * 32_000])
    for first in range(0, min(drained, len(tape.chunks)), 10):
        await tape.drain(first, min(first + 10, len(tape.chunks)))
    query = {name: f"{T0 / 1000 + at:.3f}" for name, at in (("start", start), ("end", end)) if at is not None}
    got = await draw(api, conversation, samples_per_pixel=512, **query)
    first = round(got.start_s * 48_000)
    asked = round((T0 / 1000 + (start or 0)) * 48_000)
    assert 0 <= asked - first < BLOCK_48K + 48
    begins = asked - asked % BLOCK_48K
    # Pixels are whole: the audio of all of them.
    ends = min(begins + got.json["length"] * 1536, (T0 + 30_000) * 48)
    assert 0 <= ends - round((T0 / 1000 + (30 if end is None else end)) * 48_000) < 1536
    pcm = await api.pcm(
        conversation, start=f"{max(begins, T0 * 48) / 48_000:.6f}", end=f"{ends / 48_000:.6f}"
    )
    wanted = plainly(pcm, 1, 512, max(0, T0 * 48 - begins) // 3)
    # A decoder that begins in the middle of a batch is not bit for bit the one that ran through.
    assert got.peaks.shape == wanted.shape
    assert abs(got.peaks - wanted).max() <= 2


async def test_gaps_are_zeros_and_pixels_at_their_edges_touch_zero(
    api, tape, conversation, encode, speech, draw, plainly, shift
):
    await tape.open()
    await tape.append(encode(speech[32_000:96_000]))
    await tape.append(shift(encode(speech[96_000:160_000], run_start_ms=T0 + 5_003), 64_000))
    await tape.drain(0, len(tape.chunks))
    wanted = plainly(await api.pcm(conversation), 1, 256, before())
    for _ in range(2):
        got = await draw(api, conversation, samples_per_pixel=256)
        assert np.array_equal(got.peaks, wanted)
    assert not got.peaks[130:300].any()
    inside = await draw(api, conversation, start=T0 / 1000 + 3, end=T0 / 1000 + 4)
    assert set(inside.json["data"]) == {0}


async def test_a_stereo_recording_has_two_channels(api, tape, conversation, speech, draw, plainly):
    left = np.frombuffer(speech[: 10 * 32_000], "<i2")
    both = np.stack([left, -(left // 3)], axis=1).astype("<i2").tobytes()
    await tape.record(both, 16_000, 2)
    await tape.drain(0, 5)
    wanted = plainly(await api.pcm(conversation), 2, 256, before())
    for _ in range(2):
        got = await draw(api, conversation, samples_per_pixel=256)
        assert got.json["channels"] == 2
        assert abs(got.peaks - wanted).max() <= 1


@pytest.mark.parametrize("forms", [((16_000, 1), (48_000, 2)), ((24_000, 2), (8_000, 1))])
async def test_other_forms_are_drawn_in_that_of_the_first_run(
    api, tape_for, conversation, encode, pcm_tone, draw, plainly, forms
):
    for number, (rate, channels) in enumerate(forms):
        tape = tape_for(conversation)
        tape.epoch = number + 1
        pcm = pcm_tone(3, rate, channels=channels)
        tape.chunks = encode(pcm, rate, channels, run_start_ms=T0 + number * 4_000)
        await tape.put(0, len(tape.chunks))
    rate, channels = forms[0]
    skipped = T0 * 48 % (256 * 48_000 // rate) * rate // 48_000
    wanted = plainly(await api.pcm(conversation), channels, 512, skipped)
    for _ in range(2):
        got = await draw(api, conversation, samples_per_pixel=512)
        assert (got.json["sample_rate"], got.json["channels"]) == (rate, channels)
        assert abs(got.peaks - wanted).max() <= 1


async def test_a_user_sees_their_own(api, tape, conversation, speech, draw):
    await tape.record(speech[:64_000])
    got = await draw(api, conversation, token=api.token("user-1"))
    assert got.json["samples_per_pixel"] == 1024


@pytest.mark.parametrize(
    "query",
    [
        {"samples_per_pixel": "0"},
        {"samples_per_pixel": "255"},
        {"samples_per_pixel": "300"},
        {"samples_per_pixel": "-256"},
        {"samples_per_pixel": "2097152"},
        {"samples_per_pixel": "many"},
        {"start": "2", "end": "1"},
    ],
)
async def test_what_cannot_be_taken_is_a_400(api, tape, conversation, speech, query):
    await tape.record(speech[:32_000])
    answer = await api.get(conversation, "/waveform", **query)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")


async def test_where_nothing_is_there_is_no_waveform(api, tape, conversation, speech):
    assert (await api.get(Conversation("user-1", "none"), "/waveform")).json()["code"] == "not_found"
    await tape.record(speech[:32_000])
    answer = await api.get(conversation, "/waveform", end=T0 / 1000)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_audio")


async def test_what_is_too_long_is_a_422(api, tape, conversation, encode, speech, shift):
    await tape.open()
    await tape.append(encode(speech[:32_000]))
    hours = MAX_PIXELS * 256 // 16_000 * 1000
    await tape.append(shift(encode(speech[:32_000], run_start_ms=T0 + hours), 32_000))
    answer = await api.get(conversation, "/waveform", samples_per_pixel=256)
    assert (answer.status_code, answer.json()["code"]) == (422, "too_long")
    assert (await api.get(conversation, "/waveform", samples_per_pixel=512)).status_code == 200
    await tape.append(shift(encode(speech[:32_000], run_start_ms=T0 + 25 * 3_600_000), 64_000))
    answer = await api.get(conversation, "/waveform", samples_per_pixel=1 << 20)
    assert (answer.status_code, answer.json()["code"]) == (422, "too_long")
