"""Recordings through a real encoder, and the kinds of batches that come of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from audiocodec import Encoder, Span, join, preroll_after
from audiocodec.packet import packet_facts
from audiocodec.silence import silent_packets
from audiostore.batch import Batch, fill

RATE = 16_000
EPOCH = 1_732_147_200_123
RUN_START_MS = 1_732_147_200_123
CONVERSATION = "0198c0de-0000-7000-8000-000000000001"


def make_speech(seconds: float, rate: int = RATE, seed: int = 1) -> np.ndarray:
    """Speech-like sound, int16: syllables of gliding harmonics under moving formants, some of them noise."""
    random = np.random.default_rng(seed)
    pieces = []
    while sum(map(len, pieces)) < seconds * rate:
        count = int(rate * random.uniform(0.12, 0.3))
        at = np.arange(count) / rate
        pitch = random.uniform(90, 220) * np.exp(random.uniform(-0.8, 0.8) * at)
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        formants = random.uniform((250, 800, 2000), (800, 2000, 3000))
        sound = sum(
            np.sin(phase * number)
            * sum(np.exp(-(((pitch * number - formant) / 150) ** 2)) for formant in formants)
            for number in range(1, 25)
        )
        if random.random() < 0.25:
            sound = random.normal(0, 0.3, count)
        pieces.append(sound * np.hanning(count))
        pieces.append(np.zeros(int(rate * random.uniform(0.01, 0.08))))
    whole = np.concatenate(pieces)[: int(seconds * rate)]
    return np.round(whole / np.abs(whole).max() * 20_000).astype(np.int16)


@dataclass(frozen=True)
class Recording:
    """A run through a real encoder, and the sound that went in."""

    sound: np.ndarray
    spans: list[Span]
    """A second each, as chunks are."""
    rate: int = RATE
    channels: int = 1

    @property
    def span(self) -> Span:
        (whole,) = join(self.spans)
        return whole


def record(
    sound: np.ndarray, *, rate: int = RATE, channels: int = 1, run_start_ms: int = RUN_START_MS, epoch: int = EPOCH,
    finished: bool = True, per_span: int = 50,
) -> Recording:  # fmt: skip
    """Encodes interleaved samples as listen does: chunks of packets, the encoder's lead-in in the first, its padding in the last."""
    encoder = Encoder(rate, channels)
    packets = encoder.encode(sound.tobytes())
    trim = 0
    if finished:
        last, trim = encoder.finish()
        packets += last
    spans: list[Span] = []
    for at in range(0, len(packets), per_span):
        own = tuple(packets[at : at + per_span])
        ends = finished and at + per_span >= len(packets)
        lead = 0 if at else encoder.lookahead
        spans.append(
            Span(
                conversation=CONVERSATION,
                epoch=epoch,
                first_offset=spans[-1].end_offset if spans else 0,
                end_offset=sum(map(len, packets[: at + per_span])),
                run_start_ms=run_start_ms,
                first_sample=spans[-1].first_sample + spans[-1].samples if spans else 0,
                samples=960 * len(own) - lead - (trim if ends else 0),
                lead=lead,
                trim=trim if ends else 0,
                starts=not at,
                packets=own,
            )
        )
    return Recording(sound, spans, rate, channels)


@pytest.fixture(scope="session")
def speech() -> Recording:
    """Nine seconds, mono, 16 kHz, encoded in one go."""
    return record(make_speech(9.0))


@pytest.fixture
def make_sound():
    return make_speech


def batch_of(recording, spans, preroll=(), source="pcm16"):
    conversation = spans[0].conversation
    return Batch(conversation, source, recording.rate, recording.channels, tuple(preroll), tuple(spans))


def moved(span, ms, samples=0, epoch=None):
    """The same packets, recorded later."""
    return replace(
        span,
        run_start_ms=span.run_start_ms + ms,
        first_sample=span.first_sample + samples,
        epoch=epoch or span.epoch,
    )


def whole(speech):
    return batch_of(speech, [speech.span])


def beginning(speech):
    return batch_of(speech, join(speech.spans[:4]))


def middle(speech):
    (before,) = join(speech.spans[:4])
    return batch_of(speech, join(speech.spans[4:6]), preroll_after((), before))


def end(speech):
    (before,) = join(speech.spans[:4])
    return batch_of(speech, join(speech.spans[4:]), preroll_after((), before))


