"""What the session asks its shell to do. Each is done once, in the order given; answers come back as events."""

from dataclasses import dataclass
from typing import Literal

from audiobus import AppendRequest, EntryId, UsageTotal
from listen.encoding_job import EncodeJob

AskReason = Literal["finalize", "end", "switch"]
Outcome = Literal["fresh", "resumed", "superseded"]


@dataclass(frozen=True, slots=True)
class SendText:
    """To the client."""

    text: str


@dataclass(frozen=True, slots=True)
class Open:
    """`Bus.open`. Answer with `opened`, `refused` or `unavailable`."""

    conversation_id: str
    resume: int | None
    own: bool
    """The socket's own session, which Redis no longer knows to be its."""
    arrived_ms: int
    """When the client came, or asked for this conversation: it never displaces one that came later."""


@dataclass(frozen=True, slots=True)
class Watch:
    """The session is open: put its conversation on its user's list, and on `due`. No answer."""

    conversation_id: str
    due_at_ms: int


@dataclass(frozen=True, slots=True)
class Due:
    """Make sure that the conversation is looked at by then. No answer."""

    conversation_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Ready:
    """Hint that the conversation should be looked at now. No answer."""

    conversation_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Encode:
    """Encode the job, in order. Answer with `encoded`."""

    job: EncodeJob


@dataclass(frozen=True, slots=True)
class Append:
    """Append the chunk. Answer with `appended`, `append_refused`, `refused` or `unavailable`."""

    request: AppendRequest
    closed_at_ms: int
    """When the chunk was closed, unix ms."""


@dataclass(frozen=True, slots=True)
class AskToStore:
    """`Bus.ask` as the owner, and then a hint. Answer with `asked`, `ask_refused`, `refused` or `unavailable`."""

    conversation_id: str
    reason: AskReason
    ends: bool
    """The session is over and cannot be resumed."""
    newest: EntryId
    """What Redis has confirmed: below it nothing is asked for."""


@dataclass(frozen=True, slots=True)
class LookStored:
    """`Bus.stored`. Answer with `looked`."""

    conversation_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class LookMerging:
    """`merging.goes_into`, where there is word of it. Answer with `looked_merging`; nothing where there is none, or Redis is away."""

    conversation_id: str


@dataclass(frozen=True, slots=True)
class LookUser:
    """Write what was used and look at the user, in one command. Answer with `looked_up`, or `unavailable`."""

    day: int
    """Whose sum is asked for."""
    default_limit_ms: int
    totals: tuple[UsageTotal, ...]


@dataclass(frozen=True, slots=True)
class WriteUsage:
    """The socket ends: these totals are the process' to write. No answer."""

    totals: tuple[UsageTotal, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """These payload bytes of the session were just counted as lost (`Count`): nobody else shall count them. No answer."""

    conversation_id: str
    epoch: int
    since: int
    upto: int


@dataclass(frozen=True, slots=True)
class Left:
    """The session ends here: what Redis had confirmed is the process' to look after. No answer."""

    conversation_id: str
    epoch: int
    acked: int
    """Payload bytes that Redis has confirmed,"""
    stored: int
    """and of them the prefix that is known to be settled."""
    appended_bytes: int
    """What this socket appended, more than 0,"""
    samples: int
    """and how much audio that was, at 48 kHz."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket with this code. The last action."""

    code: int


@dataclass(frozen=True, slots=True)
class Count:
    """Something for the metrics."""

    what: str
    """`appended_samples`, `lost_samples`, `rejected`, `spoiled`, `backpressure`, `opened`, `looked`, `told`."""
    amount: int
    label: str = ""


Action = (
    SendText
    | Open
    | Watch
    | Due
    | Ready
    | Encode
    | Append
    | AskToStore
    | LookStored
    | LookMerging
    | LookUser
    | WriteUsage
    | Lost
    | Left
    | Close
    | Count
)
