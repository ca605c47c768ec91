"""Codecs, rates and channels, played through a session with the real encoder: what is heard, where, and what is said."""

import itertools

import numpy as np
import pytest

from audiobus import Opened
from audiocodec.decoder import Decoder
from audiocodec.encoder import Encoder
from audiocodec.resampler import resample
from tapedeck_testing.recordings import aac_messages

NEAR, FAR = b"\x01", b"\x02"


def values(pcm: bytes, channels: int = 1) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(float).reshape(-1, channels)


def lag(heard: np.ndarray, said: np.ndarray, reach: int = 400) -> int:
    """By how many samples what is heard comes late, within `reach`."""
    middle = said[reach : len(said) - reach]
    shifts = np.arange(-reach, reach + 1)
    size = 1 << (len(said) + 2 * reach).bit_length()
    spectrum = np.fft.rfft(heard[: len(said)], size) * np.conj(np.fft.rfft(middle, size))
    correlation = np.fft.irfft(spectrum, size)[reach + shifts]
    return int(shifts[np.argmax(correlation)])


def through_opus(pcm: bytes, rate: int) -> np.ndarray:
    """What the bare encoder and decoder make of mono PCM: at 48 kHz libopus itself moves speech by some samples."""
    encoder, decoder = Encoder(rate, complexity=0), Decoder(rate, 1)
    packets = encoder.encode(pcm) + encoder.finish()[0]
    return values(b"".join(map(decoder.decode, packets)))[312 * rate // 48_000 :, 0][: len(pcm) // 2]


def messages(pcm: bytes, codec: str, rate: int) -> list[bytes]:
    match codec:
        case "aac":
            return aac_messages(pcm, rate)
        case "opus":
            return Encoder(rate, complexity=2).encode(pcm)
        case "pcm8":
            wide = values(pcm)[:, 0]
            pcm = np.clip((wide / 256).round() + 128, 0, 255).astype("u1").tobytes()
    return [pcm[at : at + 2_001] for at in range(0, len(pcm), 2_001)]


def said(speech: bytes, channel: int) -> bytes:
    """What a channel says, at 16 kHz: not the same on both."""
    return speech[64_000 * channel : 64_000 * channel + 128_000]


@pytest.mark.parametrize(
    ("codec", "rate"),
    [
        *(("pcm16", rate) for rate in (8_000, 8_001, 9_973, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000)),
        ("pcm8", 44_100),
        *(("aac", rate) for rate in (16_000, 22_050, 44_100, 48_000)),
    ],
)
def test_speech_is_heard_when_it_was_said(desk, speech, codec, rate):
    pcm = resample(said(speech, 0), 16_000, rate)
    table = desk("v1", codec, rate, pre_skip=1_024)
    sent = messages(pcm, codec, rate)
    for message in sent:
        table.send(message)
    table.say(type="close")
    assert (table.acked, table.codes) == (sum(map(len, sent)), [1000])
    (run,) = table.runs()
    out = table.format.encoder_rate
    wanted = resample(said(speech, 0), 16_000, out)
    heard = values(table.pcm())[:, 0]
    bare = through_opus(wanted, out)
    # The AAC here ends with its last whole frame.
    assert abs(len(heard) - len(bare)) <= (1_024 * out // rate if codec == "aac" else 1)
    # What AAC puts before the first sample may be no whole number of the encoder's samples: then it is the nearest.
    between = codec == "aac" and 1_024 * out % rate
    assert abs(lag(heard, bare)) <= (1 if between else 0)
    assert abs(lag(bare, values(wanted)[:, 0])) <= out // 16_000
    if codec == "pcm16":
        pieces = through_opus(resample(pcm, rate, out), out)
        assert (heard == pieces[: len(heard)]).all()
    assert {entry.sample_rate for entry in table.chunks()} == {rate}
    assert run.starts


@pytest.mark.parametrize(
    ("codec", "rate"),
    [("pcm16", 16_000), ("pcm16", 44_100), ("opus", 16_000), ("opus", 48_000), ("aac", 44_100)],
)
def test_two_channels_are_heard_apart_and_together(desk, speech, codec, rate):
    table = desk("v1", codec, rate, channels=2, pre_skip=1_024 if codec == "aac" else 312)
    sent = [messages(resample(said(speech, channel), 16_000, rate), codec, rate) for channel in (0, 1)]
    for near, far in zip(*sent, strict=True):
        table.send(NEAR + near)
        table.wait(20)
        table.send(FAR + far)
    table.say(type="close")
    assert table.acked == sum(len(message) for channel in sent for message in channel)
    assert {(chunk.channels, chunk.source, chunk.sample_rate) for chunk in table.chunks()} == {
        (2, codec, rate)
    }
    heard = values(table.pcm(), 2)
    for channel in (0, 1):
        wanted = values(resample(said(speech, channel), 16_000, table.format.encoder_rate))[:, 0]
        # Each codec on the way moves speech by a few samples at 48 kHz.
        assert abs(lag(heard[:, channel], wanted)) <= 2 * table.format.encoder_rate // 16_000
        other = values(resample(said(speech, 1 - channel), 16_000, table.format.encoder_rate))[:, 0]
        size = min(len(heard), len(wanted))
        alike = [abs(np.corrcoef(heard[:size, channel], voice[:size])[0, 1]) for voice in (wanted, other)]
        assert alike[0] > 0.5
        assert alike[1] < 0.2


@pytest.mark.parametrize(
    ("codec", "rate", "channels"),
    [("pcm16", 44_100, 1), ("aac", 44_100, 1), ("pcm16", 22_050, 2), ("opus", 16_000, 2)],
)
def test_however_often_it_is_cut_off_time_does_not_slip(desk, speech, codec, rate, channels):
    pre_skip = 1_024 if codec == "aac" else 312
    sent = [
        messages(resample(said(speech, channel), 16_000, rate), codec, rate) for channel in range(channels)
    ]
    order = [
        (bytes([channel + 1]) * (channels - 1), message)
        for together in zip(*sent, strict=True)
        for channel, message in enumerate(together)
    ]
    table = desk("v1", codec, rate, channels=channels, pre_skip=pre_skip, chunk_ms=200)
    spans, offset, cut, position = [], 0, 0, None
    for cut in (0.23, 0.4, 0.41, 0.7, 1.0):
        at = 0
        for tag, message in order[: int(cut * len(order))]:
            if at + len(message) > offset:
                table.send(tag + message[max(0, offset - at) :])
            at += len(message)
        if cut < 1:
            if cut == 0.4:
                table.leave()
            spans += table.spans()
            offset = table.newest.offset
            position = table.position() if table.positions else position
            answer = Opened(1_000, True, offset, position, None, None)
            table = desk(
                "v1",
                codec,
                rate,
                channels=channels,
                pre_skip=pre_skip,
                chunk_ms=200,
                resume=1_000,
                opened=answer,
            )
            assert table.texts[0]["resume_offset"] == offset
    assert table.session.load.waiting_samples <= 48_000
    table.say(type="close")
    assert table.acked == sum(len(message) for _, message in order)
    spans += table.spans()
    out = table.format.encoder_rate
    heard = values(table.decoded(spans), channels)
    assert all(
        a.end_48k == b.start_48k and a.end_offset == b.first_offset for a, b in itertools.pairwise(spans)
    )
    for channel in range(channels):
        wanted = values(resample(said(speech, channel), 16_000, out))[:, 0]
        for part in range(4):
            piece = slice(part * out, (part + 1) * out)
            assert abs(lag(heard[piece, channel], wanted[piece])) <= 2 * out // 16_000


def test_a_channel_that_never_speaks_holds_nothing_up(desk, second):
    table = desk(channels=2)
    for at in range(0, len(second), 640):
        table.send(NEAR + second[at : at + 640])
        table.wait(20)
    assert table.acked == 0
    for at in range(0, len(second), 640):
        table.send(NEAR + second[at : at + 640])
        table.wait(20)
    assert table.acked >= len(second) - 1_000
    table.say(type="close")
    heard = values(table.pcm(), 2)
    assert len(heard) == 32_000
    loudest = np.abs(heard).max(axis=0)
    assert loudest[0] > 3_000
    assert loudest[1] < 300


def test_a_message_of_no_channel_is_bad_audio_and_its_payload_counts(desk, second):
    table = desk(channels=2)
    table.send(b"")
    table.send(b"\x03abcd")
    table.send(b"\x00")
    table.send(NEAR + second[:640])
    table.send(FAR)
    table.send(FAR + second[:640])
    table.say(type="close")
    assert [error["code"] for error in table.of("error")] == ["bad_audio"] * 3
    assert table.acked == 4 + 2 * 640
    assert len(values(table.pcm(), 2)) == 320


def test_in_plain_the_channel_counts_as_a_byte_of_a_keepalive(desk, second):
    table = desk("plain", channels=2)
    table.send(NEAR)
    table.send(NEAR + b"a")
    assert table.of("error") == []
    table.send(NEAR + second[:2])
    table.say(type="close")
    assert table.acked == 2


@pytest.mark.parametrize("channel", [NEAR, FAR])
def test_no_mark_stands_within_a_sample_of_either_channel(desk, second, channel):
    table = desk(channels=2)
    table.send(NEAR + second[:640])
    table.send(FAR + second[:640])
    table.send(channel + second[640:643])
    table.say(type="mark", at_ms=table.now_ms + 10_000)
    assert [error["code"] for error in table.of("error")] == ["bad_mark"]
    table.send(channel + second[643:644])
    table.say(type="mark", at_ms=table.now_ms + 10_000)
    table.send(FAR + second[:640])
    table.send(NEAR + second[:640])
    table.say(type="close")
    first, second_run = table.runs()
    assert second_run.run_start_ms == table.now_ms + 10_000
    assert (first.samples, second_run.samples) == (322 * 3, 320 * 3)


@pytest.mark.parametrize(("codec", "skipped"), [("opus", 312), ("aac", 1_024 * 3)])
def test_after_a_gap_what_was_recorded_before_it_is_not_played(desk, speech, codec, skipped):
    table = desk("v1", codec, 16_000, channels=2, pre_skip=1_024 if codec == "aac" else 312)
    sent = messages(speech[:128_000], codec, 16_000)
    lasts = 1_024 * 3 if codec == "aac" else 960
    for index, message in enumerate(sent[:40]):
        if index == 20:
            table.say(type="mark", at_ms=table.now_ms + 60_000)
        table.send(NEAR + message)
        table.send(FAR + message)
    table.say(type="close")
    assert [run.samples for run in table.runs()] == [20 * lasts - skipped] * 2


def test_aac_of_another_rate_ends_the_socket(desk, aac_messages):
    table = desk("v1", "aac", 44_100, pre_skip=1_024)
    table.send(aac_messages[0])
    assert [error["code"] for error in table.of("error")] == ["bad_parameter"]
    assert table.codes == [1003]


def test_what_does_not_decode_is_counted_and_keeps_its_time(desk, aac_messages):
    table = desk("v1", "aac", 16_000, pre_skip=1_024)
    broken = aac_messages[5][:9] + bytes(len(aac_messages[5]) - 9)
    for message in (*aac_messages[:5], broken, *aac_messages[6:20]):
        table.send(message)
    table.say(type="close")
    assert [count.amount for count in table.counts if count.what == "spoiled"] == [1]
    assert sum(run.samples for run in table.runs()) == 19 * 1_024 * 3


def test_eight_seconds_of_clock_time_wait_whatever_the_channels(desk, second):
    table = desk(channels=2)
    table.automatic = False
    for _ in range(7):
        table.send(NEAR + second)
        table.send(FAR + second)
    assert table.session.reading
    table.send(NEAR + second)
    table.wait(100)
    assert not table.session.reading
