"""Where a run's objects lie: a disk that fills, with a disk of our own or without."""

import subprocess
import sys

import pytest
import pytest_asyncio

from tapedeck_testing.faults.chaos.shelf import FileShelf

WRITER = """
import os, sys
for path in sys.stdin:
    try:
        with open(path.strip(), "wb") as file:
            file.write(bytes(100_000))
    except OSError as error:
        print(error.strerror, flush=True)
    else:
        print("written", flush=True)
"""


@pytest_asyncio.fixture(params=["a disk of its own", "limits of processes"])
async def shelf(request, tmp_path, monkeypatch):
    one = FileShelf(tmp_path)
    if request.param == "limits of processes":
        monkeypatch.setattr(one, "_mount", lambda how: False)
    await one.start()
    if request.param == "a disk of its own" and not one._mounted:
        pytest.skip("no disk can be mounted here: limits of processes stand in for it")
    yield one
    await one.stop()


@pytest.fixture
def writer():
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.stdin.close()
    process.stdout.close()
    process.wait(60)


def write(writer, path):
    writer.stdin.write(f"{path}\n")
    writer.stdin.flush()
    return writer.stdout.readline().strip()


async def test_a_full_disk_takes_nothing_until_there_is_room_again(shelf, writer):
    assert write(writer, shelf.folder / "before") == "written"
    shelf.fill([writer.pid])
    assert write(writer, shelf.folder / "full") in ("No space left on device", "File too large")
    shelf.clear()
    assert write(writer, shelf.folder / "after") == "written"


async def test_it_reads_back_what_lies_in_a_folder(shelf):
    folder = shelf.folder / "chunks" / "u" / "c"
    folder.mkdir(parents=True)
    (folder / "b.batch.bin").write_bytes(b"two")
    (folder / "a.batch.bin").write_bytes(b"one")
    assert await shelf.objects("chunks/u/c/") == {
        "chunks/u/c/a.batch.bin": b"one",
        "chunks/u/c/b.batch.bin": b"two",
    }
    assert await shelf.objects("chunks/u/other/") == {}
