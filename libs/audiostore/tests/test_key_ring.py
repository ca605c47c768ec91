import base64
import copy
import logging
import os
import pickle
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostore.errors import KeyRingError, UnknownKeyError
from audiostore.key_ring import MAX_KEYS, MAX_RING_BYTES, KeyRing, KeySource, valid_key_id


def key(number):
    return bytes([number]) * 32


def entry(key_id, number):
    return f"{key_id}:{base64.b64encode(key(number)).decode()}"


RING = f"{entry('k2', 2)},{entry('k1', 1)}"


def test_the_first_seals_and_all_open():
    ring = KeyRing.parse(RING)
    assert ring.sealing == ("k2", key(2))
    assert (ring.key("k1"), ring.key("k2"), ring.ids) == (key(1), key(2), ("k2", "k1"))
    with pytest.raises(UnknownKeyError, match="'k3'") as caught:
        ring.key("k3")
    assert caught.value.key_id == "k3"
    assert ring


def test_white_space_around_entries():
    assert KeyRing.parse(f" {entry('k2', 2)} ,\n{entry('k1', 1)}\n").ids == ("k2", "k1")


def test_an_empty_ring_has_no_key():
    assert not KeyRing.empty
    assert KeyRing.empty.ids == ()
    with pytest.raises(KeyRingError, match="no key to seal with"):
        _ = KeyRing.empty.sealing
    with pytest.raises(UnknownKeyError):
        KeyRing.empty.key("k1")


GOOD = base64.b64encode(key(7)).decode()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "entry 1 is not of the form"),
        (GOOD, "entry 1 is not of the form"),
        (f"{RING},", "entry 3 is not of the form"),
        (f"{RING},,{entry('k3', 3)}", "entry 3 is not of the form"),
        (f"{entry('k1', 1)} {entry('k2', 2)}", "entry 1 is not the 44 characters"),
        (f":{GOOD}", "id of entry 1"),
        (f"k 1:{GOOD}", "id of entry 1"),
        (f"ké:{GOOD}", "id of entry 1"),
        (f"{'k' * 65}:{GOOD}", "id of entry 1"),
        (f"k1:{GOOD[:-1]}", "entry 1 is not the 44 characters"),
        ("k1:", "entry 1 is not the 44 characters"),
        (f"k1: {GOOD}", "entry 1 is not the 44 characters"),
        (f"k1:{base64.b64encode(bytes(31)).decode()}", "no standard base64"),
        (f"k1:{base64.b64encode(bytes(33)).decode()}", "no standard base64"),
        (f"k1:{base64.urlsafe_b64encode(bytes([255]) * 32).decode()}", "no standard base64"),
        (f"k1:{GOOD[:-2]}d=", "no standard base64"),
        (f"k1:é{GOOD[1:]}", "no standard base64"),
        (f"{RING},{entry('k2', 3)}", "entry 3 has the id of one before it"),
        (f"{RING},{entry('k3', 1)}", "the same key"),
        (",".join(entry(f"k{n}", n) for n in range(200)) + "," * 100, "entry 201 is not"),
        ("x" * (MAX_RING_BYTES + 1), "longer than"),
    ],
)
def test_what_is_no_ring_is_told_by_number_and_never_shown(text, told):
    with pytest.raises(KeyRingError, match=told) as caught:
        KeyRing.parse(text)
    assert caught.value.__cause__ is None
    for secret in (GOOD, *(part.partition(":")[2] for part in text.split(","))):
        assert len(secret) < 5 or secret not in str(caught.value)


def test_the_number_of_keys_has_a_limit():
    keys = {f"k{n}": n.to_bytes(32, "big") for n in range(MAX_KEYS + 1)}
    text = ",".join(f"{one}:{base64.b64encode(raw).decode()}" for one, raw in keys.items())
    with pytest.raises(KeyRingError, match="more than 256 entries"):
        KeyRing.parse(text)
    with pytest.raises(KeyRingError, match="257 entries"):
        KeyRing(keys)
    assert len(KeyRing.parse(text.rpartition(",")[0]).ids) == MAX_KEYS


@given(
    st.binary(min_size=32, max_size=32),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=70),
)
def test_every_ring_that_can_be_is_read(raw, key_id):
    if valid_key_id(key_id):
        assert KeyRing.parse(f"{key_id}:{base64.b64encode(raw).decode()}").sealing == (key_id, raw)
    else:
        with pytest.raises(KeyRingError):
            KeyRing.parse(f"{key_id}:{base64.b64encode(raw).decode()}")


@given(st.text(max_size=200))
def test_any_other_text_is_refused(text):
    with pytest.raises(KeyRingError):
        KeyRing.parse(text)


def test_keys_are_shown_and_written_down_nowhere():
    ring = KeyRing.parse(RING)
    source = KeySource(RING)
    for shown in (repr(ring), str(ring), f"{ring}", repr(source), repr({"ring": ring, "source": source})):
        assert "k2" in shown
        assert GOOD not in shown
        assert base64.b64encode(key(2)).decode() not in shown
        assert repr(key(2)) not in shown
    for write in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="never written down"):
            write(ring)


# Where it comes from.


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys"


