"""What these tests are made of: recordings as `listen` makes them, batches as `pusher` puts them, and the service over real HTTP."""

import asyncio
import hashlib
import json
import os
import re
import time
import uuid
from array import array
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import jwt
import msgspec
import pytest
import pytest_asyncio

from audiobus import AppendRequest, Bus, Conversation, Cut, EntryId, Position, PreRoll
from audiobus.answers import Appended, CutStands
from audiobus.chunk import VERSION, Chunk
from audiobus.cut import VERSION as CUT_VERSION
from audiocodec import Encoder
from audiocodec.packet import packet_facts
from audiocodec.span import Span, join, preroll_after
from audiostore import open_store
from audiostore.batch import Batch, batch_end_ms, batch_file, batch_start_ms, fill
from audiostore.names import CONTENT_TYPE, BatchName
from audiostore.store import Store
from servicekit.auth import UserTokens
from servicekit.bind import Bind, bind_socket, bound_to
from servicekit.groups import AuthSettings
from servicekit.http import serving
from servicekit.metrics import Metrics
from servicekit.service_tokens import ServiceTokens
from storage_api import wire
from storage_api.access import Access
from storage_api.answer_headers import answer_headers
from storage_api.app import build_app
from storage_api.bucket import Bucket
from storage_api.downloads import Downloads
from storage_api.keys import Keys
from storage_api.metrics import StorageMetrics
from storage_api.older_stream import Encoding
from storage_api.openapi import DESCRIBED
from storage_api.routes import TABLE
from storage_api.row import Media, Row
from storage_api.services import Services
from storage_api.workers import Workers

T0 = 1_700_000_000_000
SECRET = "storage-api-test-secret-of-32-bytes!"
SERVICE_TOKENS = {
    "reader": ("read-token", ["audio:read"]),
    "writer": ("write-token", ["audio:write"]),
    "all": ("all-token", ["audio:read", "audio:write", "users:admin", "ops:admin"]),
    "admin": ("admin-token", ["users:admin"]),
    "operator": ("ops-token", ["ops:admin"]),
    "none": ("none-token", []),
}
SPEECH = Path(__file__).parents[3] / "clients" / "python" / "src" / "tapedeck" / "sample" / "speech.flac"


def tone(seconds: float, sample_rate: int = 16_000, *, hertz: float = 440.0, channels: int = 1) -> bytes:
    """s16le: a tone whose loudness wanders, so that every second is unlike every other."""
    import numpy as np  # noqa: PLC0415 - not every test module needs it

    at = np.arange(round(seconds * sample_rate)) / sample_rate
    wave = np.sin(2 * np.pi * hertz * at) * (0.3 + 0.2 * np.sin(2 * np.pi * 0.31 * at))
    mono = (wave * 32767).astype("<i2")
    return np.repeat(mono, channels).tobytes()


def encoded(
    pcm: bytes, sample_rate: int = 16_000, channels: int = 1, *, run_start_ms: int = T0, chunk_s: float = 1.0
) -> list[tuple[Chunk, int]]:
    """The chunks that `listen` makes of PCM, with the offset at the end of each."""
    encoder = Encoder(sample_rate, channels, complexity=0)
    size = round(chunk_s * sample_rate) * 2 * channels
    made: list[tuple[Chunk, int]] = []
    first_sample = first_offset = 0

    def add(packets: Sequence[bytes], trim: int, *, last: bool) -> None:
        nonlocal first_sample, first_offset
        if not packets:
            return
        lead = 0 if made else encoder.lookahead
        samples = sum(packet_facts(packet).samples for packet in packets) - lead - trim
        end = first_sample + samples
        end_offset = len(pcm) if last else end * sample_rate // 48_000 * 2 * channels
        chunk = Chunk(
            VERSION, run_start_ms, "pcm16", sample_rate, channels, run_start_ms, first_sample, samples, lead,
            trim, not made, first_offset, tuple(packets),
        )  # fmt: skip
        made.append((chunk, end_offset))
        first_sample, first_offset = end, end_offset

    for at in range(0, len(pcm), size):
        add(encoder.encode(pcm[at : at + size]), 0, last=False)
    packets, trim = encoder.finish()
    add(packets, trim, last=True)
    return made


