import pytest

from audiocodec import errors


@pytest.mark.parametrize(
    "name", ["LibopusError", "BadPacketError", "BadPcmError", "BadAdtsError", "WavError", "OggError"]
)
def test_one_tree(name):
    assert issubclass(getattr(errors, name), errors.CodecError)
