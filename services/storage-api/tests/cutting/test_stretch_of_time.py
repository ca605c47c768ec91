"""`DELETE …/audio?start&end`: never less than was asked for, nothing else than what touches it, and it stays a gap."""

import pytest

from audiocodec.packet import packet_facts
from tapedeck_testing.touched_packets import touched


async def nine_seconds(tape, pcm) -> list[str]:
    await tape.record(pcm)
    return [*await tape.drain(0, 3), *await tape.drain(3, 6), *await tape.drain(6, len(tape.chunks))]


async def test_a_stretch_is_cut_out_and_the_rest_stays_as_it_was(
    api, tape, cutter, store, conversation, speech, names, packets
):
    first, second, third = await nine_seconds(tape, speech[: 9 * 32_000])
    before = await api.pcm(conversation)
    all_packets = await packets(store)
    answer = await cutter.stretch(api, 4.0, 4.5)
    assert answer.status_code == 200
    cut_s = answer.json()["deleted_seconds"]
    assert answer.json()["deleted_objects"] == 1
    assert 0.5 <= cut_s < 0.54
    left = await names(store, "chunks/")
    assert left == [first, f"{second[:-11]}{int(second[-11]) + 1}.batch.bin", third]
    assert await packets(store) == all_packets - set(touched(tape.chunks, 4.0, 4.5))
    after = await api.pcm(conversation)
    assert len(after) == len(before)
    assert after[: 16_000 * 4 - 320] == before[: 16_000 * 4 - 320]
    assert not any(after[16_000 * 4 : 16_000 * 4 + 8_000])
    assert after[16_000 * 6 :] == before[16_000 * 6 :]
    [gap] = (await api.get(conversation, "/chunks")).json()["gaps"]
    assert gap["duration_ms"] == pytest.approx(cut_s * 1000, abs=1)
    balance = await cutter.balance()
    assert balance.deleted == round(cut_s * 48_000)
    again = await cutter.stretch(api, 4.0, 4.5)
    assert (again.status_code, again.json()) == (200, {"deleted_objects": 0, "deleted_seconds": 0})
    assert await names(store, "chunks/") == left


async def test_the_next_batch_keeps_nothing_of_it_for_its_decoder(
    api, tape, cutter, store, speech, batches, packets
):
    await nine_seconds(tape, speech[: 9 * 32_000])
    gone = touched(tape.chunks, 5.7, 5.9)
    answer = await cutter.stretch(api, 5.7, 5.9)
    assert answer.json()["deleted_objects"] == 1  # the batch that holds it, not the one whose pre-roll does
    assert not await packets(store) & set(gone)
    third = (await batches(store))[2]
    kept = sum(packet_facts(packet).samples for packet in third.preroll)
    assert 0 < kept <= 0.1 * 48_000
    assert (await cutter.balance()).deleted == round(answer.json()["deleted_seconds"] * 48_000)


@pytest.mark.parametrize(
    "query", ["start=&end=", "start=", "end=", "start", "strat=1700000004&edn=1700000005", "begin=5"]
)
async def test_times_that_are_empty_or_misspelt_delete_nothing(
    api, tape, cutter, store, conversation, pcm_tone, names, query
):
    left = await nine_seconds(tape, pcm_tone(9))
    for rest in ("/audio", "", "/chunks"):
        answer = await api.http.delete(
            f"{api.path(conversation, rest)}?{query}", headers={"Authorization": "Bearer all-token"}
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter"), rest
        assert answer.json()["parameter"] in query or rest == "/chunks"
    everything = f"/v1/users/{conversation.uid}/audio?{query}"
    answer = await api.http.delete(everything, headers={"Authorization": "Bearer all-token"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")
    assert await names(store) == left


@pytest.mark.parametrize(("start", "end"), [(None, None), (None, 20), (-5, None), (0, 9)])
async def test_all_of_it(api, tape, cutter, store, conversation, pcm_tone, names, start, end):
    await nine_seconds(tape, pcm_tone(9))
    assert (await cutter.stretch(api, start, end)).json() == {"deleted_objects": 3, "deleted_seconds": 9.0}
    assert await names(store) == []
    assert (await cutter.balance()).stored == 0
    assert (await cutter.stretch(api, start, end)).json() == {"deleted_objects": 0, "deleted_seconds": 0}
    assert (await api.get(conversation)).status_code == 404


async def test_over_several_batches_and_twice_side_by_side(api, tape, cutter, store, pcm_tone, packets):
    await nine_seconds(tape, pcm_tone(9))
    await cutter.stretch(api, 1.5, 7.25)
    await cutter.stretch(api, 7.25, 8.0)
    await cutter.stretch(api, 0.5, 0.6)
    gone = touched(tape.chunks, 1.5, 8.0) + touched(tape.chunks, 0.5, 0.6)
    every = {packet for chunk, _ in tape.chunks for packet in chunk.packets}
    assert await packets(store) == every - set(gone)
    await cutter.balance()


async def test_a_gap_is_nothing_to_delete(api, tape, cutter, pcm_tone):
    await nine_seconds(tape, pcm_tone(9))
    for start, end in ((20, 30), (-3, -1)):
        answer = await cutter.stretch(api, start, end)
        assert (answer.status_code, answer.json()) == (200, {"deleted_objects": 0, "deleted_seconds": 0})
