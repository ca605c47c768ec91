import os

import pytest

from tapedeck.download_file import download
from tapedeck.errors import StorageError
from tapedeck.storage_client import AudioRequest, StorageClient

AUDIO = os.urandom(300_000)
WAV = AudioRequest("wav")


async def get(stand_in, target, request=WAV):
    seen = []
    async with StorageClient(stand_in.url, "t") as client:
        await download(client, "u", "c", request, target, lambda done, total: seen.append((done, total)))
    return seen


async def test_the_file_appears_whole(storage_stand_in, tmp_path):
    storage_stand_in.audio = AUDIO
    seen = await get(storage_stand_in, tmp_path / "a.wav")
    assert (tmp_path / "a.wav").read_bytes() == AUDIO
    assert seen[-1] == (len(AUDIO), len(AUDIO))
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


async def test_what_an_earlier_run_left_is_gone_on_with(storage_stand_in, tmp_path):
    storage_stand_in.audio = AUDIO
    storage_stand_in.breaks = [200_000, *[0] * 20]
    with pytest.raises(StorageError):
        await get(storage_stand_in, tmp_path / "a.wav")
    assert not (tmp_path / "a.wav").exists()
    storage_stand_in.breaks.clear()
    left = (tmp_path / "a.wav.part").stat().st_size
    assert 0 < left <= 200_000
    await get(storage_stand_in, tmp_path / "a.wav")
    assert (tmp_path / "a.wav").read_bytes() == AUDIO
    assert storage_stand_in.requests[-1][1]["Range"] == f"bytes={left}-"


async def test_a_part_of_something_else_is_not_used(storage_stand_in, tmp_path):
    storage_stand_in.audio = AUDIO
    storage_stand_in.breaks = [200_000, *[0] * 20]
    with pytest.raises(StorageError):
        await get(storage_stand_in, tmp_path / "a.wav")
    storage_stand_in.breaks.clear()
    await get(storage_stand_in, tmp_path / "a.wav", AudioRequest("pcm"))
    assert "Range" not in storage_stand_in.requests[-1][1]
    assert (tmp_path / "a.wav").read_bytes() == AUDIO


async def test_what_changes_in_the_middle_is_got_again_from_the_start(storage_stand_in, tmp_path):
    storage_stand_in.audio = AUDIO
    storage_stand_in.breaks = [100_000]

    def change():
        storage_stand_in.audio, storage_stand_in.etag = AUDIO[::-1], '"two"'

    storage_stand_in.after_break = change
    await get(storage_stand_in, tmp_path / "a.wav")
    assert (tmp_path / "a.wav").read_bytes() == AUDIO[::-1]
