"""What a decoder holds outside of Python's sight goes with its socket."""

import gc
import weakref

import pytest

from listen.audio_format import CODECS, AudioFormat
from listen.channel_input import ChannelInput


@pytest.mark.parametrize("codec", CODECS)
def test_a_channels_decoder_does_not_wait_for_the_collector(codec):
    gc.collect()
    gc.disable()
    try:
        channel = ChannelInput(AudioFormat(codec, 16_000, 2))
        gone = weakref.ref(channel)
        del channel
        assert gone() is None
    finally:
        gc.enable()
