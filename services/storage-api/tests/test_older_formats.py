"""The golden bucket of the six older formats, served over real HTTP."""

import asyncio
import io
import re
import subprocess
import wave
from array import array

import pytest
import pytest_asyncio

from audiobus import Conversation
from audiocodec import read_ogg_opus
from audiocodec.resampler import resample
from audiostore import open_store
from storage_api.keys import Keys
from tapedeck_testing.bucket_servers import SERVERS
from tapedeck_testing.golden_bucket import golden_objects, manifest, source_pcm
from tapedeck_testing.heard import decoded, lag, snr_db

UID = "user-legacy"
START = 1_700_000_000
LOOKAHEAD = 104  # samples at 16 kHz by which blobs play late


def source(first_s: float, last_s: float) -> array:
    return array("h", source_pcm()[round(first_s * 16_000) * 2 : round(last_s * 16_000) * 2])


def silent(seconds: float) -> array:
    return array("h", bytes(round(seconds * 16_000) * 2))


async def fill(store) -> None:
    for golden in golden_objects():
        await store.put(golden.name, golden.data, content_type="application/octet-stream", metadata={})


@pytest_asyncio.fixture
async def golden(serve, one_bus, store, tmp_path):
    """The golden bucket, and the service with the secret that opens it."""
    await fill(store)
    async with serve(one_bus, store, tmp_path, Keys(legacy_secret=manifest()["secret"])) as api:
        yield api


@pytest_asyncio.fixture
async def other_store(scheme, tmp_path, monkeypatch):
    """An empty store of this kind; the real server that others than memory need."""
    if scheme == "memory":
        yield open_store("memory:")
        return
    server = SERVERS[scheme].started(tmp_path / scheme / "data")
    try:
        for name, value in server.settings().items():
            monkeypatch.setenv(name, value)
        opened = open_store(f"{scheme}://{server.make_bucket()}")
        yield opened
        await opened.close()
    finally:
        server.stop()


def at(seconds: float) -> str:
    return f"{START + seconds:.6f}"


@pytest.mark.parametrize("cid", ["plain", "enhanced"])
async def test_every_sample_of_a_whole_conversation(golden, cid):
    conversation = Conversation(UID, cid)
    played = await golden.pcm(conversation)
    assert len(played) == 25 * 16_000
    second = 16_000
    assert played[: 5 * second] == source(0, 5)
    assert played[10 * second : 20 * second] == source(10, 20)
    assert played[20 * second : 22 * second] == silent(2)
    assert played[22 * second :] == source(22, 25)
    blob = played[5 * second : 10 * second]
    assert lag(blob, source(5, 10)) == LOOKAHEAD
    assert snr_db(blob, source(5, 10), LOOKAHEAD) > 10
    answer = await golden.get(conversation, "/audio", format="wav")
    assert answer.headers["tapedeck-missing"] == "0"
    with wave.open(io.BytesIO(answer.content)) as file:
        assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
        assert file.readframes(10**7) == played.tobytes()
    assert (await golden.pcm(conversation, fill_gaps="false")) == played[: 20 * second] + played[
        22 * second :
    ]


@pytest.mark.timeout(900)  # a server that is not there yet is built
@pytest.mark.parametrize("scheme", ["memory", "gs", "s3"])
async def test_another_store_gives_the_same(golden, serve, one_bus, other_store, tmp_path):
    await fill(other_store)
    async with serve(one_bus, other_store, tmp_path, Keys(legacy_secret=manifest()["secret"])) as api:
        for cid in ("plain", "enhanced", "mixed"):
            conversation = Conversation(UID, cid)
            assert await api.pcm(conversation) == await golden.pcm(conversation)
            for rest in ("", "/chunks"):
                answer = await api.get(conversation, rest)
                assert answer.json() == (await golden.get(conversation, rest)).json()


