"""PCM, cut anywhere: what comes out decodes to exactly the samples that went in, and every ack is true."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiobus import decode_chunk
from audiocodec.span import decode, join
from listen.audio_format import AudioFormat
from listen.encoding import SocketEncoder
from listen.recording import Recording

NOW_MS = 1_732_147_200_000
STEPS = st.lists(
    st.one_of(st.integers(0, 9_000), st.sampled_from(["flush", "silence", "tick"])), min_size=1, max_size=14
)


class Played:
    """A recording, its encoder and what comes out."""

    def __init__(self, codec: str, rate: int, chunk_ms: int = 200) -> None:
        self.format = AudioFormat(codec, rate)
        self.recording = Recording(self.format, dialect="v1", chunk_ms=chunk_ms)
        self.encoder = SocketEncoder(self.format, bitrate=24_000, complexity=0)
        self.now_ms = NOW_MS
        self.chunks = []

    def settle(self) -> None:
        while (job := self.recording.job(self.now_ms)) is not None:
            assert len(job.pcm) % self.format.sample_bytes == 0
            self.recording.encoded(self.encoder.run(job), self.now_ms)
        self.chunks += self.recording.chunks()

    def step(self, step: int | str) -> None:
        match step:
            case int():
                self.recording.take(bytes(step), self.now_ms)
                self.now_ms += 10
            case "flush":
                self.recording.flush(self.now_ms, ends=False)
            case "silence":
                self.now_ms += 2_000
                self.recording.tick(self.now_ms)
            case _:
                self.now_ms += 200
                self.recording.tick(self.now_ms)
        self.settle()


@pytest.mark.parametrize(("codec", "rate"), [("pcm16", 16_000), ("pcm8", 8_000), ("pcm16", 48_000)])
@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_pcm_cut_anywhere_decodes_to_exactly_its_samples(codec: str, rate: int, steps: list[int | str]):
    played = Played(codec, rate)
    for step in steps:
        played.step(step)
        # Never more is covered than what the packets so far decode to.
        spans = _spans(played)
        samples = sum(span.samples for span in spans)
        covered = spans[-1].end_offset if spans else 0
        assert covered == samples * rate // 48_000 * played.format.sample_bytes
    sent = sum(step for step in steps if isinstance(step, int))
    assert played.recording.flush(played.now_ms, ends=True) == sent
    played.settle()
    assert played.recording.idle

    spans = _spans(played)
    assert (spans[-1].end_offset if spans else 0) == sent
    assert all(a.end_offset == b.first_offset for a, b in itertools.pairwise(spans))
    assert all(a.end_48k == b.start_48k for a, b in itertools.pairwise(spans))
    pcm = b"".join(piece for span in join(spans) for piece in decode(span, (), rate, 1))
    assert len(pcm) // 2 == sent // played.format.sample_bytes


def _spans(played: Played):
    return [decode_chunk(ready.chunk.encode()).span("c", 1, ready.end_offset) for ready in played.chunks]


def test_a_chunk_is_encoded_in_one_job(second: bytes):
    played = Played("pcm16", 16_000, chunk_ms=1_000)
    for at in range(0, len(second), 640):
        assert played.recording.job(NOW_MS) is None
        played.recording.take(second[at : at + 640], NOW_MS)
    job = played.recording.job(NOW_MS)
    assert job is not None
    assert len(job.pcm) == len(second)
    assert (job.fresh, job.flush) == (True, False)


def test_an_ack_covers_whole_frames_less_the_lookahead(second: bytes):
    played = Played("pcm16", 16_000, chunk_ms=1_000)
    played.step(len(second))
    (ready,) = played.chunks
    assert ready.end_offset == 2 * (16_000 - 104)
    assert ready.chunk.lead == 312


def test_a_flush_covers_everything_and_a_new_encoder_follows(second: bytes):
    played = Played("pcm16", 16_000, chunk_ms=1_000)
    played.step(1_000)
    assert played.recording.flush(NOW_MS, ends=False) == 1_000
    played.settle()
    played.step(1_000)
    played.step("flush")
    first, again = _spans(played)
    assert (first.end_offset, first.samples, first.starts) == (1_000, 1_500, True)
    assert (again.first_offset, again.first_sample, again.lead, again.starts) == (1_000, 1_500, 312, True)
    assert first.trim > 0


def test_half_a_sample_outlives_a_flush_and_is_dropped_at_the_end():
    played = Played("pcm16", 16_000)
    played.step(641)
    assert played.recording.flush(NOW_MS, ends=False) == 640
    played.settle()
    assert played.recording.taken == 641
    played.step(640)
    assert played.recording.flush(NOW_MS, ends=True) == 1_281
    played.settle()
    spans = _spans(played)
    assert [span.end_offset for span in spans] == [640, 1_281]
    assert sum(span.samples for span in spans) == 640 * 3


def test_half_a_sample_alone_only_moves_the_offset():
    played = Played("pcm16", 16_000)
    played.step(1)
    played.recording.flush(NOW_MS, ends=True)
    played.settle()
    (span,) = _spans(played)
    assert (span.samples, span.packets, span.end_offset) == (0, (), 1)


def test_two_seconds_of_silence_on_the_line_bring_everything_out(second: bytes):
    played = Played("pcm16", 16_000, chunk_ms=1_000)
    played.step(len(second))
    played.now_ms += 1_980
    played.recording.tick(played.now_ms)
    played.settle()
    assert played.chunks[-1].end_offset < len(second)
    played.now_ms += 20
    played.recording.tick(played.now_ms)
    played.settle()
    assert played.chunks[-1].end_offset == len(second)
