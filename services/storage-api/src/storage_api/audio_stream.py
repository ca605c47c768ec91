"""The bytes of an audio answer, in order, as they are made: a few passages ahead, never more.

Owns the pipeline. Memory is bounded by PASSAGES_AHEAD batches, however long the answer is. Knows nothing of HTTP: whoever iterates may
stop at any time, and everything stops.
"""

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from types import MappingProxyType
from typing import Final, TypeVar

from audiocodec.ogg import Paged
from storage_api.ahead import Ahead, Fetch
from storage_api.audio_plan import AudioPlan, Planned
from storage_api.errors import BrokenAnswerError
from storage_api.loading import Loaded, Loader
from storage_api.ogg_length import Mark, OggLength, check_told
from storage_api.ogg_rendering import OggRendering
from storage_api.passage import Sound
from storage_api.pcm_rendering import Block, PcmForm, pcm_blocks, silence
from storage_api.workers import Workers

T = TypeVar("T")

PASSAGES_AHEAD: Final = 4
"""Passages that are decoded, wait to be, or are sent. Where two cores decode and one passage is sent, one waits: no core ever does."""
FETCHED_AHEAD: Final = 24
"""Passages that are fetched before they are copied: 7,000 times real time, where the bucket takes 0.2 s for each."""
DECODED_FROM: Final = 6
"""Passages that are fetched before they are decoded, which is slower."""
FETCHED_AHEAD_BYTES: Final = 4 * 1024 * 1024
"""And no more than bring so much, as far as it is known."""
TURN_BYTES: Final = 256 * 1024
"""Of packets that are only copied others have their turn after so much, which takes half a millisecond, and after each sound."""
PCM_TURN_BYTES: Final = 128 * 1024
"""After so much PCM, too, and threads that decode get the interpreter's lock, for which they would wait else until a whole minute is sent."""
BLOCK_BYTES: Final = 64 * 1024
"""Pages are sent in pieces of about this size, or of as many pages:"""
BLOCK_PAGES: Final = 32
"""A page is a second mostly. Where packets must be encoded first, no thread is taken for longer than 0.3 s at a time."""


_NOTHING_TOLD: Final[Mapping[int, Sequence[Paged]]] = MappingProxyType({})


