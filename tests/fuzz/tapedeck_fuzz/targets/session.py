"""`listen.session.Session`: a client's messages and Redis' answers in any order, lost ones and wrong ones among them. Slow."""

import json
from random import Random

from audiobus import Appended, EntryId, Misplaced, Replaced, Standing, decode_chunk
from listen.actions import Action, Append, AskToStore, Close, Encode, LookStored, Open, SendText
from listen.audio_format import CODECS, AudioFormat
from listen.encoding import SocketEncoder
from listen.session import Session
from listen.terms import Terms
from tapedeck_fuzz import events
from tapedeck_fuzz.redis_by_hand import RedisByHand
from tapedeck_fuzz.target import Raw, Target, demand

NOW_MS = 1_732_147_200_000
EVENTS = 60
SETTINGS_BYTES = 4
KINDS = 12
CODES = {1000, 1003, 1006, 1007, 1009, 1012, 1013, 4401, 4404, 4409}
TEXTS = {"ready", "ack", "status", "going_away", "error", "finalized"}
LONGEST_END_MS = 60_000
"""A `finalize` waits for 15 s, and Redis for 30 s."""


class Socket:
    """One session and what it asks of its shell; everything that it does is checked as it does it."""

    def __init__(self, settings: bytes) -> None:
        codec, channels, dialect, resume = settings.ljust(SETTINGS_BYTES, b"\0")
        form = AudioFormat(CODECS[codec % len(CODECS)], 16_000, 1 + channels % 2)
        self.redis = RedisByHand()
        self.encoder = SocketEncoder(form, bitrate=16_000, complexity=0)
        self.session = Session(
            Terms(
                arrived_ms=NOW_MS, uid="u", owner="me", conversation_id="c-0", resume=7 if resume % 2 else None,
                dialect="plain" if dialect % 2 else "v1", audio_format=form, chunk_ms=1000,
                expires_at_ms=NOW_MS + 50_000 if resume % 4 > 1 else None,
            )
        )  # fmt: skip
        self.now_ms = NOW_MS
        self.waiting: list[Action] = []
        self.code: int | None = None
        self.acked: dict[tuple[str, int], int] = {}
        self.sent = 0
        self.do(self.session.start(self.now_ms))

    def do(self, actions: list[Action]) -> None:
        """What can be done at once is; what is answered waits."""
        for action in actions:
            demand(self.code is None, f"{type(action).__name__} after the socket was closed")
            match action:
                case SendText(text):
                    self._said(json.loads(text))
                case Close(code):
                    demand(code in CODES, f"closed with {code}")
                    self.code = code
                case Open() | Append() | AskToStore() | LookStored() | Encode():
                    same = [one for one in self.waiting if type(one) is type(action)]
                    demand(not same, f"two {type(action).__name__} at a time")
                    self.waiting.append(action)

    def play(self, kind: int, body: bytes) -> None:
        """One event; nothing comes from a socket that is not read, or closed."""
        now, number = self.now_ms, int.from_bytes(body[:4], "little")
        if self.code is not None or (kind < 6 and not self.session.reading):
            return
        match kind:
            case 0 | 1 | 2:
                self.sent += len(body)
                self.do(self.session.binary(body, now))
            case 3 | 4 | 5:
                self.do(self.session.text(body.decode("utf-8", "replace"), now))
            case 6:
                self.pass_time(number % 20_000)
            case 7 | 8 if self.waiting:
                self.answer(number % len(self.waiting))
            case 9 | 10 if self.waiting:
                self.trouble(number % len(self.waiting), number >> 8)
            case 11:
                self.do((self.session.leave, self.session.disconnected)[number % 2](now))

    def pass_time(self, ms: int) -> None:
        """In the steps of the shell."""
        end = self.now_ms + ms
        while self.now_ms < end and self.code is None:
            self.now_ms += 500
            self.do(self.session.tick(self.now_ms))

    def answer(self, index: int) -> None:
        """A good answer to something that waits."""
        now = self.now_ms
        match self.waiting.pop(index):
            case Open() as action:
                self.do(self.session.opened(self.redis.open(action), now))
            case Append(request):
                self._appended(self.redis.append(request))
            case AskToStore(cid, newest=newest):
                stands = self.redis.buffer(cid).newest
                if stands < newest:
                    self.do(self.session.ask_refused(Misplaced(stands), now))
                else:
                    self.do(self.session.asked(now))
            case LookStored(cid, _):
                buffer = self.redis.buffer(cid)
                buffer.settled = buffer.newest
                self.do(self.session.looked(Standing(buffer.newest, buffer.settled, None), now))
            case Encode(job):
                self.do(self.session.encoded(self.encoder.run(job), now))

    def trouble(self, index: int, kind: int) -> None:
        """Redis is away, a reply is lost, somebody else owns the conversation, or it stands elsewhere."""
        now, action = self.now_ms, self.waiting[index]
        if isinstance(action, Encode):  # encoding cannot fail
            self.answer(index)
            return
        self.waiting.pop(index)
        what = {Open: "open", Append: "append", AskToStore: "ask", LookStored: "look"}[type(action)]
        if isinstance(action, Append) and kind % 4 == 1:
            self.redis.append(action.request)  # it worked, but nobody hears so
        if kind % 4 == 2 and what in ("append", "ask"):
            refused = self.session.append_refused if what == "append" else self.session.ask_refused
            self.do(refused(Replaced("other" if kind & 4 else "", None), now))
        elif kind % 4 == 3 and isinstance(action, AskToStore | LookStored):
            buffer = self.redis.buffer(action.conversation_id)
            buffer.newest = EntryId(buffer.newest.epoch, max(0, buffer.newest.offset - (kind >> 4) % 1000))
            self.waiting.insert(index, action)
            self.answer(index)  # by a Redis that forgot
        elif kind % 4 == 3 and isinstance(action, Append):
            buffer = self.redis.buffer(action.request.conversation.cid)
            elsewhere = EntryId(buffer.newest.epoch, max(0, buffer.newest.offset - (kind >> 4) % 1000))
            buffer.newest = elsewhere  # Redis forgot
            self.do(self.session.append_refused(Misplaced(elsewhere), now))
        elif kind % 4 == 3 and what == "open":
            self.do(self.session.refused("conversation_deleted", 4404, "gone"))
        else:
            self.do(self.session.unavailable(what, now))

    def end(self) -> None:
        """The client closes, all is well from now on: so the session ends."""
        began = self.now_ms
        while self.code is None:
            # Said again: of what comes before a session is open, only so many texts are kept.
            self.do(self.session.text('{"type":"close"}', self.now_ms))
            demand(self.now_ms - began <= LONGEST_END_MS, f"{self.session.phase} long after its end")
            for _ in range(200):
                if not self.waiting or self.code is not None:
                    break
                self.answer(0)
            self.pass_time(500)

    def _appended(self, answer: Appended | Misplaced) -> None:
        if isinstance(answer, Appended):
            self.do(self.session.appended(answer, self.now_ms))
        else:
            self.do(self.session.append_refused(answer, self.now_ms))

    def _said(self, text: dict[str, object]) -> None:
        demand(text["type"] in TEXTS, f"{text['type']!r} is no message")
        if text["type"] != "ack":
            return
        cid, offset, stored = str(text["conversation_id"]), int(str(text["offset"])), int(str(text["stored"]))
        newest = self.redis.buffer(cid).newest
        demand(
            0 <= stored <= offset <= max(newest.offset, self.acked.get((cid, newest.epoch), 0)),
            f"acks {offset}, Redis has {newest.offset}",
        )
        self.acked[cid, newest.epoch] = offset


