"""What of a recording an answer is made of: all of it, or the chunks that begin or lie at some times. Pure."""

from bisect import bisect_left, bisect_right

from servicekit.problem import ProblemError
from storage_api.audio_plan import Selection
from storage_api.chunks import Row, chunk_rows
from storage_api.recording import Recording, live_unavailable
from storage_api.timeline import timeline


def selection(recording: Recording, timestamps_ms: tuple[int, ...]) -> Selection:
    """All of it where there are no timestamps; else the chunks that begin at these times, or, where none does, hold them: whole, each once.

    ProblemError 404 `no_audio` where there are none, 503 where they may wait.
    """
    if not timestamps_ms:
        return Selection.of(recording)
    rows = _rows_at(recording, timestamps_ms)
    if not rows:
        if recording.tail is None:
            raise live_unavailable()
        raise ProblemError(404, "no_audio", "no chunk begins or lies at these timestamps")
    sources = frozenset(source for row in rows for source in row.sources)
    readable = timeline(piece for piece in recording.pieces if piece.source in sources)
    unreadable = tuple(row.stored for row in rows if row.stored is not None and row.chunk.unreadable)
    return Selection(readable, unreadable, 0)


def _rows_at(recording: Recording, timestamps_ms: tuple[int, ...]) -> list[Row]:
    """For each time those that begin there; else the one that is played there; else those that hold it, and are not played."""
    rows = chunk_rows(recording, "standard")
    beginning: dict[int, list[Row]] = {}
    for row in rows:
        beginning.setdefault(row.start_ms, []).append(row)
    starts = [row.start_ms for row in rows]  # in this order they are listed
    longest_ms = max((row.end_ms - row.start_ms for row in rows), default=0)
    found: dict[tuple[int, str, bool], Row] = {}
    for at_ms in dict.fromkeys(timestamps_ms):
        there = beginning.get(at_ms)
        if there is None:
            near = rows[bisect_right(starts, at_ms - longest_ms) : bisect_left(starts, at_ms)]
            holding = [row for row in near if at_ms < row.end_ms]
            playing = recording.timeline.playing(at_ms * 48)
            there = [row for row in holding if playing in row.sources] or holding
        found |= {row.key: row for row in there}
    return list(found.values())
