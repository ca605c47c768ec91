"""What names and sizes alone tell of a conversation."""

import pytest

from audiobus import Conversation
from audiostore.legacy import parse_audio_name
from storage_api.catalogue import told_ms
from storage_api.stored_object import MAX_NAMED_MS

T0 = 1_700_000_000


@pytest.mark.parametrize(
    ("file", "size", "ms"),
    [
        ("1.000.bin", 160_000, 5_000),
        ("1.000.enc", 160_032, 5_000),
        ("1.000.opus", 11_000, 0),
        ("1.000.opus.enc", 11_000, 0),
        ("1.000.batch.bin", 96_000, 3_000),
        ("1.000.batch.enc", 96_032, 3_000),
        ("1.000-61.000.batch.bin", 180_000, 60_000),
        ("1.000-61.000.batch.enc", 180_000, 60_000),
        ("61.000-1.000.batch.bin", 180_000, 0),
        ("1.000-99999999999.000.batch.bin", 180_000, MAX_NAMED_MS),
        ("1.000.enc", 3, 0),
    ],
)
def test_how_long_an_object_lasts_as_far_as_a_listing_tells(file, size, ms):
    assert told_ms(parse_audio_name(f"chunks/u/c/{file}"), size) == ms


async def test_a_long_list_of_older_conversations_opens_no_object(api, store, monkeypatch):
    monkeypatch.setattr("storage_api.conversations.EXACT_OBJECTS", 0)
    folder = "chunks/user-1/conv-1/"
    for name, data in (
        (f"{T0}.000.bin", bytes(160_000)),
        (f"{T0 + 5}.000.opus", b"a blob that nobody looks at"),
        (f"{T0 + 10}.000.enc", bytes(32_032)),
        ("meta.json", b"{}"),
        ("notes.bin", b"no audio"),
    ):
        await store.put(folder + name, data, content_type="x/y", metadata={})
    answer = await api.http.get(
        "/v1/users/user-1/conversations", headers={"Authorization": "Bearer all-token"}
    )
    (row,) = answer.json()["conversations"]
    assert (row["chunks"], row["recorded_seconds"]) == (3, 6.0)
    assert (row["start"], row["end"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:13:31.000Z")


async def test_a_folder_without_audio_is_no_conversation(api, store):
    await store.put("chunks/user-1/conv-1/notes.bin", b"no audio", content_type="x/y", metadata={})
    answer = await api.get(Conversation("user-1", "conv-1"))
    assert answer.status_code == 404
