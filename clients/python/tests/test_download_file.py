"""Audio over lines that break: to a file, to memory, part by part. Never a short one that is told as whole."""

import fcntl
import os
import subprocess
import sys
import threading

import pytest

from tapedeck import AudioRequest, Retries, StorageClient
from tapedeck.errors import (
    ChangedError,
    NotFoundError,
    StorageAwayError,
    TargetFileError,
    TooBigError,
    UnexpectedAnswerError,
)

AUDIO = os.urandom(300_000)
WAV = AudioRequest("wav")
QUICK = Retries(times=1, resumes=4, first_pause_s=0.001, longest_pause_s=0.001, refused_for_s=0)


@pytest.fixture
def stand_in(storage_stand_in):
    storage_stand_in.audio = AUDIO
    return storage_stand_in


@pytest.fixture
def client(stand_in):
    with StorageClient(stand_in.url, "t", retries=QUICK, timeout=5) as client:
        yield client


@pytest.fixture
def target(tmp_path):
    return tmp_path / "a.wav"


def ranges(stand_in):
    return [headers.get("Range") for _, headers in stand_in.requests]


def left_of(stand_in, client, target, request=WAV):
    """A download that broke for good, and what of it waits to be gone on with."""
    stand_in.breaks = [200_000, *[0] * 20]
    with pytest.raises(StorageAwayError, match=r"after \d+ bytes"):
        client.download_audio("u", "c", target, request)
    assert not target.exists()
    stand_in.breaks.clear()
    stand_in.requests.clear()
    return target.with_name("a.wav.part").stat().st_size


def test_the_file_appears_whole(stand_in, client, target):
    seen = []
    stand_in.audio_headers = {
        "Tapedeck-Missing": "2",
        "Tapedeck-Live": "unavailable",
        "Tapedeck-Sample-Rate": "16000",
        "Tapedeck-Channels": "1",
        "Content-Disposition": 'attachment; filename="c_1.000.wav"',
    }
    found = client.download_audio("u", "c", str(target), WAV, progress=lambda *now: seen.append(now))
    assert (found.path, found.bytes, target.read_bytes()) == (target, len(AUDIO), AUDIO)
    assert seen[-1] == (len(AUDIO), len(AUDIO))
    assert (found.facts.missing, found.facts.live_known, found.facts.total_bytes) == (2, False, len(AUDIO))
    assert (found.facts.sample_rate, found.facts.channels, found.facts.etag) == (16_000, 1, '"one"')
    assert found.facts.file_name == "c_1.000.wav"
    assert [path.name for path in target.parent.iterdir()] == ["a.wav"]


def test_the_head_alone(stand_in, client):
    facts = client.audio_facts(
        "u", "c", AudioRequest("pcm", fill_gaps=False, timestamps=("1.000", 2), channels=2)
    )
    assert (facts.total_bytes, facts.missing, facts.live_known, facts.resumable) == (
        len(AUDIO),
        0,
        True,
        True,
    )
    (request,) = [request for request, _ in stand_in.requests]
    assert request == (
        "HEAD /v1/users/u/conversations/c/audio"
        "?format=pcm&fill_gaps=false&timestamps=1.000%2C2.000000&channels=2"
    )


@pytest.mark.parametrize("length_known", [True, False])
def test_a_broken_download_goes_on_where_it_broke(stand_in, client, target, length_known):
    stand_in.length_known = length_known
    stand_in.breaks = [100_000, 1, 150_000]
    client.download_audio("u", "c", target, WAV)
    assert target.read_bytes() == AUDIO
    assert len(stand_in.requests) == 4
    assert stand_in.requests[1][1]["If-Range"] == '"one"'
    assert None not in ranges(stand_in)[1:]


def test_what_had_come_to_its_end_is_not_sent_again(stand_in, client, target):
    with client.stream_audio("u", "c", WAV, offset=len(AUDIO), etag='"one"') as stream:
        assert list(stream) == []
        assert (stream.offset, stream.position, stream.facts.total_bytes) == (
            len(AUDIO),
            len(AUDIO),
            len(AUDIO),
        )
    assert [request.partition(" ")[0] for request, _ in stand_in.requests] == ["GET", "HEAD"]
    left_of(stand_in, client, target)
    target.with_name("a.wav.part").write_bytes(AUDIO)  # as where it ended before its name was given
    assert client.download_audio("u", "c", target, WAV).bytes == len(AUDIO)
    assert target.read_bytes() == AUDIO
    assert [request.partition(" ")[0] for request, _ in stand_in.requests] == ["GET", "HEAD"]


@pytest.mark.parametrize("offset", [len(AUDIO) + 1, 2 * len(AUDIO)])
def test_what_is_longer_than_the_whole_begins_anew(stand_in, client, offset):
    with client.stream_audio("u", "c", WAV, offset=offset, etag='"one"') as stream:
        assert stream.offset == 0
        assert b"".join(stream) == AUDIO


