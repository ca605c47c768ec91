"""`GET …/{cid}/recordings?max_gap_s=90`: the stretches that belong together, with a stable id."""

import msgspec
import pytest

T0 = 1_700_000_000_000


async def recordings_of(api, conversation, **query):
    answer = await api.get(conversation, "/recordings", **query)
    assert answer.status_code == 200, answer.text
    return answer.json()["recordings"]


@pytest.fixture
async def gap(tape, encode, pcm_tone):
    """3 s, nothing for 7.25 s, and 3 s."""
    await tape.open()
    await tape.append(encode(pcm_tone(3)))
    moved = [
        (msgspec.structs.replace(chunk, first_offset=chunk.first_offset + 96_000), end + 96_000)
        for chunk, end in encode(pcm_tone(3), run_start_ms=T0 + 10_250)
    ]
    await tape.append(moved)


@pytest.mark.usefixtures("gap")
async def test_a_short_gap_is_within_one(api, conversation):
    [one] = await recordings_of(api, conversation)
    chunks = (await api.get(conversation, "/chunks")).json()["chunks"]
    assert (one["start"], one["end"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:13:33.250Z")
    assert one["recorded_seconds"] == 6.0
    assert one["timestamps"] == [chunk["timestamp"] for chunk in chunks]
    assert await recordings_of(api, conversation, max_gap_s="7.25") == [one]


@pytest.mark.usefixtures("gap")
async def test_a_longer_one_parts_two(api, conversation):
    first, second = await recordings_of(api, conversation, max_gap_s="7.249")
    assert (first["end"], second["start"]) == ("2023-11-14T22:13:23.000Z", "2023-11-14T22:13:30.250Z")
    assert first["recorded_seconds"] == second["recorded_seconds"] == 3.0
    assert first["id"] != second["id"]
    assert not set(first["timestamps"]) & set(second["timestamps"])


@pytest.mark.usefixtures("gap")
async def test_an_id_stays_when_what_waits_is_stored(api, tape, conversation):
    before = await recordings_of(api, conversation, max_gap_s=5)
    await tape.drain(0, len(tape.chunks))
    after = await recordings_of(api, conversation, max_gap_s=5)
    assert [one["id"] for one in after] == [one["id"] for one in before]
    # One batch holds both, and the gap: it plays in each.
    assert [one["timestamps"] for one in after] == [["1700000000.000"], ["1700000000.000"]]


async def test_what_cannot_be_read_is_no_gap(api, tape, conversation, pcm_tone, tmp_path):
    await tape.record(pcm_tone(9))
    await tape.drain(0, 3)
    (name,) = await tape.drain(3, 6)
    await tape.drain(6, len(tape.chunks))
    path = tmp_path / "store" / name
    path.write_bytes(b"OggS" + bytes(path.stat().st_size - 4))
    [one] = await recordings_of(api, conversation, max_gap_s="0.001")  # its name tells milliseconds
    assert one["recorded_seconds"] < 7
    assert len(one["timestamps"]) == 3


@pytest.mark.parametrize("bad", ["-1", "1e3", "nan", "inf", "1.2345", "2678401", "", " 1", "١", "0x10"])
async def test_a_gap_that_is_none_is_refused(api, tape, conversation, pcm_tone, bad):
    await tape.record(pcm_tone(1))
    answer = await api.get(conversation, "/recordings", max_gap_s=bad)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")


async def test_nobody_recorded_into_it(api, conversation):
    assert (await api.get(conversation, "/recordings")).status_code == 404
