"""The listener: batches decoded one by one and joined, as storage-api does it, against one decoder that runs through.

"Running through" means: one decoder for each encoder, from its first packet to its last, over every gap. Where an encoder begins anew
(a PCM client that resumed, a flush) so does the decoder, as a batch begins there or a gap lies before it. All at 48 kHz.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from audiocodec.decoder import Decoder
from audiocodec.packet import absent_frames, packet_facts
from audiocodec.resampler import resample
from audiocodec.span import Span
from audiostore.batch import Batch, read_batch
from pusher.reason import Reason
from pusher.seam import last_packets
from storage_api.loading import stored_sounds
from storage_api.passage import passages
from storage_api.pcm_rendering import PcmForm, pcm_block
from storage_api.timeline import Piece, Stored, Timeline, timeline
from tapedeck_testing.seams.drainer import Put
from tapedeck_testing.seams.recorder import Tape

Pcm = npt.NDArray[np.int16]

WINDOW = 960
"""20 ms: what is compared after a seam."""
WANTED_DB = 35.0
LAG_SECONDS = 4
"""So much of each stretch is compared with what the microphone heard."""
EXACT_DB = 99.0
"""Stands for a difference of at most one step of 16 bits, on average: nothing is below that."""


@dataclass(frozen=True, slots=True)
class Seam:
    """A place where a decoder begins anew, and the 20 ms after it."""

    case: int
    start_48k: int
    mode: str
    """Of the first packet after it; `dtx` where the decoder makes up noise."""
    reason: Reason
    """Why it was cut there."""
    preroll_ms: float
    db: float
    """Signal to difference."""
    error: float
    """Mean square of the difference, in steps of 16 bits."""

    @property
    def asked(self) -> bool:
        """Whether it had to be cut just there."""
        return self.reason not in (Reason.SIZE, Reason.AGE, Reason.BOUNDARY)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was heard."""

    seams: list[Seam]
    restarts_db: list[float]
    """Where an encoder began anew: the 20 ms after it, decoded so, against a decoder that never begins anew."""
    lags: list[int]
    """How many samples each stretch of PCM comes later than the microphone heard it, by cross-correlation."""
    batches: list[Batch]


def judge(tape: Tape, puts: list[Put]) -> Verdict:
    """Decodes everything both ways. Asserts that nothing is missing, twice, or elsewhere."""
    spans = [one.audio for one in tape.entries if one.audio is not None]
    channels = 2 if tape.case.kind == "stereo" else 1
    batches = [read_batch(put.data) for put in puts]
    line = timeline(
        Piece(replace(span, packets=()), Stored(str(number), index))
        for number, batch in enumerate(batches)
        for index, span in enumerate(batch.spans)
    )
    start, end = line.start_48k, line.end_48k
    assert start == spans[0].start_48k
    assert line.samples == sum(span.samples for span in spans), "samples are missing, or there twice"
    through, played = _through(spans, channels, start, end, restarting=True)
    joined = _joined(line, batches, PcmForm(48_000, channels), start, end)
    never, _ = _through(spans, channels, start, end, restarting=False)
    seams = list(_seams(tape, puts, batches, joined, through, played, start))
    restarts = [
        db(through[at : at + WINDOW], never[at : at + WINDOW])
        for before, span in pairwise(spans)
        if span.starts and span.samples and (at := span.start_48k - start) == before.end_48k - start
    ]
    return Verdict(seams, restarts, list(_lags(tape, joined, start)), batches)


def db(sound: Pcm, reference: Pcm) -> float:
    """Signal to difference, EXACT_DB where there is hardly any."""
    error = power(sound.astype(float) - reference)
    return EXACT_DB if error <= 1 else 10 * float(np.log10(max(power(reference), 1e-9) / error))


def power(sound: npt.NDArray[np.generic]) -> float:
    """Mean square."""
    return float(np.mean(sound.astype(float) ** 2)) if len(sound) else 0.0


def _through(
    spans: list[Span], channels: int, start: int, end: int, *, restarting: bool
) -> tuple[Pcm, npt.NDArray[np.bool_]]:
    out = np.zeros((end - start, channels), np.int16)
    played = np.zeros(end - start, bool)
    decoder = Decoder(48_000, channels)
    for span in spans:
        if span.starts and restarting:
            decoder = Decoder(48_000, channels)
        pcm = np.frombuffer(b"".join(map(decoder.decode, span.packets)), np.int16).reshape(-1, channels)
        at = span.start_48k - start
        out[at : at + span.samples] = pcm[span.lead : span.lead + span.samples]
        assert not played[at : at + span.samples].any(), "the tape runs over itself"
        played[at : at + span.samples] = True
    return out, played


def _joined(line: Timeline, batches: list[Batch], form: PcmForm, start: int, end: int) -> Pcm:
    out = np.zeros((end - start, form.channels), np.int16)
    for passage in passages(line.plays):
        source = passage.source
        assert isinstance(source, Stored)
        sounds = stored_sounds(batches[int(source.name)], passage)
        assert sounds is not None
        for play, sound in zip(passage.plays, sounds, strict=True):
            block = pcm_block(sound, play.start_48k - start, form)
            pcm = np.frombuffer(block.pcm, np.int16).reshape(-1, form.channels)
            assert len(pcm) == play.samples
            out[block.first_frame : block.first_frame + len(pcm)] = pcm
    return out


def _seams(
    tape: Tape,
    puts: list[Put],
    batches: list[Batch],
    joined: Pcm,
    through: Pcm,
    played: npt.NDArray[np.bool_],
    start: int,
) -> Iterator[Seam]:
    for number, batch in enumerate(batches[1:], 1):
        span = batch.spans[0]
        if span.starts or not span.samples:
            continue
        at = span.start_48k - start
        stop = at + int(np.argmin(np.append(played[at : at + WINDOW], False)))
        sound, reference = joined[at:stop], through[at:stop]
        error = power(sound.astype(float) - reference)
        preroll = sum(packet_facts(packet).samples for packet in batch.preroll) / 48
        yield Seam(
            tape.case.number,
            span.start_48k,
            _mode(batch.preroll, span),
            puts[number - 1].reason,
            preroll,
            db(sound, reference),
            error,
        )


def _mode(before: Sequence[bytes], span: Span) -> str:
    """Of the packets in the window; `dtx` if one of them, or of the 100 ms before, is absent: a decoder makes up what it gives then."""
    if any(map(absent_frames, last_packets(before, 4_800))):
        return "dtx"
    modes, have = [], -span.lead
    for packet in span.packets:
        facts = packet_facts(packet)
        modes.append("dtx" if absent_frames(packet) else facts.mode)
        have += facts.samples
        if have >= WINDOW:
            break
    return "dtx" if "dtx" in modes else modes[0]


def _lags(tape: Tape, joined: Pcm, start: int) -> Iterator[int]:
    for at_48k, sound in tape.heard:
        rate = tape.case.sample_rate
        source = np.frombuffer(
            resample(sound[: LAG_SECONDS * rate].tobytes(), rate, 48_000), np.int16
        ).astype(float)
        decoded = joined[max(0, at_48k - start) :][: len(source), 0].astype(float)
        if len(source) < 48_000 or not source.any():
            continue  # too little to tell by
        size = 1 << (2 * len(source)).bit_length()
        product = np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(source, size))
        found = int(np.argmax(np.fft.irfft(product, size)))
        yield found - size if found > size // 2 else found
