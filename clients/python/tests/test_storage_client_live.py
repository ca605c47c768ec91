"""The storage clients against the real services: every request of the table that storage-api serves."""

import asyncio
import itertools
import os
import re
import signal
import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from audiocodec.ogg import read_ogg_opus
from audiocodec.wav import read_wav
from tapedeck import (
    AsyncStorageClient,
    AudioRequest,
    ListenClient,
    ListenOptions,
    Retries,
    StorageClient,
    sample,
)
from tapedeck.audio_file import open_source
from tapedeck.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    OperationPendingError,
    TokenRefusedError,
)

PCM = b"".join(open_source(str(sample.PATH), None).pieces())[: 10 * 32_000]
USERS = (f"user-{number}" for number in itertools.count())
PATIENT = Retries(times=40, resumes=40, first_pause_s=0.05, longest_pause_s=0.5)


@pytest.fixture
def uid():
    return next(USERS)


@pytest.fixture
def client(stack):
    with StorageClient(stack.facts["storage_api"], stack.facts["service_token"], retries=PATIENT) as client:
        yield client


@pytest.fixture
def record(stack, uid):
    """Records the sample; once more after each gap. Answers when the first of them began, in ms."""

    async def recording(conversation_id, gaps_s, start_ms):
        options = ListenOptions(conversation_id)
        async with ListenClient(stack.facts["listen"], stack.user_token(uid), options=options) as client:
            at_ms = start_ms
            for gap_s in (0, *gaps_s):
                at_ms += gap_s * 1000
                await client.mark(at_ms)
                await client.send(PCM)
                at_ms += 10_000

    def run(conversation_id, *gaps_s, ago_s=600):
        start_ms = time.time_ns() // 1_000_000 - ago_s * 1000
        asyncio.run(recording(conversation_id, gaps_s, start_ms))
        return start_ms

    return run


def test_what_is_read(client, uid, record, tmp_path):
    start_ms = record("talk", 120)
    record("later", ago_s=60)
    assert [c.conversation_id for c in client.conversations(uid, page_size=1)] == ["later", "talk"]
    talk = client.conversation(uid, "talk")
    assert talk.recorded_seconds == pytest.approx(20, abs=0.001)
    assert abs(talk.start.timestamp() * 1000 - start_ms) < 1.5
    assert talk.start.tzinfo is UTC or talk.start.utcoffset() == timedelta(0)
    client.flush(uid, "talk")
    chunks = list(client.chunks(uid, "talk"))
    assert {chunk.state for chunk in chunks} == {"stored"}
    (gap,) = client.gaps(uid, "talk")
    assert abs(gap.duration_ms - 120_000) < 25
    assert list(client.chunks(uid, "talk", end=talk.start)) == []
    first, second = client.recordings(uid, "talk").recordings
    assert second.start - first.end == gap.end - gap.start
    whole = client.audio(uid, "talk", AudioRequest("pcm", fill_gaps=False))
    assert (len(whole.content), whole.facts.sample_rate, whole.facts.channels) == (2 * len(PCM), 16_000, 1)
    assert client.audio_facts(uid, "talk", AudioRequest("pcm", fill_gaps=False)) == whole.facts
    found = client.download_audio(uid, "talk", tmp_path / "it.wav", AudioRequest("wav"))
    assert abs(len(read_wav((tmp_path / "it.wav").read_bytes()).pcm) - 140 * 32_000) < 100
    assert (found.facts.missing, found.facts.live_known) == (0, True)
    assert found.facts.file_name.startswith("talk_")
    assert read_ogg_opus(client.audio(uid, "talk").content).packets
    one = client.audio(
        uid, "talk", AudioRequest("pcm", start=talk.start, end=talk.start + timedelta(seconds=1))
    )
    assert len(one.content) == 32_000
    same = client.audio(uid, "talk", AudioRequest("pcm", timestamps=(chunks[0].timestamp,)))
    assert len(same.content) >= len(PCM)


def test_waveforms(client, uid, record):
    start_ms = record("talk")
    drawn = client.waveform(uid, "talk", samples_per_pixel=512)
    peaks = msgspec.json.decode(msgspec.json.encode(drawn.waveform))
    assert peaks["version"] == 2
    assert len(peaks["data"]) == peaks["length"] * 2 * peaks["channels"]
    assert abs(drawn.start.timestamp() * 1000 - start_ms) < 25
    assert (drawn.missing, drawn.live_known) == (0, True)


def test_a_stream_goes_on_though_the_service_is_killed(stack, client, uid, record, tmp_path):
    record("talk", 120)
    client.flush(uid, "talk")
    big = AudioRequest("wav", sample_rate=48_000, channels=2)
    with client.stream_audio(uid, "talk", big) as stream:
        parts = [next(stream)]
        for pid in stack.pids("storage_api"):
            os.kill(pid, signal.SIGKILL)
        parts += stream
    whole = client.audio(uid, "talk", big).content
    assert b"".join(parts) == whole
    with client.stream_audio(uid, "talk", big, offset=1_000_000, etag=stream.facts.etag) as rest:
        assert (rest.offset, b"".join(rest)) == (1_000_000, whole[1_000_000:])


