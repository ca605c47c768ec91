"""The list of chunks over real HTTP: its tokens, and what changes between two pages."""

import msgspec
import pytest

from audiostore import open_store
from audiostore.paired_store import PairedStore
from storage_api.chunk_page import Place
from storage_api.page_tokens import read_page_token, write_page_token

T0 = 1_700_000_000_000
BOUND = {"start": "None", "end": "None"}


async def page_of(api, conversation, token=None, size=2):
    answer = await api.get(
        conversation, "/chunks", page_size=size, **({"page_token": token} if token else {})
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def walk(api, conversation, size=2, begun=None):
    """All pages, or all after `begun`."""
    chunks, gaps, token = [], [], begun
    while True:
        body = await page_of(api, conversation, token, size)
        chunks += body["chunks"]
        gaps += body["gaps"]
        token = body["next_page_token"]
        if token is None:
            return chunks, gaps


def place_in(api, conversation, token) -> Place:
    return read_page_token(api.path(conversation, "/chunks"), BOUND, token, Place)


def token_of(api, conversation, place: object) -> str:
    return write_page_token(api.path(conversation, "/chunks"), BOUND, place)


@pytest.fixture
async def stored(tape, pcm_tone):
    """Eight objects of a second, and two seconds that wait."""
    await tape.record(pcm_tone(10))
    return [name for number in range(8) for name in await tape.drain(number, number + 1)]


async def test_a_token_of_the_version_before_is_taken(api, conversation, stored):
    everything = await page_of(api, conversation, size=100)
    first = await page_of(api, conversation)
    place = place_in(api, conversation, first["next_page_token"])
    assert place.watershed_48k is not None
    former = token_of(api, conversation, msgspec.structs.astuple(place)[:4])
    chunks, gaps = await walk(api, conversation, begun=former)
    assert (first["chunks"] + chunks, gaps) == (everything["chunks"], [])
    assert len(chunks) == 9


@pytest.mark.parametrize("forged", [-1, 0, 10**9, 10**15, 10**30, "x", 1.5])
async def test_a_place_that_is_none_is_refused(api, conversation, stored, forged):
    token = token_of(api, conversation, (T0, "x", T0, False, forged if forged != 10**30 else "9" * 30))
    answer = await api.get(conversation, "/chunks", page_token=token)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_page_token")


@pytest.mark.parametrize("forged", [10**12 * 48, T0 * 48, T0 * 48 + 1, 10**13 * 48 - 1])
async def test_a_watershed_that_is_none_changes_nothing(api, conversation, stored, forged):
    first = await page_of(api, conversation)
    place = place_in(api, conversation, first["next_page_token"])
    following = await page_of(api, conversation, first["next_page_token"])
    token = token_of(api, conversation, msgspec.structs.replace(place, watershed_48k=forged))
    answer = await page_of(api, conversation, token)
    assert (answer["chunks"], answer["gaps"]) == (following["chunks"], following["gaps"])


async def test_an_object_that_is_deleted_between_two_pages_leaves_no_hole(api, conversation, stored, store):
    first = await page_of(api, conversation)
    at = place_in(api, conversation, first["next_page_token"]).watershed_48k
    (gone,) = [name for name in stored if f"/{at // 48 // 1000}.{at // 48 % 1000:03d}-" in name]
    everything = await page_of(api, conversation, size=100)
    await store.delete(gone)
    chunks, _ = await walk(api, conversation, begun=first["next_page_token"])
    assert chunks == [chunk for chunk in everything["chunks"][2:] if chunk["path"] != gone]


async def test_what_is_stored_between_two_pages_is_listed_once(api, tape, conversation, stored):
    chunks = []
    first = await page_of(api, conversation, size=9)
    chunks, token = first["chunks"], first["next_page_token"]
    assert chunks[-1]["state"] == "live"
    await tape.drain(8, len(tape.chunks))
    rest, _ = await walk(api, conversation, begun=token)
    assert [one["state"] for one in rest] == ["stored"]
    assert (rest[0]["start"], rest[0]["end"]) == (chunks[-1]["start"], "2023-11-14T22:13:30.000Z")


async def test_a_conversation_deleted_between_two_pages_is_gone(api, conversation, stored):
    first = await page_of(api, conversation)
    headers = {"Authorization": "Bearer all-token"}
    assert (await api.http.delete(api.path(conversation), headers=headers)).status_code == 200
    answer = await api.get(conversation, "/chunks", page_size=2, page_token=first["next_page_token"])
    assert answer.status_code == 404


async def test_pages_out_of_two_buckets(serve, one_bus, tape, store, conversation, pcm_tone, tmp_path):
    second = open_store(f"file://{tmp_path}/second")
    await tape.record(pcm_tone(10))
    for number in range(8):
        tape.store = second if number % 3 == 1 else store
        await tape.drain(number, number + 1)
    async with serve(one_bus, PairedStore(store, second), tmp_path) as both:
        everything = await page_of(both, conversation, size=100)
        assert len(everything["chunks"]) == 11
        for size in (1, 3):
            assert await walk(both, conversation, size) == (everything["chunks"], everything["gaps"])
    await second.close()
