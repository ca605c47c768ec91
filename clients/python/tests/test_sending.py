import time
import wave

import pytest

from audiocodec.encoder import Encoder
from tapedeck.audio_file import AudioSource, open_source
from tapedeck.errors import NotAllowedError
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