def test_what_changed_after_it_was_found_whole_begins_anew(stand_in, client):
    whole = (416, {}, {"Content-Range": f"bytes */{len(AUDIO)}"})
    stand_in.answers = {"/v1/users/u/conversations/c/audio": [whole]}
    with client.stream_audio("u", "c", WAV, offset=len(AUDIO), etag='"zero"') as stream:
        assert stream.offset == 0
        assert b"".join(stream) == AUDIO


def test_what_an_earlier_run_left_is_gone_on_with(stand_in, client, target):
    left = left_of(stand_in, client, target)
    assert 0 < left <= 200_000
    client.download_audio("u", "c", target, WAV)
    assert target.read_bytes() == AUDIO
    assert ranges(stand_in) == [f"bytes={left}-"]


KILLED = """
import sys
from tapedeck import AudioRequest, Retries, StorageClient
with StorageClient(sys.argv[1], "t", retries=Retries(first_pause_s=60, longest_pause_s=60)) as client:
    client.download_audio("u", "c", sys.argv[2], AudioRequest("wav"))
"""


def test_what_a_killed_process_left_is_gone_on_with(stand_in, client, target):
    stand_in.breaks = [100_000]
    broken = threading.Event()
    stand_in.after_break = broken.set
    part = target.with_name("a.wav.part")
    with subprocess.Popen([sys.executable, "-c", KILLED, stand_in.url, str(target)]) as process:
        assert broken.wait(30)
        while not part.exists() or part.stat().st_size == 0:  # now it pauses before it goes on
            process.poll()
            assert process.returncode is None
        process.kill()
    assert not target.exists()
    client.download_audio("u", "c", target, WAV)
    assert target.read_bytes() == AUDIO
    assert ranges(stand_in)[-1] is not None


def test_a_part_of_something_else_is_not_used(stand_in, client, target):
    left_of(stand_in, client, target)
    client.download_audio("u", "c", target, AudioRequest("pcm"))
    assert ranges(stand_in) == [None]
    assert target.read_bytes() == AUDIO


def test_a_part_of_what_has_changed_since_is_not_used(stand_in, client, target):
    left_of(stand_in, client, target)
    stand_in.audio, stand_in.etag = AUDIO[::-1], '"two"'
    client.download_audio("u", "c", target, WAV)
    assert target.read_bytes() == AUDIO[::-1]


def test_a_part_that_is_already_whole_or_too_long_is_got_again(stand_in, client, target):
    left_of(stand_in, client, target)
    target.with_name("a.wav.part").write_bytes(AUDIO + b"more")
    client.download_audio("u", "c", target, WAV)
    assert target.read_bytes() == AUDIO


def test_what_changes_in_the_middle_is_got_again_from_the_start(stand_in, client, target):
    stand_in.breaks = [100_000]

    def change():
        stand_in.audio, stand_in.etag = AUDIO[::-1][:250_000], '"two"'

    stand_in.after_break = change
    client.download_audio("u", "c", target, WAV)
    assert target.read_bytes() == AUDIO[::-1][:250_000]
    assert client.audio("u", "c", WAV).content == AUDIO[::-1][:250_000]


def test_what_changes_each_time_is_an_error_in_the_end(stand_in, client, target):
    stand_in.breaks = [100_000] * 50
    stand_in.after_break = lambda: setattr(stand_in, "etag", f'"{len(stand_in.breaks)}"')
    with pytest.raises(ChangedError):
        client.download_audio("u", "c", target, WAV)
    assert not target.exists()


@pytest.mark.parametrize(("etag", "allowed"), [('W/"weak"', True), (None, True), ('"one"', False)])
def test_where_nothing_can_be_resumed_it_is_begun_anew_a_few_times(stand_in, client, target, etag, allowed):
    stand_in.etag, stand_in.ranges = etag, allowed
    stand_in.breaks = [100_000, 100]
    client.download_audio("u", "c", target, WAV)
    assert target.read_bytes() == AUDIO
    assert ranges(stand_in) == [None] * 3
    stand_in.breaks = [100_000] * 9
    with pytest.raises(StorageAwayError, match="can't be taken up"):
        client.download_audio("u", "c", target.with_name("b.wav"), WAV)
    assert not target.with_name("b.wav").exists()
    stand_in.breaks = [100_000]
    with client.stream_audio("u", "c", WAV) as stream, pytest.raises(StorageAwayError):
        list(stream)  # the bytes that went out can't be called back


def test_a_range_that_is_answered_in_part_is_gone_on_with(stand_in, client, target):
    stand_in.longest_part = 60_000
    stand_in.breaks = [100_000]
    client.download_audio("u", "c", target, WAV)
    assert target.read_bytes() == AUDIO
    assert len(ranges(stand_in)) > 4


