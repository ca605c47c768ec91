"""Real encodes for the seeds: runs, batches and AAC of a few hundred milliseconds of speech."""

import io
from dataclasses import replace

import av

from audiocodec import Encoder, Span, join, preroll_after
from audiostore.batch import Batch
from tapedeck_fuzz import adts_by_hand
from tapedeck_fuzz.target import FOLDER
from tapedeck_fuzz.targets import sealed_head

SPEECH = FOLDER.parents[1] / "libs/audiocodec/tests/samples/speech-16k-mono.flac"
START_MS = sealed_head.START_MS
EPOCH = 1_732_147_200_123
CONVERSATION = "0198c0de-0000-7000-8000-000000000001"


def speech(seconds: float, channels: int = 1) -> bytes:
    """The middle of the recording that audiocodec tests with, s16le, 16 kHz."""
    with av.open(str(SPEECH)) as file:
        pcm = b"".join(frame.to_ndarray().tobytes() for frame in file.decode(audio=0))
    mono = pcm[48_000 : 48_000 + int(seconds * 16_000) * 2]
    if channels == 1:
        return mono
    return b"".join(mono[at : at + 2] * channels for at in range(0, len(mono), 2))


def recorded(
    seconds: float, channels: int = 1, *, finished: bool = True, start_ms: int = START_MS
) -> list[Span]:
    """Spans of ten packets, as an encoder of ours makes them."""
    pcm = speech(seconds, channels)
    encoder = Encoder(16_000, channels, bitrate=16_000 * channels)
    packets = encoder.encode(pcm)
    last, trim = encoder.finish() if finished else ([], 0)
    packets += last
    spans: list[Span] = []
    for at in range(0, len(packets), 10):
        own = tuple(packets[at : at + 10])
        lead = 0 if at else encoder.lookahead
        padding = trim if at + 10 >= len(packets) else 0
        spans.append(
            Span(
                conversation=CONVERSATION, epoch=EPOCH, first_offset=640 * at, end_offset=640 * (at + len(own)),
                run_start_ms=start_ms, first_sample=spans[-1].first_sample + spans[-1].samples if spans else 0,
                samples=960 * len(own) - lead - padding, lead=lead, trim=padding, starts=not at, packets=own,
            )
        )  # fmt: skip
    return spans


def batches() -> dict[str, Batch]:
    """Whole, continued, of two runs, stereo; the device's own packets."""
    spans = recorded(0.7)
    later = [replace(span, run_start_ms=span.run_start_ms + 1000, epoch=EPOCH + 9) for span in recorded(0.3)]
    pair = recorded(0.3, channels=2)
    first = spans[0]
    short = replace(first, packets=first.packets[:1], samples=960 - first.lead)

    def batch(
        spans: list[Span], preroll: tuple[bytes, ...] = (), source: str = "pcm16", channels: int = 1
    ) -> Batch:
        return Batch(CONVERSATION, source, 16_000, channels, preroll, tuple(join(spans)))

    return {
        "whole": batch(spans),
        "continued": batch(spans[2:], preroll_after((), join(spans[:2])[0]), "opus"),
        "two-runs": batch([*spans[:2], *later]),
        "stereo": batch(pair, channels=2),
        "no-preroll": batch(spans[1:2], source="opus"),
        "nothing-to-hear": batch(
            [replace(first, packets=first.packets[:1], samples=0, trim=960 - first.lead)]
        ),
        "nothing-but-lead": batch([replace(first, packets=(b"\xe0\xff\xfe",), samples=0, lead=120)]),
        "twenty-four-runs": batch(
            [
                replace(short, run_start_ms=START_MS + 50 * number, epoch=EPOCH + number)
                for number in range(24)
            ]
        ),
    }


def adts_messages(rate: int, layout: str) -> list[bytes]:
    """Frames of FFmpeg's AAC encoder, a message each."""
    out = io.BytesIO()
    with av.open(out, "w", format="adts") as file:
        stream = file.add_stream("aac", rate=rate, layout=layout, bit_rate=24_000)
        frame = av.AudioFrame(format="s16", layout="mono", samples=8_000)
        frame.sample_rate = 16_000
        frame.planes[0].update(speech(0.5))
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate, frame_size=1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            file.mux(stream.encode(piece))
    return [adts_by_hand.join([frame]) for frame in adts_by_hand.split(out.getvalue())]