@dataclass
class Tape:
    """One session of one conversation: appended to the bus as `listen` does it, stored as `pusher` does it."""

    bus: Bus
    store: Store
    conversation: Conversation
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    epoch: int = 0
    newest: EntryId = field(default_factory=lambda: EntryId(0, 0))
    chunks: list[tuple[Chunk, int]] = field(default_factory=list)

    async def open(self, now_ms: int = T0, resume: int | None = None) -> None:
        opened = await self.bus.open(
            self.conversation, owner=self.owner, format="pcm16:16000:1:312", now_ms=now_ms, resume=resume
        )
        await self.bus.note_live(self.conversation, now_ms)
        self.epoch = opened.epoch
        self.newest = EntryId(opened.epoch, opened.offset)

    async def append(self, chunks: Sequence[tuple[Chunk, int]]) -> None:
        """Chunks whose offsets go on where the session stands."""
        for chunk, end in chunks:
            request = AppendRequest(
                conversation=self.conversation,
                owner=self.owner,
                before=self.newest,
                id=EntryId(self.epoch, end),
                chunk=chunk.encode(),
                samples=chunk.samples,
                position=Position(chunk.run_start_ms, chunk.first_sample + chunk.samples),
                now_ms=time.time_ns() // 1_000_000,
            )
            assert isinstance(await self.bus.append(request), Appended)
            self.newest = request.id
            self.chunks.append((chunk, end))

    async def record(
        self, pcm: bytes, sample_rate: int = 16_000, channels: int = 1, *, start_ms: int = T0
    ) -> None:
        """A whole session."""
        await self.open(start_ms)
        await self.append(encoded(pcm, sample_rate, channels, run_start_ms=start_ms))

    def spans(self, first: int, last: int) -> list[Span]:
        return join(
            chunk.span(self.conversation.cid, self.epoch, end) for chunk, end in self.chunks[first:last]
        )

    def preroll(self, first: int) -> tuple[bytes, ...]:
        before = self.spans(0, first)
        return preroll_after((), before[-1]) if before else ()

    async def put(self, first: int, last: int) -> list[str]:
        """Chunks `first` to before `last` as objects, one for each stretch that can share a file; answers their names."""
        groups: list[list[Span]] = []
        for span in self.spans(first, last):
            if groups and fill(groups[-1][-1], span) is not None:
                groups[-1].append(span)
            else:
                groups.append([span])
        names = []
        for number, group in enumerate(groups):
            chunk = self.chunks[first][0]
            preroll = self.preroll(first) if not number and not group[0].starts else ()
            batch = Batch(
                self.conversation.cid, chunk.source, chunk.sample_rate, chunk.channels, preroll, tuple(group)
            )
            name = BatchName(*self.conversation, batch_start_ms(batch), batch_end_ms(batch)).path
            file = batch_file(batch)
            await self.store.put(name, file.data, content_type=CONTENT_TYPE, metadata=file.metadata)
            names.append(name)
        return names

    async def finish(self, last: int) -> None:
        """What `pusher` does once the chunks before `last` are stored: they leave the buffer."""
        state = await self.bus.state(self.conversation)
        end = EntryId(self.epoch, self.chunks[last - 1][1])
        cut = Cut(CUT_VERSION, str(EntryId(self.epoch, 0)), str(end), "put already", "standard", "age")
        assert await self.bus.cut(self.conversation, cut, settled=state.settled) == CutStands()
        chunk = self.chunks[last - 1][0]
        kept = PreRoll(
            self.epoch, chunk.run_start_ms, chunk.first_sample + chunk.samples, end.offset, self.preroll(last)
        )
        samples = sum(one.samples for one, _ in self.chunks[:last]) - state.stored_samples
        assert await self.bus.finish(
            self.conversation, cut.encode(), last=end, preroll=kept, samples=samples, ends={}, now_ms=T0
        )

    async def drain(self, first: int, last: int) -> list[str]:
        """Put and finish."""
        names = await self.put(first, last)
        await self.finish(last)
        return names


@dataclass
class Api:
    """The service as a client sees it."""

    http: httpx.AsyncClient
    services: Services
    folder: Path

    @staticmethod
    def token(uid: str, *, expires_in_s: int = 3600, secret: str = SECRET) -> str:
        return jwt.encode({"sub": uid, "exp": int(time.time()) + expires_in_s}, secret, algorithm="HS256")

    def path(self, conversation: Conversation, rest: str = "") -> str:
        return f"/v1/users/{conversation.uid}/conversations/{conversation.cid}{rest}"

    async def get(
        self, conversation: Conversation, rest: str = "", *, token: str = "all-token", headers=None, **query
    ) -> httpx.Response:
        given = {"Authorization": f"Bearer {token}", **(headers or {})}
        return await self.http.get(self.path(conversation, rest), params=query, headers=given)

    async def pcm(self, conversation: Conversation, **query) -> array:
        answer = await self.get(conversation, "/audio", format="pcm", **query)
        assert answer.status_code == 200, answer.text
        assert len(answer.content) == int(answer.headers["content-length"])
        return array("h", answer.content)


OF_HTTP = {"content-type", "date", "server", "connection", "transfer-encoding"}
"""What carries an answer, and is not described."""


