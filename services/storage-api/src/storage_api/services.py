"""What every handler works with: made once a process, handed over in the app's state."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from starlette.requests import Request

from audiobus import Bus, Hints
from audiobus.errors import BusUnavailableError
from audiobus.user_settings import KEY, read_user_settings
from storage_api.access import Access
from storage_api.bucket import Bucket
from storage_api.checked_objects import CheckedObjects
from storage_api.downloads import Downloads
from storage_api.metrics import StorageMetrics
from storage_api.older_stream import Encoding
from storage_api.recording import Recording, Recordings
from storage_api.shared_work import SharedWork
from storage_api.slots import Places, Slots, all_slots
from storage_api.waveforms.kept_peaks import KeptPeaks
from storage_api.wire import Protection
from storage_api.workers import Workers

LIVE_HEADER: Final = "Tapedeck-Live"
MISSING_HEADER: Final = "Tapedeck-Missing"
START_HEADER: Final = "Tapedeck-Start"


@dataclass(frozen=True)
class Services:
    """The parts of a running storage-api."""

    bus: Bus
    bucket: Bucket
    access: Access
    metrics: StorageMetrics
    workers: Workers
    downloads: Downloads
    encoding: Encoding = field(default_factory=Encoding)
    default_limit_ms: int = 0
    """Of audio a day, for users who have no limit of their own; 0 for none."""
    store_url: str = ""
    """Of the bucket, or of the first of two; empty where pushers need not be asked whether there is another one."""
    slots: Mapping[Places, Slots] = field(default_factory=all_slots)
    """How many lists, flushes and deletions are under way."""
    operation_begun: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    """Wakes whoever carries operations out in this process."""
    checked: CheckedObjects = field(init=False, default_factory=CheckedObjects)
    drawn: SharedWork[KeptPeaks] = field(init=False, default_factory=SharedWork)
    """Waveforms of objects that are made at the moment."""
    hints: Hints = field(init=False)
    recordings: Recordings = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hints", Hints(self.bus))
        object.__setattr__(self, "recordings", Recordings(self.bus, self.bucket))

    @staticmethod
    def of(request: Request) -> "Services":
        """Those of the app that answers this request."""
        return cast("Services", request.app.state.services)

    async def protection(self, uid: str) -> Protection | None:
        """The user's protection level; None where it cannot be known, because Redis is away, or holds no settings under their key.

        A level that nobody here knows asks for more than it is known to give: it counts as `enhanced`.
        """
        try:
            settings = await read_user_settings(self.bus, uid)
        except BusUnavailableError:
            return None
        return None if KEY in settings.defects else settings.protection

    async def protection_of(self, recording: Recording) -> Protection | None:
        """The same of the recording's user. Where Redis did not answer for the recording it is not waited for once more."""
        return None if recording.tail is None else await self.protection(recording.conversation.uid)
