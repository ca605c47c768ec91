"""The hostile client's own bytes: where it errs, it must err on purpose."""

import struct

import pytest

from tapedeck_testing.hostile.frames import BINARY, PING, RSV1, TEXT, FrameReader, close, frame, masked


def test_the_examples_of_the_rfc():
    """RFC 6455 §5.7."""
    assert frame(TEXT, b"Hello") == bytes.fromhex("818537fa213d7f9f4d5158")
    assert frame(TEXT, b"Hello", key=None) == bytes.fromhex("810548656c6c6f")
    assert frame(PING, b"Hello") == bytes.fromhex("898537fa213d7f9f4d5158")
    assert frame(BINARY, bytes(256), key=None)[:4] == bytes.fromhex("827e0100")
    assert frame(BINARY, bytes(65_536), key=None)[:10] == bytes.fromhex("827f0000000000010000")


def test_every_field_can_be_lied_about():
    assert frame(3, b"", rsv=RSV1, fin=False, key=None) == b"\x43\x00"
    assert frame(BINARY, b"a", length_form=64, key=None) == b"\x82\x7f" + struct.pack("!Q", 1) + b"a"
    assert frame(BINARY, b"a", says=1 << 63, length_form=64)[2:10] == b"\x80" + bytes(7)


def test_masking_is_its_own_inverse():
    data = bytes(range(256)) * 3 + b"x"
    assert masked(masked(data)) == data


def test_what_a_server_sends_is_cut_into_frames():
    reader = FrameReader()
    sent = (
        frame(TEXT, b"ab", key=None)
        + frame(BINARY, bytes(300), key=None)
        + frame(BINARY, bytes(70_000), key=None)
    )
    found = [one for at in range(0, len(sent), 7) for one in reader.feed(sent[at : at + 7])]
    assert [len(one.payload) for one in found] == [2, 300, 70_000]
    with pytest.raises(ValueError, match="masks"):
        FrameReader().feed(close(1000))
