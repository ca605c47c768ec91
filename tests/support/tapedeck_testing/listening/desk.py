"""A desk at which a session is played through: no socket, no Redis, no clock.

Stands for the shell and for Redis: appends are checked as the script checks them, and kept. Must not judge.
"""

import json
from typing import Any

from audiobus import (
    Appended,
    Chunk,
    EntryId,
    Misplaced,
    Opened,
    Position,
    Replaced,
    Standing,
    UserState,
    decode_chunk,
    utc_day,
)
from audiocodec.span import Span, decode, join
from listen.actions import (
    Action,
    Append,
    AskToStore,
    Close,
    Count,
    Due,
    Encode,
    Left,
    LookStored,
    LookUser,
    Lost,
    Open,
    Ready,
    SendText,
    Watch,
    WriteUsage,
)
from listen.allowance import Allowance
from listen.audio_format import AudioFormat
from listen.encoding import SocketEncoder
from listen.recording import Dialect
from listen.session import Session
from listen.terms import Terms

NOW_MS = 1_732_147_200_000
CID = "conv-1"


class Desk:
    """A session, and what stands for Redis: appends are checked as the script checks them, and kept."""

    def __init__(
        self,
        dialect: Dialect = "v1",
        codec: str = "pcm16",
        rate: int = 16_000,
        *,
        resume: int | None = None,
        opened: Opened | None = None,
        expires_at_ms: int | None = None,
        automatic: bool = True,
        chunk_ms: int = 1_000,
        batch_ms: int = 60_000,
        pre_skip: int = 312,
        channels: int = 1,
        user: UserState | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        self.now_ms = NOW_MS
        self.user = user or UserState({}, 0, 0)
        """What a look at the user answers."""
        self.format = AudioFormat(codec, rate, channels, pre_skip)
        self.opened = opened or Opened(1_000, resume is not None, 0, None, None, None)
        self.automatic = automatic
        self.session = Session(
            Terms(
                arrived_ms=NOW_MS if user else 0,
                uid="alice",
                owner="me",
                conversation_id=CID,
                resume=resume,
                dialect=dialect,
                audio_format=self.format,
                chunk_ms=chunk_ms,
                batch_ms=batch_ms,
                due_ms=batch_ms,
                expires_at_ms=expires_at_ms,
                user=self.user,
                allowance=allowance or Allowance(),
            )
        )
        self.encoder = SocketEncoder(self.format, bitrate=24_000, complexity=0)
        self.newest = EntryId(self.opened.epoch, self.opened.offset)
        self.known = True
        """Redis knows the conversation."""
        self.settled: EntryId | None = None
        self.dead_offset: int | None = None
        self.entries: list[tuple[str, EntryId, bytes]] = []
        self.positions: list[Position | None] = []
        """Of each entry, what is kept beside it."""
        self.actions: list[Action] = []
        """Those that are not done yet, where the desk is not automatic."""
        self.texts: list[dict[str, Any]] = []
        self.hints: list[Action] = []
        self.counts: list[Count] = []
        self.codes: list[int] = []
        self.opens: list[Open] = []
        self.looks: list[LookUser] = []
        self.late: list[WriteUsage] = []
        self.left: list[Left | Lost] = []
        self.used: dict[int, int] = {}
        """Of the open session, as the script adds it up: samples by day."""

    # -- what the client does

    def start(self) -> "Desk":
        self.do(self.session.start(self.now_ms))
        return self

    def send(self, data: bytes) -> None:
        self.do(self.session.binary(data, self.now_ms))

    def say(self, **message: Any) -> None:
        self.do(self.session.text(json.dumps(message), self.now_ms))

    def leave(self) -> None:
        self.do(self.session.disconnected(self.now_ms))

    def wait(self, ms: int) -> None:
        """Time passes, as the shell tells it."""
        end = self.now_ms + ms
        while self.now_ms < end:
            self.now_ms = min(end, self.now_ms + 100)
            self.do(self.session.tick(self.now_ms))

    # -- what the shell does

    def do(self, actions: list[Action]) -> None:
        self.actions += actions
        while self.automatic and self.actions:
            self.one()

    def one(self, kind: type | None = None) -> Action:  # noqa: C901, PLR0912 - one case for each action
        """Does the first action, or the first of its kind."""
        index = next(i for i, a in enumerate(self.actions) if kind is None or isinstance(a, kind))
        action = self.actions.pop(index)
        more: list[Action] = []
        match action:
            case SendText(text):
                self.texts.append(json.loads(text))
            case Close(code):
                self.codes.append(code)
            case Open():
                self.opens.append(action)
                if len(self.opens) > 1 and not action.own:
                    self.opened = Opened(self.opened.epoch + 1, False, 0, None, None, None)
                    self.newest = EntryId(self.opened.epoch, 0)
                    self.used = {}
                self.known = True
                more = self.session.opened(self.opened, self.now_ms)
            case Encode(job):
                more = self.session.encoded(self.encoder.run(job), self.now_ms)
            case Append():
                more = self.append(action)
            case AskToStore():
                more = self.ask(action)
            case LookStored():
                more = self.look()
            case LookUser():
                self.looks.append(action)
                more = self.session.looked_up(self.user, self.now_ms)
            case WriteUsage():
                self.late.append(action)
            case Due() | Ready() | Watch():
                self.hints.append(action)
            case Count():
                self.counts.append(action)
            case Left() | Lost():
                self.left.append(action)
        self.actions += more
        return action

    def append(self, action: Append) -> list[Action]:
        request = action.request
        if not self.known:
            return self.session.append_refused(Replaced("", None), self.now_ms)
        if self.newest not in (request.before, request.id):
            return self.session.append_refused(Misplaced(self.newest), self.now_ms)
        if self.newest != request.id:
            self.entries.append((request.conversation.cid, request.id, request.chunk))
            self.positions.append(request.position)
            self.newest = request.id
            day = utc_day(request.now_ms)
            self.used[day] = self.used.get(day, 0) + request.samples
        used = ",".join(f"{day}:{samples}" for day, samples in sorted(self.used.items(), reverse=True)[:2])
        answer = Appended(
            request.id, self.settled, self.dead_offset, request.samples, len(self.entries) + 1, used.encode()
        )
        return self.session.appended(answer, self.now_ms)

    def ask(self, action: AskToStore) -> list[Action]:
        if not self.known:
            return self.session.ask_refused(Replaced("", None), self.now_ms)
        if self.newest < action.newest:
            return self.session.ask_refused(Misplaced(self.newest), self.now_ms)
        self.hints.append(action)
        return self.session.asked(self.now_ms)

    def look(self) -> list[Action]:
        newest = self.newest if self.known else None
        return self.session.looked(Standing(newest, self.settled, self.dead_offset), self.now_ms)

    def lose(self, keep: int) -> None:
        """Redis comes back with the first so many entries; without any it does not know the conversation."""
        del self.entries[keep:]
        self.known = bool(keep)
        self.newest = self.entries[-1][1] if keep else EntryId(self.opened.epoch, 0)
        self.opened = Opened(self.opened.epoch, True, self.newest.offset, None, None, None)

    def replace(self, owner: str) -> None:
        self.do(self.session.append_refused(Replaced(owner, self.newest), self.now_ms))

    # -- what came of it

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [text for text in self.texts if text["type"] == kind]

    @property
    def acked(self) -> int:
        acks = self.of("ack")
        return int(acks[-1]["offset"]) if acks else 0

    def spans(self, cid: str = CID) -> list[Span]:
        """What was appended, each entry decoded as its readers do, which checks its sums."""
        return [
            decode_chunk(chunk).span(cid, id_.epoch, id_.offset)
            for where, id_, chunk in self.entries
            if where == cid
        ]

    def position(self) -> Position | None:
        """As a client that resumes finds it."""
        return Position.parse_or_none(str(self.positions[-1]).encode())

    def runs(self, cid: str = CID) -> list[Span]:
        return join(self.spans(cid))

    def pcm(self, cid: str = CID) -> bytes:
        return self.decoded(self.spans(cid))

    def decoded(self, spans: list[Span]) -> bytes:
        rate, channels = self.format.encoder_rate, self.format.channels
        return b"".join(piece for span in join(spans) for piece in decode(span, (), rate, channels))

    def chunks(self) -> list[Chunk]:
        return [decode_chunk(chunk) for _, _, chunk in self.entries]