def check(data: bytes) -> int | None:
    """Nothing raises, nothing is acked that Redis has not, chunks are whole and in order, and a session that shall end does."""
    socket = Socket(data[:SETTINGS_BYTES])
    for kind, body in events.split(data[SETTINGS_BYTES:], EVENTS):
        socket.play(kind % KINDS, body)
    socket.end()
    size = 0
    for buffer in socket.redis.buffers.values():
        for request in buffer.appended:
            chunk = decode_chunk(request.chunk)
            demand(
                chunk.first_offset in (0, request.before.offset),
                "a chunk that begins elsewhere",
            )
            size += sum(map(len, chunk.packets))
    return size if socket.sent else None


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """An event changed, or the same for another codec, number of channels or dialect."""
    settings, rest = data[:SETTINGS_BYTES], events.split(data[SETTINGS_BYTES:], EVENTS)
    if random.randrange(12) == 0:
        return random.randbytes(SETTINGS_BYTES) + events.join(rest)
    return settings + events.join(events.mutate(rest, random, raw, KINDS))


# A packet of two bytes may last 120 ms, which two channels have encoded anew.
TARGET = Target(
    check,
    mutate,
    growth=512,
    floor=64 << 10,
    max_bytes=6144,
    words=(
        b'{"type":"finalize"}',
        b'{"type":"conversation","conversation_id":"c-1"}',
        b'{"type":"close"}',
        b"\x07\0\0",
        b"\x09\0\0",
        b"\x0b\0\0",
    ),
)
