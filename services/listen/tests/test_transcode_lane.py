"""Audio that our own encoder makes: cut anywhere, killed anywhere, each sample is stored once, at its place."""

import functools
import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audiocodec.aac import AacDecoder
from audiocodec.decoder import Decoder
from audiocodec.encoder import Encoder
from audiocodec.resampler import opus_rate, resample
from listen.errors import BadAudioError
from tapedeck_testing.lossless import NOW_MS, Tape
from tapedeck_testing.recordings import aac_messages

RATES = [8_000, 16_000, 48_000, 44_100, 22_050, 11_025, 32_000, 8_001, 9_973, 47_999]


def voice(times: np.ndarray, channel: int = 0) -> np.ndarray:
    """A sound that is smooth, and never the same twice within a minute: where in it a sample lies can be told."""
    sweep = (60 + 40 * channel) * times + (1.1 + 0.3 * channel) * times**2
    return 9_000 * np.sin(2 * np.pi * sweep) + 3_000 * np.sin(2 * np.pi * 17.3 * (channel + 1) * times)


def source(codec: str, rate: int, samples: int, channel: int = 0) -> bytes:
    values = voice(np.arange(samples) / rate, channel)
    if codec == "pcm8":
        return (values / 256 + 128).round().astype("u1").tobytes()
    return values.round().astype("<i2").tobytes()


def check(tape: Tape, seconds: float) -> None:
    """Every sample of a tape that was recorded without a gap is there, where it belongs."""
    (run,) = tape.stored()
    rate = opus_rate(tape.format.sample_rate)
    assert abs(len(run.samples) - seconds * rate) <= 1
    at = np.arange(len(run.samples))
    # Where an encoder begins or ends, the resampler's filter lacks what lies on the other side.
    near_seam = np.zeros(len(at), bool)
    if rate != tape.format.sample_rate:
        for seam in (*run.seams, len(at)):
            near_seam |= np.abs(at - seam) < 80
    for channel in range(tape.format.channels):
        wanted = voice(at / rate, channel)
        # One sample beside is told from none: half a sample is what rounding may cost.
        step = 1.2 * np.abs(np.diff(voice(np.arange(len(at) + 9) / rate, channel))).max()
        off = np.abs(run.samples[:, channel] - wanted)
        allowed = (0.55 * step if rate != tape.format.sample_rate else 0) + (
            300 if tape.format.codec == "pcm8" else 2
        )
        assert off[~near_seam].max(initial=0) <= allowed, int(np.argmax(off * ~near_seam))
        assert off.max(initial=0) < 16_000