async def test_what_years_of_production_leave_behind(golden):
    conversation = Conversation(UID, "mixed")
    played = await golden.pcm(conversation)
    second = 16_000
    assert len(played) == 31 * second
    assert played[: 5 * second] == source(0, 5)  # the blob beside it is damaged
    # The earlier object wins the half second that two have.
    assert lag(played[5 * second : round(9.5 * second)], source(5, 9.5)) == LOOKAHEAD
    assert played[round(9.5 * second) : round(19.5 * second)] == source(9.5, 19.5)
    assert played[round(19.5 * second) :] == silent(11.5)
    answer = await golden.get(conversation, "/audio", format="ogg")
    assert answer.headers["tapedeck-missing"] == "3"
    heard = decoded(answer.content)
    assert len(heard) == 31 * second
    assert lag(heard[: 5 * second], source(0, 5)) == 0
    strict = await golden.get(conversation, "/audio", strict="true")
    assert (strict.status_code, strict.json()["code"], strict.json()["missing"]) == (502, "incomplete", 3)
    part = await golden.get(conversation, "/audio", strict="true", format="pcm", start=at(1), end=at(19))
    assert part.status_code == 200
    # The time of the damaged blob is played from the object beside it: nothing is lost.
    part = await golden.get(conversation, "/audio", strict="true", format="pcm", end=at(19))
    assert (part.status_code, part.headers["tapedeck-missing"]) == (200, "1")
    for window, missing in (
        ((19.4, 19.6), 1),
        ((19.5, 30), 1),
        ((19.6, 29), 0),
        ((30.5, 40), 1),
        ((0, 1), 1),
    ):
        answer = await golden.get(
            conversation, "/audio", format="pcm", start=at(window[0]), end=at(window[1])
        )
        assert (answer.status_code, answer.headers["tapedeck-missing"]) == (200, str(missing))


async def test_the_chunks_of_the_older_formats(golden):
    listed = (await golden.get(Conversation(UID, "mixed"), "/chunks")).json()
    rows = {
        row["path"].removeprefix("chunks/user-legacy/mixed/"): (
            row["timestamp"], row["duration_ms"], row["format"], row["is_batch"], row["protection"],
            row["overlapped"], row["unreadable"],
        )
        for row in listed["chunks"]
    }  # fmt: skip
    assert rows == {
        "1700000000.000.bin": ("1700000000.000", 5000, "pcm_s16le", False, "standard", False, None),
        "1700000000.000.opus": ("1700000000.000", 0, "opus", False, "standard", False, "damaged"),
        "1700000004.500.opus": ("1700000004.500", 5000, "opus", False, "standard", True, None),
        "1700000009.500.enc": ("1700000009.500", 5000, "pcm_s16le", False, "enhanced", False, None),
        "1700000014.500.batch.bin": ("1700000014.500", 5000, "pcm_s16le", True, "standard", False, None),
        "1700000019.500.opus.enc": ("1700000019.500", 0, "opus", False, "enhanced", False, "damaged"),
        "1700000030.000.batch.enc": ("1700000030.000", 1000, "pcm_s16le", True, "enhanced", False, "damaged"),
    }
    assert all(row["state"] == "stored" for row in listed["chunks"])
    # What cannot be read lies behind the last sample that is played: the audio is silent there, up to its end.
    assert listed["gaps"] == [
        {"start": "2023-11-14T22:13:39.500Z", "end": "2023-11-14T22:13:51.000Z", "duration_ms": 11_500}
    ]
    plain = (await golden.get(Conversation(UID, "plain"), "/chunks")).json()
    assert [gap["duration_ms"] for gap in plain["gaps"]] == [2000]
    assert [row["duration_ms"] for row in plain["chunks"]] == [5000, 5000, 10_000, 3000]


async def test_the_conversations_of_the_older_formats(golden):
    answer = await golden.http.get(
        f"/v1/users/{UID}/conversations", headers={"Authorization": "Bearer all-token"}
    )
    listed = {row["conversation_id"]: row for row in answer.json()["conversations"]}
    assert {cid: (row["chunks"], row["recorded_seconds"], row["stored_seconds"]) for cid, row in listed.items()} == {
        "plain": (4, 23.0, 23.0),
        "enhanced": (4, 23.0, 23.0),
        "mixed": (7, 19.5, 19.5),
    }  # fmt: skip
    assert listed["plain"]["start"] == "2023-11-14T22:13:20.000Z"
    assert listed["plain"]["end"] == "2023-11-14T22:13:45.000Z"
    assert listed["plain"]["bytes"] == 160_000 + 11_173 + 320_000 + 96_000
    assert not listed["plain"]["live"]


@pytest.mark.parametrize("cid", ["plain", "enhanced"])
async def test_ogg_is_one_seamless_stream_and_lies_where_the_clock_says(golden, cid):
    conversation = Conversation(UID, cid)
    wanted = await golden.pcm(conversation)
    content = (await golden.get(conversation, "/audio", format="ogg")).content
    ogg = read_ogg_opus(content)
    assert ogg.end_granule - ogg.head.pre_skip == 25 * 48_000
    assert (ogg.head.pre_skip, ogg.head.channels, ogg.head.input_sample_rate) == (312, 1, 16_000)
    heard = decoded(content)
    assert len(heard) == len(wanted)
    second = 16_000
    for first, last in ((0, 5), (5, 10), (10, 20), (22, 25)):
        piece = slice(first * second, last * second)
        assert lag(heard[piece], wanted[piece]) == 0
        assert snr_db(heard[piece], wanted[piece]) > 8
    assert not any(heard[20 * second + 480 : 22 * second - 480])
    joined = (await golden.get(conversation, "/audio", format="ogg", fill_gaps="false")).content
    ogg = read_ogg_opus(joined)
    assert ogg.end_granule - ogg.head.pre_skip == 23 * 48_000
    assert lag(decoded(joined)[20 * second :], wanted[22 * second :]) == 0


