"""Names of kept waveforms: one for each object, found from it and back."""

import pytest

from audiostore import waveform_names as names
from audiostore.errors import BadNameError

FILES = (
    "1700000000.000-1700000060.000.batch.bin",
    "1700000000.000-1700000060.000.batch.enc",
    "1700000000.000.opus",
    "1700000000.000.opus.enc",
    "1700000000.000.bin",
    "1700000000.000.enc",
)


def test_no_two_objects_share_a_name_and_each_is_found_from_it():
    audio = [f"chunks/user-1/conv-1/{file}" for file in FILES]
    found = {name: one for one in audio for name in names.waveform_names(one)}
    assert len(found) == 2 * len(audio)
    assert all(names.audio_name(name) == one for name, one in found.items())
    assert all(name.startswith(names.conversation_waveforms("user-1", "conv-1")) for name in found)
    assert all(name.startswith(names.user_waveforms("user-1")) for name in found)


def test_the_name_says_whether_it_is_sealed():
    audio = f"chunks/user-1/conv-1/{FILES[0]}"
    assert names.waveform_name(audio, sealed=False) == f"waveforms/user-1/conv-1/{FILES[0]}.peaks"
    assert names.waveform_name(audio, sealed=True) == f"waveforms/user-1/conv-1/{FILES[0]}.peaks.enc"


@pytest.mark.parametrize(
    "name",
    [
        "chunks/user-1/conv-1/1700000000.000.bin.peaks",
        "waveforms/user-1/conv-1/1700000000.000.bin",
        "waveforms/user-1/conv-1/1700000000.000.mp3.peaks",
        "waveforms/user-1/1700000000.000.bin.peaks",
        "waveforms/user-1/conv-1/x/1700000000.000.bin.peaks.enc",
        "",
    ],
)
def test_other_names_are_none(name):
    assert names.audio_name(name) is None


def test_bad_ids_are_refused():
    with pytest.raises(BadNameError):
        names.conversation_waveforms("user-1", "../conv")