def test_deleting(client, uid, record):
    record("talk", 120)
    client.flush(uid, "talk")
    with pytest.raises(NotFoundError) as caught:
        client.delete_conversation(uid, "nobody")
    assert caught.value.code == "not_found"
    deleted = client.delete_conversation(uid, "talk")
    assert deleted.deleted_seconds == pytest.approx(20, abs=0.1)
    with pytest.raises(NotFoundError):
        client.conversation(uid, "talk")
    record("other")
    operation = client.delete_user_audio(uid)
    assert (operation.kind, operation.done) == ("delete_user_audio", False)
    looks = []
    with pytest.raises(OperationPendingError) as pending:  # it takes ten minutes at least
        client.wait(operation, deadline_s=0.05, progress=looks.append)
    assert looks
    assert pending.value.operation.id == client.operation(operation.id).id == operation.id


def test_deleting_a_part(client, uid, record):
    record("talk", 120)
    client.flush(uid, "talk")
    chunks = list(client.chunks(uid, "talk"))
    assert client.delete_chunks(uid, "talk", [chunks[0].timestamp]).deleted_objects >= 1
    assert client.delete_chunks(uid, "talk", [chunks[0].timestamp]).deleted_objects == 0
    left = client.conversation(uid, "talk") if len(chunks) > 1 else None
    if left is not None:
        cut = client.delete_stretch(uid, "talk", start=left.start, end=left.start + timedelta(seconds=2))
        assert cut.deleted_seconds == pytest.approx(2, abs=0.5)


def test_merging(client, uid, record):
    record("one")
    record("two", ago_s=300)
    ended = client.wait(client.merge(uid, ["one", "two"], "both"), deadline_s=100)
    assert ended.done
    assert client.conversation(uid, "both").recorded_seconds == pytest.approx(20, abs=0.01)
    with pytest.raises(NotFoundError):
        client.conversation(uid, "one")
    with pytest.raises(NotFoundError):
        client.merge(uid, ["nobody"], "both")


def test_users_and_operators(client, uid, record):
    record("talk")
    assert client.settings(uid).protection == "standard"
    assert client.put_settings(uid, protection="enhanced", daily_limit_ms=1000).daily_limit_ms == 1000
    assert client.settings(uid).protection == "enhanced"
    assert client.put_settings(uid, daily_limit_ms=None).daily_limit_ms == 0  # what holds for everybody
    assert client.put_settings(uid, daily_limit_ms=1000).protection == "enhanced"
    with pytest.raises(BadRequestError):
        client.put_settings(uid, daily_limit_ms=-1)
    today = datetime.now(UTC).date()
    usage = client.usage(uid, first=today - timedelta(days=1), last=today)
    assert [day.day for day in usage.days][-1] in (today, today - timedelta(days=1))
    assert usage.daily_limit_ms == 1000
    assert client.flush_buffers().unavailable == ()
    assert client.flush_buffers(uid=uid, conversation_id="talk").asked in (0, 1)
    client.flush(uid, "talk")
    (page,) = client.buffers().pages()
    assert page.total == len(page.buffers)
    assert list(client.dead_letters()) == []
    with pytest.raises((NotFoundError, ConflictError, BadRequestError)):
        client.retry_dead_letter("no-such-letter")


def test_whose_token_it_is(stack, client, uid, record):
    record("talk")
    with StorageClient(stack.facts["storage_api"], stack.user_token("somebody-else")) as other:
        with pytest.raises(NotFoundError):
            other.conversation(uid, "talk")
        with pytest.raises(ForbiddenError):
            other.put_settings("somebody-else", daily_limit_ms=0)  # users may not, not even their own
    with (
        StorageClient(stack.facts["storage_api"], "nonsense") as nobody,
        pytest.raises(TokenRefusedError) as caught,
    ):
        nobody.conversation(uid, "talk")
    assert re.fullmatch(r"\S+", caught.value.request_id)


async def test_the_asyncio_client(stack, uid, record, tmp_path):
    await asyncio.to_thread(record, "talk")
    async with AsyncStorageClient(stack.facts["storage_api"], stack.user_token(uid)) as client:
        (talk,) = [conversation async for conversation in client.conversations(uid)]
        assert (await client.flush(uid, talk.conversation_id)).stored_seconds in (
            0,
            pytest.approx(10, abs=0.01),
        )
        pcm = AudioRequest("pcm")
        await client.download_audio(uid, "talk", tmp_path / "it.pcm", pcm)
        assert (tmp_path / "it.pcm").stat().st_size == len(PCM)
        async with client.stream_audio(uid, "talk", pcm) as stream:
            assert sum([len(part) async for part in stream]) == len(PCM)
        await client.delete_conversation(uid, "talk")