async def test_players_take_the_encoded_file_without_a_word(golden, program, tmp_path):
    for cid in ("plain", "mixed"):
        path = tmp_path / f"{cid}.ogg"
        path.write_bytes((await golden.get(Conversation(UID, cid), "/audio", format="ogg")).content)
        for command in (
            [program("ffmpeg"), "-v", "warning", "-i", path, "-f", "null", "-"],
            [program("opusdec"), "--quiet", path, path.with_suffix(".wav")],
        ):
            said = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, check=True, timeout=60
            )
            assert said.stdout + said.stderr == b""
        info = [program("opusinfo"), path]
        said = await asyncio.to_thread(subprocess.run, info, capture_output=True, check=True, timeout=60)
        assert said.stderr == b""
        assert not re.search(rb"warning|error|invalid|hole|missing|unknown", said.stdout, re.IGNORECASE), (
            said.stdout
        )


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0.0, 0.1),
        (1.234567, 3.3),
        (4.99998, 5.00002),
        (3.0000208, 12.0000417),
        (9.9, 21),
        (11.225601, 12),  # 179609.616 samples
        (20.5, 22.2),
        (24.9, None),
    ],
)
async def test_cuts_are_exact_to_the_sample(golden, start, end):
    conversation = Conversation(UID, "plain")
    whole = await golden.pcm(conversation)
    query = {"start": at(start)} | ({"end": at(end)} if end else {})
    micros = [round(one * 10**6) for one in (start, end or 25)]
    first, last = ((one * 48_000 + 500_000) // 10**6 for one in micros)
    played = await golden.pcm(conversation, **query)
    # The nearest samples to the times that were asked for, where a cut lies between two.
    begins, ends = ((one * 16_000 + 500_000) // 10**6 for one in micros)
    assert played == whole[begins:ends]
    content = (await golden.get(conversation, "/audio", format="ogg", **query)).content
    ogg = read_ogg_opus(content)
    assert ogg.end_granule - ogg.head.pre_skip == last - first
    if last - first > 4_800 and start < 20:
        heard = decoded(content)[: len(played)]
        inner = min(len(heard), (20 * 48_000 - first) // 3)
        assert lag(heard[:inner], played[:inner]) == 0


@pytest.mark.parametrize("rate", [8_000, 12_000, 24_000, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
async def test_other_rates_and_channels(golden, rate, channels):
    conversation = Conversation(UID, "plain")
    played = await golden.pcm(conversation, sample_rate=rate, channels=channels, end=at(19))
    assert len(played) == 19 * rate * channels
    near, far = played[::channels], played[channels - 1 :: channels]
    assert near == far
    # As if all of it had been one object: no click where one ends and the next begins, or where it is cut.
    whole = await golden.pcm(conversation, end=at(20))
    resampled = array("h", resample(whole.tobytes(), 16_000, rate))[: 19 * rate]
    assert max(abs(one - other) for one, other in zip(near, resampled, strict=True)) <= 1


async def test_ranges_of_older_audio_are_pieces_of_the_whole(golden):
    conversation = Conversation(UID, "plain")
    for query in ({}, {"sample_rate": 48_000, "channels": 2}):
        whole = (await golden.get(conversation, "/audio", format="wav", **query)).content
        for first, last in (
            (0, 99),
            (44, 44),
            (160_001, 170_000),
            (159_990, 330_303),
            (640_000, len(whole) - 1),
        ):
            headers = {"Range": f"bytes={first}-{last}"}
            answer = await golden.get(conversation, "/audio", format="wav", headers=headers, **query)
            assert answer.status_code == 206
            assert answer.content == whole[first : last + 1]


async def test_timestamps_take_older_chunks(golden):
    conversation = Conversation(UID, "plain")
    whole = await golden.pcm(conversation)
    assert await golden.pcm(conversation, timestamps="1700000005.000") == whole[5 * 16_000 : 10 * 16_000]
    assert await golden.pcm(conversation, timestamps="1700000012") == whole[10 * 16_000 : 20 * 16_000]
    both = await golden.pcm(conversation, timestamps="1700000000,1700000022.5", fill_gaps="false")
    assert both == whole[: 5 * 16_000] + whole[22 * 16_000 :]


async def test_a_timestamp_takes_what_begins_there_before_what_holds_it(golden):
    conversation = Conversation(UID, "mixed")
    blob = await golden.pcm(conversation, timestamps=at(4.5))  # another has its first half second
    assert lag(blob, source(4.5, 9.5)) == LOOKAHEAD
    assert snr_db(blob, source(4.5, 9.5), LOOKAHEAD) > 10
    assert await golden.pcm(conversation, timestamps=at(4.7)) == source(0, 5)  # two hold it: the one played
    both = await golden.pcm(conversation, timestamps=f"{at(0)},{at(4.5)}")
    assert both[: 5 * 16_000] == source(0, 5)
    assert both[5 * 16_000 :] == blob[8_000:]


@pytest.mark.parametrize(("secret", "reason"), [("", "no_key"), ("another secret", "damaged")])
async def test_without_the_secret_sealed_audio_is_silence_and_says_so(
    serve, one_bus, tmp_path, secret, reason
):
    opened = open_store("memory:")
    await fill(opened)
    async with serve(one_bus, opened, tmp_path, Keys(legacy_secret=secret)) as api:
        answer = await api.get(Conversation(UID, "enhanced"), "/audio", format="pcm")
        assert (answer.status_code, answer.headers["tapedeck-missing"]) == (200, "4")
        # What is in a sealed blob nobody knows; records of PCM tell how long it is.
        assert answer.content == bytes(25 * 32_000)
        assert (await api.get(Conversation(UID, "enhanced"), "/audio", strict="true")).status_code == 502
        listed = (await api.get(Conversation(UID, "enhanced"), "/chunks")).json()
        assert listed["gaps"] == [
            {"start": "2023-11-14T22:13:20.000Z", "end": "2023-11-14T22:13:45.000Z", "duration_ms": 25_000}
        ]
        rows = listed["chunks"]
        assert [row["unreadable"] for row in rows] == [reason] * 4
        assert [row["duration_ms"] for row in rows] == [5000, 0, 10_000 if secret else 10_001, 3000]
        mixed = await api.pcm(Conversation(UID, "mixed"))
        assert mixed[: 5 * 16_000] == source(0, 5)
        assert not any(mixed[round(9.5 * 16_000) : round(14.5 * 16_000)])
        assert len(await api.pcm(Conversation(UID, "plain"))) == 25 * 16_000


async def test_enhanced_users_leave_no_copy_in_a_cache(golden, one_bus):
    await one_bus.command("HSET", one_bus.keys.user(UID), "protection", "enhanced")
    answer = await golden.get(Conversation(UID, "enhanced"), "/audio")
    assert answer.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("level", [None, "standard"])
async def test_what_is_sealed_is_enhanced_whatever_its_users_level_is_by_now(
    golden, one_bus, monkeypatch, level
):
    if level:
        await one_bus.command("HSET", one_bus.keys.user(UID), "protection", level)
    for cid, window, cached in (
        ("enhanced", {}, "private, no-store"),
        ("enhanced", {"start": at(1), "end": at(2)}, "private, no-store"),
        ("mixed", {}, "private, no-store"),
        ("mixed", {"start": at(0), "end": at(9.5)}, "private, no-cache"),  # two objects that are not sealed
        ("mixed", {"timestamps": at(9.5)}, "private, no-store"),
        ("plain", {}, "private, no-cache"),
    ):
        answer = await golden.get(Conversation(UID, cid), "/audio", **window)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, cached)
    wanted = {"plain": "standard", "enhanced": "enhanced", "mixed": "enhanced"}
    for cid, protection in wanted.items():
        assert (await golden.get(Conversation(UID, cid))).json()["protection"] == protection
    for exact in (2000, 0):
        monkeypatch.setattr("storage_api.conversations.EXACT_OBJECTS", exact)
        listed = await golden.http.get(
            f"/v1/users/{UID}/conversations", headers={"Authorization": "Bearer all-token"}
        )
        assert {row["conversation_id"]: row["protection"] for row in listed.json()["conversations"]} == wanted


@pytest.mark.parametrize("level", ["Enhanced", "top-secret", ""])
async def test_a_level_that_nobody_knows_counts_as_enhanced(golden, one_bus, level):
    await one_bus.command("HSET", one_bus.keys.user(UID), "protection", level)
    conversation = Conversation(UID, "plain")
    answer = await golden.get(conversation, "/audio")
    assert answer.headers["cache-control"] == "private, no-store"
    assert (await golden.get(conversation)).json()["protection"] == "enhanced"
