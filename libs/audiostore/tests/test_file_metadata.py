"""On a real file system, which must have extended attributes of users; what a file without them does stands in test_folder.py too."""

import errno
import os
import shutil

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostore import file_metadata
from audiostore.errors import ChecksumError
from audiostore.file_metadata import ATTRIBUTE
from audiostore.folder import Folder
from audiostore.store import ObjectInfo
from tapedeck_testing.file_systems import has_attributes

NAME = "chunks/u/c/1.000-2.000.batch.bin"
DATA = b"OggS" + bytes(1000)
METADATA = {"tapedeck-runs": "1:0-2@3+4", "tapedeck-source": "pcm16"}
LISTED = [ObjectInfo(NAME, len(DATA), None, None)]


@pytest.fixture
def folder(tmp_path):
    if not has_attributes(tmp_path):
        pytest.skip("no extended attributes here")
    return Folder(tmp_path / "store")


@pytest.fixture
def path(folder):
    assert folder.create(NAME, DATA, METADATA).metadata == METADATA
    return folder.root / NAME


def told(folder, name=NAME):
    """By `head`, and by what is asked for after a listing."""
    return folder.head(name).metadata, folder.with_metadata(folder.sizes([name]))[0].metadata


def attribute(path):
    return msgspec.json.decode(os.getxattr(path, ATTRIBUTE))


def test_the_attribute_tells_of_the_file(folder, path):
    status = path.stat()
    assert attribute(path) == {
        "version": 1,
        "size": len(DATA),
        "modified_ns": status.st_mtime_ns,
        "crc32c": folder.head(NAME).crc32c,
        "metadata": METADATA,
    }
    assert os.listxattr(path) == [ATTRIBUTE]
    assert told(folder) == (METADATA, METADATA)


def test_no_metadata_are_other_than_unknown_ones(folder):
    assert folder.create("a", b"1", {}).metadata == {}
    assert told(folder, "a") == ({}, {})


def test_a_copy_has_it_too_and_keeps_it(folder, path):
    assert folder.copy(NAME, "u/b").metadata == METADATA
    folder.remove(NAME)
    assert told(folder, "u/b") == (METADATA, METADATA)


def test_a_file_that_was_copied_by_hand_has_none(folder, path):
    shutil.copyfile(path, folder.root / "b")
    assert told(folder, "b") == (None, None)
    assert folder.read("b") == DATA


def test_a_file_that_was_copied_with_its_attributes_keeps_it(folder, path):
    shutil.copy2(path, folder.root / "b")
    assert told(folder, "b") == (METADATA, METADATA)


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x", b"", b"R" + DATA[1:]])
def test_a_file_that_was_written_by_hand_is_what_it_is_now(folder, path, data):
    """To the same length too, and within the tick of the clock in which it was put."""
    path.write_bytes(data)
    assert told(folder) == (None, None)
    assert folder.read(NAME) == data


def test_a_file_is_cut_off(folder, path):
    os.truncate(path, 10)
    assert told(folder) == (None, None)
    assert folder.read(NAME) == DATA[:10]


def test_a_write_that_leaves_no_later_time_is_noticed(folder, path):
    """As on a file system whose clock has long ticks: the write falls into the one of the put."""
    put_at = path.stat().st_mtime_ns + 1
    path.write_bytes(bytes(len(DATA)))
    os.utime(path, ns=(put_at, put_at))
    assert told(folder) == (None, None)


def test_bytes_that_a_disk_spoilt_are_not_given_out(folder, path):
    """Nobody wrote, so the file has the time and the length that it had."""
    status = path.stat()
    path.write_bytes(b"R" + DATA[1:])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(ChecksumError, match="may have spoilt them"):
        folder.read(NAME)
    # `head` tells of what lies there, beside what was meant.
    assert folder.head(NAME).crc32c != attribute(path)["crc32c"]
    assert told(folder) == (METADATA, METADATA)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"size": -1},
        {"size": "7"},
        {"modified_ns": None},
        {"crc32c": "00000000"},
        {"metadata": None},
        {"metadata": {"tapedeck-runs": 1}},
        {"metadata": ["tapedeck-runs"]},
    ],
)
def test_an_attribute_that_is_none_of_ours_is_not_believed(folder, path, change):
    os.setxattr(path, ATTRIBUTE, msgspec.json.encode(attribute(path) | change))
    assert told(folder) == (None, None)
    assert folder.read(NAME) == DATA