STEPS = st.lists(
    st.one_of(
        st.integers(1, 9_001),
        st.sampled_from(["flush", "return", "silence", "tick"]),
        st.tuples(st.just("kill"), st.integers(0, 3)),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("codec", ["pcm8", "pcm16"])
@settings(max_examples=12, deadline=None)
@given(steps=STEPS)
@example(steps=[1, ("kill", 0), 2_001, "flush", 3, ("kill", 0), 9_000, ("kill", 1)])
def test_pcm_cut_and_killed_anywhere_is_stored_once_and_in_its_place(codec, rate, steps):
    tape = Tape(codec, rate)
    pcm = source(codec, rate, rate * 5)
    at = 0
    for step in (999, *steps):
        match step:
            case int():
                piece = pcm[at : at + step]
                tape.send(piece)
                at += len(piece)
                tape.now_ms += 10
            case ("kill", lost):
                tape.kill(lost)
            case "flush" | "return":
                tape.flush("more" if step == "flush" else "return")
                assert tape.offset == at - at % tape.format.sample_bytes or not tape.entries
                if step == "return":
                    tape.kill()
            case "silence":
                tape.wait(2_000)
            case _:
                tape.wait(200)
    assert tape.flush("nothing") == at == tape.offset
    assert tape.recording.idle
    check(tape, at // tape.format.sample_bytes / rate)


TWO = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 1), st.integers(0, 2_001)),
        st.tuples(st.just("kill"), st.integers(0, 3)),
        st.just("even"),
    ),
    min_size=1,
    max_size=16,
)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 22_050, 8_001, 9_973])
@pytest.mark.parametrize("codec", ["pcm8", "pcm16"])
@settings(max_examples=15, deadline=None)
@given(steps=TWO)
@example(steps=[(0, 3), (1, 3), (0, 2), (1, 2), (0, 2_000), (1, 2_001), ("kill", 0), (0, 1_999), (1, 2_000)])
def test_two_channels_in_any_order_are_aligned_by_their_sample_clocks(codec, rate, steps):
    tape = Tape(codec, rate, 2)
    pcm = [source(codec, rate, rate * 3, channel) for channel in (0, 1)]
    sent = [0, 0]

    def say(channel: int, size: int) -> None:
        # What is more than a second ahead in a burst was sent while the other one was silent.
        size = min(size, sent[1 - channel] + rate * tape.format.sample_bytes - sent[channel])
        piece = pcm[channel][sent[channel] : sent[channel] + size]
        tape.send(piece, channel)
        sent[channel] += len(piece)

    def even() -> None:
        for channel in (0, 1):
            say(channel, max(sent) - sent[channel])

    for step in ((0, 999), *steps):
        match step:
            case ("kill", lost):
                tape.kill(lost)
            case "even":
                even()
                tape.wait(300)
            case (channel, size):
                say(channel, size)
    even()
    assert tape.flush("nothing") == sum(sent) == tape.offset
    check(tape, sent[0] // tape.format.sample_bytes / rate)


@pytest.mark.parametrize("dialect", ["v1", "plain"])
@pytest.mark.parametrize(("channels", "rate"), [(1, 44_100), (2, 16_000), (2, 44_100)])
@pytest.mark.parametrize("stalled_ms", [700, 3_000])
def test_a_stall_with_a_burst_after_it_moves_nothing(dialect, channels, rate, stalled_ms):
    tape = Tape("pcm16", rate, channels, dialect=dialect)
    size = rate // 50 * 2
    pcm = [source("pcm16", rate, rate * 6, channel) for channel in range(channels)]
    behind_ms = 0
    for index in range(300):
        for channel in range(channels):
            if index == 100 and channel == channels - 1:
                tape.wait(stalled_ms)
                behind_ms = stalled_ms
            tape.send(pcm[channel][index * size : (index + 1) * size], channel)
        if behind_ms > 0:
            behind_ms -= 20
        else:
            tape.wait(20)
    tape.flush("nothing")
    check(tape, 6)


@pytest.mark.parametrize("silent", [range(100, 250), range(200)])
def test_a_backlog_in_which_far_was_silent_is_heard_where_it_was_said(silent):
    tape = Tape("pcm16", 16_000, 2)
    pcm = [source("pcm16", 16_000, 16_000 * 10, channel) for channel in (0, 1)]
    for index in range(500):
        for channel in (0, 1):
            if channel == 0 or index not in silent:
                tape.send(pcm[channel][index * 640 : (index + 1) * 640], channel)
        if index >= 400:
            tape.wait(20)
    assert tape.total - tape.offset < 2 * 2 * 16_000
    tape.flush("nothing")
    (run,) = tape.stored()
    times = np.arange(160_000)
    quiet = np.isin(times // 320, silent)
    assert np.abs(run.samples[:, 0] - voice(times / 16_000, 0)).max() <= 2
    assert np.abs(run.samples[:, 1] - voice(times / 16_000, 1) * ~quiet).max() <= 2


def test_channels_that_take_turns_are_as_long_as_they_were():
    tape = Tape("pcm16", 16_000, 2)
    for index in range(160):
        tape.wait(100)
        tape.send(source("pcm16", 16_000, 1_600), index // 10 % 2)
    tape.flush("nothing")
    (run,) = tape.stored()
    assert abs(len(run.samples) - 16 * 16_000) <= 1_600


def test_a_channel_that_is_waited_for_holds_the_end_of_silence_up_for_a_while(second):
    tape = Tape("pcm16", 16_000, 2)
    tape.send(second, 0)
    tape.wait(9_900)
    assert tape.offset == 0
    tape.wait(100)
    assert tape.offset == len(second)


@pytest.mark.parametrize(("codec", "rate"), [("pcm16", 44_100), ("aac", 44_100), ("opus", 16_000)])
def test_who_comes_back_between_the_messages_of_a_pair_finds_the_other_channel_where_it_was(
    compressed, codec, rate
):
    size = rate // 50 * 2
    if codec == "pcm16":
        pcm = [source(codec, rate, rate * 2, channel) for channel in (0, 1)]
        messages = [[one[at : at + size] for at in range(0, len(one), size)] for one in pcm]
    else:
        messages, _ = compressed(codec, rate, 4.0)
    tape = Tape(codec, rate, 2, pre_skip=1_024 if codec == "aac" else 312)
    for index, (near, far) in enumerate(zip(*messages, strict=True)):
        tape.send(near, 0)
        if index in (20, 21, 60):
            tape.flush("return")
            tape.kill()
        tape.send(far, 1)
        tape.wait(20)
    tape.flush("nothing")
    places = [channel.end for channel in tape.recording._lane._channels]
    assert places[0] == places[1]
    if codec == "pcm16":
        check(tape, 2)


def test_half_a_sample_of_each_channel_outlives_a_kill():
    tape = Tape("pcm16", 16_000, 2)
    pcm = [source("pcm16", 16_000, 16_000, channel) for channel in (0, 1)]
    for at, size in itertools.pairwise([0, *range(1_601, 32_000, 1_602)]):
        for channel in (0, 1):
            tape.send(pcm[channel][at:size], channel)
    lost = list(range(len(tape.entries)))
    assert len(lost) > 3
    for entries in lost:
        tape.kill(entries)
    assert any(lag.odd for entry in tape.entries for lag in entry.position.lags)
    for channel in (0, 1):
        tape.send(pcm[channel][size:], channel)
    tape.flush("nothing")
    check(tape, 1)


@pytest.fixture(scope="module")
def compressed():
    """Messages of both channels, and what one decoder running through makes of them, at the encoder's rate."""

    @functools.cache
    def make(codec: str, rate: int, seconds: float) -> tuple[list[list[bytes]], list[np.ndarray]]:
        messages, heard = [], []
        for channel in (0, 1):
            pcm = source("pcm16", rate, int(rate * seconds), channel)
            if codec == "aac":
                packets = aac_messages(pcm, rate)
                decoder = AacDecoder(rate)
                decoded = b"".join(map(decoder.decode, packets))[2 * 1_024 :]
                decoded = resample(decoded, rate, opus_rate(rate))
            else:
                packets = Encoder(rate, complexity=2, bitrate=32_000).encode(pcm)
                opus = Decoder(rate, 1)
                decoded = b"".join(map(opus.decode, packets))[2 * 312 * rate // 48_000 :]
            messages.append(packets)
            heard.append(np.frombuffer(decoded, "<i2").astype(float))
        return messages, heard

    return make


def noise_db(stored: np.ndarray, wanted: np.ndarray) -> float:
    """How far below the sound what differs lies."""
    noise = ((stored - wanted) ** 2).mean()
    return 10 * np.log10((wanted**2).mean() / max(noise, 1e-9))


COMPRESSED = [
    ("aac", 1, 16_000),
    ("aac", 1, 44_100),
    ("aac", 1, 48_000),
    ("aac", 2, 22_050),
    ("aac", 2, 48_000),
    ("opus", 2, 16_000),
    ("opus_fs320", 2, 48_000),
]
KILLS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(1, 40)),
        st.tuples(st.just("kill"), st.integers(0, 3)),
        st.sampled_from([("return", 0), ("bad", 0)]),
    ),
    min_size=1,
    max_size=10,
)


@pytest.mark.parametrize(("codec", "channels", "rate"), COMPRESSED)
@settings(max_examples=12, deadline=None)
@given(steps=KILLS)
@example(steps=[("say", 1), ("kill", 0), ("say", 1), ("return", 0), ("say", 40), ("kill", 2), ("bad", 0)])
def test_compressed_audio_killed_anywhere_sounds_as_from_one_decoder(
    compressed, codec, channels, rate, steps
):
    messages, heard = compressed(codec, rate, 4.0)
    tape = Tape(codec, rate, channels, pre_skip=1_024 if codec == "aac" else 312)
    at = 0
    for kind, count in (("say", 3), *steps):
        match kind:
            case "say":
                for index in range(at, min(at + count, len(messages[0]))):
                    for channel in range(channels):
                        tape.send(messages[channel][index], channel)
                at = min(at + count, len(messages[0]))
            case "kill":
                tape.kill(count)
            case "return":
                tape.flush("return")
                tape.kill()
            case _:
                with pytest.raises(BadAudioError):
                    tape.send(b"\xff\xff\xff")
    assert tape.flush("nothing") == tape.total == tape.offset
    (run,) = tape.stored()
    rate_out = opus_rate(rate)
    played = (at - 1) * 1_024 * rate_out / rate if codec == "aac" else (at * 960 - 312) * rate / 48_000
    assert abs(len(run.samples) - played) <= 1
    for channel in range(channels):
        wanted = heard[channel][: len(run.samples)]
        # An Opus decoder needs 320 ms to warm up; a client that is cut off sooner cannot give it more than there is.
        assert noise_db(run.samples[: len(wanted), channel], wanted) > (20 if codec == "aac" else 4)
        for seam in run.seams[1:]:
            after = slice(seam + 80, seam + 80 + rate_out // 50)
            if len(wanted[after]) > 100 and (codec == "aac" or seam > 0.4 * rate_out):
                assert noise_db(run.samples[after, channel], wanted[after]) > 10


def test_a_chunk_is_encoded_in_one_job(second):
    tape = Tape("pcm16", 16_000, chunk_ms=1_000)
    for at in range(0, len(second), 640):
        assert tape.recording.job(NOW_MS) is None
        tape.recording.take(second[at : at + 640], NOW_MS)
    job = tape.recording.job(NOW_MS)
    assert job is not None
    assert job.channels[0][1] == second
    assert (job.fresh, job.end) == (True, None)


def test_an_ack_covers_whole_frames_less_the_lookahead(second):
    tape = Tape("pcm16", 16_000, chunk_ms=1_000)
    tape.send(second)
    (ready,) = tape.entries
    assert ready.end_offset == 2 * (16_000 - 104)
    assert (ready.chunk.lead, ready.position.lags) == (312, ())


def test_a_flush_covers_everything_and_a_new_encoder_follows(second):
    tape = Tape("pcm16", 16_000, chunk_ms=1_000)
    tape.send(second[:1_000])
    assert tape.flush() == 1_000
    tape.send(second[:1_000])
    tape.flush()
    first, again = (entry.chunk for entry in tape.entries)
    assert (tape.entries[0].end_offset, first.samples, first.starts) == (1_000, 1_500, True)
    assert (again.first_offset, again.first_sample, again.lead, again.starts) == (1_000, 1_500, 312, True)
    assert first.trim > 0


def test_half_a_sample_outlives_a_flush_and_is_dropped_at_the_end():
    tape = Tape("pcm16", 16_000)
    tape.send(bytes(641))
    assert tape.flush() == 640
    tape.send(bytes(640))
    assert tape.flush("nothing") == 1_281
    assert [entry.end_offset for entry in tape.entries] == [640, 1_281]
    assert sum(entry.chunk.samples for entry in tape.entries) == 640 * 3


def test_half_a_sample_alone_only_moves_the_offset():
    tape = Tape("pcm16", 16_000)
    tape.send(bytes(1))
    tape.flush("nothing")
    (entry,) = tape.entries
    assert (entry.chunk.samples, entry.chunk.packets, entry.end_offset) == (0, (), 1)


def test_two_seconds_of_silence_on_the_line_bring_everything_out(second):
    tape = Tape("pcm16", 16_000, chunk_ms=1_000)
    tape.send(second)
    tape.wait(1_900)
    assert tape.offset < len(second)
    tape.wait(100)
    assert tape.offset == len(second)
