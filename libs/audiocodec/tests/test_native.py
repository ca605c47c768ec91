import pytest

from audiocodec import native


def test_opuslibs_own_functions_are_left_alone():
    bound = native.bound()
    api = bound.opuslib.api
    assert bound.encode is not api.libopus.opus_encode
    assert api.libopus.opus_encode.argtypes[0] is api.encoder.EncoderPointer


@pytest.mark.parametrize("code", [0, -1, -4, -7, -99, 12])
def test_every_code_has_words(code):
    assert native.reason(code).isprintable()
    assert native.reason(code)


@pytest.mark.parametrize(("packet", "frames"), [(b"\xf8\xff\xfe", 1), (b"\xf9ab", 2), (b"\xfb\x03abc", 3)])
def test_frames_of_a_packet(packet, frames):
    assert native.packet_frames(packet) == frames


def test_frames_of_bad_framing():
    assert native.packet_frames(b"\xf9abc") < 0
