"""What the storage API answers, as values: each with the API's own fields and types. What this version does not know is ignored.

Times are datetimes with their zone (UTC). `live_known` and `missing` are not of the JSON: they come from the answer's headers.
"""

from datetime import date, datetime
from typing import Literal

import msgspec

AudioFileFormat = Literal["ogg", "wav", "pcm"]
Protection = Literal["standard", "enhanced"]


class Conversation(msgspec.Struct, frozen=True):
    """One conversation, as far as it is known."""

    conversation_id: str
    start: datetime
    """The first sample."""
    end: datetime
    """The moment after the last one."""
    recorded_seconds: float = 0
    """Audio that can be played, stored or waiting; without gaps."""
    stored_seconds: float = 0
    """What of it is in the bucket."""
    bytes: int = 0
    """Size of its objects."""
    chunks: int = 0
    """Objects, and entries that wait."""
    protection: str = "standard"
    live: bool = False
    """Somebody records into it, or audio waits to be stored."""
    live_known: bool = True
    """Of one that was asked for alone. False: what waits to be stored could not be read, and is missing here. In a list the page says it."""


class ConversationPage(msgspec.Struct, frozen=True):
    """A page of conversations, newest first."""

    conversations: tuple[Conversation, ...]
    next_page_token: str | None = None
    live_known: bool = True
    """False: what waits to be stored could not be read, and is missing here."""


class Chunk(msgspec.Struct, frozen=True):
    """A stretch that is stored as one object, or (`live`) still waits."""

    timestamp: str
    """Unix seconds with three decimals: where it starts, and what names it in `timestamps`."""
    start: datetime
    end: datetime
    duration_ms: int
    """From start to end; gaps inside are among the page's gaps."""
    path: str | None = None
    """The object's name; None where it waits."""
    size: int | None = None
    """Bytes of the object."""
    is_batch: bool = False
    format: str | None = None
    protection: str | None = None
    state: str = "stored"
    """`stored`, or `live`: it waits to be stored."""
    overlapped: bool = False
    """Another recording has its time, or part of it, and is played there."""
    unreadable: str | None = None
    """Why it can't be read; its time is a gap then."""


class Gap(msgspec.Struct, frozen=True):
    """Time in which nothing was recorded, or nothing that can be read."""

    start: datetime
    end: datetime
    duration_ms: int


class ChunkPage(msgspec.Struct, frozen=True):
    """A page of chunks in order of time, and the gaps among them."""

    chunks: tuple[Chunk, ...]
    gaps: tuple[Gap, ...] = ()
    next_page_token: str | None = None
    live_known: bool = True
    """False: what waits to be stored could not be read, and is missing here."""


class Recording(msgspec.Struct, frozen=True):
    """A stretch without a long gap."""

    id: str
    """Stays while the recording goes on, and when what waits of it is stored."""
    start: datetime
    end: datetime
    recorded_seconds: float
    """Audio that can be played, without gaps."""
    timestamps: tuple[str, ...]
    """Of its chunks."""


class Recordings(msgspec.Struct, frozen=True):
    """All stretches of a conversation, in order of time."""

    recordings: tuple[Recording, ...]
    live_known: bool = True
    """False: what waits to be stored could not be read, and is missing here."""


class Waveform(msgspec.Struct, frozen=True):
    """Peaks, as audiowaveform (JSON, version 2) and peaks.js have them: encoded as JSON, it is a file of theirs."""

    version: int
    channels: int
    sample_rate: int
    """Hz."""
    samples_per_pixel: int
    bits: int
    length: int
    """Pixels."""
    data: tuple[int, ...]
    """For each pixel and channel the smallest and the largest sample, -128 to 127; gaps are 0."""


class Flushed(msgspec.Struct, frozen=True):
    """What a flush stored."""

    stored_seconds: float


class Deleted(msgspec.Struct, frozen=True):
    """What was deleted."""

    deleted_objects: int
    """Of the bucket."""
    deleted_seconds: float
    """Audio that could be played, stored or waiting, and what lay in the dead letters."""


class Trouble(msgspec.Struct, frozen=True):
    """What an operation, or its last try, failed of."""

    code: str
    detail: str = ""


