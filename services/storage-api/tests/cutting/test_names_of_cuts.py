"""What is left of an object gets no name that a cut speaks of: whoever carries that out would take it for its own."""

from audiobus.letters_cut import LettersCut


async def test_what_is_left_gets_the_next_name(
    api, tape, cutter, store, conversation, one_bus, encode, pcm_tone, names
):
    chunks = encode(pcm_tone(8))
    await tape.open()
    await tape.append(chunks)
    await tape.drain(0, len(chunks))
    [before] = await names(store)
    taken = before.replace(".000.batch", ".001.batch")
    assert taken != before
    raw = LettersCut(1, (), taken, "standard").encode()
    await one_bus.command("HSET", one_bus.keys.conv(conversation), "again_cut", raw)
    assert (await cutter.stretch(api, 2, 3)).json()["deleted_objects"] == 1
    assert await names(store) == [before.replace(".000.batch", ".002.batch")]
