"""From a stretch of audio to its peaks: fetched and decoded, a minute at a time, in the workers' threads. Keeps nothing."""

from collections.abc import Iterable, Sequence

from audiocodec.peaks import BLOCK_FRAMES, PeakRow, block_peaks
from storage_api.loading import Loaded, Loader
from storage_api.passage import Passage, passages
from storage_api.pcm_rendering import PcmForm, pcm_block
from storage_api.timeline import Play
from storage_api.workers import Workers


async def peaks_of(plays: Sequence[Play], form: PcmForm, loader: Loader, workers: Workers) -> PeakRow:
    """The peaks of plays of one source, of at least one.

    SourceGoneError never; UnreadableError, BrokenAnswerError, StoreError, ProblemError as `Loader.load_wherever`; CodecError: packets that do not decode.
    """
    first = form.frames(plays[0].start_48k) // BLOCK_FRAMES
    end = -(-form.frames(plays[-1].end_48k) // BLOCK_FRAMES)
    row = PeakRow(first, max(0, end - first), form.channels)
    for passage in passages(plays):
        sounds = await loader.load_wherever(passage)
        for first_block, peaks in await workers.run_long(_peaks, sounds, form):
            row.add(first_block, peaks)
    return row


async def passage_peaks(
    passage: Passage, form: PcmForm, loader: Loader, workers: Workers
) -> list[tuple[int, bytes]]:
    """The first block and the peaks of each of its sounds. Errors as `peaks_of`."""
    return await workers.run_long(_peaks, await loader.load_wherever(passage), form)


def _peaks(sounds: Iterable[Loaded], form: PcmForm) -> list[tuple[int, bytes]]:
    found = []
    for sound in sounds:
        block = pcm_block(sound, sound.start_48k, form)
        found.append(
            (block.first_frame // BLOCK_FRAMES, block_peaks(block.pcm, form.channels, block.first_frame))
        )
    return found
