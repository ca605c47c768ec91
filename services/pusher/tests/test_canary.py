"""The canary, and what it is asked about: everything that a defect may raise in the face of some data, and nothing that a machine raises."""

import struct
import zlib

import pytest

from pusher import canary


def test_it_sings():
    assert canary.sings()


@pytest.mark.parametrize(
    "broken",
    [
        lambda: struct.pack("<I", -1),
        lambda: struct.unpack("<I", b"xx"),
        b"\xff".decode,
        lambda: (1).to_bytes(0, "big"),
        [].pop,
        lambda: None.packets,
        lambda: 1 // 0,
        lambda: zlib.crc32("text"),
    ],
)
def test_a_defect_is_one_whatever_it_raises(broken):
    with pytest.raises(canary.UNFORESEEN):
        broken()


@pytest.mark.parametrize(
    "error", [MemoryError, OSError, RuntimeError("can't start new thread"), KeyboardInterrupt]
)
def test_a_machine_that_has_nothing_left_is_none(error):
    assert not isinstance(error if isinstance(error, BaseException) else error(), canary.UNFORESEEN)