def short_preroll(speech):
    first = speech.spans[0]
    head = replace(first, packets=first.packets[:2], samples=2 * 960 - first.lead, end_offset=10)
    rest = replace(
        first,
        packets=first.packets[2:],
        samples=48 * 960,
        lead=0,
        starts=False,
        first_sample=head.samples,
        first_offset=10,
    )
    return batch_of(speech, [rest], preroll_after((), head))


def no_preroll(speech):
    return batch_of(speech, [speech.spans[2]])


def two_runs(speech):
    other = record(
        make_speech(2.0, seed=2), run_start_ms=speech.span.end_ms + 1777, epoch=speech.span.epoch + 9
    )
    return batch_of(speech, [speech.span, other.span])


def continued_then_another_run(speech):
    (before,) = join(speech.spans[:4])
    (rest,) = join(speech.spans[4:])
    other = record(
        make_speech(2.0, seed=3), run_start_ms=rest.end_ms + 333, epoch=rest.epoch + 9, finished=False
    )
    return batch_of(speech, [rest, other.span], preroll_after((), before))


def many_odd_gaps(speech):
    spans = []
    start = speech.span.run_start_ms
    for number in range(24):
        # lengths and positions that are no multiples of 2.5 ms
        piece = record(
            make_speech(0.5 + number * 0.0137, seed=10 + number),
            run_start_ms=start,
            epoch=start + number,
            per_span=500,
        ).span
        spans.append(replace(piece, first_sample=7 * number))
        start = spans[-1].end_ms + 67 + 13 * number
    return batch_of(speech, spans)


def a_gap_just_wide_enough(speech):
    first = speech.span
    second = moved(first, 9000, samples=first.trim + first.lead, epoch=first.epoch + 1)
    assert fill(first, second) == 0
    return batch_of(speech, [first, second])


def continued_after_a_gap(speech):
    # a device's own Opus with a mark: the coder goes on, the clock jumps
    return batch_of(
        speech,
        [*join(speech.spans[:2]), *join([moved(span, 1501) for span in speech.spans[5:7]])],
        source="opus",
    )


def nothing_to_hear(speech):
    first = speech.spans[0]
    span = replace(first, packets=first.packets[:1], samples=0, trim=960 - first.lead)
    return batch_of(speech, [span])


def nothing_but_lead(speech):
    first = speech.spans[0]
    return batch_of(speech, [replace(first, packets=tuple(silent_packets(120, 1)), samples=0, lead=120)])


def silent_end(speech):
    # only bad packets came after the gap: they hold an offset, and no time
    empty = replace(
        speech.spans[1], packets=(), samples=0, run_start_ms=speech.span.end_ms + 500, first_sample=0
    )
    return batch_of(speech, [*join(speech.spans[:2]), moved(empty, 100)])


def stereo(speech):
    left, right = make_speech(3.0, 48_000, 5), make_speech(3.0, 48_000, 6)
    pair = record(np.stack([left, right], axis=1).reshape(-1), rate=48_000, channels=2)
    later = moved(pair.span, 4321, epoch=pair.span.epoch + 1)
    return batch_of(pair, [pair.span, later])


def narrow(speech):
    recording = record(make_speech(2.003, 8_000), rate=8_000)
    return batch_of(recording, [recording.span])


def long_packets_and_dtx(speech):
    first = speech.spans[0]
    dtx = bytes([first.packets[0][0] & 0xFC])
    packets = (*first.packets[:20], dtx, dtx, *first.packets[20:30], bytes([first.packets[0][0] | 3, 3]))
    samples = sum(packet_facts(packet).samples for packet in packets)
    return batch_of(speech, [replace(first, packets=packets, samples=samples - 120, lead=120)], source="opus")


CASES = [
    whole, beginning, middle, end, short_preroll, no_preroll, two_runs, continued_then_another_run, many_odd_gaps,
    a_gap_just_wide_enough, continued_after_a_gap, nothing_to_hear, nothing_but_lead, silent_end, stereo, narrow,
    long_packets_and_dtx,
]  # fmt: skip


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def batch(request, speech):
    return request.param(speech)


@pytest.fixture(scope="session")
def make_batch(speech) -> Callable[[str], Batch]:
    """The batch of a kind, by name."""
    kinds = {case.__name__: case for case in CASES}
    return lambda kind: kinds[kind](speech)