@pytest.mark.parametrize(
    "value", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 3000, b'{"version":1}', bytes(50)]
)
def test_an_attribute_that_is_no_json_is_not_believed(folder, path, value):
    os.setxattr(path, ATTRIBUTE, value)
    assert told(folder) == (None, None)
    assert folder.read(NAME) == DATA


def test_an_attribute_that_is_too_large_is_neither_read_nor_written(folder, path, monkeypatch):
    monkeypatch.setattr(file_metadata, "MOST_BYTES", len(os.getxattr(path, ATTRIBUTE)) - 1)
    assert told(folder) == (None, None)
    assert folder.create("a", DATA, METADATA).metadata is None
    assert not os.listxattr(folder.root / "a")


@given(st.binary(max_size=200))
def test_whatever_an_attribute_holds_nothing_breaks(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("any")
    if not has_attributes(folder):
        pytest.skip("no extended attributes here")
    path = folder / "file"
    path.write_bytes(b"1")
    os.setxattr(path, ATTRIBUTE, value)
    assert file_metadata.read(str(path), path.stat()) is None


def test_metadata_that_no_store_takes_was_not_put(folder, path):
    """It could not be put anywhere else, and whoever moves the object would try for ever."""
    for odd in ({"Key": "1"}, {"a": "b\n"}, {"content-crc32c": "0"}, {"a": ""}):
        os.setxattr(path, ATTRIBUTE, msgspec.json.encode(attribute(path) | {"metadata": odd}))
        assert folder.head(NAME).metadata is None


def test_links_and_folders_have_none(folder, path):
    (folder.root / "link").symlink_to(path)
    (folder.root / "dir").mkdir()
    infos = [ObjectInfo(name, len(DATA), None, None) for name in ("link", "dir", "gone", f"{NAME}/below")]
    assert folder.with_metadata(infos) == infos


def test_it_is_told_only_of_what_was_listed(folder, path):
    assert folder.with_metadata([ObjectInfo(NAME, len(DATA) + 1, None, None)])[0].metadata is None


@pytest.mark.parametrize("call", ["setxattr", "getxattr", "utime"])
@pytest.mark.parametrize(
    "number", [errno.ENOTSUP, errno.ENOSPC, errno.E2BIG, errno.EPERM, errno.EDQUOT, errno.EIO]
)
def test_a_file_system_that_keeps_none_is_done_without(folder, monkeypatch, call, number):
    def refuse(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refuse)
    folder.create(NAME, DATA, METADATA)
    assert told(folder) == (None, None)
    assert folder.read(NAME) == DATA
    assert folder.copy(NAME, "u/b").metadata is None


def test_a_system_that_knows_no_attributes_is_done_without(folder, monkeypatch):
    for call in ("setxattr", "getxattr"):
        monkeypatch.delattr(os, call)
    assert folder.create(NAME, DATA, METADATA).metadata is None
    assert told(folder) == (None, None)
    assert folder.read(NAME) == DATA


def test_a_file_system_that_does_not_keep_times_exactly_is_done_without(folder, monkeypatch):
    """Of one that rounds up nobody could tell a later write from the first one."""
    monkeypatch.setattr(os, "utime", lambda *_args, **_kwargs: None)
    assert folder.create(NAME, DATA, METADATA).metadata is None
    assert told(folder) == (None, None)


def test_metadata_that_there_is_no_room_for_is_left_out(folder):
    much = {f"tapedeck-{number}": "x" * 4000 for number in range(20)}
    assert folder.create(NAME, DATA, much).metadata is None
    assert not os.listxattr(folder.root / NAME)
    assert folder.head(NAME).metadata is None


def test_it_is_there_before_the_name_is(folder, monkeypatch):
    """Whoever finds the object finds its metadata, and both are durable together."""
    steps = []
    for name in ("setxattr", "fsync", "link"):
        call = getattr(os, name)
        monkeypatch.setattr(
            os,
            name,
            lambda *args, _name=name, _call=call, **kwargs: (steps.append(_name), _call(*args, **kwargs))[1],
        )
    folder.create("a", DATA, METADATA)
    assert steps[:3] == ["setxattr", "fsync", "link"]
