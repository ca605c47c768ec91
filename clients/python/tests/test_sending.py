import time
import wave

import numpy as np
import pytest

from audiocodec.aac import AacDecoder
from audiocodec.adts import adts_frames
from audiocodec.encoder import Encoder
from tapedeck.audio_file import AudioSource, open_source
from tapedeck.errors import NotAllowedError
from tapedeck.payloads import Payloads
from tapedeck.sending import Job, send


class Spoken(AudioSource):
    """Audio that is already here."""

    __slots__ = ()

    def pieces(self, piece_bytes=8192):
        pcm = PCM
        for start in range(0, len(pcm), piece_bytes):
            yield pcm[start : start + piece_bytes]


PCM = bytes(range(256)) * 250
SOURCE = Spoken("spoken", 16000, 2.0, None)


def silent(_progress):
    pass


async def test_pcm_is_sent_marked_stored_and_closed(listen_stand_in):
    seen = []
    sent = await send(listen_stand_in.url, "t", Job(SOURCE, start_ms=77, conversation_id="c"), seen.append)
    (session,) = listen_stand_in.sessions.values()
    assert bytes(session.audio) == PCM
    assert session.marks == [(0, 77)]
    assert session.over
    assert (sent.conversation_id, sent.seconds, sent.stored) == ("c", 2.0, True)
    assert sent.sent_bytes == sent.acked_bytes == sent.stored_bytes == len(PCM)
    assert seen[-1].stored_bytes == len(PCM)


async def test_opus_is_sent_one_packet_a_message(listen_stand_in):
    sent = await send(listen_stand_in.url, "t", Job(SOURCE, "opus"), silent)
    (session,) = listen_stand_in.sessions.values()
    encoder = Encoder(16000)
    expected = encoder.encode(PCM)
    last, _ = encoder.finish()
    assert session.messages == expected + last
    assert listen_stand_in.queries[0]["pre_skip"] == str(encoder.lookahead)
    assert sent.messages == len(session.messages)


async def test_aac_is_sent_one_frame_a_message(listen_stand_in):
    sent = await send(listen_stand_in.url, "t", Job(SOURCE, "aac"), silent)
    (session,) = listen_stand_in.sessions.values()
    frames = [frame for message in session.messages for frame in adts_frames(message)]
    assert len(frames) == len(session.messages) == sent.messages
    assert {(frame.sample_rate, frame.samples) for frame in frames} == {(16000, 1024)}
    decoder = AacDecoder(16000)
    assert sum(len(decoder.decode(message)) for message in session.messages) // 2 - 1024 >= len(PCM) // 2
    assert decoder.spoiled == 0
    assert listen_stand_in.queries[0] == {
        "codec": "aac",
        "sample_rate": "16000",
        "channels": "1",
        "pre_skip": "1024",
    }


@pytest.mark.parametrize("codec", ["pcm16", "opus", "aac"])
async def test_left_is_near_and_right_is_far(listen_stand_in, codec):
    stereo = Spoken("spoken", 16000, 1.0, None, 2)
    sent = await send(listen_stand_in.url, "t", Job(stereo, codec, start_ms=77), silent)
    (session,) = listen_stand_in.sessions.values()
    channels = [channel for channel, _ in session.parts]
    assert channels == [1, 2] * (len(channels) // 2)  # message by message, so that neither falls behind
    left, right = (np.frombuffer(PCM, "<i2").reshape(-1, 2)[:, channel].tobytes() for channel in (0, 1))
    for number, expected in ((1, left), (2, right)):
        alone = [message[1:] for message in session.messages if message[0] == number]
        if codec == "pcm16":
            assert b"".join(alone) == expected
        else:
            payloads = Payloads(codec, 16000, 1)
            assert alone == [payload for _, payload in payloads.encode(expected) + payloads.finish()]
    assert session.marks == [(0, 77)]
    assert (sent.channels, sent.seconds, sent.messages) == (2, 1.0, len(channels))
    assert sent.sent_bytes == sum(len(payload) for _, payload in session.parts)
    assert listen_stand_in.queries[0]["channels"] == "2"


@pytest.mark.parametrize(("codec", "rate"), [("pcm16", "44100"), ("aac", "44100"), ("opus", "48000")])
async def test_a_file_goes_at_its_own_rate_unless_the_codec_has_it_not(
    listen_stand_in, tmp_path, codec, rate
):
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setparams((1, 2, 44100, 0, "NONE", ""))
        file.writeframes(PCM)
    sent = await send(listen_stand_in.url, "t", Job(open_source(str(tmp_path / "x.wav")), codec), silent)
    assert listen_stand_in.queries[0]["sample_rate"] == rate
    assert sent.seconds == pytest.approx(len(PCM) / 2 / 44100, abs=0.0001)
    if codec == "pcm16":
        assert listen_stand_in.total() == PCM


async def test_real_time_takes_as_long_as_it_plays(listen_stand_in):
    began = time.monotonic()
    await send(listen_stand_in.url, "t", Job(SOURCE, realtime=True), silent)
    assert time.monotonic() - began > 1.8
    assert len(next(iter(listen_stand_in.sessions.values())).messages) == 20


async def test_what_stops_the_recording_is_raised(listen_stand_in):
    listen_stand_in.cuts = [(10_000, 4403, '{"type":"error","code":"storing_off","message":"off"}')]
    with pytest.raises(NotAllowedError, match="off"):
        await send(listen_stand_in.url, "t", Job(SOURCE), silent)


async def test_a_file_goes_the_same_way(listen_stand_in, tmp_path):
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(PCM)
    await send(listen_stand_in.url, "t", Job(open_source(str(tmp_path / "x.wav"), None)), silent)
    assert listen_stand_in.total() == PCM