def test_an_end_that_is_none(stand_in, client, target):
    """A line that just ends, without length and without chunks: nobody can tell whether that was all."""
    headers = {"Content-Type": "audio/wav", "Content-Length": None, "Connection": "close"}
    stand_in.answers = {"/v1/users/u/conversations/c/audio": [(200, AUDIO[:100], headers)] * 9}
    with pytest.raises(StorageAwayError, match="neither a length nor an end"):
        client.download_audio("u", "c", target, WAV)
    assert not target.exists()


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (200, {"Content-Type": "text/html"}, "'text/html', not with audio/wav"),
        (200, {"Content-Type": "audio/wav", "Content-Encoding": "gzip"}, "packed"),
        (206, {"Content-Type": "audio/wav", "Content-Range": "bytes 5-9/10"}, "another range"),
        (206, {"Content-Type": "audio/wav"}, "does not say which range"),
        (302, {"Location": "http://evil.example/x"}, "redirect"),
    ],
)
def test_what_is_no_audio_never_gets_into_the_file(stand_in, client, target, status, headers, said):
    stand_in.answers = {"/v1/users/u/conversations/c/audio": (status, b"<html>", headers)}
    target.write_bytes(b"what was there")
    with pytest.raises(UnexpectedAnswerError, match=said):
        client.download_audio("u", "c", target, WAV)
    assert target.read_bytes() == b"what was there"


def test_a_problem_is_an_error_and_leaves_no_file(stand_in, client, target):
    stand_in.answers = {"/v1/users/u/conversations/c/audio": (404, {"code": "no_audio", "detail": "none"})}
    with pytest.raises(NotFoundError, match="none"):
        client.download_audio("u", "c", target, WAV)
    assert not target.exists()


def test_a_file_that_cannot_be_written_is_an_error_of_ours(client, tmp_path):
    with pytest.raises(TargetFileError, match="folder"):
        client.download_audio("u", "c", tmp_path)
    with pytest.raises(TargetFileError, match="can't be written"):
        client.download_audio("u", "c", tmp_path / "nowhere" / "a.wav")


def test_two_downloads_do_not_write_one_file(client, target):
    with target.with_name("a.wav.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TargetFileError, match="another download"):
            client.download_audio("u", "c", target, WAV)
    client.download_audio("u", "c", target, WAV)
    assert target.read_bytes() == AUDIO


def test_a_system_without_file_locks_says_so_and_streams_all_the_same(client, target, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(TargetFileError, match="file locks") as told:
        client.download_audio("u", "c", target, WAV)
    assert "stream_audio" in told.value.hint
    assert not list(target.parent.iterdir())
    with client.stream_audio("u", "c", WAV) as stream:
        assert b"".join(stream) == AUDIO


def test_what_needs_no_file_locks_is_there_without_them():
    code = "import sys; sys.modules['fcntl'] = None; from tapedeck import AsyncStorageClient, StorageClient"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_memory_has_a_limit(stand_in, client):
    assert client.audio("u", "c", WAV, max_bytes=len(AUDIO)).content == AUDIO
    for stand_in.length_known in (True, False):
        with pytest.raises(TooBigError):
            client.audio("u", "c", WAV, max_bytes=len(AUDIO) - 1)


def test_a_stream_resumes_by_itself_and_by_a_later_one(stand_in, client):
    stand_in.breaks = [100_000, 5]
    with client.stream_audio("u", "c", WAV) as stream:
        assert b"".join(stream) == AUDIO
        assert (stream.offset, stream.position, stream.facts.total_bytes) == (0, len(AUDIO), len(AUDIO))
    with client.stream_audio("u", "c", WAV, offset=200_000, etag='"one"') as stream:
        assert stream.offset == 200_000
        assert b"".join(stream) == AUDIO[200_000:]
    with client.stream_audio("u", "c", WAV, offset=200_000, etag='"old"') as stream:
        assert (stream.offset, b"".join(stream)) == (0, AUDIO)


def test_a_stream_of_what_changed_on_the_way_is_an_error(stand_in, client):
    stand_in.breaks = [100_000]
    stand_in.after_break = lambda: setattr(stand_in, "etag", '"two"')
    with client.stream_audio("u", "c", WAV) as stream, pytest.raises(ChangedError):
        list(stream)


def test_a_stream_that_is_not_open_never_looks_like_one_at_its_end(client):
    stream = client.stream_audio("u", "c", WAV)
    with pytest.raises(RuntimeError):
        next(stream)
    with stream:
        next(stream)
    with pytest.raises(RuntimeError):
        next(stream)


def test_who_stops_in_the_middle_gives_the_connection_back(stand_in, client):
    with client.stream_audio("u", "c", WAV) as stream:
        assert next(stream)
    pool = client.driver.http._transport._pool
    assert not [connection for connection in pool.connections if not connection.is_idle()]