async def held_to_the_table(answer: httpx.Response) -> None:
    """What a route answers is what its row says: status, headers, code, media type and shape. In every test here."""
    path = answer.request.url.raw_path.partition(b"?")[0].decode()
    named = (row for row in TABLE if row.method == answer.request.method)
    row = next((row for row in named if re.fullmatch(re.sub(r"\{\w+\}", "[^/:]+", row.path), path)), None)
    if row is None:
        return
    assert answer.status_code in row.statuses, f"{row.operation_id} answers {answer.status_code}"
    if row.path.startswith(DESCRIBED):
        held_to_the_headers(answer, row)
    if row.method == "HEAD":
        return
    kind = row.answers.get(answer.status_code)
    media_type = answer.headers.get("content-type", "")
    if answer.is_error:
        assert media_type == "application/problem+json"
        code = msgspec.json.decode(await answer.aread(), type=wire.Problem).code
        assert code in row.problems, f"{row.operation_id} answers {code}"
    elif isinstance(kind, Media):
        assert media_type.partition(";")[0] in {known.partition(";")[0] for known in kind.types}
    elif kind is not None:
        assert media_type == "application/json"
        msgspec.json.decode(await answer.aread(), type=kind)


def held_to_the_headers(answer: httpx.Response, row: Row) -> None:
    """None that is not described, and all that each answer of its status has."""
    told = answer_headers(row, answer.status_code)
    unsaid = answer.headers.keys() - OF_HTTP - {name.lower() for name in told}
    assert not unsaid, f"{row.operation_id} answers {answer.status_code} with {unsaid}"
    lacking = {name for name, header in told.items() if header.always and name not in answer.headers}
    assert not lacking, f"{row.operation_id} answers {answer.status_code} without {lacking}"


@asynccontextmanager
async def serve_api(bus: Bus, store: Store, folder: Path, keys: Keys | None = None) -> AsyncIterator[Api]:
    """The service over these, on a free port."""
    secret, tokens = folder / "secret", folder / "tokens.json"
    secret.write_text(SECRET)
    entries = [
        {"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest(), "scopes": scopes}
        for name, (token, scopes) in SERVICE_TOKENS.items()
    ]
    tokens.write_text(json.dumps(entries))
    registry = Metrics("storage-api", "test")
    metrics = StorageMetrics(registry, TABLE)
    users = UserTokens(AuthSettings(mode="dev", secret_file=secret), registry)
    workers = Workers()
    services = Services(
        bus,
        Bucket(store, metrics, workers, keys),
        Access(users, ServiceTokens(tokens)),
        metrics,
        workers,
        Downloads(metrics),
        Encoding(complexity=1),
    )
    bound = bind_socket(Bind("127.0.0.1", 0))
    url = bound_to(bound).url()
    async with (
        users,
        serving(build_app(services), bound),
        httpx.AsyncClient(base_url=url, timeout=40, event_hooks={"response": [held_to_the_table]}) as http,
    ):
        yield Api(http, services, folder)
    workers.close()


@pytest.fixture
def files_without_metadata(monkeypatch) -> None:
    """As on a file system that keeps none: what an object holds only its own bytes tell."""
    monkeypatch.delattr(os, "setxattr", raising=False)


@pytest.fixture(scope="session")
def speech() -> bytes:
    """60 s of speech, s16le mono at 16 kHz."""
    import av  # noqa: PLC0415 - a quarter of a second that most runs need once

    with av.open(str(SPEECH)) as file:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
        pcm = b"".join(
            piece.to_ndarray().tobytes()
            for frame in file.decode(audio=0)
            for piece in resampler.resample(frame)
        )
    return pcm[: 60 * 32_000]


@pytest.fixture
def conversation() -> Conversation:
    return Conversation("user-1", "conv-1")


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store(f"file://{tmp_path}/store")
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def api(one_bus: Bus, store: Store, tmp_path: Path) -> AsyncIterator[Api]:
    async with serve_api(one_bus, store, tmp_path) as served:
        yield served


@pytest.fixture
def tokens_file(api: Api) -> Callable[[Collection[str]], None]:
    """Puts a single service token in place of all: `changed-token`, with these scopes."""

    def change(scopes: Collection[str]) -> None:
        digest = hashlib.sha256(b"changed-token").hexdigest()
        entry = {"name": "changed", "sha256": digest, "scopes": sorted(scopes)}
        (api.folder / "new").write_text(json.dumps([entry]))
        (api.folder / "new").replace(api.folder / "tokens.json")

    return change


@pytest.fixture
def serve() -> Callable:
    """Serves over a bus and a store of the test's own."""
    return serve_api


@pytest.fixture
def tape(one_bus: Bus, store: Store, conversation: Conversation) -> Tape:
    return Tape(one_bus, store, conversation)


@pytest.fixture
def tape_for(one_bus: Bus, store: Store) -> Callable[[Conversation], Tape]:
    return lambda conversation: Tape(one_bus, store, conversation)


@pytest.fixture
def pcm_tone() -> Callable[..., bytes]:
    return tone


@pytest.fixture
def encode() -> Callable[..., list[tuple[Chunk, int]]]:
    return encoded


@pytest.fixture
def until() -> Callable:
    """Waits for a condition, with a deadline."""

    async def wait(condition: Callable[[], bool], deadline_s: float = 60.0) -> None:
        async with asyncio.timeout(deadline_s):
            while not condition():
                await asyncio.sleep(0.01)

    return wait