class Operation(msgspec.Struct, frozen=True):
    """Something that goes on after it was answered; `wait` waits for its end."""

    id: str
    kind: str
    """What it does, such as `delete_user_audio`."""
    done: bool
    """Nothing more happens: there is a `result`, or an `error`."""
    progress: dict[str, int | float | str] | None = None
    """How far it is; which fields there are depends on `kind`. None at the beginning."""
    error: Trouble | None = None
    """Why it failed; before it is done, what the last try failed of: then it is tried again."""
    result: dict[str, int | float | str] | None = None
    """What came of it, by `kind`; None until it is done."""
    created: datetime | None = None
    """What is done is known for a week."""


class UserSettings(msgspec.Struct, frozen=True):
    """What holds for a user."""

    protection: Protection
    """How new audio is stored: `enhanced` is sealed."""
    store_audio: bool
    """Whether anything may be recorded."""
    daily_limit_ms: int
    """Of audio a UTC day; 0 is no limit."""


class DayOfUsage(msgspec.Struct, frozen=True):
    """One UTC day."""

    day: date
    ms: int | None = None
    """Audio that came on this day, up to a minute ago; None where it is not known any more: it is kept for two days."""
    stored_ms: int | None = None
    """Only where `ms` is not known: how much time of this day the user's objects take up, gaps inside them included."""


class Usage(msgspec.Struct, frozen=True):
    """How much audio a user sent."""

    days: tuple[DayOfUsage, ...]
    """Each day that was asked for, in order."""
    daily_limit_ms: int
    """Of today; 0 is no limit."""


class Buffer(msgspec.Struct, frozen=True):
    """What of one conversation waits in Redis to be stored."""

    user_id: str
    conversation_id: str
    seconds: float
    """Audio in it."""
    bytes: int | None = None
    """Memory that it takes, about; None where the service may not ask for it."""
    entries: int = 0
    oldest: datetime | None = None
    """When the oldest audio in it was made; None where it holds none."""
    dead_letters: int = 0
    """Entries of the conversation that could not be stored."""
    state: str = "waits"
    """`waits`, `being_stored`, `failing` or `deleted`."""
    why: str = ""
    """What the last try failed of, where it fails."""
    fails: int = 0
    """Tries in a row that failed."""


class BufferPage(msgspec.Struct, frozen=True):
    """A page of buffers: what waits longest comes first."""

    buffers: tuple[Buffer, ...]
    total: int = 0
    """Conversations with something waiting, on all pages."""
    total_seconds: float = 0
    """Audio in them."""
    unavailable: tuple[str, ...] = ()
    """Servers of a cluster that do not answer: what they hold is missing here."""
    next_page_token: str | None = None


class FlushAsked(msgspec.Struct, frozen=True):
    """What was asked to be stored."""

    asked: int
    """Conversations that have something waiting: it is stored from now on."""
    unavailable: tuple[str, ...] = ()
    """Servers of a cluster that do not answer: what they hold was not asked for."""


class DeadLetter(msgspec.Struct, frozen=True):
    """An entry that could not be stored."""

    id: str | None
    """For another try; None where it is no letter but something else that lies there: nobody can store it."""
    user_id: str
    conversation_id: str
    entry: str
    """Its id in Redis, `<session>-<end offset>`."""
    seconds: float = 0
    """Audio that was counted for it."""
    bytes: int = 0
    reason: str = ""
    buried_at: datetime | None = None
    start: datetime | None = None
    """Where its audio begins; None where that can't be read."""
    parses: bool = False
    """Whether it can be read: another try would then most likely succeed."""
    retry_asked_at: datetime | None = None
    """Since when another try is asked for; None where none is."""
    tries: int = 0
    """Second tries that failed."""
    last_try: str = ""
    """What is in the way of the one that is asked for, or what the last one failed of."""


class DeadLetterPage(msgspec.Struct, frozen=True):
    """A page of dead letters, in the order of users, conversations and entries."""

    dead_letters: tuple[DeadLetter, ...]
    unavailable: tuple[str, ...] = ()
    """Servers of a cluster that do not answer: what they hold is missing here."""
    next_page_token: str | None = None


class RetryAsked(msgspec.Struct, frozen=True):
    """Another try is asked for; the list of dead letters tells what comes of it."""

    id: str
    retry_asked_at: datetime


class Problem(msgspec.Struct, frozen=True):
    """An error answer (RFC 9457)."""

    title: str = ""
    detail: str = ""
    code: str = ""
    request_id: str = ""
