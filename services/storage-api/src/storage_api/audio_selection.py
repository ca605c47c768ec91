"""What of a recording an answer is made of: all of it, or the chunks that begin or lie at some times. Pure."""

from servicekit.problem import ProblemError
from storage_api.audio_plan import Selection
from storage_api.chunks import rows_at
from storage_api.recording import Recording, live_unavailable
from storage_api.timeline import timeline


def selection(recording: Recording, timestamps_ms: tuple[int, ...]) -> Selection:
    """All of it where there are no timestamps; else the chunks that begin at these times, or, where none does, hold them: whole, each once.

    ProblemError 404 `no_audio` where there are none, 503 where they may wait.
    """
    if not timestamps_ms:
        return Selection.of(recording)
    rows = rows_at(recording, timestamps_ms)
    if not rows:
        if recording.tail is None:
            raise live_unavailable()
        raise ProblemError(404, "no_audio", "no chunk begins or lies at these timestamps")
    sources = frozenset(source for row in rows for source in row.sources)
    readable = timeline(piece for piece in recording.pieces if piece.source in sources)
    unreadable = tuple(row.stored for row in rows if row.stored is not None and row.stored.reason)
    lost = {row.unheard for row in rows}
    return Selection(readable, unreadable, tuple(one for one in recording.unheard if one.unheard in lost))
