"""Waveforms of objects that are deleted, and of objects that are gone."""

from audiostore.waveform_names import waveform_names
from storage_api.deletion.derived import delete_derived, delete_orphans

AUDIO = "chunks/user-1/conv-1/1600000000.000-1600000001.000.batch.bin"
OTHER = "chunks/user-1/conv-1/1600000002.000-1600000003.000.batch.bin"


async def test_only_those_of_these_objects_go(store, conversation, names, put):
    for audio in (AUDIO, OTHER):
        for name in waveform_names(audio):
            await put(store, name)
    await delete_derived(store, conversation, [AUDIO])
    assert await names(store) == sorted(waveform_names(OTHER))


async def test_those_whose_audio_is_gone_go_and_no_others(store, conversation, names, put):
    for name in (OTHER, *waveform_names(AUDIO), *waveform_names(OTHER)):
        await put(store, name)
    assert await delete_orphans(store, conversation) == 2
    assert await names(store) == sorted([OTHER, *waveform_names(OTHER)])
    assert await delete_orphans(store, conversation) == 0