class AudioStream:
    """Makes the bytes of one plan."""

    def __init__(self, audio: AudioPlan, loader: Loader, workers: Workers) -> None:
        self._audio = audio
        self._loader = loader
        self._workers = workers

    async def ogg(
        self,
        rendering: OggRendering,
        begin: Mark | None = None,
        told: Mapping[int, Sequence[Paged]] = _NOTHING_TOLD,
    ) -> AsyncGenerator[bytes]:
        """The file, or from `begin` on, where the rendering stands there; `told`: what the sounds of parts are known to take.

        BrokenAnswerError, SourceGoneError, StoreError, UnreadableError, CodecError: it cannot be ended properly.
        """
        audio = self._audio
        first, skipped = (begin.part, begin.sound) if begin else (0, 0)
        loads = (
            self._load(part, told.get(index)) for index, part in enumerate(audio.parts) if index >= first
        )
        async with Ahead(loads, FETCHED_AHEAD, FETCHED_AHEAD_BYTES) as ahead:
            while (loading := ahead.take()) is not None:
                for sound in (await loading)[skipped:]:
                    pages = rendering.sound(sound, audio.start_48k)
                    if isinstance(sound, Sound) and sound.packed is not None:
                        # So little work that handing it to a thread costs as much.
                        sent = 0
                        for block in pages:
                            yield block
                            sent += len(block)
                            if sent >= TURN_BYTES:
                                await asyncio.sleep(0)
                                sent = 0
                        await asyncio.sleep(0)
                        continue
                    async for block in self._blocks(pages):
                        yield block
                skipped = 0
        if audio.fill_gaps:
            async for block in self._blocks(rendering.silence_until(audio.start_48k, audio.end_48k)):
                yield block
        yield await self._workers.run_long(rendering.finish)

    async def ogg_range(
        self, rendering: OggRendering, length: OggLength, first_byte: int, end_byte: int
    ) -> AsyncGenerator[bytes]:
        """Bytes `first_byte` to `end_byte`, excluded, of the file, whose length is known. Errors as with `ogg`."""
        mark = length.before(first_byte)
        if mark.standing is not None:
            rendering.resume(mark.standing)
        at = mark.at_byte
        async with aclosing(self.ogg(rendering, mark, length.told)) as blocks:
            async for block in blocks:
                piece = block[max(0, first_byte - at) : max(0, end_byte - at)]
                at += len(block)
                if piece:
                    yield piece
                if at >= end_byte < length.size:
                    return
        if at != length.size:
            raise BrokenAnswerError("audio went away while it was sent")

    async def pcm(self, form: PcmForm, first_byte: int, end_byte: int) -> AsyncGenerator[bytes]:
        """Bytes `first_byte` to `end_byte`, excluded, of the PCM. Errors as with `ogg`."""
        sent = 0
        async with aclosing(self._pcm(form, first_byte, end_byte)) as pieces:
            async for piece in pieces:
                yield piece
                sent += len(piece)
                if sent >= PCM_TURN_BYTES:
                    await asyncio.sleep(0)
                    sent = 0

    async def _pcm(self, form: PcmForm, first_byte: int, end_byte: int) -> AsyncGenerator[bytes]:
        size = form.frame_bytes
        wanted = [part for part in self._audio.parts if self._touches(part, form, first_byte, end_byte)]
        sent = first_byte
        async with (
            Ahead(map(self._load, wanted), DECODED_FROM, FETCHED_AHEAD_BYTES) as ahead,
            aclosing(in_order(self._decode(part, form, ahead) for part in wanted)) as decoded,
        ):
            async for blocks in decoded:
                for block in blocks:
                    at = block.first_frame * size
                    for quiet in silence(min(at, end_byte) - sent):
                        yield quiet
                        sent += len(quiet)
                    piece = block.pcm[max(0, sent - at) : max(0, end_byte - at)]
                    if piece:
                        yield piece
                        sent += len(piece)
        for quiet in silence(end_byte - sent):
            yield quiet

    def _touches(self, part: Planned, form: PcmForm, first_byte: int, end_byte: int) -> bool:
        plays = part.passage.plays
        filled = plays[-1].end_48k - plays[0].start_48k
        samples = filled if self._audio.fill_gaps else part.passage.samples
        first = form.frames(part.position_48k) * form.frame_bytes
        end = form.frames(part.position_48k + samples) * form.frame_bytes
        return first < end_byte and end > first_byte

    def _load(self, part: Planned, told: Sequence[Paged] | None = None) -> Fetch[Sequence[Loaded]]:
        async def load() -> Sequence[Loaded]:
            if part.sounds is not None:
                return part.sounds  # they were told of
            sounds = await self._loader.load(part.passage)
            if told is not None:
                await self._workers.run(check_told, sounds, told)
            return sounds

        return Fetch(load, 0 if part.sounds is not None else self._loader.bytes_of(part.passage))

    def _decode(
        self, part: Planned, form: PcmForm, ahead: Ahead[Sequence[Loaded]]
    ) -> Callable[[], Awaitable[list[Block]]]:
        async def decode() -> list[Block]:
            loading = ahead.take()  # in the order of the parts: so they are begun
            assert loading is not None  # noqa: S101 - there is one for each part
            return await self._workers.run_long(self._pcm_blocks, part, list(await loading), form)

        return decode

    def _pcm_blocks(self, part: Planned, sounds: list[Loaded], form: PcmForm) -> list[Block]:
        blocks, position = [], part.position_48k
        for sound in sounds:
            if self._audio.fill_gaps:
                position = sound.start_48k - self._audio.start_48k
            blocks += pcm_blocks(sound, position, form)
            position += sound.samples
        if sum(sound.samples for sound in sounds) != part.passage.samples:
            # Where gaps are filled, what is not there would be played as silence.
            raise BrokenAnswerError("audio went away while it was sent")
        return blocks

    async def _blocks(self, pages: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Pages joined to pieces worth sending, made in a thread."""
        more = True
        while more:
            block, more = await self._workers.run_long(_gather, pages)
            if block:
                yield block


def _gather(pages: Iterator[bytes]) -> tuple[bytes, bool]:
    """Some of the pages, and whether there may be more."""
    gathered, size = [], 0
    for page in pages:
        gathered.append(page)
        size += len(page)
        if size >= BLOCK_BYTES or len(gathered) >= BLOCK_PAGES:
            return b"".join(gathered), True
    return b"".join(gathered), False


async def in_order(jobs: Iterable[Callable[[], Awaitable[T]]]) -> AsyncGenerator[T]:
    """The results of the jobs in their order, PASSAGES_AHEAD of them under way. Closing it cancels what is under way."""
    waiting = iter(jobs)
    running: deque[asyncio.Task[T]] = deque()

    async def run(job: Callable[[], Awaitable[T]]) -> T:
        return await job()

    try:
        while True:
            while len(running) < PASSAGES_AHEAD and (job := next(waiting, None)) is not None:
                running.append(asyncio.create_task(run(job), name="passage"))
            if not running:
                return
            result = await running[0]
            running.popleft()
            yield result
            del result
    finally:
        for task in running:
            task.cancel()
        # Every task is awaited: what they raise once they are cancelled has nobody to hear it.
        await asyncio.gather(*running, return_exceptions=True)
