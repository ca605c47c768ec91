"""What a socket was admitted for: who speaks, into what, in which format. Fixed for the socket's life."""

from dataclasses import dataclass, field

from audiobus import UserState
from listen.allowance import Allowance
from listen.audio_format import AudioFormat
from listen.recording import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of one socket."""

    arrived_ms: int
    """When its handshake began, unix ms."""

    uid: str
    """Who speaks, from the token alone."""
    owner: str
    """A name that no other socket has."""
    conversation_id: str
    """What to record into, at first."""
    resume: int | None
    """Epoch of the session to go on with (v1)."""
    dialect: Dialect
    audio_format: AudioFormat
    chunk_ms: int
    """About how much audio a chunk holds."""
    batch_ms: int = 60_000
    """How much audio a batch holds: when so much waits, whoever stores is told."""
    due_ms: int = 60_000
    """After so long whoever stores looks at a conversation by itself."""
    expires_at_ms: int | None = None
    """When the client's token ends."""
    user: UserState = field(default_factory=lambda: UserState({}, 0, 0))
    """What is set for the user, and what they have used, as the handshake found it."""
    allowance: Allowance = field(default_factory=Allowance)
    """The rules of this process for its users."""
