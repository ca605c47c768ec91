"""From a query to a plan that holds: drawn up in a thread, its first objects fetched, anew where they turn out to be unreadable.

Owns when a plan is drawn up again. A day has 1,440 batches, and a conversation whose bucket is away 86,400 entries: what takes its time with
those is not done between two messages of everybody else.
"""

import asyncio
from typing import Final

from storage_api.audio_plan import AudioPlan, check, look_ahead, plan
from storage_api.audio_query import AudioQuery
from storage_api.audio_selection import selection
from storage_api.loading import Loader
from storage_api.recording import Recording
from storage_api.services import Services

MAX_PLANS: Final = 3
"""How often an answer is planned anew because objects turned out to be unreadable. After that they are only left out."""


async def planned(services: Services, recording: Recording, query: AudioQuery) -> tuple[Recording, AudioPlan]:
    """The plan, and the recording as it is known by then: what turns out to be unreadable, others may hold as well.

    SourceGoneError: an object is not there any more; the recording must be looked at again. ProblemError: see `plan`, `check`, `look_ahead`.
    """
    plans = 0
    while True:
        plans += 1
        drafted = await asyncio.to_thread(_drafted, recording, query)
        loader = Loader(
            services.recordings, recording, services.workers, packed=True, whole_preroll=query.decoded
        )
        audio_plan = await look_ahead(drafted, loader, services.checked if query.strict else None)
        if audio_plan.missing == drafted.missing or plans == MAX_PLANS:
            break
        recording = await services.recordings.judged_again(recording)
    check(audio_plan, strict=query.strict, live_known=recording.tail is not None)
    return recording, audio_plan


def _drafted(recording: Recording, query: AudioQuery) -> AudioPlan:
    selected = selection(recording, query.timestamps_ms)
    return plan(selected, query.start_48k, query.end_48k, fill_gaps=query.fill_gaps)