def replace(path, text):
    """By another file, in one step."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)  # noqa: PTH105 - the atomic one, by its known name


def test_from_a_text_or_nowhere():
    assert KeySource(RING).ring().ids == ("k2", "k1")
    assert KeySource().ring() is KeyRing.empty
    assert KeySource(RING).complaint is None


def test_a_start_needs_one_good_source(path):
    with pytest.raises(KeyRingError, match="not from both"):
        KeySource(RING, path)
    with pytest.raises(KeyRingError, match="form id:base64"):
        KeySource("")
    with pytest.raises(KeyRingError, match=r"keys cannot be read: No such file"):
        KeySource(path=path)
    for content in (b"", b"\xff\xfe", b"nonsense", b"\n"):
        path.write_bytes(content)
        with pytest.raises(KeyRingError, match="keys: key ring: "):
            KeySource(path=path)


def test_a_file_is_looked_at_once_a_second_and_read_when_it_changed(path, clock):
    path.write_text(entry("k1", 1) + "\n")
    source = KeySource(path=path, clock=clock)
    first = source.ring()
    assert first.sealing == ("k1", key(1))
    replace(path, RING)
    clock.now_s += 0.9
    assert source.ring() is first
    clock.now_s += 0.2
    second = source.ring()
    assert second.ids == ("k2", "k1")
    clock.now_s += 5
    assert source.ring() is second
    path.write_text(entry("k3", 3))
    clock.now_s += 5
    assert source.ring().ids == ("k3",)


def test_a_key_that_changes_under_its_id_is_told_loudly(path, clock, caplog):
    path.write_text(RING)
    source = KeySource(path=path, clock=clock)
    replace(path, f"{entry('k2', 9)},{entry('k1', 1)}")
    clock.now_s += 1
    assert source.ring().key("k2") == key(9)
    (record,) = caplog.records
    assert (record.levelno, record.keys) == (logging.CRITICAL, ["k2"])
    assert source.complaint is None


def test_the_version_tells_other_keys_and_no_other_order(path, clock):
    path.write_text(RING)
    source = KeySource(path=path, clock=clock)
    seen = [source.version]
    for text in (
        RING + "\n",
        f"{entry('k1', 1)},{entry('k2', 2)}",
        f"{entry('k2', 9)},{entry('k1', 1)}",
        entry("k1", 1),
    ):
        replace(path, text)
        clock.now_s += 1
        source.ring()
        seen.append(source.version)
    assert seen == [0, 0, 0, 1, 2]


def test_a_symlink_swap_as_kubernetes_makes_it(tmp_path, clock):
    for name, text in (("..1", entry("k1", 1)), ("..2", entry("k2", 2))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "keys").write_text(text)
        os.utime(tmp_path / name / "keys", (1, 1))  # same size and time: only the inode tells
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "keys").symlink_to("..data/keys")
    source = KeySource(path=tmp_path / "keys", clock=clock)
    assert source.ring().ids == ("k1",)
    (tmp_path / "..tmp").symlink_to("..2")
    os.replace(tmp_path / "..tmp", tmp_path / "..data")  # noqa: PTH105 - as above
    clock.now_s += 1
    assert source.ring().ids == ("k2",)


def test_a_broken_file_keeps_the_last_good_ring_and_says_so_until_it_is_put_right(path, clock, caplog):
    path.write_text(RING)
    source = KeySource(path=path, clock=clock)
    good = source.ring()
    for broken, told in (
        (lambda: replace(path, "k3:short"), "entry 1 is not the 44"),
        (lambda: replace(path, ""), "form id:base64"),
        (path.unlink, "cannot be read"),
        (path.mkdir, "cannot be read"),
    ):
        broken()
        caplog.clear()
        for _ in range(3):
            clock.now_s += 1
            assert source.ring() is good
        assert told in source.complaint
        (record,) = caplog.records
        assert (record.levelno, record.reason) == (logging.CRITICAL, source.complaint)
        assert "short" not in source.complaint
    path.rmdir()
    replace(path, entry("k3", 3))
    clock.now_s += 1
    assert source.ring().ids == ("k3",)
    assert source.complaint is None


def test_a_file_that_was_seen_half_written_is_read_again_although_nothing_seems_to_change(path, clock):
    path.write_text(RING)
    source = KeySource(path=path, clock=clock)
    version = path.stat()
    path.write_text("x" * len(RING))
    clock.now_s += 1
    source.ring()
    assert source.complaint
    path.write_text(f"{entry('k4', 4)},{entry('k1', 1)}")
    os.utime(path, ns=(version.st_atime_ns, version.st_mtime_ns))
    clock.now_s += 1
    assert source.ring().ids == ("k4", "k1")


def test_an_endless_file_is_not_read_to_its_end():
    with pytest.raises(KeyRingError, match="longer than"):
        KeySource(path=Path("/dev/zero"))


def test_asked_from_many_threads_while_the_file_changes(path):
    path.write_text(entry("k1", 1))
    source = KeySource(path=path, clock=iter(range(100_000)).__next__)
    seen, stop = set(), threading.Event()

    def ask():
        while not stop.is_set():
            seen.add(source.ring().ids)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(2, 20):
        replace(path, entry(f"k{number}", number))
    stop.set()
    for thread in threads:
        thread.join()
    assert source.complaint is None
    assert source.ring().ids == ("k19",)
    assert all(len(ids) == 1 for ids in seen)
